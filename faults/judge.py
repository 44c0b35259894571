"""The promise, judged by the evidence of a round. ``docs/soak.md`` has the promises in words, under the names used here."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from chalicelib.flow.delivery.pump import HEALTH
from chalicelib.store.jobs import SHARD

from . import sealed, story
from .evidence import Evidence
from .platforms import DIGITS, WORD
from .receivers import signed
from .story import Broken
from .world import REGION

ENDS = ("delivered", "rejected", "gave_up")
Promise = Callable[[Evidence], Iterator[Broken]]
"""Yields one report for each broken promise."""


@dataclass
class Seen:
    """The records that the judge read."""

    ends: Counter[str] = field(default_factory=Counter)
    digest: str = ""


def logged(evidence: Evidence) -> Iterator[Broken]:
    """Every event that was taken is decided once, and nothing is decided that was not taken."""
    for event, (tenant, _) in evidence.taken.items():
        first = [e for e in evidence.decided[event] if e["cause"] == "received"]
        lost = [a for a in evidence.acts[event] if a["reason"] == "dead_letter" and a["object"] is None]
        if len(first) > 1 or (not first and not lost and not evidence.closed(tenant)):
            yield Broken("logged", event, f"was taken and has {len(first)} first decisions")
    for event in evidence.decided.keys() - evidence.taken.keys() - evidence.off.keys():
        if evidence.decided[event][0]["receipt"]["channel"] != "waybill":
            yield Broken("logged", event, "was decided and never taken")
    for person in evidence.people:
        if len(set(person.accepted)) != len(person.accepted):
            yield Broken("logged", person.source.id, "accepted a message twice as new")
    accepted: Counter[str] = Counter()
    for person in evidence.people:
        accepted[person.source.id] += len(person.accepted)
    per_source = Counter(({event: source for event, (_, source) in evidence.taken.items()} | evidence.off).values())
    for source, number in accepted.items():
        if per_source[source] < number:
            yield Broken("logged", source, f"accepted {number} messages and sent {per_source[source]} events on")


def routed(evidence: Evidence) -> Iterator[Broken]:
    """A decision names every route that matches, once, and no other."""
    for event, entries in evidence.decided.items():
        for entry in entries:
            off = event in evidence.off
            if entry["cause"] != "received" or not (off or event in evidence.taken_at):
                continue
            named = Counter(r["route"] for r in entry["routes"])
            if any(number > 1 for number in named.values()):
                yield Broken("routed", event, "has two transfers along one route")
            written = evidence.tick(entry)
            begun = evidence.world.begun[entry["id"]] if off else evidence.taken_at[event]
            for destination in evidence.tenants[entry["tenant"]].destinations:
                matches = entry["receipt"]["channel"] in destination.channels
                surely = any(s.since <= begun and (s.until is None or written <= s.until) for s in destination.active)
                perhaps = any(s.begun <= written and (s.ended is None or begun <= s.ended) for s in destination.active)
                if matches and surely and destination.route not in named:
                    yield Broken("routed", event, f"was not decided for {destination.route}")
                if destination.route in named and not (matches and perhaps):
                    yield Broken("routed", event, f"was decided for {destination.route}, which did not match")


def ended(evidence: Evidence) -> Iterator[Broken]:
    """Every transfer has exactly one end, and attempts that count up to it without gaps."""
    for transfer in evidence.transfers.values():
        if evidence.closed(transfer.tenant):
            continue
        terminal = {(a["attempt"], a["outcome"]) for a in transfer.attempts if a["outcome"] in ENDS}
        # Two concurrent makers of one attempt write a take each: if one of them delivered, that is the attempt's end.
        terminal = {(n, o) for n, o in terminal if o == "delivered" or (n, "delivered") not in terminal}
        ends = {outcome for _, outcome in terminal}
        expiries = [a for a in transfer.acts if a["kind"] == "expired"]
        if transfer.replayed:
            expiries = [a for a in expiries if a["reason"] != "dead_letter"]  # a replay reverses that end
        if transfer.in_force == "refused":
            ends.add("refused")
        elif expiries and not terminal:
            ends.add("expired")
        if not ends and any(a["kind"] == "erased" for a in transfer.acts):
            ends.add("erased")
        if len(ends) != 1 or len(terminal) > 1:
            yield evidence.broken("ended", transfer, f"has the ends {sorted(ends) or 'none'}")
        numbers = sorted({a["attempt"] for a in transfer.attempts})
        if numbers != list(range(1, len(numbers) + 1)):
            yield evidence.broken("ended", transfer, f"has the attempts {numbers}")
        if terminal and numbers and max(numbers) > max(n for n, _ in terminal):
            yield evidence.broken("ended", transfer, "was attempted after its end")
        for number in numbers:
            takes = [a["take"] for a in transfer.attempts if a["attempt"] == number]
            if takes != list(range(len(takes))):
                yield evidence.broken("ended", transfer, f"has the takes {takes} of attempt {number}")


def idle(evidence: Evidence) -> Iterator[Broken]:
    """Nothing is left in queues and lanes, and no job is open."""
    for name, queue in evidence.world.mappings.queues.items():
        if len(queue):
            yield Broken("idle", name, f"still holds {len(queue)} messages")
    for row in evidence.rows["data"]:
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
        transfer = evidence.transfers[json.loads(row["waiting"]["S"])["transfer"]]
        if "ttl" in row and transfer.attempts and transfer.attempts[-1]["outcome"] in ENDS:
            continue  # left by a process that died between row and head: refs only, and gone by their time
        told = [story.Line(tick, what) for tick, about, what in evidence.world.mappings.moves if about == lane]
        shown = story.told(told, evidence.world.faults.told)
        found = evidence.broken("idle", transfer, f"still waits as {place} of the lane {lane}")
        yield Broken(found.promise, found.thing, found.detail, tuple(sorted((*found.story, *shown))))


def ordered(evidence: Evidence) -> Iterator[Broken]:
    """Within a conversation a destination sees no event before an earlier one."""
    for destination in evidence.destinations.values():
        if not destination.receiver.lane:
            continue
        first: dict[str, int] = {}
        for request in sorted(destination.receiver.requests, key=lambda r: r.tick):
            transfer = evidence.transfers.get(request.transfer)
            if transfer is not None and not transfer.replayed and transfer.destination == destination.id:
                first.setdefault(transfer.event, request.tick)
        last: dict[str, tuple[int, str]] = {}  # of each conversation, the latest event yet
        for event in sorted(first, key=lambda e: first[e]):
            group = evidence.groups.get(event)
            if group is None:
                continue
            place = evidence.places[event]
            if group in last and place < last[group][0]:
                transfer = evidence.transfer_of(event, destination)
                later = evidence.transfer_of(last[group][1], destination)
                yield evidence.broken("ordered", transfer, f"came after {later.id}, of a later event", later)
            else:
                last[group] = place, event


def received(evidence: Evidence) -> Iterator[Broken]:
    """Each delivery in the log was received, and each received one is in the log; one id, one valid signature."""
    for transfer in evidence.transfers.values():
        delivered = [a for a in transfer.attempts if a["outcome"] == "delivered"]
        if delivered and not any(r.status is not None for r in transfer.requests):
            yield evidence.broken("received", transfer, "is delivered by the log and was never received")
        # A process that died after sending leaves the report to the next attempt; an expired transfer has no next attempt.
        over = transfer.in_force == "refused" or transfer.acts or evidence.closed(transfer.tenant)
        if transfer.requests and not transfer.attempts and not over:
            yield evidence.broken("received", transfer, "was received and has no attempt in the log")
        if len({r.headers["webhook-id"] for r in transfer.requests}) > 1:
            yield evidence.broken("received", transfer, "came under two webhook ids")
    for receiver in evidence.receivers.all.values():
        for request in receiver.requests:
            if request.transfer not in evidence.transfers:
                yield Broken("received", request.transfer, "was received and is not in the log")
            if not signed(receiver, request):
                yield Broken("received", request.transfer, "came without a signature by a secret of its time")


def lawful(evidence: Evidence) -> Iterator[Broken]:
    """Nothing is sent before its decision is written, after one that forbids it, or while the tenant forbids it."""
    for transfer in evidence.transfers.values():
        destination = evidence.destinations.get(transfer.destination)
        said = [(evidence.tick(d), transfer.verdict(d)) for d in transfer.decisions]
        for request in transfer.requests:
            if not any(tick < request.tick and v in ("allowed", "redacted") for tick, v in said):
                yield evidence.broken("lawful", transfer, "was sent before it was allowed")
            last, verdict = max(((tick, v) for tick, v in said if tick < request.tick), default=(0, ""))
            if verdict in ("refused", "held") and last < request.began:
                yield evidence.broken("lawful", transfer, f"was sent while {verdict}")
            barred = [] if destination is None else destination.barred
            if destination is not None and destination.restricts:
                barred = [s for s in barred if not s.links]
            if any(s.since < request.began and (s.until is None or request.tick < s.until) for s in barred):
                yield evidence.broken("lawful", transfer, "was sent though the tenant had forbidden it")
            erased = evidence.tenants[transfer.tenant].erased.get(transfer.event)
            if erased is not None and request.began > erased:
                yield evidence.broken("lawful", transfer, "was sent after its event was erased")


def limited(evidence: Evidence) -> Iterator[Broken]:
    """A destination gets no more than its limit, in any ten seconds by the senders' clocks."""
    for receiver in evidence.receivers.all.values():
        if receiver.limit_per_s is None:
            continue
        times = sorted(request.process_at for request in receiver.requests)
        most = receiver.limit_per_s * 12
        for first, later in zip(times, times[most:], strict=False):
            if later - first < timedelta(seconds=10):
                yield Broken("limited", receiver.name, f"got over {most} requests in ten seconds")
                break


