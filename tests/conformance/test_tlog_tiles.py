"""Tiles by the examples of https://c2sp.org/tlog-tiles (read 2026-11-22)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import merkle, tiles
from chalicelib.core.log.tiles import Tile


def test_there_are_as_many_tiles_as_the_example_says_when_a_log_has_70_000_entries() -> None:
    full = list(tiles.full_tiles(0, 70_000))

    assert [sum(t.level == level for t in full) for level in range(3)] == [273, 1, 0]
    assert list(tiles.full_tiles(0, 256)) == [Tile(0, 0)]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 273, 112), "tile/0/273.p/112"),
        (Tile(2, 1000, 1), "tile/2/x001/000.p/1"),
        (Tile(63, 999), "tile/63/999"),
    ],
)
def test_a_tile_is_where_the_specification_says_when_named(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert tiles.entries_path(tile.index, tile.width) == path.replace(f"tile/{tile.level}/", "tile/entries/")


def test_every_tile_becomes_full_once_when_a_log_grows() -> None:
    sizes = [0, 1, 255, 256, 257, 511, 65_535, 65_536, 65_793, 70_000]

    grown = [t for old, new in pairwise(sizes) for t in tiles.full_tiles(old, new)]

    assert sorted((t.level, t.index) for t in grown) == sorted((t.level, t.index) for t in tiles.full_tiles(0, 70_000))


def test_proofs_from_tiles_verify_when_tiles_are_read_as_specified() -> None:
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(70_000)]
    rows: dict[int, list[bytes]] = {}

    def grown(level: int, first: int, hashes: list[bytes]) -> None:
        assert first == len(rows.setdefault(level, []))
        rows[level] += hashes

    def read(tile: Tile) -> bytes:
        at = tile.index * tiles.WIDTH
        return b"".join(rows[8 * tile.level][at : at + tile.width])

    root = merkle.CompactRange().extended(leaves, grown).root()
    node = tiles.node_from(read, 70_000)

    for index in (0, 1, 255, 256, 65_535, 65_536, 69_888, 69_999):
        merkle.verify_inclusion(index, 70_000, leaves[index], merkle.inclusion_proof(index, 70_000, node), root)
    for old in (1, 256, 257, 65_536, 65_537, 69_999):
        old_root = merkle.root(leaves[:old])
        assert merkle.root_of(old, node) == old_root
        merkle.verify_consistency(old, 70_000, old_root, root, merkle.consistency_proof(old, 70_000, node))


def test_a_node_is_refused_when_the_tree_or_its_tile_has_it_not() -> None:
    with pytest.raises(ValueError, match="no such subtree"):
        tiles.node_from(lambda _: bytes(32 * 256), 300)(8, 1)
    with pytest.raises(AuditBroken):
        tiles.node_from(lambda _: bytes(31), 300)(0, 299)
    with pytest.raises(AuditBroken):
        tiles.hashes_of(bytes(33))


def test_entries_come_back_when_they_were_bundled() -> None:
    entries = [b"", b"x", b"y" * 65_535, b"z"]

    assert tiles.unbundle(tiles.bundle(entries)) == entries
    assert tiles.bundle([b"ab"]) == b"\x00\x02ab"


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x00\x01ab", b"\x00\x01a\x00\x02b"])
def test_a_bundle_is_refused_when_it_is_cut(data: bytes) -> None:
    with pytest.raises(AuditBroken):
        tiles.unbundle(data)
    with pytest.raises(ValueError, match="65,535"):
        tiles.bundle([bytes(65_536)])
