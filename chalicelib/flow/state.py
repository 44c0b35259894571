"""The state of deliveries: what one consistent round trip tells of them, and the decision that is in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.delivery.retry import Outcome
from ..core.errors import NotFound
from ..core.ids import EntryId
from ..core.log import audit
from ..core.tenant.consents import Consent
from ..runtime import Runtime
from ..store.data import EventKey, EventRow
from ..store.destination_state import StoredState
from ..store.items import Item, batch_get
from ..store.snapshot import Snapshot
from .messages import decision_of

STARTS_UNTIL_S = 25
"""Nothing is started later than this in one invocation; its limit is 60 s."""
FIRST_ATTEMPTS = 2
"""How many are looked for of what is not parked: whoever made more has parked it."""
ATTEMPTS_MAX = 21
"""One more than a destination may name waits."""

Order = dict[str, Any]


@dataclass
class DeliveryState:
    """What one round trip tells of a delivery. ``next`` is the decision that has taken the place of the order's."""

    row: EventRow | None = None
    data_key: bytes | None = None
    parked: bool = False
    consents: tuple[Consent, ...] = ()
    attempts: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    next: Mapping[str, Any] | None = None
    expired: bool = False

    @property
    def made(self) -> int:
        """How many attempts the log knows."""
        return max(self.attempts, default=0)

    @property
    def ended(self) -> bool:
        """Whether the log has the last word: an end without an attempt, or an attempt that is not followed by another."""
        last = self.attempts.get(self.made)
        return self.expired or (last is not None and last["outcome"] != Outcome.FAILED)


class Batch:
    """One invocation: its clock, the snapshots it has read, and how destinations were when it last looked."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.started = runtime.monotonic()
        self._snapshots: dict[str, Snapshot | None] = {}
        self.healths: dict[tuple[str, str], StoredState] = {}

    @property
    def late(self) -> bool:
        """Whether nothing more may be started."""
        return self.runtime.monotonic() - self.started > STARTS_UNTIL_S

    def load(self, tenants: Iterable[str]) -> None:
        """Read each tenant's configuration once; one that is closed is None."""
        for tenant in tenants:
            if tenant not in self._snapshots:
                try:
                    self._snapshots[tenant] = self.runtime.config.snapshot(tenant)
                except NotFound:
                    self._snapshots[tenant] = None

    def snapshot(self, tenant: str) -> Snapshot | None:
        """Return a tenant's configuration as this invocation reads it."""
        self.load((tenant,))
        return self._snapshots[tenant]

    def health(self, order: Order) -> StoredState:
        """Return how an order's destination was when this invocation last looked, or what it has made of that since."""
        return self.healths.get((order["tenant"], order["destination"])) or StoredState()


