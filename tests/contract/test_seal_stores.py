"""Seals, the evidence bucket, the notice queue and the signer keep their contracts on every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chalicelib.core.errors import AuditBroken, AuditUnavailable, Misconfigured, WrongRegion
from chalicelib.core.log import merkle
from chalicelib.core.log.seal import Seal
from chalicelib.store.evidence import EvidenceBucket
from chalicelib.store.items import write
from chalicelib.store.seal_requests import SealRequest, SealRequestQueue
from chalicelib.store.seals import Seals
from chalicelib.store.signer import KmsSigner, from_file
from tests.support.engines import Engine
from tests.support.stores import new_id

NOTE = "text/plain"


def seals_of(engine: Engine) -> Seals:
    engine.create_audit_table("2026")
    return Seals(
        engine.client("dynamodb"), lambda log: f"{engine.prefix}-audit-{log}", engine.region, engine.insert_mode
    )


def seal(first: int, count: int, batch: str = "a") -> Seal:
    tree = merkle.CompactRange().extended(merkle.leaf_hash(bytes([n])) for n in range(first + count))
    hashes = tuple(h.hex() for h in tree.hashes)
    at = "2026-11-22T10:00:00.000Z"
    return Seal(first, count, tree.root().hex(), hashes, f"batches/{first}-{batch}", at, at, at, "00" * 32)


@pytest.fixture
def evidence(engine: Engine) -> EvidenceBucket:
    s3, name = engine.client("s3"), f"{engine.prefix}-evidence"
    s3.create_bucket(
        Bucket=name,
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": engine.region},
    )
    return EvidenceBucket(lambda: s3, name, engine.region)


# Seals


def test_a_seal_is_read_as_it_was_inserted(engine: Engine) -> None:
    seals, tenant = seals_of(engine), new_id("tnt")
    made = [seal(0, 3), seal(3, 2), seal(5, 8)]

    assert all(seals.insert(tenant, "2026", one) for one in made)

    assert list(seals.after(tenant, "2026", 0)) == made
    assert list(seals.after(tenant, "2026", 3, limit=1)) == made[1:2]
    assert (seals.last(tenant, "2026"), seals.get(tenant, "2026", 3), seals.get(tenant, "2026", 4)) == (
        made[2], made[1], None,
    )  # fmt: skip
    assert [seals.holding(tenant, "2026", n) for n in (0, 2, 3, 12, 99)] == [made[n] for n in (0, 0, 1, 2, 2)]


def test_the_first_one_stays_when_two_seals_begin_at_one_index(engine: Engine) -> None:
    seals, tenant = seals_of(engine), new_id("tnt")

    outcomes = [seals.insert(tenant, "2026", one) for one in (seal(0, 3), seal(0, 4, "b"), seal(0, 3))]

    assert outcomes == [True, False, False]
    assert seals.last(tenant, "2026") == seal(0, 3)


def test_there_is_no_seal_when_log_or_tenant_have_none(engine: Engine) -> None:
    seals, tenant = seals_of(engine), new_id("tnt")
    seals.insert(tenant, "2026", seal(0, 3))

    assert seals.last(new_id("tnt"), "2026") is None
    assert seals.last(tenant, "1999") is None


def test_many_seals_come_in_order_when_they_take_several_pages(engine: Engine) -> None:
    seals, tenant = seals_of(engine), new_id("tnt")
    for first in range(103):
        seals.insert(tenant, "2026", seal(first, 1))

    assert [one.first for one in seals.after(tenant, "2026", 0)] == list(range(103))


@pytest.mark.parametrize("text", ["", "{}", "null", '{"first": 1}'])
def test_broken_is_said_when_a_row_is_no_seal(engine: Engine, text: str) -> None:
    seals, tenant = seals_of(engine), new_id("tnt")
    row = {"pk": f"{tenant}#seal#2026", "sk": "000000000000", "seal": text, "region": engine.region}
    engine.client("dynamodb").put_item(TableName=f"{engine.prefix}-audit-2026", Item=write(row))

    with pytest.raises(AuditBroken):
        seals.last(tenant, "2026")


def test_broken_is_said_when_a_seal_stands_at_anothers_place(engine: Engine) -> None:
    seals, tenant = seals_of(engine), new_id("tnt")
    seals.insert(tenant, "2026", seal(0, 3))
    client, table = engine.client("dynamodb"), f"{engine.prefix}-audit-2026"
    row = client.scan(TableName=table)["Items"][0]
    client.put_item(TableName=table, Item={**row, "sk": {"S": "000000000007"}})

    with pytest.raises(AuditBroken):
        seals.last(tenant, "2026")


# The bucket


def test_an_object_is_read_as_it_was_put(evidence: EvidenceBucket) -> None:
    assert evidence.put("logs/a", b"first")

    assert (evidence.get("logs/a"), evidence.get_fixed("logs/a"), evidence.get("logs/b")) == (b"first", b"first", None)


def test_the_first_object_stays_when_it_is_put_again(engine: Engine, evidence: EvidenceBucket) -> None:
    evidence.put("logs/a", b"first")
    again = EvidenceBucket(lambda: engine.client("s3"), f"{engine.prefix}-evidence", engine.region)

    assert not again.put("logs/a", b"first")
    another = EvidenceBucket(lambda: engine.client("s3"), f"{engine.prefix}-evidence", engine.region)
    with pytest.raises(AuditBroken):
        another.put("logs/a", b"another")

    assert evidence.get("logs/a") == b"first"


def test_the_newest_checkpoint_is_replaced_only_by_who_has_seen_what_is_there(evidence: EvidenceBucket) -> None:
    nothing = evidence.get_version("checkpoint")
    first = evidence.replace("checkpoint", b"1", NOTE, None)
    too_late = evidence.replace("checkpoint", b"2", NOTE, None)
    _, version = evidence.get_version("checkpoint")

    second = evidence.replace("checkpoint", b"3", NOTE, version)
    stale = evidence.replace("checkpoint", b"4", NOTE, version)

    assert nothing == (None, None)
    assert (first, too_late, second, stale) == (True, False, True, False)
    assert evidence.get("checkpoint") == b"3"


def test_an_object_cannot_be_deleted_when_it_is_locked(engine: Engine, evidence: EvidenceBucket) -> None:
    s3, name = engine.client("s3"), f"{engine.prefix}-evidence"
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 7}}
    s3.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    evidence.put("logs/a", b"first")
    version = s3.head_object(Bucket=name, Key="logs/a")["VersionId"]

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=name, Key="logs/a", VersionId=version)

    assert evidence.get("logs/a") == b"first"


def test_no_client_of_another_region_is_used() -> None:
    class Elsewhere:
        class meta:
            region_name = "us-east-1"

    with pytest.raises(WrongRegion):
        EvidenceBucket(Elsewhere, "any", "eu-central-1").get("logs/a")
    with pytest.raises(WrongRegion):
        Seals(Elsewhere(), str, "eu-central-1", "put")


# Notices


def queue(engine: Engine) -> SealRequestQueue:
    sqs = engine.client("sqs")
    sqs.create_queue(QueueName=f"{engine.prefix}-seal-requests")
    return SealRequestQueue(sqs, f"{engine.prefix}-seal-requests")


def drained(notices: SealRequestQueue, hidden_s: int = 60) -> list[Any]:
    found: list[Any] = []
    empty = 0
    while empty < 3:
        got = notices.receive(hidden_s)
        empty = 0 if got else empty + 1
        found += got
    return found


def test_a_notice_comes_back_until_it_is_removed(engine: Engine) -> None:
    notices = queue(engine)
    sent = [SealRequest(new_id("tnt"), "2026", ("0abcde#1", "0abcde#2"), 7) for _ in range(23)]
    notices.send(sent)

    first = drained(notices)
    hidden = drained(notices)
    notices.give_back([one.receipt for one in first])
    second = drained(notices)
    notices.remove([one.receipt for one in second])

    key = lambda n: n.tenant  # noqa: E731
    assert sorted((one.notice for one in first), key=key) == sorted(sent, key=key)
    assert (hidden, len(second), drained(notices)) == ([], 23, [])
    assert all(datetime.now(UTC) - one.sent_at < timedelta(minutes=5) for one in first)


def test_a_notice_of_many_buckets_is_split_and_counted_once(engine: Engine) -> None:
    notices = queue(engine)
    buckets = tuple(f"{n:06d}#0" for n in range(1_201))

    notices.send([SealRequest("tnt_a", "2026", buckets, 5)])

    found = [one.notice for one in drained(notices)]
    assert len(found) == 3
    assert sorted(b for n in found for b in n.buckets) == list(buckets)
    assert sum(n.count for n in found) == 5


@pytest.mark.parametrize("body", ["", "[]", "nonsense", '{"v":1}'])
def test_a_message_that_is_no_notice_is_an_empty_one(engine: Engine, body: str) -> None:
    notices = queue(engine)
    engine.client("sqs").send_message(QueueUrl=notices.url, MessageBody=body or " ")

    (one,) = drained(notices)

    assert one.notice == SealRequest("", "", (), 0)


# The signer


def test_kms_signs_as_ed25519_itself_does(engine: Engine) -> None:
    if engine.name != "ministack":
        pytest.skip(f"{engine.name} has no Ed25519 keys")
    kms = engine.client("kms")
    made = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signer = KmsSigner(lambda: kms, made)

    one, other = signer.sign(b"text\n"), signer.sign(b"text\n")

    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(one, b"text\n")
    assert one == other and len(one) == 64


def test_unavailable_is_said_when_kms_refuses(engine: Engine) -> None:
    kms = engine.client("kms")

    with pytest.raises(AuditUnavailable):
        KmsSigner(lambda: kms, "alias/there-is-none").sign(b"text\n")


@pytest.mark.parametrize(("mode", "text"), [(0o644, "11" * 32), (0o600, "11" * 31), (0o600, "no seed")])
def test_a_seed_is_refused_when_others_may_read_it_or_it_is_none(tmp_path: Any, mode: int, text: str) -> None:
    path = tmp_path / "seed"
    path.write_text(text)
    path.chmod(mode)

    with pytest.raises(Misconfigured):
        from_file(path)
    with pytest.raises(Misconfigured):
        from_file(tmp_path / "none")
