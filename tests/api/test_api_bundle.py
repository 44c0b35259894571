"""Evidence bundles over the API: asked for, made, fetched, and verified as an outsider would."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.core.log import note
from chalicelib.core.verify import bundle
from tests.support.api_cell import Api
from tests.support.sealed import FULL, ask, content, entries, flow, made, sealed, tar_of, told, verified, worked

# Its content


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
    bucket = tenant.runtime.settings.evidence_bucket
    s3 = tenant.runtime.clients.get("s3")
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
