"""The promise, judged by the log, the tables, the queues and what the destinations saw. Nothing of the flow is asked.

``docs/soak.md`` has the promises in words, under the names that stand here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.flow.pump import HEALTH
from chalicelib.store.items import read
from chalicelib.store.jobs import SHARD

from . import off_record, pulls, sealed, story
from .platforms import DIGITS, WITHOUT_CONVERSATION, WORD
from .receivers import Request, signed
from .story import Broken
from .tenants import Destination, Tenant
from .world import CELL, REGION

if TYPE_CHECKING:
    from .rounds import Round

Entry = Mapping[str, Any]
ENDS = ("delivered", "rejected", "gave_up")


@dataclass
class Transfer:
    """A transfer as the log tells of it."""

    id: str
    event: str
    tenant: str
    destination: str
    decisions: list[Entry] = field(default_factory=list)
    attempts: list[Entry] = field(default_factory=list)
    acts: list[Entry] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    @property
    def replayed(self) -> bool:
        """Whether it was sent again, which no order is promised for."""
        return any(d["cause"] == "replayed" for d in self.decisions)

    def verdict(self, decision: Entry) -> str:
        """Return what a decision said of this transfer."""
        return str(next(r["decision"] for r in decision["routes"] if r["transfer"] == self.id))

    @property
    def in_force(self) -> str:
        """Return the decision that no other has taken the place of."""
        past = {d["supersedes"] for d in self.decisions}
        return self.verdict(next(d for d in reversed(self.decisions) if d["id"] not in past))


@dataclass
class Seen:
    """What the judge read."""

    ends: Counter[str] = field(default_factory=Counter)
    digest: str = ""


class Judge:
    """One round's evidence."""

    def __init__(self, played: Round) -> None:
        self.round, self.world = played, played.world
        self.tenants: dict[str, Tenant] = {t.id: t for t in played.owners.tenants}
        self.destinations: dict[str, Destination] = {
            d.id: d for tenant in played.owners.tenants for d in tenant.destinations
        }
        self.rows = {name: self.world.tables.rows(f"waybill-{CELL}-{name}") for name in ("config", "data", "people")}
        self.audit = sealed.rows(self.world)
        self.entries = [self.world.inspector.audit.read_item(read(row, REGION)) for row in self.audit if "leaf" in row]
        self.entries.sort(key=lambda e: self.tick(e))
        self.transfers: dict[str, Transfer] = {}
        self.acts: dict[str, list[Entry]] = defaultdict(list)
        self.decided: dict[str, list[Entry]] = defaultdict(list)
        self.off: dict[str, str] = {}  # what was said off the record, with its source
        self._read()

    def tick(self, entry: Entry) -> int:
        """Return when an entry was written."""
        return self.world.appended.get(entry["id"], 0)

    def _read(self) -> None:
        for entry in self.entries:
            if entry["kind"] == "decided":
                self.decided[entry["event"]].append(entry)
                if off_record.is_off(entry):
                    self.off[entry["event"]] = entry["receipt"]["source"]
                for route in entry["routes"]:
                    of = Transfer(route["transfer"], entry["event"], entry["tenant"], route["destination"])
                    self.transfers.setdefault(of.id, of).decisions.append(entry)
            elif entry["kind"] == "attempted":
                if entry["transfer"] in self.transfers:
                    self.transfers[entry["transfer"]].attempts.append(entry)
            elif entry["event"] is not None:
                self.acts[entry["event"]].append(entry)
        for transfer in self.transfers.values():
            transfer.acts = [a for a in self.acts[transfer.event] if self._is_of(a, transfer)]
            transfer.attempts.sort(key=lambda a: (a["attempt"], a["take"]))
        for receiver in self.round.receivers.all.values():
            for request in receiver.requests:
                if request.transfer in self.transfers:
                    self.transfers[request.transfer].requests.append(request)

    @staticmethod
    def _is_of(act: Entry, transfer: Transfer) -> bool:
        thing = act["object"]
        return thing is None or (thing["kind"] == "transfer" and thing["id"] == transfer.id)

    def broken(self, promise: str, transfer: Transfer, detail: str, *others: Transfer) -> Broken:
        """Tell a transfer's story, and of others that it met."""
        lines: list[story.Line] = []
        for one in (transfer, *others):
            told = [story.of_entry(e, self.tick(e)) for e in (*one.decisions, *one.attempts, *one.acts)]
            told += [story.of_request(r.tick, r.at, r.status, r.began) for r in one.requests]
            told += [story.Line(t, what) for t, about, what in self.world.moves if about in (one.id, one.event)]
            lines += [story.Line(line.tick, f"…{one.id[-6:]} {line.text}") for line in told]
        detail = f"{detail} (event {transfer.event}, destination {transfer.destination})"
        return Broken(promise, transfer.id, detail, story.told(lines, self.world.faults.told))

    def closed(self, tenant: str) -> bool:
        """Say whether a tenant has closed its account: its data are erased as a whole."""
        return self.tenants[tenant].closed is not None

    # The promises

    def logged(self) -> Iterator[Broken]:
        """Every event that was taken is decided once, and nothing is decided that was not taken."""
        for event, (tenant, _) in self.taken.items():
            first = [e for e in self.decided[event] if e["cause"] == "received"]
            lost = [a for a in self.acts[event] if a["reason"] == "dead_letter" and a["object"] is None]
            if len(first) > 1 or (not first and not lost and not self.closed(tenant)):
                yield Broken("logged", event, f"was taken and has {len(first)} first decisions")
        for event in self.decided.keys() - self.taken.keys() - self.off.keys():
            if self.decided[event][0]["receipt"]["channel"] != "waybill":
                yield Broken("logged", event, "was decided and never taken")
        for person in self.round.platforms.people:
            if len(set(person.accepted)) != len(person.accepted):
                yield Broken("logged", person.source.id, "accepted a message twice as new")
        accepted: Counter[str] = Counter()
        for person in self.round.platforms.people:
            accepted[person.source.id] += len(person.accepted)
        per_source = Counter(({event: source for event, (_, source) in self.taken.items()} | self.off).values())
        for source, number in accepted.items():
            if per_source[source] < number:
                yield Broken("logged", source, f"accepted {number} messages and sent {per_source[source]} events on")

    def routed(self) -> Iterator[Broken]:
        """A decision names every route that matches, once, and no other."""
        for event, entries in self.decided.items():
            for entry in entries:
                off = event in self.off
                if entry["cause"] != "received" or not (off or event in self.taken_at):
                    continue
                named = Counter(r["route"] for r in entry["routes"])
                if any(number > 1 for number in named.values()):
                    yield Broken("routed", event, "has two transfers along one route")
                written = self.tick(entry)
                begun = self.world.begun[entry["id"]] if off else self.taken_at[event]
                for destination in self.tenants[entry["tenant"]].destinations:
                    matches = entry["receipt"]["channel"] in destination.channels
                    surely = any(
                        s.since <= begun and (s.until is None or written <= s.until) for s in destination.active
                    )
                    perhaps = any(
                        s.begun <= written and (s.ended is None or begun <= s.ended) for s in destination.active
                    )
                    if matches and surely and destination.route not in named:
                        yield Broken("routed", event, f"was not decided for {destination.route}")
                    if destination.route in named and not (matches and perhaps):
                        yield Broken("routed", event, f"was decided for {destination.route}, which did not match")

    def ended(self) -> Iterator[Broken]:
        """Every transfer has exactly one end, and attempts that count up to it without gaps."""
        for transfer in self.transfers.values():
            if self.closed(transfer.tenant):
                continue
            terminal = {(a["attempt"], a["outcome"]) for a in transfer.attempts if a["outcome"] in ENDS}
            # An attempt that two made at once has a take of each: where one of them delivered, that is its end.
            terminal = {(n, o) for n, o in terminal if o == "delivered" or (n, "delivered") not in terminal}
            ends = {outcome for _, outcome in terminal}
            expiries = [a for a in transfer.acts if a["kind"] == "expired"]
            if transfer.replayed:
                expiries = [a for a in expiries if a["reason"] != "dead_letter"]  # that end is what a replay takes back
            if transfer.in_force == "refused":
                ends.add("refused")
            elif expiries and not terminal:
                ends.add("expired")
            if not ends and any(a["kind"] == "erased" for a in transfer.acts):
                ends.add("erased")
            if len(ends) != 1 or len(terminal) > 1:
                yield self.broken("ended", transfer, f"has the ends {sorted(ends) or 'none'}")
            numbers = sorted({a["attempt"] for a in transfer.attempts})
            if numbers != list(range(1, len(numbers) + 1)):
                yield self.broken("ended", transfer, f"has the attempts {numbers}")
            if terminal and numbers and max(numbers) > max(n for n, _ in terminal):
                yield self.broken("ended", transfer, "was attempted after its end")
            for number in numbers:
                takes = [a["take"] for a in transfer.attempts if a["attempt"] == number]
                if takes != list(range(len(takes))):
                    yield self.broken("ended", transfer, f"has the takes {takes} of attempt {number}")

    def idle(self) -> Iterator[Broken]:
        """Nothing is left in queues and lanes, and no job is open."""
        for name, queue in self.world.queues.items():
            if len(queue):
                yield Broken("idle", name, f"still holds {len(queue)} messages")
        for row in self.rows["data"]:
            lane, place = row["pk"]["S"].removeprefix("lane#"), row["sk"]["S"]
            if row.get("due_shard", {}).get("S") == SHARD:
                yield Broken("idle", row["sk"]["S"], "is a job that is not done")
            if row["pk"]["S"].startswith(HEALTH) and "due_shard" in row:
                yield Broken("idle", row["pk"]["S"], "is looked at for ever, though nothing waits")
            if not row["pk"]["S"].startswith("lane#"):
                continue
            if "waiting" not in row:
                yield Broken("idle", lane, "still has a head")
                continue
            transfer = self.transfers[json.loads(row["waiting"]["S"])["transfer"]]
            if "ttl" in row and transfer.attempts and transfer.attempts[-1]["outcome"] in ENDS:
                continue  # left by a process that died between row and head: refs only, and gone by their time
            told = [story.Line(tick, what) for tick, about, what in self.world.moves if about == lane]
            shown = story.told(told, self.world.faults.told)
            found = self.broken("idle", transfer, f"still waits as {place} of the lane {lane}")
            yield Broken(found.promise, found.thing, found.detail, tuple(sorted((*found.story, *shown))))

    def ordered(self) -> Iterator[Broken]:
        """Within a conversation a destination sees no event before an earlier one."""
        for destination in self.destinations.values():
            if not destination.receiver.lane:
                continue
            first: dict[str, int] = {}
            for request in sorted(destination.receiver.requests, key=lambda r: r.tick):
                transfer = self.transfers.get(request.transfer)
                if transfer is not None and not transfer.replayed and transfer.destination == destination.id:
                    first.setdefault(transfer.event, request.tick)
            last: dict[str, tuple[int, str]] = {}  # of each conversation, the latest event yet
            for event in sorted(first, key=lambda e: first[e]):
                group = self.groups.get(event)
                if group is None:
                    continue
                place = self.places[event]
                if group in last and place < last[group][0]:
                    transfer = self._of(event, destination)
                    later = self._of(last[group][1], destination)
                    yield self.broken("ordered", transfer, f"came after {later.id}, of a later event", later)
                else:
                    last[group] = place, event

    def _of(self, event: str, destination: Destination) -> Transfer:
        return next(t for t in self.transfers.values() if t.event == event and t.destination == destination.id)

    def received(self) -> Iterator[Broken]:
        """What is delivered by the log was received, and what was received is in the log; one id, one valid signature."""
        for transfer in self.transfers.values():
            delivered = [a for a in transfer.attempts if a["outcome"] == "delivered"]
            if delivered and not any(r.status is not None for r in transfer.requests):
                yield self.broken("received", transfer, "is delivered by the log and was never received")
            # A process that died after sending leaves it to the next attempt to be told; what is over has no next one.
            over = transfer.in_force == "refused" or transfer.acts or self.closed(transfer.tenant)
            if transfer.requests and not transfer.attempts and not over:
                yield self.broken("received", transfer, "was received and has no attempt in the log")
            if len({r.headers["webhook-id"] for r in transfer.requests}) > 1:
                yield self.broken("received", transfer, "came under two webhook ids")
        for receiver in self.round.receivers.all.values():
            for request in receiver.requests:
                if request.transfer not in self.transfers:
                    yield Broken("received", request.transfer, "was received and is not in the log")
                if not signed(receiver, request):
                    yield Broken("received", request.transfer, "came without a signature by a secret of its time")

    def lawful(self) -> Iterator[Broken]:
        """Nothing is sent before its decision is written, or after one that forbids it, or what a destination is barred from."""
        for transfer in self.transfers.values():
            destination = self.destinations.get(transfer.destination)
            said = [(self.tick(d), transfer.verdict(d)) for d in transfer.decisions]
            for request in transfer.requests:
                if not any(tick < request.tick and v in ("allowed", "redacted") for tick, v in said):
                    yield self.broken("lawful", transfer, "was sent before it was allowed")
                last, verdict = max(((tick, v) for tick, v in said if tick < request.tick), default=(0, ""))
                if verdict in ("refused", "held") and last < request.began:
                    yield self.broken("lawful", transfer, f"was sent while {verdict}")
                barred = [] if destination is None else destination.barred
                if destination is not None and destination.restricts:
                    barred = [s for s in barred if not s.links]
                if any(s.since < request.began and (s.until is None or request.tick < s.until) for s in barred):
                    yield self.broken("lawful", transfer, "was sent though the tenant had forbidden it")
                erased = self.tenants[transfer.tenant].erased.get(transfer.event)
                if erased is not None and request.began > erased:
                    yield self.broken("lawful", transfer, "was sent after its event was erased")

    def limited(self) -> Iterator[Broken]:
        """A destination gets no more than its limit, in any ten seconds by the clocks of those who send."""
        for receiver in self.round.receivers.all.values():
            if receiver.limit_per_s is None:
                continue
            times = sorted(request.process_at for request in receiver.requests)
            most = receiver.limit_per_s * 12
            for first, later in zip(times, times[most:], strict=False):
                if later - first < timedelta(seconds=10):
                    yield Broken("limited", receiver.name, f"got over {most} requests in ten seconds")
                    break

    def private(self) -> Iterator[Broken]:
        """No person's name, number or words and no secret is in a log line, a queue, a key, an index or an entry."""
        found = [WORD, DIGITS, *self.round.owners.secrets]
        places: dict[str, str] = {"the log lines": self.world.log.getvalue(), "the queues": self.world.moved.getvalue()}
        for name, rows in {**self.rows, "audit": self.audit}.items():
            places[f"the table {name}"] = "\n".join(_text(row) for row in rows)
        places["the entries"] = json.dumps(self.entries, ensure_ascii=False)
        for place, text in places.items():
            for number, canary in enumerate(found):
                if canary in text:
                    what = ("a name", "a number")[number] if number < 2 else "a secret"
                    yield Broken("private", place, f"holds {what}")

    def homely(self) -> Iterator[Broken]:
        """Every row says that it is of the home region."""
        for name, rows in self.rows.items():
            for row in rows:
                if row.get("region", {}).get("S") != REGION:
                    yield Broken("homely", name, f"has a row without the region: {row['pk']['S']}")

    def sound(self) -> Iterator[Broken]:
        """Once there are no faults any more, no function fails."""
        for what, number in sorted(self.round.failed.items()):
            yield Broken("sound", what, f"{number} times after all faults had ended")

    def sealed(self) -> Iterator[Broken]:
        """Every entry is sealed, once, and the bundle of each log verifies."""
        return sealed.judged(self.world, self.entries)

    def pulled(self) -> Iterator[Broken]:
        """What routes that restrict tell of is given at most once, by right, and as the log tells."""
        return pulls.judged(self)

    def kept(self) -> Iterator[Broken]:
        """What is alive or held is there; what is over is gone, with the keys of people of whom nothing is left."""
        lost = {event for event, acts in self.acts.items() if any(a["reason"] == "dead_letter" for a in acts)}
        yield from self.round.lives.judged(self.decided, lost | self.off.keys())
        for event, what in self.round.owners.surprised:
            yield Broken("kept", event, what)

    def unrecorded(self) -> Iterator[Broken]:
        """What is said off the record is kept nowhere and sent once, and only that is."""
        return off_record.judged(self)

    def judge(self) -> tuple[list[Broken], Seen]:
        """Judge everything."""
        self._taken()
        broken = [b for promise in PROMISES for b in promise(self)]
        return broken, Seen(self._ends(), self._digest())

    def _taken(self) -> None:
        self.taken: dict[str, tuple[str, str]] = {}
        self.taken_at: dict[str, int] = {}
        self.groups: dict[str, str] = {}
        self.places: dict[str, int] = {}
        for place, (tick, tenant, source, event, group) in enumerate(self.world.taken):
            if event in self.taken:
                continue
            self.taken[event], self.taken_at[event] = (tenant, source), tick
            self.places[event] = place
            channel = next((s.channel for s in self.tenants[tenant].sources if s.id == source), "")
            # What is off the record is sent by the door: no order is promised for it.
            if channel and channel not in WITHOUT_CONVERSATION and event not in self.off:
                self.groups[event] = group

    def _ends(self) -> Counter[str]:
        ends: Counter[str] = Counter()
        for transfer in self.transfers.values():
            outcomes = [a["outcome"] for a in transfer.attempts if a["outcome"] in ENDS]
            if outcomes:
                ends[outcomes[0]] += 1
            elif self.closed(transfer.tenant):
                ends["tenant closed"] += 1
            elif transfer.in_force == "refused":
                ends["refused"] += 1
            else:
                ends[next((a["kind"] for a in transfer.acts if a["kind"] in ("expired", "erased")), "none")] += 1
        return ends

    def _digest(self) -> str:
        """Return a hash of what happened: the same for two runs of one seed."""
        what = [(e["id"], e["kind"], e["at"], e.get("outcome")) for e in self.entries]
        what += [(r.transfer, r.tick) for d in self.round.receivers.all.values() for r in d.requests]  # type: ignore[misc]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


PROMISES = (
    Judge.logged, Judge.routed, Judge.ended, Judge.idle, Judge.ordered, Judge.received, Judge.lawful, Judge.limited,
    Judge.private, Judge.homely, Judge.sound, Judge.sealed, Judge.pulled, Judge.kept, Judge.unrecorded,
)  # fmt: skip


def _text(row: Mapping[str, Mapping[str, Any]]) -> str:
    return json.dumps(row, default=lambda b: bytes(b).decode("latin-1"), ensure_ascii=False)


def judge(played: Round) -> tuple[list[Broken], Seen]:
    """Judge a round that has come to rest. Return each promise that was broken, and what was seen."""
    return Judge(played).judge()
