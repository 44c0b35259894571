"""Detection of tampering with a log's seals and with its published tree. Each test names the detector.

After the seal there is the sealer, which refuses to sign; the cell, which checks its answers; or the auditor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import law as laws
from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import leaf, merkle, note, seal, tiles
from chalicelib.core.log.seal import EntryRow
from chalicelib.core.verify.stages import VerifierInput, verify
from chalicelib.flow.sealing import seal as sealer
from chalicelib.flow.sealing.publish import publish, sealed_log
from chalicelib.store import signer
from tests.support.intruder import TABLE, Intruder, more, sealed_cell
from tests.support.logs import (
    BUCKET,
    act,
    append,
    assert_whole,
    faults,
    key,
    leaves,
    let_seal,
    of_log,
    sizes,
    tar,
)
from tests.support.world import World, world

# After the seal: seals


def test_the_sealer_refuses_when_the_last_seal_is_deleted() -> None:
    with sealed_cell() as (w, intruder):
        before = of_log(w)
        intruder.delete(intruder.seal_row(-1))

        append(w, act(w, 900, at=w.clock - timedelta(minutes=16)))  # it sorts before entries that were sealed then
        w.seal_requests.again()
        w.clock += timedelta(minutes=10)
        buckets = sorted({r["pk"]["S"].partition("#")[2] for r in w.rows("audit-2026") if "leaf" in r})
        with pytest.raises(AuditBroken):
            sealer.seal_log(w.runtime, w.tenant, "2026", buckets)

        after = of_log(w)
        assert sizes(after) == sizes(before)
        assert after["checkpoint"] == before["checkpoint"]


@pytest.mark.parametrize(
    ("field", "refused"),
    [("root", True), ("range", True), ("count", True), ("prev_root", False), ("min_at", False), ("horizon", False)],
)
def test_the_sealer_refuses_when_the_last_seal_says_another_tree(
    field: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sealed_cell() as (w, intruder):
        before = of_log(w)
        row = intruder.seal_row(-1)
        document = json.loads(row["seal"]["S"])
        changed = {
            "root": "00" * 32, "range": ["00" * 32] * len(document["range"]), "count": document["count"] + 1,
            "prev_root": "00" * 32, "min_at": "2026-01-01T00:00:00.000Z", "horizon": "2026-01-01T00:00:00.000Z",
        }  # fmt: skip
        intruder.put({**row, "seal": {"S": json.dumps(document | {field: changed[field]})}})

        more(w)

        after = of_log(w)
        assert sizes(after) == ([3, 6] if refused else [3, 6, 7])
        assert {n: after[n] for n in before if n != "checkpoint"} == {n: before[n] for n in before if n != "checkpoint"}
        assert faults(w) == (0, set()) or refused  # an object that no root rests on is harmless to the proofs
        assert intruder.paged(monkeypatch) == [row["sk"]["S"]]


def test_the_sealer_refuses_when_it_is_fed_another_prefix() -> None:
    with sealed_cell() as (w, intruder):
        before, told = of_log(w), len(w.signed)
        rows = [EntryRow(e["at"], e["id"], leaf.canonical(e)) for e in (json.loads(one) for one in leaves(w))]
        for _ in (0, 1):
            intruder.delete(intruder.seal_row(0))
        forged, data = seal.integrate(None, rows[1:], w.clock)
        next_one, next_data = seal.integrate(forged, rows[:1], w.clock)
        for one, content in ((forged, data), (next_one, next_data)):
            intruder.replace(one.batch, content)
            assert w.runtime.seals.insert(w.tenant, "2026", one)

        with pytest.raises(AuditBroken):
            publish(w.runtime, sealed_log(w.runtime, w.tenant, "2026"), next_one)
        with pytest.raises(AuditBroken):
            publish(w.runtime, sealed_log(w.runtime, w.tenant, "2026"), forged)
        more(w)

        assert w.signed[told:] == []
        assert sizes(of_log(w)) == sizes(before) and of_log(w)["checkpoint"] == before["checkpoint"]


# After the seal: the bucket


@pytest.mark.parametrize("place", [0, -1])
def test_the_cell_and_the_auditor_notice_when_a_batch_is_replaced(place: int) -> None:
    with sealed_cell() as (w, intruder):
        one = list(w.runtime.seals.after(w.tenant, "2026", 0))[place]
        data = of_log(w)[one.batch]
        forged = tiles.bundle([leaf.canonical({**json.loads(x), "reason": "retention"}) for x in tiles.unbundle(data)])
        intruder.replace(one.batch, forged)

        with pytest.raises(AuditBroken):
            list(sealed_log(w.runtime, w.tenant, "2026").leaves(0, 6))

        code, found = faults(w)
        assert code == 1 and "root" in found


def test_the_sealer_refuses_when_a_tile_stands_in_its_place_already() -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(256)))
        Intruder(w).replace("tile/0/000", b"\0" * 32 * 256)

        let_seal(w)

        assert sizes(of_log(w)) == [] and w.signed == []


def test_the_sealer_refuses_when_a_checkpoint_of_another_key_is_put_in_the_newest_ones_place(tmp_path: Any) -> None:
    with sealed_cell() as (w, intruder):
        path = tmp_path / "other"
        path.touch(0o600)
        path.write_text("11" * 32)
        forged = _checkpoint(w, signer.from_file(path), 6, b"\1" * 32)
        intruder.replace("checkpoint", forged)

        more(w)

        assert sizes(of_log(w)) == [3, 6]
        # An auditor who pinned the log's key does not know the other key.
        assert faults(w)[0] == 1 and "unsigned" in faults(w)[1]


def test_the_auditor_notices_when_a_forked_tree_is_signed_with_the_logs_own_key() -> None:
    with sealed_cell() as (w, intruder):
        mine = tar(w)  # the auditor's own copy
        seen = of_log(w)["checkpoint"]
        rows = [EntryRow(e["at"], e["id"], leaf.canonical(e)) for e in (json.loads(one) for one in leaves(w))]
        assert verify(mine, VerifierInput(w.clock, laws.bulk(), vkeys=(key(w),))).code == 0
        for _ in range(2):
            intruder.delete(intruder.seal_row(0))
        fork, data = seal.integrate(None, rows[1:], w.clock)
        intruder.replace(fork.batch, data)
        assert w.runtime.seals.insert(w.tenant, "2026", fork)
        # An adversary with the key as well can sign anything.
        signed = _checkpoint(w, w.runtime.signer, fork.size, bytes.fromhex(fork.root))
        for name in ("checkpoint", f"checkpoints/{fork.size}"):
            intruder.replace(name, signed)
        for old in (3, 6):
            intruder.s3.delete_object(Bucket=BUCKET, Key=f"logs/{w.tenant}/2026/checkpoints/{old}")

        alone = verify(tar(w), VerifierInput(w.clock, laws.bulk(), vkeys=(key(w),)))
        compared = verify(tar(w), VerifierInput(w.clock, laws.bulk(), vkeys=(key(w),), seen=_seen(seen)))

        assert alone.code == 0  # alone, a fork is a log like any other
        assert (compared.code, {f.name for f in compared.faults}) == (2, {"seen_ahead"})


def test_the_auditor_notices_when_an_old_checkpoint_is_served() -> None:
    with sealed_cell() as (w, intruder):
        seen = _seen(of_log(w)["checkpoint"])
        intruder.replace("checkpoint", of_log(w)["checkpoints/3"])

        report = verify(_cut(w, 3), VerifierInput(w.clock, laws.bulk(), vkeys=(key(w),), seen=seen))

        assert report.code == 2 and {f.name for f in report.faults} == {"seen_ahead"}


def test_it_is_harmless_when_an_old_checkpoint_is_in_the_newest_ones_place() -> None:
    with sealed_cell() as (w, intruder):
        intruder.replace("checkpoint", of_log(w)["checkpoints/3"])

        more(w)

        assert_whole(w)  # the sealer continues from its seals and their own checkpoints


@pytest.mark.parametrize("name", ["checkpoints/6", "checkpoint"])
def test_the_sealer_goes_on_or_refuses_when_a_checkpoint_is_gone(name: str) -> None:
    with sealed_cell() as (w, intruder):
        intruder.s3.delete_object(Bucket=BUCKET, Key=f"logs/{w.tenant}/2026/{name}")

        more(w)

        if name == "checkpoint":
            assert_whole(w)
        else:
            assert sizes(of_log(w)) == [3]  # it stops: the signed objects can no longer be read


def test_the_bucket_alone_is_the_log_when_a_closed_years_table_is_dropped() -> None:
    """Harmless for sealed entries: batches and signed checkpoints fix the log's entries and their order."""
    with sealed_cell() as (w, intruder):
        told = leaves(w)
        orphan = tiles.bundle([leaf.leaf(act(w, 99))])  # left by a sealer that died before it committed
        intruder.replace("batches/3-" + "0" * 64, orphan)

        intruder.db.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
        intruder.db.delete_table(TableName=TABLE)
        w.restart()

        found, tree, recovered = of_log(w), merkle.CompactRange(), list[bytes]()
        for size in sizes(found):
            signed, checkpoint = _seen(found[f"checkpoints/{size}"])
            assert signed.check([key(w)])
            (batch,) = (
                batch
                for name, data in found.items()
                if name.startswith(f"batches/{tree.size}-")
                and tree.extended(map(merkle.leaf_hash, batch := tiles.unbundle(data))).root() == checkpoint.root
            )
            tree = tree.extended(map(merkle.leaf_hash, batch))
            recovered += batch
        assert recovered == told
        entry = json.loads(told[0])
        assert w.runtime.audit.get(w.tenant, entry["id"], "2026") is None
        assert w.runtime.seals.last(w.tenant, "2026") is None


def _checkpoint(w: World, by: Any, size: int, root: bytes) -> bytes:
    origin = w.runtime.origin(w.tenant, "2026")
    text = note.Checkpoint(origin, size, root).text
    return str(note.sign_note(text, [note.RemoteSigner(origin, by.public_key, by.sign)])).encode()


def _seen(text: bytes) -> tuple[note.Note, note.Checkpoint]:
    signed = note.parse_note(text)
    return signed, note.parse_checkpoint(signed.text)


def _cut(w: World, size: int) -> bytes:
    """A bundle of the log as it was at an earlier size."""
    seals: Callable[..., Any] = w.runtime.seals.after

    def earlier(tenant: str, year: str, first: int) -> Any:
        return (one for one in seals(tenant, year, first) if one.first < size)

    w.runtime.seals.after = earlier  # type: ignore[method-assign,assignment]
    try:
        return tar(w)
    finally:
        w.runtime.seals.after = seals  # type: ignore[method-assign]
