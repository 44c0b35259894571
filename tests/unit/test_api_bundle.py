"""Evidence bundles over the API: asked for, made piece by piece, fetched, and verified as an outsider would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.core import bundle, note
from chalicelib.core.job import KEPT, Job
from chalicelib.core.note import parse_vkey
from chalicelib.core.verify import Report, Trust, verify
from chalicelib.flow import bundle as making
from chalicelib.flow import jobs, members, seal
from chalicelib.store.exports import Exports
from chalicelib.store.jobs import Due
from tests.api_cell import Api, cell, tenant
from tests.sealed import acts, clones, seal_at_once

__all__ = ["cell", "tenant"]

FULL = {"mode": "full"}
LONG = 17_000


def sealed(api: Api) -> None:
    """Let the time pass after which what waits is sealed."""
    api.clock.at += timedelta(minutes=10)
    seal.handle(api.shell)


def entries(api: Api, **query: str) -> list[dict[str, Any]]:
    return [item["entry"] for item in api.get("/v1/audit/entries", limit=250, **query).json["data"]]


def ask(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.post("/v1/audit/bundle", {**FULL, **asked})
    assert answer.status == 202, answer.text
    return dict(answer.json)


def worked(api: Api, job: dict[str, Any]) -> dict[str, Any]:
    """Work the jobs off; return this one as it is then. Who sleeps has the clock go on."""
    api.shell.sleep = lambda seconds: setattr(api.clock, "at", api.clock.at + timedelta(seconds=seconds))
    jobs.handle(api.shell)
    return dict(api.get(f"/v1/jobs/{job['id']}").json)


def tar_of(api: Api, job: dict[str, Any]) -> bytes:
    return api.shell.exports.get(f"bundles/{job['id']}.tar")


def made(api: Api, **asked: Any) -> bytes:
    job = worked(api, ask(api, **asked))
    assert job["state"] == "done", job
    return tar_of(api, job)


def verified(api: Api, tar: bytes, **trust: Any) -> Report:
    key = parse_vkey(api.get("/v1/audit/keys").json["data"][0]["vkey"])
    return verify(tar, Trust(vkeys=(key,), **trust))


def content(tar: bytes, name: str) -> bytes:
    first, end = bundle.read(tar)[name]
    return tar[first:end]


def told(tar: bytes) -> list[dict[str, Any]]:
    """Return the entries of a bundle."""
    return [json.loads(line) for line in content(tar, bundle.ENTRIES).splitlines()]


def flow(api: Api) -> None:
    """Two people's events, each decided and tried."""
    api.connect()
    api.hook("one", 1, chat=77)
    api.hook("two", 2, chat=88)
    api.deliver()


@pytest.fixture(scope="module")
def long(cell: Api) -> Api:
    """A tenant with a log that takes several pieces, sealed more often than a bundle has checkpoints."""
    cell.clock.at = datetime.now(UTC)
    api = cell.new_tenant()
    flow(api)
    sealed(api)
    decided = next(e for e in entries(api) if e["kind"] == "decided")
    attempted = next(e for e in entries(api) if e["event"] == decided["event"] and e["kind"] == "attempted")
    # What a seal holds need not be what the table holds: both are read by the log alone.
    seal_at_once(api, clones(decided, attempted, 0, 200))
    seal_at_once(api, acts(api.made["tenant"], api.clock.at, 0, LONG), at_once=230)
    return api


@pytest.fixture
def long_log(long: Api) -> Api:
    long.shell.rates.clear()
    return long


# What it holds


