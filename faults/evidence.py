"""The evidence of a round: the log, the tables, the queues' messages and the destinations' requests, read once.

Nothing of the flow is asked. The modules that judge read it, and it knows none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.store.items import read

from . import sealed, story
from .platforms import WITHOUT_CONVERSATION, Person
from .receivers import Receivers, Request
from .story import Broken
from .tenants import Destination, Tenant
from .world import CELL, REGION, World

Entry = Mapping[str, Any]


def is_off(entry: Entry) -> bool:
    """Say whether a decision is one on something said off the record."""
    return bool(entry["facts"].get("otr"))


@dataclass
class Transfer:
    """A transfer, as the log records it."""

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
        """Return a decision's part about this transfer."""
        return str(next(r["decision"] for r in decision["routes"] if r["transfer"] == self.id))

    @property
    def in_force(self) -> str:
        """Return the decision that no other has taken the place of."""
        past = {d["supersedes"] for d in self.decisions}
        return self.verdict(next(d for d in reversed(self.decisions) if d["id"] not in past))


class Evidence:
    """One round's evidence.

    Args:
        world: a world that has come to rest.
        tenants: all tenants of the round.
        people: all people who wrote.
    """

    def __init__(self, world: World, tenants: list[Tenant], receivers: Receivers, people: list[Person]) -> None:
        self.world, self.receivers, self.people = world, receivers, people
        self.tenants: dict[str, Tenant] = {t.id: t for t in tenants}
        self.destinations: dict[str, Destination] = {d.id: d for tenant in tenants for d in tenant.destinations}
        self.rows = {name: world.tables.rows(f"waybill-{CELL}-{name}") for name in ("config", "data", "people")}
        self.audit = sealed.rows(world)
        self.entries = [world.inspector.audit.read_item(read(row, REGION)) for row in self.audit if "leaf" in row]
        self.entries.sort(key=lambda e: self.tick(e))
        self.transfers: dict[str, Transfer] = {}
        self.acts: dict[str, list[Entry]] = defaultdict(list)
        self.decided: dict[str, list[Entry]] = defaultdict(list)
        self.off: dict[str, str] = {}  # events said off the record, each with its source
        self.taken: dict[str, tuple[str, str]] = {}
        self.taken_at: dict[str, int] = {}
        self.groups: dict[str, str] = {}
        self.places: dict[str, int] = {}
        self._read()
        self._read_taken()

    def tick(self, entry: Entry) -> int:
        """Return when an entry was written."""
        return self.world.appended.get(entry["id"], 0)

    def _read(self) -> None:
        for entry in self.entries:
            if entry["kind"] == "decided":
                self.decided[entry["event"]].append(entry)
                if is_off(entry):
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
        for receiver in self.receivers.all.values():
            for request in receiver.requests:
                if request.transfer in self.transfers:
                    self.transfers[request.transfer].requests.append(request)

    def _read_taken(self) -> None:
        for place, (tick, tenant, source, event, group) in enumerate(self.world.mappings.taken):
            if event in self.taken:
                continue
            self.taken[event], self.taken_at[event] = (tenant, source), tick
            self.places[event] = place
            channel = next((s.channel for s in self.tenants[tenant].sources if s.id == source), "")
            # The door sends events off the record: no order is promised for them.
            if channel and channel not in WITHOUT_CONVERSATION and event not in self.off:
                self.groups[event] = group

    @staticmethod
    def _is_of(act: Entry, transfer: Transfer) -> bool:
        thing = act["object"]
        return thing is None or (thing["kind"] == "transfer" and thing["id"] == transfer.id)

    def broken(self, promise: str, transfer: Transfer, detail: str, *others: Transfer) -> Broken:
        """Report a transfer's history, and those of the transfers that it met."""
        lines: list[story.Line] = []
        for one in (transfer, *others):
            told = [story.of_entry(e, self.tick(e)) for e in (*one.decisions, *one.attempts, *one.acts)]
            told += [story.of_request(r.tick, r.at, r.status, r.began) for r in one.requests]
            told += [
                story.Line(t, what) for t, about, what in self.world.mappings.moves if about in (one.id, one.event)
            ]
            lines += [story.Line(line.tick, f"…{one.id[-6:]} {line.text}") for line in told]
        detail = f"{detail} (event {transfer.event}, destination {transfer.destination})"
        return Broken(promise, transfer.id, detail, story.told(lines, self.world.faults.told))

    def closed(self, tenant: str) -> bool:
        """Say whether a tenant has closed its account: its data are erased as a whole."""
        return self.tenants[tenant].closed is not None

    def transfer_of(self, event: str, destination: Destination) -> Transfer:
        """Return the transfer of an event to a destination."""
        return next(t for t in self.transfers.values() if t.event == event and t.destination == destination.id)
