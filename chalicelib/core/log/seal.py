"""Sealing: how entries of a log get their index, and what is published of them. Pure.

A seal says that ``count`` entries have the indexes from ``first`` on, in the order of the batch whose name it holds. Seals of
a log follow each other without gaps; each holds the compact range of the tree after it, so that the next needs nothing else.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from .. import times
from ..errors import AuditBroken
from . import audit, merkle, tiles

INDEX_DIGITS = 12
BATCH_ENTRIES = 16_384
"""At most so many entries in one seal, which bounds a sealer's memory."""
PARTITIONS_MAX = 4_000
"""A seal of entries from more partitions does not count them: its row has room for 400 KB."""
BATCH = "batches/"

# Parsing each entry would cost more than all else that sealing does. In canonical JSON names are sorted and a quotation mark
# inside a text has a backslash before it, so that none of these is found in a text. Only an entry itself has ``id``, ``kind``
# and ``log`` behind each other; and of the objects that may stand before its ``at``, none has one.
_AT = re.compile(rb'"at":"([0-9TZ:.-]{24})"')
_NAME = re.compile(rb',"id":"(ent_[0-9a-z]{26})","kind":"[a-z_]+","log":"([0-9]{4})"')
_GROUNDS = re.compile(rb'"(rules|config)_hash":"([0-9a-f]{64})"')


class EntryRow(NamedTuple):
    """A stored entry as the sealer sees it; rows sort in the order in which they get their index."""

    at: str
    id: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """What one seal says. Hashes are hex; ``range`` is the compact range of the tree after it.

    ``horizon`` is the time up to which entries were taken: an entry of a later ``at`` is not in this seal or any before it.
    It never goes back, whatever a clock does.

    ``partitions`` says how many of the entries are from which log partition. It is empty in seals of earlier releases, and in
    those of more than ``PARTITIONS_MAX``: then nothing is known.
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
    partitions: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        """The log's size after this seal."""
        return self.first + self.count

    def document(self) -> dict[str, Any]:
        """Return the seal as JSON values."""
        document = asdict(self) | {"range": list(self.range), "partitions": dict(self.partitions)}
        if not self.partitions:
            del document["partitions"]
        return document

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Seal:
        """Read a seal.

        Raises:
            ValueError, TypeError, KeyError: it is not one.
        """
        values = {f.name: document[f.name] for f in fields(Seal) if f.name in document or f.default is MISSING}
        partitions = tuple(sorted(dict(values.get("partitions", {})).items()))
        seal = Seal(**{**values, "range": tuple(values["range"]), "partitions": partitions})
        if seal.first < 0 or seal.count < 1:
            raise ValueError("a seal counts from 0 and holds an entry")
        return seal

    def tree(self) -> merkle.CompactRange:
        """Return the tree after this seal."""
        return merkle.CompactRange(self.size, tuple(bytes.fromhex(h) for h in self.range))


def row(entry_id: str, tenant: str, log: str, leaf: bytes) -> EntryRow:
    """Read what sealing needs of a leaf, and that it is the one its key names.

    Raises:
        AuditBroken: it is another entry's, another log's or another tenant's.
    """
    at, name = _AT.search(leaf), _NAME.search(leaf)
    if at is None or name is None:
        raise AuditBroken("an audit row holds no entry")
    if name[1].decode() != entry_id or name[2].decode() != log or f'"tenant":"{tenant}"'.encode() not in leaf:
        raise AuditBroken("an audit row holds another entry than its key names")
    return EntryRow(at[1].decode(), entry_id, leaf)


def integrate(last: Seal | None, rows: Sequence[EntryRow], horizon: datetime) -> tuple[Seal, bytes]:
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
        max_at=ordered[-1].at,
        prev_root=last.root if last else merkle.EMPTY_ROOT.hex(),
        partitions=_partitions(r.id for r in ordered),
    )
    return seal, data


def _partitions(ids: Iterable[str]) -> tuple[tuple[str, int], ...]:
    found = Counter(map(audit.partition_name, ids))
    return tuple(sorted(found.items())) if len(found) <= PARTITIONS_MAX else ()


def check(last: Seal | None, seal: Seal, data: bytes) -> list[bytes]:
    """Check that a seal follows the one before it and holds just the entries of its batch, in their order. Return these.

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
    order = [_head(leaf) for leaf in leaves]
    if any(one >= other for one, other in pairwise(order)):
        raise AuditBroken("the entries of a seal are not in their order, or one is there twice")
    ats = [at for at, _ in order]
    # Lookups go by these: with others, a sealed entry would not be found, and would be sealed again.
    if (seal.min_at, seal.max_at) != (ats[0], ats[-1]) or max(ats[-1], last.horizon if last else "") > seal.horizon:
        raise AuditBroken("a seal has other times than its entries")
    if seal.partitions and seal.partitions != _partitions(entry_id for _, entry_id in order):
        raise AuditBroken("a seal counts other partitions than those of its entries")
    return leaves


def _head(leaf: bytes) -> tuple[str, str]:
    """Return the time and the id of a leaf. Raises as ``ids_of``."""
    at, name = _AT.search(leaf), _NAME.search(leaf)
    if at is None or name is None:
        raise AuditBroken("a batch holds a line that is no entry")
    return at[1].decode(), name[1].decode()


def may_hold(seal: Seal, ats: Sequence[str], partitions: Set[str] | None = None) -> bool:
    """Say whether an entry of one of these times, which are in order, and of one of these partitions can be in a seal."""
    if seal.partitions and partitions is not None and all(name not in partitions for name, _ in seal.partitions):
        return False
    first = bisect_left(ats, seal.min_at)
    return first < len(ats) and ats[first] <= min(seal.max_at, seal.horizon)


def ids_of(leaves: Iterable[bytes]) -> Iterator[str]:
    """Yield the ids of sealed entries, in order.

    Raises:
        AuditBroken: a leaf is not an entry.
    """
    for leaf in leaves:
        found = _NAME.search(leaf)
        if found is None:
            raise AuditBroken("a batch holds a line that is no entry")
        yield found[1].decode()


def grounds(batch: bytes) -> tuple[set[str], set[str]]:
    """Return the hashes of the laws, and of the configurations, that the decisions of a batch name."""
    found = {(kind, digest.decode()) for kind, digest in _GROUNDS.findall(batch)}
    return {h for kind, h in found if kind == b"rules"}, {h for kind, h in found if kind == b"config"}