def private(evidence: Evidence, secrets: Iterable[str]) -> Iterator[Broken]:
    """No person's name, number or words and no secret is in a log line, a queue, a key, an index or an entry."""
    found = [WORD, DIGITS, *secrets]
    places: dict[str, str] = {
        "the log lines": evidence.world.log.getvalue(),
        "the queues": evidence.world.mappings.bodies.getvalue(),
    }
    for name, rows in {**evidence.rows, "audit": evidence.audit}.items():
        places[f"the table {name}"] = "\n".join(_text(row) for row in rows)
    places["the entries"] = json.dumps(evidence.entries, ensure_ascii=False)
    for place, text in places.items():
        for number, canary in enumerate(found):
            if canary in text:
                what = ("a name", "a number")[number] if number < 2 else "a secret"
                yield Broken("private", place, f"holds {what}")


def homely(evidence: Evidence) -> Iterator[Broken]:
    """Every row says that it is of the home region."""
    for name, rows in evidence.rows.items():
        for row in rows:
            if row.get("region", {}).get("S") != REGION:
                yield Broken("homely", name, f"has a row without the region: {row['pk']['S']}")


def sound(_: Evidence, failed: Mapping[str, int]) -> Iterator[Broken]:
    """Once there are no faults any more, no function fails."""
    for what, number in sorted(failed.items()):
        yield Broken("sound", what, f"{number} times after all faults had ended")


