"""Seal: give new entries their place in their tenant's log, publish them, and sign the log's checkpoint.

For one log: 1 publish the last seal, if a crash left it unpublished → 2 read the dirty buckets → 3 sort, extend the tree →
4 write the batch, **commit** by inserting the seal → 5 full tiles and entry bundles → 6 sign, write ``checkpoints/{size}`` →
7 put ``checkpoint``. Each step can be repeated; before 4's commit a crash leaves an orphan batch, after it the next run
finishes. Of two concurrent sealers one inserts the seal, and the other starts again.

A state that contradicts an earlier signature is not signed: a log that stops and raises an alarm is better than a fork.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from ...core import times
from ...core.errors import AuditBroken, AuditUnavailable, NotFound
from ...core.log import audit, merkle, note, seal, tiles
from ...core.log.seal import EntryRow, Seal
from ...observe import count, error, measure
from ...runtime import Runtime
from ...store.log import SealedLog
from ...store.seal_requests import ReceivedSealRequest

ENTRIES = 256
"""So many waiting entries are sealed at once, however young."""
LAG = timedelta(seconds=5)
"""Younger entries are left for the next seal: another writer's clock may be a little behind."""
UNTIL_S = 45
HIDDEN_S = 60
EMPTY = 3
"""SQS short polling samples servers; only this many empty answers in a row mean that the queue is empty."""
TRIES = 8
NOTE_TYPE = "text/plain; charset=utf-8"


def handle(runtime: Runtime) -> int:
    """Seal every log that is due. Return how many were sealed."""
    started = runtime.monotonic()
    waiting: dict[tuple[str, str], list[ReceivedSealRequest]] = {}
    empty = 0
    while empty < EMPTY and runtime.monotonic() - started < UNTIL_S / 2:
        received = runtime.seal_requests.receive(HIDDEN_S)
        empty = 0 if received else empty + 1
        for one in received:
            waiting.setdefault((one.notice.tenant, one.notice.log), []).append(one)
    if waiting:
        first = min(one.sent_at for notices in waiting.values() for one in notices)
        measure("seal_lag_s", (runtime.now() - first).total_seconds())
    sealed, done, back = 0, list[str](), list[str]()
    for (tenant, log), notices in waiting.items():
        receipts = [one.receipt for one in notices]
        late = runtime.monotonic() - started > UNTIL_S
        try:
            if tenant and (late or not due(runtime, tenant, notices)):
                back += receipts
                continue
            buckets = sorted({bucket for one in notices for bucket in one.notice.buckets})
            (done if not tenant or seal_log(runtime, tenant, log, buckets) else back).extend(receipts)
            sealed += 1
        except Exception as fault:  # noqa: BLE001  (one log's fault is not another's; its notices come back by themselves)
            error("seal_failed", fault, tenant=tenant, log=log)
            count("audit_broken" if isinstance(fault, AuditBroken) else "seals_failed")
    runtime.seal_requests.remove(done)
    runtime.seal_requests.give_back(back)
    if sealed:
        count("logs_sealed", sealed)
    return sealed


def due(runtime: Runtime, tenant: str, notices: Sequence[ReceivedSealRequest]) -> bool:
    """Say whether a log's waiting entries are many enough, or have waited long enough."""
    if sum(one.notice.count for one in notices) >= ENTRIES:
        return True
    try:
        minutes = runtime.config.tenant(tenant).record.seal_minutes
    except NotFound:
        minutes = None  # erased; its log is sealed all the same
    return min(one.sent_at for one in notices) + interval(runtime, minutes) <= runtime.now()


def interval(runtime: Runtime, minutes: int | None) -> timedelta:
    """Return how long an entry waits at most, where its tenant says so many minutes or nothing."""
    return timedelta(minutes=minutes) if minutes is not None else timedelta(seconds=runtime.settings.seal_s)


def seal_log(
    runtime: Runtime, tenant: str, log: str, buckets: Iterable[str], batch_entries: int = seal.BATCH_ENTRIES
) -> bool:
    """Seal the entries of some buckets. Return False if entries are left that were too young.

    Args:
        batch_entries: at most so many in one seal.

    Raises:
        AuditBroken: the stored data contradict themselves; nothing is signed.
        AuditUnavailable: try again later.
    """
    one = sealed_log(runtime, tenant, log)
    buckets = list(buckets)
    for _ in range(TRIES):
        last = one.last()
        if last is not None:
            publish(runtime, one, last)  # 1
        horizon = runtime.now() - LAG
        rows, young = _unsealed(runtime, one, last, buckets, horizon)  # 2
        while rows:
            made, data = seal.integrate(last, rows[:batch_entries], horizon)  # 3
            runtime.evidence.put(one.prefix + made.batch, data)  # 4
            if not one.seals.insert(tenant, log, made):
                break  # another sealer was first: its seal is not known here
            publish(runtime, one, made)
            count("entries_sealed", made.count)
            last, rows = made, rows[batch_entries:]
        else:
            return not young
    raise AuditUnavailable("other sealers keep being faster; the next run goes on")


def sealed_log(runtime: Runtime, tenant: str, log: str) -> SealedLog:
    """Return a tenant's log."""
    return SealedLog(runtime.seals, runtime.evidence, tenant, log, runtime.threads)


