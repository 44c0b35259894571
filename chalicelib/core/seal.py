"""Sealing: how entries of a log get their index, and what is published of them. Pure.

A seal says that ``count`` entries have the indexes from ``first`` on, in the order of the batch whose name it holds. Seals of
a log follow each other without gaps; each holds the compact range of the tree after it, so that the next needs nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from . import merkle, tiles, times
from .errors import AuditBroken

INDEX_DIGITS = 12
BATCH_ENTRIES = 50_000
"""At most so many entries in one seal, which bounds a sealer's memory."""
BATCH = "batches/"

# Parsing each entry would cost more than all else that sealing does. In canonical JSON names are sorted and a quotation mark
# inside a text has a backslash before it: none of these is found in a text, and the first of each is the entry's own (what
# stands before ``id`` are an actor and facts, whose ids begin otherwise).
_HEAD = re.compile(rb'"at":"([0-9TZ:.-]{24})"')
_ID = re.compile(rb'"id":"(ent_[0-9a-z]{26})"')
_LOG = re.compile(rb'"log":"([0-9]{4})"')
_TENANT = re.compile(rb'"tenant":"(tnt_[0-9a-z]{26})"')


class Row(NamedTuple):
    """A stored entry as the sealer sees it; rows sort in the order in which they get their index."""

    at: str
    id: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """What one seal says. Hashes are hex; ``range`` is the compact range of the tree after it.

    ``horizon`` is the time up to which entries were taken: an entry of a later ``at`` is not in this seal or any before it.
    It never goes back, whatever a clock does.
    """

    first: int
    count: int
    root: str
    range: tuple[str, ...]
    batch: str
    horizon: str
    min_at: str
    max_at: str
    prev_root: str

    @property
    def size(self) -> int:
        """The log's size after this seal."""
        return self.first + self.count

    def document(self) -> dict[str, Any]:
        """Return the seal as JSON values."""
        return asdict(self) | {"range": list(self.range)}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Seal:
        """Read a seal.

        Raises:
            ValueError, TypeError, KeyError: it is not one.
        """
        values = {f.name: document[f.name] for f in fields(Seal)}
        seal = Seal(**{**values, "range": tuple(values["range"])})
        if seal.first < 0 or seal.count < 1:
            raise ValueError("a seal counts from 0 and holds an entry")
        return seal

    def tree(self) -> merkle.CompactRange:
        """Return the tree after this seal."""
        return merkle.CompactRange(self.size, tuple(bytes.fromhex(h) for h in self.range))


def row(entry_id: str, tenant: str, log: str, leaf: bytes) -> Row:
    """Read what sealing needs of a leaf, and that it is the one its key names.

    Raises:
        AuditBroken: it is another entry's, another log's or another tenant's.
    """
    at, found, of_log, owner = (p.search(leaf) for p in (_HEAD, _ID, _LOG, _TENANT))
    if at is None or found is None or of_log is None or owner is None:
        raise AuditBroken("an audit row holds no entry")
    if found[1].decode() != entry_id or of_log[1].decode() != log or owner[1].decode() != tenant:
        raise AuditBroken("an audit row holds another entry than its key names")
    return Row(at[1].decode(), entry_id, leaf)


def integrate(last: Seal | None, rows: Sequence[Row], horizon: datetime) -> tuple[Seal, bytes]:
    """Give entries their indexes, behind what is sealed already. Return the seal and its batch.

    Args:
        rows: at least one, at most ``BATCH_ENTRIES``, none of them sealed.
    """
    ordered = sorted(rows)
    data = tiles.bundle(r.leaf for r in ordered)
    first = last.size if last else 0
    tree = (last.tree() if last else merkle.CompactRange()).extended(merkle.leaf_hash(r.leaf) for r in ordered)
    limit = times.text(horizon)
    seal = Seal(
        first=first,
        count=len(ordered),
        root=tree.root().hex(),
        range=tuple(h.hex() for h in tree.hashes),
        batch=f"{BATCH}{first}-{hashlib.sha256(data).hexdigest()}",
        horizon=max(limit, last.horizon) if last else limit,
        min_at=ordered[0].at,
        max_at=max(r.at for r in ordered),
        prev_root=last.root if last else merkle.EMPTY_ROOT.hex(),
    )
    return seal, data


def check(last: Seal | None, seal: Seal, data: bytes) -> list[bytes]:
    """Check that a seal follows the one before it and holds just the entries of its batch. Return these.

    Raises:
        AuditBroken: it does not: nothing of it may be signed.
    """
    leaves = tiles.unbundle(data)
    if f"{BATCH}{seal.first}-{hashlib.sha256(data).hexdigest()}" != seal.batch:
        raise AuditBroken("a batch is not the one that its seal names")
    if (last.size if last else 0) != seal.first or len(leaves) != seal.count:
        raise AuditBroken("a seal does not follow the one before it")
    tree = last.tree() if last else merkle.CompactRange()
    if (last.root if last else merkle.EMPTY_ROOT.hex()) != seal.prev_root or tree.root().hex() != seal.prev_root:
        raise AuditBroken("a seal continues another tree")
    tree = tree.extended(merkle.leaf_hash(leaf) for leaf in leaves)
    if tree.root().hex() != seal.root or tuple(h.hex() for h in tree.hashes) != seal.range:
        raise AuditBroken("a seal's root is not that of its entries")
    return leaves


def may_hold(seal: Seal, ats: Iterable[str]) -> bool:
    """Say whether an entry of one of these times can be in a seal."""
    return any(at <= seal.horizon and seal.min_at <= at <= seal.max_at for at in ats)


def ids_of(leaves: Iterable[bytes]) -> Iterator[str]:
    """Yield the ids of sealed entries, in order.

    Raises:
        AuditBroken: a leaf is not an entry.
    """
    for leaf in leaves:
        found = _ID.search(leaf)
        if found is None:
            raise AuditBroken("a batch holds what is no entry")
        yield found[1].decode()