def _ends(evidence: Evidence) -> Counter[str]:
    ends: Counter[str] = Counter()
    for transfer in evidence.transfers.values():
        outcomes = [a["outcome"] for a in transfer.attempts if a["outcome"] in ENDS]
        if outcomes:
            ends[outcomes[0]] += 1
        elif evidence.closed(transfer.tenant):
            ends["tenant closed"] += 1
        elif transfer.in_force == "refused":
            ends["refused"] += 1
        else:
            ends[next((a["kind"] for a in transfer.acts if a["kind"] in ("expired", "erased")), "none")] += 1
    return ends


def _digest(evidence: Evidence) -> str:
    """Return a hash of what happened: the same for two runs of one seed."""
    what = [(e["id"], e["kind"], e["at"], e.get("outcome")) for e in evidence.entries]
    what += [(r.transfer, r.tick) for d in evidence.receivers.all.values() for r in d.requests]  # type: ignore[misc]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def provable(evidence: Evidence) -> Iterator[Broken]:
    """Every entry is sealed, once, and the bundle of each log verifies."""
    return sealed.judged(evidence.world, evidence.entries)


PROMISES: tuple[Promise, ...] = (
    logged, routed, ended, idle, ordered, received, lawful, limited, homely, provable,
)  # fmt: skip
"""The promises that need nothing but the evidence."""


def _text(row: Mapping[str, Mapping[str, Any]]) -> str:
    return json.dumps(row, default=lambda b: bytes(b).decode("latin-1"), ensure_ascii=False)


def judge(evidence: Evidence, promises: Iterable[Promise]) -> tuple[list[Broken], Seen]:
    """Judge a round that has come to rest. Return each broken promise, and the records read."""
    broken = [found for promise in promises for found in promise(evidence)]
    return broken, Seen(_ends(evidence), _digest(evidence))
