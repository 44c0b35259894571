"""Seal: give new entries their place in their tenant's log, publish them, and sign the log's checkpoint.

For one log: 1 publish the last seal, if a crash left it unpublished → 2 read the dirty buckets → 3 sort, extend the tree →
4 write the batch, **commit** by inserting the seal → 5 full tiles and entry bundles → 6 sign, write ``checkpoints/{size}`` →
7 put ``checkpoint``. Each step can be run again; before 4's commit a crash leaves an orphan batch, after it the next run
finishes. Of two sealers at once one inserts the seal, and the other begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ..core import merkle, note, seal, tiles, times
from ..core.errors import AuditBroken, AuditUnavailable, NotFound, WaybillError
from ..core.seal import Row, Seal
from ..observe import count, error
from ..shell import Shell
from ..store.log import SealedLog
from ..store.notices import Received

ENTRIES = 256
"""So many waiting entries are sealed at once, however young."""
LAG = timedelta(seconds=5)
"""What is younger is left for the next seal: another writer's clock may be a little behind."""
UNTIL_S = 45
HIDDEN_S = 60
EMPTY = 3
"""A queue that answers without waiting has not looked at all of its servers: so many empty answers are believed."""
TRIES = 8
NOTE_TYPE = "text/plain; charset=utf-8"


def handle(shell: Shell) -> int:
    """Seal every log that is due. Return how many were sealed."""
    started = shell.monotonic()
    waiting: dict[tuple[str, str], list[Received]] = {}
    empty = 0
    while empty < EMPTY and shell.monotonic() - started < UNTIL_S / 2:
        received = shell.notices.receive(HIDDEN_S)
        empty = 0 if received else empty + 1
        for one in received:
            waiting.setdefault((one.notice.tenant, one.notice.log), []).append(one)
    sealed, done, back = 0, list[str](), list[str]()
    for (tenant, log), notices in waiting.items():
        receipts = [one.receipt for one in notices]
        late = shell.monotonic() - started > UNTIL_S
        try:
            if tenant and (late or not due(shell, tenant, notices)):
                back += receipts
                continue
            buckets = sorted({bucket for one in notices for bucket in one.notice.buckets})
            (done if not tenant or seal_log(shell, tenant, log, buckets) else back).extend(receipts)
            sealed += 1
        except WaybillError as fault:
            error("seal_failed", fault, tenant=tenant, log=log)  # its notices come back by themselves
    shell.notices.remove(done)
    shell.notices.give_back(back)
    if sealed:
        count("logs_sealed", sealed)
    return sealed


def due(shell: Shell, tenant: str, notices: Sequence[Received]) -> bool:
    """Say whether a log's waiting entries are many enough, or have waited long enough."""
    if sum(one.notice.count for one in notices) >= ENTRIES:
        return True
    interval = timedelta(seconds=shell.settings.seal_s)
    try:
        minutes = shell.config.tenant(tenant).record.seal_minutes
    except NotFound:
        minutes = None  # erased; its log is sealed all the same
    if minutes is not None:
        interval = timedelta(minutes=minutes)
    # The clock that calls this runs once a minute: what is due before its next run is due now.
    return min(one.sent_at for one in notices) + interval <= shell.now()


def seal_log(shell: Shell, tenant: str, log: str, buckets: Iterable[str]) -> bool:
    """Seal what some buckets hold. Return False if entries are left that were too young.

    Raises:
        AuditBroken: what is stored contradicts itself; nothing is signed.
        AuditUnavailable: to be tried again.
    """
    one = sealed_log(shell, tenant, log)
    buckets = list(buckets)
    for _ in range(TRIES):
        last = one.last()
        if last is not None:
            publish(shell, one, last)  # 1
        horizon = shell.now() - LAG
        rows, young = _unsealed(shell, one, last, buckets, horizon)  # 2
        if not rows:
            return not young
        made, data = seal.integrate(last, sorted(rows)[: seal.BATCH_ENTRIES], horizon)  # 3
        shell.evidence.put(one.prefix + made.batch, data)  # 4
        if one.seals.insert(tenant, log, made):
            publish(shell, one, made)
            count("entries_sealed", made.count)
    raise AuditUnavailable("other sealers keep being faster; the next run goes on")


def sealed_log(shell: Shell, tenant: str, log: str) -> SealedLog:
    """Return a tenant's log."""
    return SealedLog(shell.seals, shell.evidence, tenant, log)


def _unsealed(
    shell: Shell, one: SealedLog, last: Seal | None, buckets: Iterable[str], horizon: datetime
) -> tuple[list[Row], bool]:
    """Read the entries of buckets that no seal holds, and whether younger ones were left."""
    limit = times.text(horizon) if last is None else max(times.text(horizon), last.horizon)
    rows, young = [], False
    for bucket in buckets:
        for entry_id, leaf in shell.audit.bucket(one.tenant, one.log, bucket):
            try:
                row = seal.row(entry_id, one.tenant, one.log, leaf)
            except AuditBroken as fault:
                error("audit_row_broken", fault, tenant=one.tenant, log=one.log, entry=entry_id)
                count("audit_broken")
                continue  # no proof will cover it: the reconciliation goes on naming it
            if row.at > limit:
                young = True
            else:
                rows.append(row)
    known = one.indexes({row.id: row.at for row in rows}, last)
    return [row for row in rows if row.id not in known], young


