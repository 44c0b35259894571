"""How the job of a bundle does its pieces: bounded, over a long log, through deaths of the process and beside another one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.job import KEPT, Job
from chalicelib.flow.jobs import bundle as making
from chalicelib.flow.jobs import bundle_members
from chalicelib.store.exports import Exports
from chalicelib.store.jobs import DueJob
from tests.support.api_cell import Api
from tests.support.sealed import (
    FULL,
    acts,
    ask,
    clones,
    entries,
    flow,
    made,
    seal_at_once,
    sealed,
    tar_of,
    verified,
    worked,
)

LONG = 17_000


@pytest.fixture(scope="module")
def long(cell: Api) -> Api:
    """A tenant with a log that takes several pieces, sealed more often than a bundle has checkpoints."""
    cell.clock.at = datetime.now(UTC)
    api = cell.new_tenant()
    flow(api)
    sealed(api)
    decided = next(e for e in entries(api) if e["kind"] == "decided")
    attempted = next(e for e in entries(api) if e["event"] == decided["event"] and e["kind"] == "attempted")
    # A seal may hold entries that the table does not: a bundle reads the log alone.
    seal_at_once(api, clones(decided, attempted, 0, 200))
    seal_at_once(api, acts(api.made["tenant"], api.clock.at, 0, LONG), at_once=230)
    return api


@pytest.fixture
def long_log(long: Api) -> Api:
    long.runtime.token_buckets.clear()
    return long


def step_by_step(api: Api, job: dict[str, Any]) -> Iterator[Job]:
    """Do a job's pieces without its row; yield it before each."""
    stored = api.runtime.jobs.get(api.made["tenant"], job["id"], api.runtime.now())
    assert stored is not None
    while stored.state != "done":
        yield stored
        stored = making.step(api.runtime, stored)


def test_pieces_are_bounded_and_tell_how_far_they_are_when_a_log_is_long(long_log: Api) -> None:
    whole, chosen = ask(long_log), ask(long_log, mode="selection", destination=long_log.made["destination"])

    seen = [
        [(json.loads(j.cursor or '{"step": ""}')["step"], j.done, j.total) for j in step_by_step(long_log, job)]
        for job in (whole, chosen)
    ]

    size = whole["summary"]["size"]
    assert [s[:1] for s in seen] == [[("", 0, None)]] * 2
    assert seen[0][1:] == [("collect", 64 * 256, size), ("list", size, size), ("upload", size, size)]
    assert seen[1][1:] == [
        ("look", 64 * 256, 2 * size),
        ("collect", size, 2 * size),
        ("collect", size + 64 * 256, 2 * size),
        ("list", 2 * size, 2 * size),
        ("upload", 2 * size, 2 * size),
    ]


def test_a_long_log_is_whole_and_has_its_earlier_checkpoints_when_it_is_verified(long_log: Api) -> None:
    tar = made(long_log)

    report = verified(long_log, tar)
    size = report.told["size"]
    assert size is not None and size > LONG
    assert (report.code, report.told["earlier_checkpoints"]) == (0, bundle_members.EARLIER_MAX)


def test_a_selection_of_a_long_log_is_verified_when_it_holds_much_of_it(long_log: Api) -> None:
    tar = made(long_log, mode="selection", destination=long_log.made["destination"])

    report = verified(long_log, tar)
    assert (report.code, report.told["transfers"]["decided"]) == (0, 202)


class Dies(Exception):
    """The process ends here."""


class Mortal(Exports):
    """An exports bucket whose user dies at an effect, before it or after it."""

    def __init__(self, real: Exports, at: int, after: bool) -> None:
        self.__dict__.update(real.__dict__)
        self.left, self.after = at, after

    def _call(self, operation: str, **arguments: Any) -> Any:
        self.left -= operation != "get_object"
        if self.left == 0 and not self.after:
            self.left = -1
            raise Dies
        answer = super()._call(operation, **arguments)
        if self.left == 0:
            self.left = -1
            raise Dies
        return answer


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("asked", [FULL, {"mode": "selection"}], ids=["full", "selection"])
def test_the_same_bundle_is_made_when_a_process_dies_at_each_effect(
    tenant: Api, asked: dict[str, str], after: bool
) -> None:
    flow(tenant)
    sealed(tenant)
    if asked["mode"] == "selection":
        asked = {**asked, "destination": tenant.made["destination"]}
    job = ask(tenant, **asked)
    runtime, real = tenant.runtime, tenant.runtime.exports
    wanted = None
    deaths = 0
    try:
        for at in range(1, 20):
            runtime.exports = Mortal(real, at, after)
            stored = runtime.jobs.get(tenant.made["tenant"], job["id"], runtime.now())
            assert stored is not None
            died = 0
            while stored.state != "done":
                try:
                    stored = making.step(runtime, stored)
                except Dies:
                    died += 1
            deaths += died
            tar = real.get(bundle_members.key(stored))
            wanted = wanted or tar
            assert tar == wanted
            runtime.clients.get("s3").delete_object(
                Bucket=runtime.settings.exports_bucket, Key=bundle_members.key(stored)
            )
            if not died:
                break
    finally:
        runtime.exports = real

    assert deaths == (6 if asked["mode"] == "full" else 8)
    assert verified(tenant, wanted or b"").code == 0


