"""Proofs: what shows an outsider that an entry is in its log, and that the log has only grown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ...core import times
from ...core.errors import Invalid, NotFound, NotSealed
from ...core.log import audit, leaf, merkle, note, proofs
from ...store.log import SealedLog
from ..pagination import ListItem
from ..request import Request
from .publish import NOTE_TYPE, newest, opened, sealed_log
from .witnesses import with_cosignatures

__all__ = ["NOTE_TYPE", "checkpoint", "consistency", "current_log", "inclusion", "indexes", "keys"]


def current_log(now: datetime) -> str:
    """Return the log that new events' entries go to."""
    return audit.log_of(times.minute(now), now)


def _log(request: Request, log: str | None) -> SealedLog:
    return sealed_log(request.runtime, request.tenant.id, log or current_log(request.runtime.now()))


def checkpoint(request: Request, log: str | None) -> bytes:
    """Return the newest signed checkpoint of a log, the current one unless named.

    Raises:
        NotFound: nothing of it is sealed yet.
    """
    one = _log(request, log)
    found = newest(request.runtime, one)
    if found is None:
        raise NotFound("no entry of this log is sealed yet; entries are sealed within minutes")
    return with_cosignatures(request.runtime, one, found[0].size, found[1])


def keys(request: Request, position: str) -> Iterator[ListItem]:
    """Yield the verifier keys of the tenant's logs, newest log first."""
    now = request.runtime.now().astimezone(UTC)
    first = request.tenant.created_at.astimezone(UTC)
    newest_log = int(current_log(now))
    for year in range(newest_log, first.year - 1, -1):
        log = f"{year:04d}"
        if position and log >= position:
            continue
        origin = request.runtime.origin(request.tenant.id, log)
        begins = max(first, datetime(year - 1, 12, 1, tzinfo=UTC))
        shown = {
            "vkey": note.VerifierKey(origin, request.runtime.signer.public_key).text,
            "log": log,
            "from": times.text(begins),
            "until": None,
        }
        yield ListItem(log, shown)


def indexes(request: Request, entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the indexes of those of some entries that are in a published log, by entry id."""
    ats: dict[str, dict[str, str]] = {}
    for entry in entries:
        ats.setdefault(entry["log"], {})[entry["id"]] = entry["at"]
    found: dict[str, int] = {}
    for log, here in ats.items():
        one = sealed_log(request.runtime, request.tenant.id, log)
        found |= one.indexes(here, one.last())
    return found


def inclusion(request: Request, entry: Mapping[str, Any], size: int | None) -> str:
    """Return the tlog-proof of an entry.

    Args:
        size: of a published checkpoint; None is the newest.

    Raises:
        NotSealed: it is not in the log yet, or was not in a log of that size.
        NotFound: no checkpoint of that size was published.
    """
    runtime = request.runtime
    one = sealed_log(runtime, request.tenant.id, entry["log"])
    found = newest(runtime, one)
    index = one.indexes({entry["id"]: entry["at"]}, found[0]).get(entry["id"]) if found else None
    if found is None or index is None:
        raise NotSealed("this entry is not sealed yet; try again in a few minutes")
    seal, text = found
    if size is not None:
        text = _published(one, size)
        if index >= size:
            raise NotSealed("the log of that size did not hold this entry; ask for a later checkpoint")
    signed = opened(runtime, one, text)
    node = one.node(seal.size)
    proof = merkle.inclusion_proof(index, signed.size, node)
    # Check the data read back before giving it away: a damaged object is ours to find.
    merkle.verify_inclusion(index, signed.size, merkle.leaf_hash(leaf.leaf(entry)), proof, signed.root)
    shown = with_cosignatures(runtime, one, signed.size, text)
    return str(proofs.InclusionProof(index, tuple(proof), note.parse_note(shown)))


def consistency(request: Request, log: str | None, old: int) -> str:
    """Return the proof that the log of a published size is the beginning of the newest one.

    Raises:
        NotFound: nothing is sealed, or no checkpoint of that size was published.
        Invalid: larger than the log.
    """
    one = _log(request, log)
    found = newest(request.runtime, one)
    if found is None:
        raise NotFound("no entry of this log is sealed yet")
    seal, text = found
    if old > seal.size:
        message = f"the log has {seal.size} entries"
        raise Invalid(message, [{"loc": "query.from", "code": "too_large", "msg": message}])
    before = opened(request.runtime, one, _published(one, old))
    signed = opened(request.runtime, one, text)
    proof = merkle.consistency_proof(old, signed.size, one.node(signed.size))
    merkle.verify_consistency(old, signed.size, before.root, signed.root, proof)
    shown = with_cosignatures(request.runtime, one, signed.size, text)
    return str(proofs.ConsistencyProof(old, tuple(proof), note.parse_note(shown)))


def _published(one: SealedLog, size: int) -> bytes:
    text = one.evidence.get_fixed(f"{one.prefix}checkpoints/{size}") if size >= 1 else None
    if text is None:
        raise NotFound("no checkpoint of that size was published")
    return text
