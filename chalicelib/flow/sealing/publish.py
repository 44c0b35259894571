"""Publish a seal: tiles, the law its decisions name, the signed checkpoint.

A state that contradicts an earlier signature is not signed: a log that stops and raises an alarm is better than a fork.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import AuditBroken, AuditUnavailable
from ...core.log import merkle, note, seal, tiles
from ...core.log.seal import Seal
from ...runtime import Runtime
from ...store.log import SealedLog

NOTE_TYPE = "text/plain; charset=utf-8"
WRITERS = 16
"""So many objects are written at once."""
UNPUBLISHED = 8
"""How many of the newest seals may not be published yet, because a sealer died or is at it."""


def sealed_log(runtime: Runtime, tenant: str, log: str) -> SealedLog:
    """Return a tenant's log."""
    return SealedLog(runtime.seals, runtime.evidence, tenant, log, runtime.threads)


def newest(runtime: Runtime, one: SealedLog) -> tuple[Seal, bytes] | None:
    """Return the newest seal whose checkpoint is published, with the checkpoint; None if there is none.

    Raises:
        AuditUnavailable: the bucket does not answer.
    """
    last = one.last()
    for _ in range(UNPUBLISHED):
        if last is None:
            return None
        text = one.evidence.get_fixed(f"{one.prefix}checkpoints/{last.size}")
        if text is not None:
            return last, text
        last = one.seals.holding(one.tenant, one.log, last.first - 1) if last.first else None
    raise AuditUnavailable("the newest seals of this log are not published yet; try again")


def publish(runtime: Runtime, one: SealedLog, made: Seal) -> None:
    """Publish a seal: 5 check it, 6 the law its decisions rest on and newly full tiles, 7 the signed checkpoint, 8 ``checkpoint``.

    Raises:
        AuditBroken: the seal does not follow from the last signed one; it is not signed.
    """
    if runtime.published.get((one.tenant, one.log), -1) >= made.size:
        return
    name = f"{one.prefix}checkpoint"
    text, version = runtime.evidence.get_version(name)
    newest = opened(runtime, one, text) if text is not None else None
    if newest is None or newest.size < made.size:
        batch = one.fixed(made.batch)
        leaves = _checked(runtime, one, made, newest, batch)  # 5
        _publish_law(runtime, batch)  # 6
        _publish_tiles(runtime, one, made, leaves)
        text = _sign(runtime, one, made)  # 7
        runtime.evidence.put(f"{one.prefix}checkpoints/{made.size}", text, NOTE_TYPE)
        if not runtime.evidence.replace(name, text, NOTE_TYPE, version):  # 8
            # Another sealer works on this log. The object it wrote there may be older or newer: look again.
            publish(runtime, one, made)
    elif _signed(runtime, one, made.size) != bytes.fromhex(made.root):
        raise AuditBroken("another tree of this size was signed")
    if len(runtime.published) > 10_000:
        runtime.published.clear()
    runtime.published[one.tenant, one.log] = made.size


def _checked(runtime: Runtime, one: SealedLog, made: Seal, newest: note.Checkpoint | None, batch: bytes) -> list[bytes]:
    """Read a seal back, check that it continues the signed log and holds its batch, and return the leaves.

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
    return seal.check(before, made, batch)


def _publish_law(runtime: Runtime, batch: bytes) -> None:
    """Publish the law that the sealed decisions name, if it is still this cell's. Configurations are there: ``published.py``."""
    digest = runtime.law.hash.removeprefix("sha256:")
    laws, _ = seal.grounds(batch)
    if digest in laws:
        runtime.evidence.put(f"rules/{digest}.json", runtime.law.canonical, "application/json")


def _publish_tiles(runtime: Runtime, one: SealedLog, made: Seal, leaves: Sequence[bytes]) -> None:
    first = made.first // tiles.WIDTH * tiles.WIDTH
    full = list(tiles.full_tiles(made.first, made.size))
    if not full:
        return
    ahead = [*one.leaves(first, made.first), *leaves]  # those of the tile that earlier seals began come first
    objects: list[tuple[str, bytes]] = []
    for tile in (tile for tile in full if tile.level == 0):
        start = tile.index * tiles.WIDTH - first
        entries = ahead[start : start + tiles.WIDTH]
        if not runtime.settings.evidence_compact:  # the batches hold the entries
            objects.append((tiles.entries_path(tile.index), tiles.bundle(entries)))
        objects.append((tile.path, b"".join(map(merkle.leaf_hash, entries))))
    for _ in runtime.threads.map(WRITERS, lambda each: runtime.evidence.put(one.prefix + each[0], each[1]), objects):
        pass
    for tile in (tile for tile in full if tile.level > 0):  # each is made of those below it
        runtime.evidence.put(one.prefix + tile.path, one.tile(tile))


def _sign(runtime: Runtime, one: SealedLog, made: Seal) -> bytes:
    """Sign the checkpoint of a checked seal."""
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