def test_all_that_is_sealed_is_proved_when_a_full_bundle_is_asked_for(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    before = entries(tenant)

    tar = made(tenant)

    report = verified(tenant, tar)
    assert (report.code, report.told["trust"], report.told["mode"]) == (0, "pinned", "full")
    assert {e["id"] for e in told(tar)} == {e["id"] for e in before}
    assert report.told["decisions"]["redecided"] == 2
    manifest = json.loads(content(tar, bundle.MANIFEST))
    assert (manifest["query"], manifest["count"], manifest["size"]) == (None, len(before), len(before))
    assert manifest["tenant"] == tenant.made["tenant"]


def test_members_come_in_their_order_when_a_bundle_is_made(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    tenant.hook("three", 3)
    sealed(tenant)

    full, chosen = made(tenant), made(tenant, mode="selection", destination=tenant.made["destination"])

    kinds = [(bundle.kind_of(name) or ("",))[0] for name in bundle.read(full)]
    assert kinds[:3] == [bundle.MANIFEST, bundle.CHECKPOINT, bundle.VKEYS]
    assert list(dict.fromkeys(kinds[3:])) == ["earlier", "consistency", "rules", "config", bundle.ENTRIES]
    proofs = [name for name in bundle.read(chosen) if name.startswith("proofs/")]
    assert proofs == [f"proofs/{e['id']}.tlog-proof" for e in told(chosen)]


@pytest.mark.parametrize("name", ["subject", "event"])
def test_every_entry_of_its_events_is_there_when_a_person_or_event_is_selected(tenant: Api, name: str) -> None:
    flow(tenant)
    one = next(e for e in entries(tenant) if e["kind"] == "decided")
    tenant.get(f"/v1/events/{one['event']}")  # an act on the event, which names no person
    sealed(tenant)
    value = one["receipt"]["subjects"][0] if name == "subject" else one["event"]

    tar = made(tenant, mode="selection", **{name: value})

    assert verified(tenant, tar).code == 0
    assert sorted(e["kind"] for e in told(tar)) == ["attempted", "decided", "viewed"]
    assert {e["event"] for e in told(tar)} == {one["event"]}
    assert json.loads(content(tar, bundle.MANIFEST))["query"] == {name: value}


def test_acts_on_it_are_there_too_when_a_destination_is_selected(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)

    tar = made(tenant, mode="selection", destination=tenant.made["destination"])

    assert verified(tenant, tar).code == 0
    assert sorted(e["kind"] for e in told(tar)) == ["attempted", "attempted", "config_changed", "decided", "decided"]


def test_only_that_time_is_there_when_a_time_is_selected(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    tenant.hook("later", 3)
    sealed(tenant)
    late = entries(tenant)[-1]
    border = late["at"][:17] + "00.000Z"

    after, before = made(tenant, mode="selection", after=border), made(tenant, mode="selection", before=border)

    assert [e["id"] for e in told(after)] == [late["id"]]
    assert {e["id"] for e in told(before)} == {e["id"] for e in entries(tenant)} - {late["id"]} - _exports(tenant)
    assert [verified(tenant, tar).code for tar in (after, before)] == [0, 0]


def _exports(api: Api) -> set[str]:
    return {e["id"] for e in entries(api, kind="exported")}


def test_nothing_matches_when_all_that_is_asked_does_not_hold_at_once(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    person = next(e for e in entries(tenant) if e["kind"] == "decided")["receipt"]["subjects"][0]

    tar = made(tenant, mode="selection", subject=person, destination="dst_" + "0" * 26)

    assert (verified(tenant, tar).code, told(tar)) == (0, [])


def test_the_log_may_grow_when_a_bundle_is_being_made(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    job = ask(tenant)
    size = job["summary"]["size"]
    tenant.hook("three", 3)
    sealed(tenant)

    tar = tar_of(tenant, worked(tenant, job))

    assert verified(tenant, tar).code == 0
    assert len(told(tar)) == size < tenant.get("/v1/audit/entries", limit=250).json["data"][-1]["index"]


def test_the_bundle_continues_what_was_seen_when_the_log_has_grown(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    kept = note.parse_note(tenant.get("/v1/audit/checkpoint").text.encode())
    tenant.hook("three", 3)
    sealed(tenant)

    tar = made(tenant)

    report = verified(tenant, tar, seen=(kept, note.parse_checkpoint(kept.text)))
    assert (report.code, report.told["earlier_checkpoints"]) == (0, 1)


def test_the_bundle_says_so_when_a_configuration_was_not_kept(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    digest = next(e for e in entries(tenant) if e["kind"] == "decided")["config_hash"]
    bucket = tenant.shell.settings.evidence_bucket
    s3 = tenant.shell.clients.get("s3")
    key = f"configs/{tenant.made['tenant']}/{digest}.json"
    for version in s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])

    job = worked(tenant, ask(tenant))

    assert job["summary"]["missing"] == {"rules": 0, "configs": 1}
    report = verified(tenant, tar_of(tenant, job))
    assert (report.code, {f.name for f in report.faults}) == (2, {"no_configuration"})


# Asking


def test_that_it_was_asked_for_is_an_entry_when_there_is_nothing_to_fetch_yet(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    span = {"after": "2026-01-01T00:00:00.000Z", "before": "2099-01-01T00:00:00.000Z"}

    first = ask(tenant)
    second = ask(tenant, mode="selection", **span)

    by_job = {e["object"]["id"]: e for e in entries(tenant, kind="exported")}
    one, two = by_job[first["id"]], by_job[second["id"]]
    assert [e["object"]["kind"] for e in by_job.values()] == ["bundle", "bundle"]
    assert {e["actor"]["id"] for e in (one, two)} == {tenant.made["key"]}
    assert one["range"] == {"after": None, "before": None, "count": first["summary"]["size"]}
    assert two["range"] == {**span, "count": None}
    assert (first["state"], first["url"]) == ("queued", None)


def test_one_job_and_one_entry_are_made_when_a_request_is_repeated(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)

    answers = [tenant.post("/v1/audit/bundle", FULL, Idempotency_Key="b") for _ in range(2)]

    assert answers[0].json["id"] == answers[1].json["id"]
    worked(tenant, answers[0].json)
    assert len(entries(tenant, kind="exported")) == 1


def test_it_is_refused_when_nothing_is_sealed_or_there_is_no_such_log(tenant: Api) -> None:
    answers = [tenant.post("/v1/audit/bundle", FULL), tenant.post("/v1/audit/bundle", {**FULL, "log": "2019"})]

    assert [(a.status, a.json["code"]) for a in answers] == [(409, "not_sealed"), (404, "not_found")]
    assert entries(tenant, kind="exported") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"mode": "all"},
        {"mode": None},
        {"mode": "full", "event": "evt_" + "0" * 26},
        {"mode": "full", "after": "2026-01-01T00:00:00Z"},
        {"mode": "selection", "subject": "cnv_" + "0" * 26},
        {"mode": "selection", "subject": "sub_" + "0" * 25 + "!"},
        {"mode": "selection", "event": "evt_" + "0" * 26 + "\n"},
        {"mode": "selection", "destination": 7},
        {"mode": "selection", "after": "yesterday"},
        {"mode": "selection", "after": "2026-02-01T00:00:00Z", "before": "2026-02-01T00:00:00Z"},
        {"mode": "full", "log": "26"},
        {"mode": "full", "log": "2026/../../x"},
        {"mode": "full", "size": 3},
    ],
)
def test_it_is_refused_when_the_body_is_not_of_its_form(tenant: Api, body: Any) -> None:
    answer = tenant.post("/v1/audit/bundle", body)

    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert "yesterday" not in answer.text


def test_it_is_refused_when_the_key_has_not_the_scope(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    job = ask(tenant)
    reader, auditor = tenant.with_key(scopes=["read"]), tenant.with_key(scopes=["audit"])

    statuses = [key.post("/v1/audit/bundle", FULL).status for key in (reader, auditor)]

    assert statuses == [403, 202]
    assert [key.get(f"/v1/jobs/{job['id']}").status for key in (reader, auditor)] == [404, 200]


def test_nothing_of_another_tenant_is_there_when_its_ids_are_asked_for(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    one = next(e for e in entries(tenant) if e["kind"] == "decided")
    job = ask(tenant)
    other = tenant.new_tenant()
    flow(other)
    sealed(other)

    tar = made(other, mode="selection", event=one["event"])

    assert told(tar) == []
    assert other.get(f"/v1/jobs/{job['id']}").status == 404
    assert {e["tenant"] for e in told(made(other))} == {other.made["tenant"]}


# The link


def test_the_link_needs_no_key_and_lives_a_quarter_of_an_hour_when_the_job_is_done(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)

    job = worked(tenant, ask(tenant))

    link = urlsplit(job["url"])
    query = parse_qs(link.query)
    assert (link.scheme, query["X-Amz-Expires"]) == ("https", ["900"])
    assert link.path.endswith(f"/bundles/{job['id']}.tar")
    assert query["response-content-disposition"] == [f'attachment; filename="waybill-2026-full-{job["id"]}.tar"']


def test_there_is_no_link_when_the_bundle_may_be_gone(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    job = worked(tenant, ask(tenant))

    tenant.clock.at += timedelta(hours=23)
    before = tenant.get(f"/v1/jobs/{job['id']}").json["url"]
    tenant.clock.at += timedelta(hours=1)
    after = tenant.get(f"/v1/jobs/{job['id']}").json

    assert before is not None
    assert (after["state"], after["url"]) == ("done", None)


# Pieces


def step_by_step(api: Api, job: dict[str, Any]) -> Iterator[Job]:
    """Do a job's pieces without its row; yield it before each."""
    stored = api.shell.jobs.get(api.made["tenant"], job["id"], api.shell.now())
    assert stored is not None
    while stored.state != "done":
        yield stored
        stored = making.step(api.shell, stored)


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
    assert (report.code, report.told["earlier_checkpoints"]) == (0, members.EARLIER_MAX)


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
    shell, real = tenant.shell, tenant.shell.exports
    wanted = None
    deaths = 0
    try:
        for at in range(1, 20):
            shell.exports = Mortal(real, at, after)
            stored = shell.jobs.get(tenant.made["tenant"], job["id"], shell.now())
            assert stored is not None
            died = 0
            while stored.state != "done":
                try:
                    stored = making.step(shell, stored)
                except Dies:
                    died += 1
            deaths += died
            tar = real.get(members.key(stored))
            wanted = wanted or tar
            assert tar == wanted
            shell.clients.get("s3").delete_object(Bucket=shell.settings.exports_bucket, Key=members.key(stored))
            if not died:
                break
    finally:
        shell.exports = real

    assert deaths == (5 if asked["mode"] == "full" else 7)
    assert verified(tenant, wanted or b"").code == 0


def test_a_bundle_is_made_once_when_two_processes_work_on_it_at_once(tenant: Api) -> None:
    flow(tenant)
    sealed(tenant)
    job = ask(tenant)
    shell, own = tenant.shell, tenant.made["tenant"]

    while True:
        (due,) = [d for d in shell.jobs.due(shell.now() + KEPT, 100) if d.job == job["id"]]
        slept = shell.jobs.take(due, due.at + timedelta(seconds=1))
        assert slept is not None
        (again,) = [d for d in shell.jobs.due(shell.now() + KEPT, 100) if d.job == job["id"]]
        quick = shell.jobs.take(Due(own, job["id"], again.at, again.seen), again.at + timedelta(seconds=1))
        assert quick is not None
        after = making.step(shell, quick)
        late = making.step(shell, slept)  # who lost its lease goes on all the same
        assert shell.jobs.save(after)
        assert not shell.jobs.save(late)
        if after.state == "done":
            break

    assert verified(tenant, tar_of(tenant, job)).code == 0


class Watched(Exports):
    """An exports bucket that remembers what was read."""

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
    plan, shell, real = json.loads(last.cursor)["plan"], long_log.shell, long_log.shell.exports
    upload = real.begin(members.key(last), "application/x-tar")
    monkeypatch.setattr(members, "PART_BYTES", 256 * 1024)
    monkeypatch.setattr(members, "UPLOADS", 100)
    whole, _ = members.upload(shell, last, plan, upload, [])
    monkeypatch.setattr(members, "UPLOADS", 8)

    tags, done, pieces = list[str](), False, 0
    while not done:
        shell.exports = watched = Watched(real)
        try:
            tags, done = members.upload(shell, last, plan, upload, tags)
        finally:
            shell.exports = real
        pieces += 1

    # A part's tag is its bytes' digest.
    assert (tags, pieces) == (whole, -(-len(whole) // 8))
    assert pieces > 3
    assert [name for name in watched.reads if name.startswith("entries-")][-1] == "entries-1"
    shell.exports = watched = Watched(real)
    try:
        again, _ = members.upload(shell, last, plan, upload, whole[:-1])
    finally:
        shell.exports = real
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
    evidence = tenant.shell.evidence
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
