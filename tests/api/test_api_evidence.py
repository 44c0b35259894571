"""Checkpoints, keys and proofs over the API: an outsider can check them with nothing but a verifier key."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.log import leaf, merkle, note, proofs
from tests.support.api_cell import Api
from tests.support.sealing import seal_due


def entries(api: Api) -> list[dict[str, Any]]:
    return list(api.call("GET", "/v1/audit/entries?limit=250").json["data"])


def sealed(api: Api) -> None:
    """Advance the time until waiting entries are sealed."""
    api.clock.at += timedelta(minutes=10)
    seal_due(api.runtime)


def more(api: Api) -> None:
    """Do something that the log records."""
    body = {"kind": "instruction", "valid_from": "2026-01-01", "valid_until": None, "evidence": "sha256:" + "ab" * 32}
    assert api.call("POST", "/v1/bases", body).status == 201


def key_of(api: Api) -> note.VerifierKey:
    return note.parse_vkey(api.call("GET", "/v1/audit/keys").json["data"][0]["vkey"])


def checkpoint(text: str, key: note.VerifierKey) -> note.Checkpoint:
    signed = note.parse_note(text.encode())
    assert signed.check([key]) == {key}
    return note.parse_checkpoint(signed.text)


def test_entries_get_their_index_when_they_are_sealed(tenant: Api) -> None:
    more(tenant)
    before = entries(tenant)

    sealed(tenant)

    assert [one["index"] for one in before] == [None] * len(before)
    after = entries(tenant)
    assert [one["index"] for one in after] == list(range(len(after)))
    assert tenant.call("GET", f"/v1/audit/entries/{after[-1]['entry']['id']}").json["index"] == len(after) - 1


def test_an_entry_is_proved_by_the_key_alone_when_it_is_sealed(tenant: Api) -> None:
    more(tenant)
    sealed(tenant)
    key = key_of(tenant)

    for one in entries(tenant):
        answer = tenant.call("GET", f"/v1/audit/entries/{one['entry']['id']}/proof")

        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        proof = proofs.parse_inclusion(answer.text.encode())
        signed = checkpoint(str(proof.checkpoint), key)
        hashed = merkle.leaf_hash(leaf.leaf(one["entry"]))
        merkle.verify_inclusion(one["index"], signed.size, hashed, proof.hashes, signed.root)
        assert proof.index == one["index"]


def test_growth_is_proved_when_the_log_has_grown(tenant: Api) -> None:
    more(tenant)
    sealed(tenant)
    key = key_of(tenant)
    old = checkpoint(tenant.call("GET", "/v1/audit/checkpoint").text, key)
    for _ in range(3):
        more(tenant)
    sealed(tenant)

    answer = tenant.call("GET", f"/v1/audit/consistency?from={old.size}")

    proof = proofs.parse_consistency(answer.text.encode())
    new = checkpoint(str(proof.checkpoint), key)
    assert new.size == old.size + 3
    merkle.verify_consistency(old.size, new.size, old.root, new.root, proof.hashes)


def test_an_earlier_size_is_proved_when_its_checkpoint_was_published(tenant: Api) -> None:
    more(tenant)
    sealed(tenant)
    key = key_of(tenant)
    old = checkpoint(tenant.call("GET", "/v1/audit/checkpoint").text, key)
    first = entries(tenant)[0]["entry"]["id"]
    more(tenant)
    sealed(tenant)
    newest = entries(tenant)[-1]["entry"]["id"]

    earlier = tenant.call("GET", f"/v1/audit/entries/{first}/proof?size={old.size}")
    too_new = tenant.call("GET", f"/v1/audit/entries/{newest}/proof?size={old.size}")

    assert checkpoint(str(proofs.parse_inclusion(earlier.text.encode()).checkpoint), key) == old
    assert (too_new.status, too_new.json["code"]) == (409, "not_sealed")


def test_what_is_not_sealed_is_said_when_a_proof_is_asked_for(tenant: Api) -> None:
    more(tenant)
    waiting = entries(tenant)[0]["entry"]["id"]

    proof = tenant.call("GET", f"/v1/audit/entries/{waiting}/proof")
    none = tenant.call("GET", "/v1/audit/checkpoint")

    assert (proof.status, proof.json["code"], proof.headers["Retry-After"]) == (409, "not_sealed", "60")
    assert (none.status, none.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/audit/consistency", 422),
        ("/v1/audit/consistency?from=0", 422),
        ("/v1/audit/consistency?from=x", 422),
        ("/v1/audit/consistency?from=1&from=2", 422),
        ("/v1/audit/consistency?from=99999", 422),
        ("/v1/audit/consistency?from=1&log=20x6", 422),
        ("/v1/audit/consistency?from=1&log=2019", 404),
        ("/v1/audit/checkpoint?log=2019", 404),
        ("/v1/audit/checkpoint?size=1", 422),
        ("/v1/audit/entries/ent_00000000000000000000000000/proof", 404),
        ("/v1/audit/entries/nonsense/proof", 404),
    ],
)
def test_a_clear_refusal_is_given_when_the_question_is_wrong(tenant: Api, path: str, status: int) -> None:
    more(tenant)
    sealed(tenant)

    answer = tenant.call("GET", path)

    assert answer.status == status, answer.text


def test_nothing_of_another_tenant_is_proved_when_its_entry_is_known(tenant: Api) -> None:
    more(tenant)
    sealed(tenant)
    theirs = entries(tenant)[0]["entry"]["id"]
    other = tenant.new_tenant()

    answer = other.call("GET", f"/v1/audit/entries/{theirs}/proof")

    assert answer.status == 404
    assert key_of(other).name != key_of(tenant).name


def test_a_key_without_the_scope_is_refused_when_it_asks(tenant: Api) -> None:
    key = tenant.call("POST", "/v1/keys", {"name": "reader", "scopes": ["read"]}).json["secret"]

    statuses = [
        tenant.call("GET", f"/v1/audit/{name}", key=key).status for name in ("checkpoint", "keys", "consistency?from=1")
    ]

    assert statuses == [403, 403, 403]


def test_the_configuration_of_a_decision_is_published_when_it_changes(tenant: Api) -> None:
    more(tenant)

    (after,) = {e["entry"]["after"] for e in entries(tenant) if (e["entry"]["object"] or {}).get("kind") == "basis"}

    kept = tenant.runtime.evidence.get(f"configs/{tenant.made['tenant']}/{after}.json")
    assert kept is not None and hashlib.sha256(kept).hexdigest() == after
