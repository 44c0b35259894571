"""Detection of tampering by an adversary with rights that no one should have. Each test names the detector.

Before the seal no proof covers a row. There the roles prevent it, the stream's tripwire copies the old row, or nothing
detects it. Afterwards there is the sealer, which refuses to sign; the cell, which checks its answers; or the auditor.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from chalicelib.core import times
from chalicelib.core.log import leaf
from chalicelib.flow.sealing import seal as sealer
from tests.support.deployed import AUDIT, POLICIES, ROLES, role_arn
from tests.support.iam import FULL_ACCESS, Request, Verdict, evaluate
from tests.support.intruder import kept_copies, lie, more, sealed_cell, waiting_cell
from tests.support.logs import (
    act,
    append,
    faults,
    leaves,
    let_seal,
)
from tests.support.world import REGION

# Before the seal

CHANGES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLUpdate", "PartiQLDelete")


def test_the_roles_refuse_when_a_function_of_ours_is_told_to_change_a_row() -> None:
    verdicts = {
        evaluate(Request(role_arn(role), f"dynamodb:{action}", table, {"aws:RequestedRegion": REGION}),
                 [POLICIES[role], FULL_ACCESS])
        for role in ROLES if role != "break-glass" for action in CHANGES for table in AUDIT
    }  # fmt: skip

    assert verdicts == {Verdict.DENIED}


def test_the_tripwire_notices_when_a_row_is_deleted_before_it_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    with waiting_cell() as (w, intruder):
        gone = intruder.row(1)
        intruder.delete(gone)

        let_seal(w)

        # Nothing else can: the log is whole without it.
        assert faults(w) == (0, set()) and len(leaves(w)) == 2
        assert intruder.paged(monkeypatch) == [gone["sk"]["S"]]
        (copy,) = kept_copies(w)
        assert copy["change"] == "REMOVE"
        assert json.loads(leaf.inflate(base64.b64decode(copy["old"]["leaf"]["B"])))["id"] == gone["sk"]["S"]


def test_the_tripwire_notices_when_a_row_is_altered_before_it_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    with waiting_cell() as (w, intruder):
        row = intruder.row(0)
        intruder.put(intruder.rewrite(row, lie))

        let_seal(w)

        # In every form it is an entry: the log proves the lie from its seal on, and no seal before it.
        assert faults(w) == (0, set())
        assert intruder.paged(monkeypatch) == [row["sk"]["S"]]
        (copy,) = kept_copies(w)
        assert b"1111111" not in leaf.inflate(base64.b64decode(copy["old"]["leaf"]["B"]))


def test_the_sealer_notices_when_two_rows_are_swapped_before_they_are_sealed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with waiting_cell() as (w, intruder):
        first, other = intruder.row(0), intruder.row(1)
        intruder.put({**first, "leaf": other["leaf"]})
        intruder.put({**other, "leaf": first["leaf"]})

        let_seal(w)

        assert capsys.readouterr().out.count('"audit_broken":1') == 2
        assert len(leaves(w)) == 1 and faults(w) == (0, set())
        assert len(intruder.paged(monkeypatch)) == 2


def test_the_sealer_notices_when_a_row_is_copied_into_another_partition(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting_cell() as (w, intruder):
        row = intruder.row(0)
        elsewhere = {**row, "pk": {"S": f"{w.tenant}#000000#0"}}
        intruder.put(elsewhere)

        w.clock += timedelta(minutes=10)
        buckets = ["000000#0", row["pk"]["S"].partition("#")[2]]
        sealer.seal_log(w.runtime, w.tenant, "2026", buckets)
        let_seal(w)

        assert capsys.readouterr().out.count('"audit_broken":1') == 1
        ids = [json.loads(one)["id"] for one in leaves(w)]
        assert len(ids) == len(set(ids)) == 3 and faults(w) == (0, set())


@pytest.mark.parametrize("junk", [b"", b"not an entry", b'{"at":"2026-11-20T09:00:00.000Z"}'])
def test_the_sealer_notices_when_a_row_is_made_rubbish_before_it_is_sealed(
    junk: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with waiting_cell() as (w, intruder):
        intruder.put({**intruder.row(0), "leaf": {"B": leaf.deflate(junk)}})

        let_seal(w)

        assert '"audit_broken":1' in capsys.readouterr().out
        assert len(leaves(w)) == 2 and faults(w) == (0, set())


def test_nobody_notices_when_an_entry_is_invented_by_a_role_that_may_insert() -> None:
    with waiting_cell() as (w, _):
        append(w, act(w, 77))  # well-formed: the log proves only that an entry stays, not that it is true

        let_seal(w)

        assert faults(w) == (0, set()) and len(leaves(w)) == 4


# After the seal: the table


def test_the_log_still_proves_a_row_that_is_deleted_after_it_was_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    with sealed_cell() as (w, intruder):
        gone = intruder.row(0)
        intruder.delete(gone)

        more(w)

        assert gone["sk"]["S"] in {json.loads(one)["id"] for one in leaves(w)}
        assert faults(w) == (0, set())
        assert intruder.paged(monkeypatch) == [gone["sk"]["S"]]


def test_the_log_still_proves_the_first_form_when_a_row_is_altered_after_it_was_sealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with sealed_cell() as (w, intruder):
        row = intruder.row(0)
        intruder.put(intruder.rewrite(row, lie))
        w.seal_requests.again()

        more(w)

        assert all(b"key_" + b"1" * 26 not in one for one in leaves(w))
        assert faults(w) == (0, set())
        assert intruder.paged(monkeypatch) == [row["sk"]["S"]]


def test_the_auditor_notices_when_a_sealed_row_gets_another_time_and_is_sealed_again() -> None:
    with sealed_cell() as (w, intruder):
        row = intruder.row(0)
        intruder.put(intruder.rewrite(row, lambda e: e.update(at=times.text(w.clock))))
        bucket = row["pk"]["S"].partition("#")[2]
        w.clock += timedelta(minutes=1)

        sealer.seal_log(w.runtime, w.tenant, "2026", [bucket])

        code, found = faults(w)
        assert (code, found) == (1, {"twice"})
