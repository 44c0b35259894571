"""The state of deliveries, read in one consistent round trip, and the decision that is in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..core.delivery.retry import ATTEMPTS_MAX, LOST_ACCESS, UNCOUNTED, Outcome
from ..core.delivery.task import DeliveryTask
from ..core.errors import NotFound
from ..core.log import audit
from ..core.tenant.consents import Consent
from ..runtime import Runtime
from ..store.destination_state import StoredState
from ..store.event_rows import EventKey, EventRow
from ..store.items import Item, batch_get
from ..store.snapshot import Snapshot

if TYPE_CHECKING:  # for an annotation only
    from .pacing import AccountLimit

STARTS_UNTIL_S = 25
"""Nothing is started later than this in one invocation; its limit is 60 s."""
FIRST_ATTEMPTS = 2
"""Attempts read of a task that is not parked: after the second attempt a task is parked."""


@dataclass
class DeliveryState:
    """What the stores hold about one task.

    Args:
        row: the event's row; None once it is past its life.
        data_key: the key that opens the event; None once it is erased.
        parked: its lane has a head, so that later tasks wait behind the rows of the lane.
        attempts: the ``attempted`` entries, by number.
        next: the entry of the decision that has replaced the task's; None while the task's own is in force.
        expired: an ``expired`` entry has ended the transfer.
    """

    row: EventRow | None = None
    data_key: bytes | None = None
    parked: bool = False
    consents: tuple[Consent, ...] = ()
    attempts: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    next: Mapping[str, Any] | None = None
    expired: bool = False

    @property
    def last(self) -> int:
        """The number of the last attempt in the log; 0 without one."""
        return max(self.attempts, default=0)

    @property
    def made(self) -> int:
        """The number of attempts that count. The last one in the log is made again where it does not."""
        last = self.last
        return last - 1 if last and self.attempts[last]["code"] in UNCOUNTED else last

    @property
    def counted(self) -> int:
        """How many of them use up the retry schedule."""
        made = self.made
        return sum(n <= made and attempt["code"] not in LOST_ACCESS for n, attempt in self.attempts.items())

    @property
    def ended(self) -> bool:
        """Whether the log holds the transfer's end: ``expired``, or an attempt with a final outcome."""
        last = self.attempts.get(self.last)
        return self.expired or (last is not None and last["outcome"] != Outcome.FAILED)


class Batch:
    """One invocation: its clock, the snapshots it has read, and the last known state of destinations."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.started = runtime.monotonic()
        self._snapshots: dict[str, Snapshot | None] = {}
        self.healths: dict[tuple[str, str], StoredState] = {}
        self.limits: dict[tuple[str, str], tuple[AccountLimit, ...]] = {}
        """By tenant and destination: the limits at its vendor, once ``admission`` has read them."""

    @property
    def late(self) -> bool:
        """Whether nothing more may be started."""
        return self.runtime.monotonic() - self.started > STARTS_UNTIL_S

    def load(self, tenants: Iterable[str]) -> None:
        """Read each tenant's configuration once; one that is closed is None."""
        for tenant in tenants:
            if tenant not in self._snapshots:
                try:
                    self._snapshots[tenant] = self.runtime.config.snapshot(tenant, fresh=False)
                except NotFound:
                    self._snapshots[tenant] = None

    def snapshot(self, tenant: str) -> Snapshot | None:
        """Return a tenant's configuration as this invocation reads it."""
        self.load((tenant,))
        return self._snapshots[tenant]

    def health(self, task: DeliveryTask) -> StoredState:
        """Return the state of the task's destination as this invocation last read or changed it."""
        return self.healths.get((task.tenant, task.destination)) or StoredState()


