"""The store of jobs, their leases, and the pages of events that they work through, on every engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.core import job as jobs
from chalicelib.core import times
from chalicelib.core.errors import Misconfigured, NotFound
from chalicelib.core.job import Job
from chalicelib.store.data import DataStore
from chalicelib.store.event_rows import EventKey, EventRow
from chalicelib.store.jobs import DueJob, JobStore
from chalicelib.store.keys import KeyStore
from tests.support.engines import Engine
from tests.support.stores import NOW, FakeKms, Ticks, index, new_id, table

LEASE = timedelta(seconds=120)


class Stores:
    """The job store, and what its tests look at beside it."""

    def __init__(self, engine: Engine) -> None:
        ticks, kms = Ticks(), FakeKms()
        self.table = table(engine, "data", indexes=[index("day", "day", "at"), index("due", "due_shard", "due_at")])
        self.keys = KeyStore(lambda: kms, "alias/cell", table(engine, "people", range_key=False), ticks, lambda: NOW)
        self.jobs = JobStore(self.table, self.keys, ticks.random)
        self.data = DataStore(self.table, engine.insert_mode)

    def tenant(self) -> str:
        made = new_id("tnt")
        self.keys.make(made)
        return made

    def job(self, tenant: str | None = None) -> Job:
        made = jobs.new(new_id("job"), tenant or self.tenant(), "replay", NOW, {"canary": "a@b.example"}, {"sent": 0})
        assert self.jobs.insert(made)
        return made

    def due(self, job: Job, at_s: float = 1) -> DueJob:
        (found,) = [d for d in self.jobs.due(NOW + timedelta(seconds=at_s), 100) if d.job == job.id]
        return found


@pytest.fixture
def stores(engine: Engine) -> Stores:
    return Stores(engine)


def test_job_is_read_as_it_was_stored_and_stored_once(stores: Stores) -> None:
    job = stores.job()

    again = stores.jobs.insert(replace(job, kind="other"))

    found = stores.jobs.get(job.tenant, job.id, NOW)
    assert not again
    assert found is not None
    assert replace(found, lease="") == job
    assert stores.jobs.get(stores.tenant(), job.id, NOW) is None
    assert stores.jobs.get(job.tenant, job.id, job.expires_at) is None


def test_nothing_of_what_was_asked_is_in_the_clear(stores: Stores) -> None:
    job = stores.job()

    item = stores.table.get({"pk": f"{job.tenant}#job", "sk": job.id})

    assert item is not None
    assert "canary" not in repr(item)
    assert "a@b.example" not in repr(item)
    moved = stores.job(job.tenant)
    stores.table.update({"pk": f"{moved.tenant}#job", "sk": moved.id}, "SET sealed = :s", {":s": item["sealed"]})
    with pytest.raises(Misconfigured):
        stores.jobs.get(moved.tenant, moved.id, NOW)


def test_one_of_two_takes_a_job_and_the_other_after_the_lease(stores: Stores) -> None:
    job = stores.job()
    seen = stores.due(job)

    taken = stores.jobs.take(seen, NOW + LEASE)
    second = stores.jobs.take(seen, NOW + LEASE)

    assert taken is not None
    assert (taken.state, taken.tries, second) == ("running", 1, None)
    assert [d for d in stores.jobs.due(NOW + timedelta(seconds=119), 100) if d.job == job.id] == []
    later = stores.jobs.take(stores.due(job, 121), NOW + 2 * LEASE)
    assert later is not None
    assert later.tries == 2
    assert not stores.jobs.save(replace(taken, done=1))
    assert stores.jobs.save(replace(later, done=2))
    assert stores.jobs.get(job.tenant, job.id, NOW).done == 2  # type: ignore[union-attr]


def test_job_goes_on_when_it_wants_to_and_leaves_the_index_when_it_has_ended(stores: Stores) -> None:
    job = stores.job()
    taken = stores.jobs.take(stores.due(job), NOW + LEASE)
    assert taken is not None

    later = replace(jobs.went_on(taken, NOW), cursor="c", due_at=NOW + timedelta(seconds=30))
    assert stores.jobs.save(later)
    assert [d for d in stores.jobs.due(NOW + timedelta(seconds=30), 100) if d.job == job.id] == []
    taken = stores.jobs.take(stores.due(job, 31), NOW + LEASE)
    assert taken is not None
    assert (taken.cursor, taken.tries) == ("c", 1)
    ended = jobs.went_on(replace(taken, state="done", done=3, summary={"sent": 3}), NOW)
    assert stores.jobs.save(ended)

    found = stores.jobs.get(job.tenant, job.id, NOW)
    assert found is not None
    assert (found.state, found.done, found.total, found.summary) == ("done", 3, 3, {"sent": 3})
    assert [d for d in stores.jobs.due(NOW + timedelta(days=9), 100) if d.job == job.id] == []


def test_jobs_of_a_tenant_are_listed_newest_first(stores: Stores) -> None:
    tenant = stores.tenant()
    made = [stores.job(tenant).id for _ in range(3)]
    stores.job()

    found = [job.id for job in stores.jobs.of_tenant(tenant, NOW)]

    assert found == made[::-1]
    assert [j.id for j in stores.jobs.of_tenant(tenant, NOW, before=made[1])] == made[:1]
    assert list(stores.jobs.of_tenant(tenant, NOW + timedelta(days=8))) == []


def test_job_is_not_opened_when_its_tenants_key_is_gone(stores: Stores) -> None:
    job = stores.job()
    seen = stores.due(job)
    stores.keys.delete(job.tenant)

    with pytest.raises(NotFound):
        stores.jobs.take(seen, NOW + LEASE)
    stores.jobs.remove(job.tenant, job.id)

    assert [d for d in stores.jobs.due(NOW + timedelta(days=9), 100) if d.job == job.id] == []


# Pages of events


def stored(stores: Stores, tenant: str, *minutes: int) -> list[str]:
    """Store events received so many minutes from now; return their ids in that order."""
    rows = []
    for number in minutes:
        at = NOW + timedelta(minutes=number)
        key = EventKey(tenant, new_id("evt"), "-")
        rows.append(EventRow(key, at, at + timedelta(days=30), times.minute(at), "owner", b"sealed"))
    assert stores.data.insert_events(rows) == [None] * len(rows)
    return [row.key.event for row in rows]


def pages(stores: Stores, tenant: str, after: int, before: int, limit: int) -> list[list[str]]:
    """Go through the events between two minutes from now."""
    position: str | None = times.text(NOW + timedelta(minutes=after))
    found = []
    while position is not None:
        page, position = stores.jobs.events(tenant, position, NOW + timedelta(minutes=before), limit)
        found.append([key.event for key, _ in page])
    return found


def listed(stores: Stores, tenant: str, after: int, before: int) -> list[str]:
    return [event for page in pages(stores, tenant, after, before, 10) for event in page]


DAY = 24 * 60


def test_events_come_once_each_in_order_over_pages_and_days(stores: Stores) -> None:
    tenant = stores.tenant()
    events = stored(stores, tenant, -3 * DAY, -3 * DAY + 1, -2, -1, 0, 1, 40 * DAY)
    stored(stores, stores.tenant(), 0)

    found = pages(stores, tenant, -4 * DAY, 50 * DAY, 2)

    assert [event for page in found for event in page] == events
    assert all(len(page) <= 4 for page in found)


def test_events_begin_at_the_first_moment_and_end_before_the_last(stores: Stores) -> None:
    tenant = stores.tenant()
    events = stored(stores, tenant, 0, 1, 2)

    assert listed(stores, tenant, 0, 2) == events[:2]
    assert listed(stores, tenant, 1, 3) == events[1:]
    assert listed(stores, tenant, 3, 4) == []


def test_events_of_one_instant_are_on_one_page(stores: Stores) -> None:
    tenant = stores.tenant()
    events = stored(stores, tenant, 0, 1, 1, 1, 2)

    found = pages(stores, tenant, 0, 10, 2)

    assert [set(page) for page in found if page] == [set(events[:4]), {events[4]}]