def _unsealed(
    runtime: Runtime, one: SealedLog, last: Seal | None, buckets: Iterable[str], horizon: datetime
) -> tuple[list[EntryRow], bool]:
    """Read the entries of buckets that no seal holds, in the order of the log, and whether younger ones were left."""
    limit = times.text(horizon) if last is None else max(times.text(horizon), last.horizon)
    rows, young = [], False
    for bucket in buckets:
        for entry_id, leaf in runtime.audit.bucket(one.tenant, one.log, bucket):
            try:
                if audit.partition_of(one.tenant, entry_id) != f"{one.tenant}#{bucket}":
                    raise AuditBroken("an audit row is in another partition than its own")
                row = seal.row(entry_id, one.tenant, one.log, leaf)
            except AuditBroken as fault:
                error("audit_row_broken", fault, tenant=one.tenant, log=one.log, entry=entry_id)
                count("audit_broken")
                continue  # no proof will cover it: reconcile names it in every run
            if row.at > limit:
                young = True
            else:
                rows.append(row)
    known = one.indexes({row.id: row.at for row in rows}, last)
    return sorted(row for row in rows if row.id not in known), young


# Publishing


def publish(runtime: Runtime, one: SealedLog, made: Seal) -> None:
    """Publish a seal: 5 the files its decisions rest on, newly full tiles and bundles, 6 the signed checkpoint, 7 ``checkpoint``.

    Raises:
        AuditBroken: the seal does not follow from the last signed one; it is not signed.
    """
    if runtime.published.get((one.tenant, one.log), -1) >= made.size:
        return
    name = f"{one.prefix}checkpoint"
    text, version = runtime.evidence.get_version(name)
    newest = opened(runtime, one, text) if text is not None else None
    if newest is None or newest.size < made.size:
        _publish_law(runtime, one, made)
        _publish_tiles(runtime, one, made)
        text = _sign(runtime, one, made, newest)
        runtime.evidence.put(f"{one.prefix}checkpoints/{made.size}", text, NOTE_TYPE)
        if not runtime.evidence.replace(name, text, NOTE_TYPE, version):
            # Another sealer works on this log. The object it wrote there may be older or newer: look again.
            publish(runtime, one, made)
    elif _signed(runtime, one, made.size) != bytes.fromhex(made.root):
        raise AuditBroken("another tree of this size was signed")
    if len(runtime.published) > 10_000:
        runtime.published.clear()
    runtime.published[one.tenant, one.log] = made.size


def _publish_tiles(runtime: Runtime, one: SealedLog, made: Seal) -> None:
    first, end = made.first // tiles.WIDTH, made.size // tiles.WIDTH
    leaves = one.leaves(first * tiles.WIDTH, end * tiles.WIDTH)  # read in one go: a batch may be too large to be kept
    for tile in tiles.full_tiles(made.first, made.size):
        if tile.level == 0:
            entries = list(islice(leaves, tiles.WIDTH))
            runtime.evidence.put(one.prefix + tiles.entries_path(tile.index), tiles.bundle(entries))
            data = b"".join(map(merkle.leaf_hash, entries))
        else:
            data = one.tile(tile)
        runtime.evidence.put(one.prefix + tile.path, data)


def _sign(runtime: Runtime, one: SealedLog, made: Seal, newest: note.Checkpoint | None) -> bytes:
    """Sign the checkpoint of a seal, after reading the seal itself and checking that it continues the signed log.

    Args:
        newest: the object stored as the newest checkpoint.
    """
    if one.seals.get(one.tenant, one.log, made.first) != made:
        raise AuditBroken("a seal is not the one that was inserted")
    before = None
    if made.first:
        before = one.seals.holding(one.tenant, one.log, made.first - 1)
        if before is None or before.size != made.first:
            raise AuditBroken("a seal of the log is missing")
        if newest is None or newest.size < made.first:
            # A crash came before the last seal was published, and this one was made by a sealer that did not see it.
            runtime.published.pop((one.tenant, one.log), None)
            publish(runtime, one, before)
        if _signed(runtime, one, made.first) != bytes.fromhex(made.prev_root):
            raise AuditBroken("a seal continues another tree than the one that was signed")
    if newest is not None and newest.size > made.first:
        raise AuditBroken("the log was signed beyond the seal before this one")
    seal.check(before, made, one.fixed(made.batch))
    checkpoint = note.Checkpoint(runtime.origin(one.tenant, one.log), made.size, bytes.fromhex(made.root))
    signer = note.RemoteSigner(checkpoint.origin, runtime.signer.public_key, runtime.signer.sign)
    return str(note.sign_note(checkpoint.text, [signer])).encode()


def _signed(runtime: Runtime, one: SealedLog, size: int) -> bytes:
    """Return the root that was signed for a size.

    Raises:
        AuditBroken: none was, or not by this cell.
    """
    text = runtime.evidence.get_fixed(f"{one.prefix}checkpoints/{size}")
    if text is None:
        raise AuditBroken("the checkpoint of a seal is missing")
    checkpoint = opened(runtime, one, text)
    if checkpoint.size != size:
        raise AuditBroken("a checkpoint is of another size than its name")
    return checkpoint.root


def opened(runtime: Runtime, one: SealedLog, text: bytes) -> note.Checkpoint:
    """Read a checkpoint of ours.

    Raises:
        AuditBroken: it is none, or not signed by this cell.
    """
    origin = runtime.origin(one.tenant, one.log)
    signed = note.parse_note(text)
    if not signed.check([note.VerifierKey(origin, runtime.signer.public_key)]):
        raise AuditBroken("a checkpoint is not signed by this cell")
    checkpoint = note.parse_checkpoint(signed.text)
    if checkpoint.origin != origin:
        raise AuditBroken("a checkpoint is another log's")
    return checkpoint


def _publish_law(runtime: Runtime, one: SealedLog, made: Seal) -> None:
    """Publish the law that the sealed decisions name, if it is still this cell's. Configurations are there: ``published.py``."""
    digest = runtime.law.hash.removeprefix("sha256:")
    laws, _ = seal.grounds(one.fixed(made.batch))
    if digest in laws:
        runtime.evidence.put(f"rules/{digest}.json", runtime.law.canonical, "application/json")