def test_a_bundle_is_made_once_when_two_processes_work_on_it_at_once(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    job = ask(tenant)
    runtime, own = tenant.runtime, tenant.made["tenant"]

    while True:
        (due,) = [d for d in runtime.jobs.due(runtime.now() + KEPT, 100) if d.job == job["id"]]
        slept = runtime.jobs.take(due, due.at + timedelta(seconds=1))
        assert slept is not None
        (again,) = [d for d in runtime.jobs.due(runtime.now() + KEPT, 100) if d.job == job["id"]]
        quick = runtime.jobs.take(DueJob(own, job["id"], again.at, again.seen), again.at + timedelta(seconds=1))
        assert quick is not None
        after = making.step(runtime, quick)
        late = making.step(runtime, slept)  # a process that lost its lease goes on all the same
        assert runtime.jobs.save(after)
        assert not runtime.jobs.save(late)
        if after.state == "done":
            break

    assert verified(tenant, tar_of(tenant, job)).code == 0


class Watched(Exports):
    """An exports bucket that records each read."""

    def __init__(self, real: Exports) -> None:
        self.__dict__.update(real.__dict__)
        self.reads: list[str] = []

    def get(self, key: str) -> bytes:
        self.reads.append(key.rpartition("/")[2])
        return super().get(key)


def test_a_piece_uploads_some_parts_and_reads_what_they_need_when_a_tar_is_large(
    long_log: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(long_log)
    *_, last = step_by_step(long_log, job)
    plan, runtime, real = json.loads(last.cursor)["plan"], long_log.runtime, long_log.runtime.exports
    upload = real.begin(bundle_members.key(last), "application/x-tar")
    monkeypatch.setattr(bundle_members, "PART_BYTES", 256 * 1024)
    monkeypatch.setattr(bundle_members, "UPLOADS", 100)
    whole, _ = bundle_members.upload(runtime, last, plan, upload, [])
    monkeypatch.setattr(bundle_members, "UPLOADS", 8)

    tags, done, pieces = list[str](), False, 0
    while not done:
        runtime.exports = watched = Watched(real)
        try:
            tags, done = bundle_members.upload(runtime, last, plan, upload, tags)
        finally:
            runtime.exports = real
        pieces += 1

    # A part's tag is its bytes' digest.
    assert (tags, pieces) == (whole, -(-len(whole) // 8))
    assert pieces > 3
    assert [name for name in watched.reads if name.startswith("entries-")][-1] == "entries-1"
    runtime.exports = watched = Watched(real)
    try:
        again, _ = bundle_members.upload(runtime, last, plan, upload, whole[:-1])
    finally:
        runtime.exports = real
    assert again == whole
    assert [name for name in watched.reads if name.startswith("entries-")] == ["entries-1"]


def test_the_job_fails_clearly_when_a_selection_is_too_large(long_log: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "SELECTED_MAX", 1000)

    job = worked(long_log, ask(long_log, mode="selection"))

    assert (job["state"], job["error"]["code"], job["url"]) == ("failed", "invalid", None)
    assert "1000 entries" in job["error"]["detail"]


def test_a_full_bundle_is_refused_when_the_log_is_too_long(long_log: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "FULL_MAX", 1000)

    answer = long_log.post("/v1/audit/bundle", FULL)

    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "too_large")


def test_the_job_fails_when_what_is_stored_is_not_what_was_signed(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    job = ask(tenant)
    evidence = tenant.runtime.evidence
    read: Callable[[str], bytes | None] = evidence.get_fixed

    def altered(key: str) -> bytes | None:
        data = read(key)
        return data.replace(b'"kind":"decided"', b'"kind":"decidid"') if data and "/batches/" in key else data

    evidence.get_fixed = altered  # type: ignore[method-assign]
    try:
        for _ in range(8):
            shown = worked(tenant, job)
            tenant.clock.at += timedelta(minutes=6)
    finally:
        del evidence.get_fixed

    assert (shown["state"], shown["error"]["code"]) == ("failed", "audit_broken")