def look(batch: Batch, tasks: list[DeliveryTask], attempts: int) -> dict[str, DeliveryState]:
    """Read the state of tasks in one round trip: events, keys, lane heads, destinations, attempts, and later decisions.

    The log may be ahead of a task, after a crash or when the platform has posted the event again.

    Args:
        attempts: how many attempts are read of each task.

    Returns:
        The states by transfer.
    """
    runtime = batch.runtime
    now = runtime.now()
    data, people, log = runtime.data.table.name, runtime.people.table.name, runtime.audit
    keys: list[tuple[str, Mapping[str, Any]]] = []
    named: dict[str, tuple[str, int]] = {}
    later: dict[str, str] = {}
    for task in tasks:
        keys.append((data, EventKey(task.tenant, task.event, task.conversation).key))
        keys.append((people, {"pk": task.owner}))
        if _asks(batch, task):
            keys.append(runtime.consents.key(task.owner))
        keys.append(runtime.data.lane_keys(task.lane))
        keys.append(runtime.destination_state.key(task.tenant, task.destination))
        for attempt in range(1, attempts + 1):
            entry = audit.attempt_id(task.decided, task.event, task.transfer, attempt)
            named[entry] = (task.transfer, attempt)
            keys.extend(log.key(task.tenant, entry, year) for year in task.all_logs)
        years = {*task.all_logs, audit.log_of(audit.minute_of(task.decided), now)}
        for name in _later(task):
            later[name] = task.transfer
            keys.extend(log.key(task.tenant, name, year) for year in sorted(years))
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
    others = {task.owner: _other_rows(batch, task, persons.get(task.owner)) for task in tasks}
    of_others = (
        runtime.consents.of_people({pk for rows in others.values() for pk in rows}) if any(others.values()) else {}
    )
    found: dict[str, DeliveryState] = {}
    for task in tasks:
        state = found.setdefault(task.transfer, DeliveryState())
        state.parked = task.lane in heads
        _, place = runtime.destination_state.key(task.tenant, task.destination)
        batch.healths[task.tenant, task.destination] = runtime.destination_state.read(healths.get(place["pk"]))
        stored = events.get(f"{task.tenant}#{task.event}")
        state.row = runtime.data.read_event(stored, now) if stored else None
        person, snapshot = persons.get(task.owner), batch.snapshot(task.tenant)
        if person is not None and snapshot is not None:
            state.data_key = runtime.people.read(person, snapshot.keys).key
        own = runtime.consents.read(given.get(task.owner))
        state.consents = own + tuple(one for pk in others[task.owner] for one in of_others.get(pk, ()))
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


def _asks(batch: Batch, task: DeliveryTask) -> bool:
    """Say whether the event's person may have given a consent."""
    snapshot = batch.snapshot(task.tenant)
    return snapshot is not None and snapshot.consents


def _other_rows(batch: Batch, task: DeliveryTask, person: Item | None) -> list[str]:
    """Return the other rows of the event's person, where they may have given consents; few people have any."""
    people = batch.runtime.people
    if person is None or not _asks(batch, task) or not people.is_joined(person):
        return []
    return [pk for pk in people.all_rows_of([task.owner]) if pk != task.owner]


def _later(task: DeliveryTask) -> list[str]:
    """Return the ids of the entries that would replace the task's decision or end its hold."""
    minute, event = audit.minute_of(task.decided), task.event
    about = f"{task.decided}\n{task.transfer}"
    names = [f"decided\n{event}\nrechecked\n{about}"]
    if task.decision == "held":
        released = audit.entry_id(minute, event, f"released\n{about}")
        names += [f"decided\n{event}\n{released}", f"expired\n{about}"]
    return [audit.entry_id(minute, event, name) for name in names]


def up_to_date(
    batch: Batch, task: DeliveryTask, state: DeliveryState, attempts: int
) -> tuple[DeliveryTask, DeliveryState]:
    """Bring a task under the decision in force, and read all of its attempts."""
    while state.next is not None or (state.last == attempts < ATTEMPTS_MAX and not state.ended):
        if state.next is not None:
            task = task.under(state.next)
        else:
            attempts = ATTEMPTS_MAX  # they were made under a longer schedule
        state = look(batch, [task], attempts)[task.transfer]
    _read_takes(batch, task, state)
    return task, state


def _read_takes(batch: Batch, task: DeliveryTask, state: DeliveryState) -> None:
    """Read other takes of the last attempt: a process that made it at the same time and saw another outcome has the last word.

    Only an attempt that failed is looked at. Each take costs one more round trip.
    """
    runtime, take = batch.runtime, 0
    while state.last and not state.ended:
        take += 1
        entry = audit.attempt_id(task.decided, task.event, task.transfer, state.last, take)
        keys = [runtime.audit.key(task.tenant, entry, year) for year in task.all_logs]
        found = batch_get(runtime.clients.get("dynamodb"), keys, runtime.settings.region)
        rows = [row for rows in found.values() for row in rows]
        if not rows:
            return
        state.attempts[state.last] = runtime.audit.read_item(rows[0])
