"""Tiles and entry bundles: the tree and its leaves cut into pieces of 256, as files that never change once they are full.

Source: https://c2sp.org/tlog-tiles (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import AuditBroken
from .merkle import HASH_BYTES, CompactRange, Node

WIDTH = 256
_HEIGHT = 8
_LENGTH_BYTES = 2
_ENTRY_BYTES = (1 << 8 * _LENGTH_BYTES) - 1
LEVEL_MAX = 63
_LEVEL = re.compile(r"0|[1-9][0-9]?", re.ASCII)
_PLACE = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: ``width`` hashes of full subtrees of ``256 ** level`` leaves. It is full at 256, before that partial."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where the tile is."""
        return f"tile/{self.level}/{_place(self.index, self.width)}"

    def is_in(self, size: int) -> bool:
        """Say whether a tree of ``size`` leaves has all hashes of the tile."""
        return self.index * WIDTH + self.width <= size >> _HEIGHT * self.level


def tile_at(level: str, steps: Sequence[str]) -> Tile | None:
    """Return the tile whose path is ``tile/{level}/`` and these steps; None if that is no tile's path."""
    place = "/".join(steps)
    found = _PLACE.fullmatch(place)
    if found is None or _LEVEL.fullmatch(level) is None or int(level) > LEVEL_MAX:
        return None
    index = int(found[1].replace("x", "").replace("/", ""))
    tile = Tile(int(level), index, int(found[2] or WIDTH))
    return tile if tile.path == f"tile/{level}/{place}" else None


def entries_path(index: int, width: int = WIDTH) -> str:
    """Return where the bundle of the entries of tile ``index`` is."""
    return f"tile/entries/{_place(index, width)}"


def _place(index: int, width: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups)) + (f".p/{width}" if width != WIDTH else "")


def full_tiles(old: int, new: int) -> Iterator[Tile]:
    """Yield the tiles that a tree of ``new`` leaves has full and one of ``old`` has not, the lowest level first."""
    level, before, after = 0, old // WIDTH, new // WIDTH
    while after:
        yield from (Tile(level, index) for index in range(before, after))
        level, before, after = level + 1, before // WIDTH, after // WIDTH


def node_from(read: Callable[[Tile], bytes], size: int) -> Node:
    """Return ``node`` for proofs in a tree of ``size`` leaves, made of what ``read`` says of its tiles.

    ``read`` is asked for the tile as it is at that size, full or partial; it MAY answer with a wider one. It is asked anew
    each time, so that whoever reads from afar keeps what it read.

    Raises:
        AuditBroken: (``node``) a tile is shorter than its width.
        ValueError: (``node``) the tree has no such full subtree.
    """

    def node(level: int, index: int) -> bytes:
        if (index + 1) << level > size:
            raise ValueError("the tree has no such subtree")
        tile_level, above = divmod(level, _HEIGHT)
        tile_index, first = divmod(index << above, WIDTH)
        width = min(WIDTH, (size >> _HEIGHT * tile_level) - tile_index * WIDTH)
        data = read(Tile(tile_level, tile_index, width))
        if len(data) < width * HASH_BYTES:
            raise AuditBroken("a tile is shorter than it must be")
        hashes = hashes_of(data[first * HASH_BYTES : (first + (1 << above)) * HASH_BYTES])
        return hashes[0] if above == 0 else CompactRange().extended(hashes).root()

    return node


def hashes_of(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile.

    Raises:
        AuditBroken: it is not made of whole hashes.
    """
    if len(tile) % HASH_BYTES:
        raise AuditBroken("a tile is not made of whole hashes")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def bundle(entries: Iterable[bytes]) -> bytes:
    """Write entries one behind the other, each after its length in two bytes.

    Raises:
        ValueError: an entry is longer than two bytes can say.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > _ENTRY_BYTES:
            raise ValueError("an entry of a bundle is longer than 65,535 bytes")
        parts += (len(entry).to_bytes(_LENGTH_BYTES, "big"), entry)
    return b"".join(parts)


def unbundle(data: bytes) -> list[bytes]:
    """Read the entries of a bundle.

    Raises:
        AuditBroken: it ends within an entry or its length.
    """
    entries, at, end = [], 0, len(data)
    while at < end:
        first = at + _LENGTH_BYTES
        at = first + int.from_bytes(data[at:first], "big")
        if first > end or at > end:
            raise AuditBroken("an entry bundle ends within an entry")
        entries.append(data[first:at])
    return entries
