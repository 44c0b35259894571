"""The Merkle tree of a log: hashes, roots, the compact range that a log grows by, inclusion and consistency proofs.

Leaves are numbered from 0. ``node(level, index)`` is the hash of a full subtree of ``2 ** level`` leaves that begins at leaf
``index * 2 ** level``; every proof and root is made of such nodes.

Source: https://www.rfc-editor.org/rfc/rfc6962#section-2.1, verification as in
https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2 and 2.1.4.2 (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from ..errors import AuditBroken

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
PROOF_HASHES_MAX = 63
_LEAF, _NODE = b"\x00", b"\x01"
_CHUNK = 4096

Node = Callable[[int, int], bytes]
Grown = Callable[[int, int, list[bytes]], None]
"""Told of each run of new full nodes: level, index of the first, hashes."""


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf."""
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above them."""
    return sha256(_NODE + left + right).digest()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """The least that must be remembered of a tree to let it grow: the hashes of its full subtrees, the largest first.

    Raises:
        AuditBroken: not as many hashes as ``size`` has bits set, or not of 32 bytes.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise AuditBroken("a compact range has as many hashes as its size has bits")
        if any(len(h) != HASH_BYTES for h in self.hashes):
            raise AuditBroken("a hash of a compact range is not 32 bytes long")

    def root(self) -> bytes:
        """Return the root of the tree."""
        return _fold(self.hashes)

    def extended(self, leaf_hashes: Iterable[bytes], grown: Grown | None = None) -> CompactRange:
        """Return the range after these leaves. Memory does not grow with their number.

        Args:
            grown: told of every full subtree that they complete, the leaves themselves included.
        """
        size, pending = self.size, dict(zip(_levels(self.size), self.hashes, strict=True))
        source = iter(leaf_hashes)
        while row := list(islice(source, _CHUNK)):
            _grow(size, pending, row, grown)
            size += len(row)
        return CompactRange(size, tuple(pending[level] for level in _levels(size)))


def _levels(size: int) -> list[int]:
    """The levels of the full subtrees that a tree is made of, the largest first."""
    return [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]


def _grow(first: int, pending: dict[int, bytes], row: list[bytes], grown: Grown | None) -> None:
    """Put a row of leaves behind ``first`` others. ``pending`` holds, by level, the node that waits for its sibling."""
    digest, level = sha256, 0
    while row:
        if grown is not None:
            grown(level, first, row)
        if first & 1:
            row = [pending.pop(level), *row]
            first -= 1
        if len(row) & 1:
            pending[level] = row[-1]
        pairs = iter(row)
        row = [digest(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
        first >>= 1
        level += 1


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree made of these full subtrees, the largest first."""
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root of the tree over these leaves."""
    return CompactRange().extended(leaf_hashes).root()


def root_of(size: int, node: Node) -> bytes:
    """Return the root of the first ``size`` leaves of a tree."""
    return _span(0, size, node)


def _span(first: int, end: int, node: Node) -> bytes:
    """Return the hash over the leaves ``first`` to ``end``, a subtree of the tree or its unfinished right edge."""
    hashes = []
    for level in _levels(end - first):
        hashes.append(node(level, first >> level))
        first += 1 << level
    return _fold(hashes)


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return the hashes that lead from a leaf to the root, the leaf's sibling first (PATH of RFC 6962).

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError("a proof needs a leaf of the tree")
    first, end, found = 0, size, []
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            found.append(_span(middle, end, node))
            end = middle
        else:
            found.append(_span(first, middle, node))
            first = middle
    return found[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Return the hashes that show a tree of ``old`` leaves to be the beginning of one of ``new`` (PROOF of RFC 6962).

    Raises:
        ValueError: from the empty tree, of which nothing can be shown, or to a smaller one.
    """
    if not 0 < old <= new:
        raise ValueError("a consistency proof leads from a tree with leaves to one that is not smaller")
    first, end, whole, found = 0, new, True, []
    while end != old:
        middle = first + _split(end - first)
        if old <= middle:
            found.append(_span(middle, end, node))
            end = middle
        else:
            found.append(_span(first, middle, node))
            first, whole = middle, False
    if not whole:
        found.append(_span(first, end, node))
    return found[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf is at an index of the tree with this root.

    Args:
        leaf: its leaf hash.

    Raises:
        AuditBroken: it is not, or the proof is not of the form that this index and size demand.
    """
    if not 0 <= index < size:
        raise AuditBroken("an inclusion proof is about an entry beyond the tree")
    position, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise AuditBroken("an inclusion proof is too long")
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise AuditBroken("an inclusion proof is too short")
    if found != root:
        raise AuditBroken("an inclusion proof does not lead to the root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree with ``old_root`` is the beginning of the one with ``new_root``.

    Raises:
        AuditBroken: it is not, the proof is not of the form that the sizes demand, or ``old`` is 0: every tree begins
            with the empty one, so that a proof from it would prove nothing.
    """
    if not 0 < old <= new:
        raise AuditBroken("a consistency proof leads from a tree with entries to one that is not smaller")
    if old == new:
        if proof or old_root != new_root:
            raise AuditBroken("trees of one size have one root and need no proof")
        return
    if not proof:
        raise AuditBroken("a consistency proof is empty")
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)  # a full tree is a node of the new one, so the proof leaves it out
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    found_old = found_new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise AuditBroken("a consistency proof is too long")
        if position & 1 or position == last:
            found_old, found_new = node_hash(sibling, found_old), node_hash(sibling, found_new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found_new = node_hash(found_new, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise AuditBroken("a consistency proof is too short")
    if found_old != old_root or found_new != new_root:
        raise AuditBroken("a consistency proof does not lead from the old root to the new one")