# Publishing


def publish(shell: Shell, one: SealedLog, made: Seal) -> None:
    """Publish a seal: 5 what its decisions rest on, tiles and bundles that are full now, 6 the signed checkpoint, 7 the newest one's place.

    Raises:
        AuditBroken: the seal does not follow from what was signed before; it is not signed.
    """
    if shell.published.get((one.tenant, one.log), -1) >= made.size:
        return
    current = shell.evidence.get(one.prefix + "checkpoint")
    if current is None or opened(shell, one, current).size < made.size:
        _publish_grounds(shell, one, made)
        _publish_tiles(shell, one, made)
        text = _sign(shell, one, made)
        shell.evidence.put(f"{one.prefix}checkpoints/{made.size}", text, NOTE_TYPE)
        shell.evidence.replace(f"{one.prefix}checkpoint", text, NOTE_TYPE)
    if len(shell.published) > 10_000:
        shell.published.clear()
    shell.published[one.tenant, one.log] = made.size


def _publish_tiles(shell: Shell, one: SealedLog, made: Seal) -> None:
    for tile in tiles.full_tiles(made.first, made.size):
        if tile.level == 0:
            start = tile.index * tiles.WIDTH
            leaves = list(one.leaves(start, start + tiles.WIDTH))
            shell.evidence.put(one.prefix + tiles.entries_path(tile.index), tiles.bundle(leaves))
            data = b"".join(map(merkle.leaf_hash, leaves))
        else:
            data = one.tile(tile)
        shell.evidence.put(one.prefix + tile.path, data)


def _sign(shell: Shell, one: SealedLog, made: Seal) -> bytes:
    """Sign the checkpoint of a seal, after reading the seal itself and checking that it continues what was signed."""
    stored = one.seals.get(one.tenant, one.log, made.first)
    if stored != made:
        raise AuditBroken("a seal is not the one that was inserted")
    before = one.seals.holding(one.tenant, one.log, made.first - 1) if made.first else None
    if made.first:
        signed = shell.evidence.get(f"{one.prefix}checkpoints/{made.first}")
        if signed is None:
            # A crash came before the last seal was published, and this one was made by a sealer that did not see it.
            if before is None:
                raise AuditBroken("a seal of the log is missing")
            publish(shell, one, before)
            signed = shell.evidence.get(f"{one.prefix}checkpoints/{made.first}")
        checkpoint = opened(shell, one, signed or b"")
        if checkpoint.size != made.first or checkpoint.root.hex() != made.prev_root:
            raise AuditBroken("a seal continues another tree than the one that was signed")
    seal.check(before, made, one.fixed(made.batch))
    checkpoint = note.Checkpoint(shell.origin(one.tenant, one.log), made.size, bytes.fromhex(made.root))
    signer = note.RemoteSigner(checkpoint.origin, shell.signer.public_key, shell.signer.sign)
    return str(note.sign_note(checkpoint.text, [signer])).encode()


def opened(shell: Shell, one: SealedLog, text: bytes) -> note.Checkpoint:
    """Read a checkpoint of ours.

    Raises:
        AuditBroken: it is none, or not signed by this cell.
    """
    origin = shell.origin(one.tenant, one.log)
    signed = note.parse_note(text)
    if not signed.check([note.VerifierKey(origin, shell.signer.public_key)]):
        raise AuditBroken("a checkpoint is not signed by this cell")
    checkpoint = note.parse_checkpoint(signed.text)
    if checkpoint.origin != origin:
        raise AuditBroken("a checkpoint is another log's")
    return checkpoint


def _publish_grounds(shell: Shell, one: SealedLog, made: Seal) -> None:
    """Publish the law and the configuration that the sealed decisions name, as far as this cell still has them."""
    wanted: set[tuple[str, str]] = set()
    for leaf in one.batch(made):
        entry = json.loads(leaf)
        if entry["kind"] == "decided":
            wanted |= {("rules", entry["rules_hash"]), ("config", entry["config_hash"])}
    for kind, digest in sorted(wanted):
        if kind == "rules" and digest == shell.law.hash.removeprefix("sha256:"):
            shell.evidence.put(f"rules/{digest}.json", shell.law.canonical, "application/json")
        elif kind == "config":
            keep_configuration(shell, one.tenant, digest)


def keep_configuration(shell: Shell, tenant: str, digest: str) -> None:
    """Publish a tenant's configuration as decisions read it, where it is still the one of this digest."""
    try:
        configuration = shell.config.snapshot(tenant).configuration
    except NotFound:
        return
    if configuration.hash == digest:
        shell.evidence.put(f"configs/{tenant}/{digest}.json", configuration.canonical, "application/json")