def look(batch: Batch, orders: list[Order], attempts: int) -> dict[str, DeliveryState]:
    """Read events, their keys, lane heads, how destinations are, the first ``attempts`` entries of each order and what ended
    or replaced its decision: one round trip.

    An order may be older than what the log says of it: a crash came between the two, or its platform posted again.

    Returns:
        What was found, by transfer.
    """
    runtime = batch.runtime
    now = runtime.now()
    data, people, log = runtime.data.table.name, runtime.people.table.name, runtime.audit
    keys: list[tuple[str, Mapping[str, Any]]] = []
    named: dict[str, tuple[str, int]] = {}
    later: dict[str, str] = {}
    for order in orders:
        keys.append((data, EventKey(order["tenant"], order["event"], order["conversation"]).key))
        keys.append((people, {"pk": order["owner"]}))
        if _asks(batch, order):
            keys.append(runtime.consents.key(order["owner"]))
        keys.append(runtime.data.lane_keys(order["lane"]))
        keys.append(runtime.destination_state.key(order["tenant"], order["destination"]))
        for attempt in range(1, attempts + 1):
            entry = audit.attempt_id(order["decided"], order["event"], order["transfer"], attempt)
            named[entry] = (order["transfer"], attempt)
            keys.extend(log.key(order["tenant"], entry, year) for year in logs_of(order))
        years = {*logs_of(order), audit.log_of(audit.minute_of(order["decided"]), now)}
        for name in _later(order):
            later[name] = order["transfer"]
            keys.extend(log.key(order["tenant"], name, year) for year in sorted(years))
    items: dict[str, list[Item]] = {}
    for start in range(0, len(keys), 100):
        for table, rows in batch_get(
            runtime.clients.get("dynamodb"), keys[start : start + 100], runtime.settings.region
        ).items():
            items.setdefault(table, []).extend(rows)
    events: dict[str, Item] = {}
    heads: set[str] = set()
    healths: dict[str, Item] = {}
    for item in items.get(data, ()):
        if item["sk"] == "head":
            heads.add(item["pk"].removeprefix("lane#"))
        elif item["sk"] == "health":
            healths[item["pk"]] = item
        else:
            events[item["pk"]] = item
    persons = {item["pk"]: item for item in items.get(people, ())}
    given = {item["pk"]: item for item in items.pop(runtime.consents.table.name, ())}
    found: dict[str, DeliveryState] = {}
    for order in orders:
        one = found.setdefault(order["transfer"], DeliveryState())
        one.parked = order["lane"] in heads
        _, place = runtime.destination_state.key(order["tenant"], order["destination"])
        batch.healths[order["tenant"], order["destination"]] = runtime.destination_state.read(healths.get(place["pk"]))
        stored = events.get(f"{order['tenant']}#{order['event']}")
        one.row = runtime.data.read_event(stored, now) if stored else None
        person, snapshot = persons.get(order["owner"]), batch.snapshot(order["tenant"])
        if person is not None and snapshot is not None:
            one.data_key = runtime.people.read(person, snapshot.keys).key
        one.consents = runtime.consents.read(given.get(order["owner"]))
    for table, rows in items.items():
        if table not in (data, people):
            for row in rows:
                entry_document = log.read_item(row)
                if entry_document["kind"] == "attempted":
                    transfer, attempt = named[entry_document["id"]]
                    found[transfer].attempts[attempt] = entry_document
                elif entry_document["kind"] == "decided":
                    found[later[entry_document["id"]]].next = entry_document
                else:
                    found[later[entry_document["id"]]].expired = True
    return found


def _asks(batch: Batch, order: Order) -> bool:
    """Say whether the person whose event it is may have consented to something."""
    snapshot = batch.snapshot(order["tenant"])
    return snapshot is not None and snapshot.consents


def _later(order: Order) -> list[EntryId]:
    """Name the entries that would take the place of an order's decision, or end what it holds."""
    minute, event = audit.minute_of(order["decided"]), order["event"]
    about = f"{order['decided']}\n{order['transfer']}"
    names = [f"decided\n{event}\nrechecked\n{about}"]
    if order["decision"] == "held":
        released = audit.entry_id(minute, event, f"released\n{about}")
        names += [f"decided\n{event}\n{released}", f"expired\n{about}"]
    return [audit.entry_id(minute, event, name) for name in names]


def up_to_date(batch: Batch, order: Order, one: DeliveryState, attempts: int) -> tuple[Order, DeliveryState]:
    """Bring an order to the decision in force, and what is found of it to all of its attempts."""
    while one.next is not None or (one.made == attempts < ATTEMPTS_MAX and not one.ended):
        if one.next is not None:
            order = following(order, one.next)
        else:
            attempts = ATTEMPTS_MAX  # the destination's schedule was longer when they were made
        one = look(batch, [order], attempts)[order["transfer"]]
    _read_takes(batch, order, one)
    return order, one


def _read_takes(batch: Batch, order: Order, one: DeliveryState) -> None:
    """See whether another process, which made the last attempt at the same time, came to another outcome: its is the last word.

    Only what is to be tried again is asked for: one round trip more for each take.
    """
    runtime, take = batch.runtime, 0
    while one.made and not one.ended:
        take += 1
        entry = audit.attempt_id(order["decided"], order["event"], order["transfer"], one.made, take)
        keys = [runtime.audit.key(order["tenant"], entry, year) for year in logs_of(order)]
        found = batch_get(runtime.clients.get("dynamodb"), keys, runtime.settings.region)
        rows = [row for rows in found.values() for row in rows]
        if not rows:
            return
        one.attempts[one.made] = runtime.audit.read_item(rows[0])


def following(order: Order, entry: Mapping[str, Any]) -> Order:
    """Return an order under the decision that has taken the place of its own."""
    logs = [log for log in logs_of(order) if log != entry["log"]]
    return {**order, "decided": entry["id"], "log": entry["log"], "logs": logs, **decision_of(entry["routes"][0])}


def logs_of(order: Order) -> list[str]:
    """Return the logs that may hold attempts of an order: its decision's, and those of decisions before the year's turn."""
    return [*order.get("logs", ()), order["log"]]
