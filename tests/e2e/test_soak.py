"""The fault rounds in small: the promise is kept, a seed is a run, and a cell that breaks the promise is caught."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

import app
from chalicelib.core.decide import plan
from chalicelib.core.errors import NotFound
from chalicelib.core.log.entry_types import Entry
from chalicelib.core.tenant import intervals
from chalicelib.destinations import vetted
from chalicelib.flow import alone
from chalicelib.flow.jobs import worker
from chalicelib.flow.retention import expiry, hold_walks, people, sweep
from chalicelib.flow.sealing import reconcile
from chalicelib.store.audit import AuditStore, StoredEntry
from chalicelib.store.data import DataStore
from chalicelib.store.seal_requests import SealRequestQueue
from faults import owners, pulls, rounds, weather

EVENTS = 40


@contextlib.contextmanager
def replaced(thing: Any, name: str, value: Any) -> Iterator[None]:
    real = getattr(thing, name)
    setattr(thing, name, value)
    try:
        yield
    finally:
        setattr(thing, name, real)


def only(change: str) -> contextlib.AbstractContextManager[None]:
    """Let tenants make only this one change."""
    return replaced(rounds, "CHANGES", {change: rounds.CHANGES[change]})


def calm() -> contextlib.AbstractContextManager[None]:
    """Switch all faults off, so that the broken promise shows with any seed."""
    return replaced(weather.Faults, "draws", lambda *_: False)


@pytest.fixture(autouse=True)
def few_changes() -> Iterator[None]:
    """Let each tenant make a few changes only: an API request costs more CPU than an event."""
    with replaced(rounds, "CHANGES_EACH", 4):
        yield


def broken(seed: int = 11, events: int = EVENTS) -> set[str]:
    return {b.promise for b in rounds.play("moto", seed, events).broken}


@pytest.mark.parametrize("seed", [11, 12])
def test_promise_is_kept_when_everything_fails_at_times(seed: int) -> None:
    outcome = rounds.play("moto", seed, EVENTS)

    assert [str(b) for b in outcome.broken] == []
    assert outcome.ends["delivered"] > 0
    assert sum(outcome.faults.values()) > 50


def test_same_run_again_when_the_seed_is_the_same() -> None:
    first, second = rounds.play("moto", 13, 15), rounds.play("moto", 13, 15)

    assert first.digest == second.digest
    assert first.faults == second.faults


def test_caught_when_attempts_are_not_written_down() -> None:
    real = AuditStore.append

    def forgetful(store: AuditStore, entry: Entry) -> StoredEntry:
        return StoredEntry(entry, new=True) if entry["kind"] == "attempted" else real(store, entry)

    with replaced(AuditStore, "append", forgetful):
        found = broken(events=15)

    assert {"ended", "sealed"} <= found


def test_caught_when_messages_are_acknowledged_before_they_are_done() -> None:
    with replaced(alone, "send_back", lambda *_: []):
        found = broken()

    assert found & {"ended", "idle"}


def test_caught_when_a_secret_is_logged() -> None:
    real = vetted.HttpResponse

    def talkative(status: int, headers: Any, body: bytes, truncated: bool = False) -> vetted.HttpResponse:
        print(app.runtime().config._snapshots and "Kanarienvogel")  # type: ignore[attr-defined]
        return real(status, headers, body, truncated)

    with replaced(vetted, "HttpResponse", talkative):
        found = broken(events=15)

    assert "private" in found


def test_caught_when_a_lane_is_emptied_from_its_end() -> None:
    real = DataStore.waiting

    def backwards(store: DataStore, lane: str) -> Iterator[Any]:
        return reversed(list(real(store, lane)))

    with replaced(DataStore, "waiting", backwards):
        found = broken(seed=12)

    assert "ordered" in found


def test_caught_when_the_sealer_is_told_of_nothing() -> None:
    silent = (
        replaced(reconcile, "reconcile", lambda *_: 0),
        replaced(sweep, "reconcile", lambda *_: 0),
    )
    with replaced(SealRequestQueue, "send", lambda *_: None), silent[0], silent[1]:
        found = broken(events=15)

    assert found == {"sealed"}


def test_caught_when_the_sweep_fails() -> None:
    def failing(_shell: object) -> int:
        raise NotFound("no such tenant")

    with replaced(sweep, "handle", failing):
        found = broken(events=15)

    assert "sound" in found


def test_caught_when_jobs_are_never_worked_on() -> None:
    idle = replaced(worker, "handle", lambda _shell: 0)
    with only("destination replayed"), idle, replaced(rounds, "CALM_DAYS", 0.02):
        outcome = rounds.play("moto", 11, EVENTS)

    assert outcome.changes["destination replayed"] > 0
    assert "idle" in {b.promise for b in outcome.broken}


def test_caught_when_a_pull_does_not_ask_whether_it_is_the_first() -> None:
    real = AuditStore.append

    def generous(store: AuditStore, entry: Entry) -> StoredEntry:
        return replace(real(store, entry), new=True)

    together = replaced(pulls, "HABITS", ((0.5, 0.5),))
    with replaced(owners, "MODES", ("restrict",)), together, replaced(AuditStore, "append", generous):
        found = broken(events=15)

    assert found == {"pulled"}


def test_caught_when_a_switch_stops_nothing() -> None:
    with only("switch thrown"), calm(), replaced(plan, "stopped_by", lambda *_: None):
        found = broken(events=15)

    assert "lawful" in found


def test_caught_when_the_door_does_not_look_what_is_off_the_record() -> None:
    with only("off the record"), calm(), replaced(intervals, "is_off_record", lambda *_: False):
        found = broken()

    assert found == {"unrecorded"}


def test_caught_when_what_is_off_the_record_is_sent_each_time_it_is_posted() -> None:
    real = AuditStore.append_many

    def generous(store: AuditStore, entries: Any) -> list[Any]:
        return [replace(s, new=True) if isinstance(s, StoredEntry) else s for s in real(store, entries)]

    doubled = replaced(weather.Faults, "draws", lambda _, kind: kind == "webhook_twice")
    whole = replaced(owners, "MODES", ("replicate",))
    with only("off the record"), whole, doubled, replaced(AuditStore, "append_many", generous):
        found = broken()

    assert found == {"unrecorded"}


def test_caught_when_the_sweep_asks_for_no_hold() -> None:
    with only("content held"), calm(), replaced(people, "covering", lambda *_: None):
        found = broken(events=15)

    assert found == {"kept"}


def test_caught_when_held_content_stays_in_ttl() -> None:
    with only("content held"), calm(), replaced(hold_walks, "_secure", lambda *_: None):
        found = broken(events=15)

    assert found == {"kept"}


def test_caught_when_the_sweep_leaves_what_is_over() -> None:
    with only("schedule changed"), calm(), replaced(expiry, "handle", lambda *_: None):
        found = broken(events=15)

    assert found == {"gone"}


def test_caught_when_the_sweep_is_a_day_ahead() -> None:
    real = expiry.handle

    class Ahead:
        def __init__(self, runtime: Any) -> None:
            self._shell = runtime

        def __getattr__(self, name: str) -> Any:
            return getattr(self._shell, name)

        def now(self) -> datetime:
            now: datetime = self._shell.now()
            return now + timedelta(days=1)

    ahead = replaced(expiry, "handle", lambda runtime, *more: real(Ahead(runtime), *more))  # type: ignore[arg-type]
    with only("schedule changed"), calm(), ahead:
        found = broken(events=15)

    assert found == {"kept"}
