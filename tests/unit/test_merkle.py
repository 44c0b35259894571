from __future__ import annotations

import pytest

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import merkle
from chalicelib.core.log.merkle import CompactRange

LEAVES = [merkle.leaf_hash(b"%d" % n) for n in range(21)]
ROOT = merkle.root(LEAVES)


def node(level: int, index: int) -> bytes:
    return merkle.root(LEAVES[index << level : (index + 1) << level])


def test_a_leaf_is_no_node_when_their_bytes_are_alike() -> None:
    pair = LEAVES[0] + LEAVES[1]

    assert merkle.leaf_hash(pair) != merkle.node_hash(LEAVES[0], LEAVES[1])


def test_memory_is_a_hash_a_bit_when_a_range_grows() -> None:
    grown = CompactRange().extended(merkle.leaf_hash(b"%d" % n) for n in range(9000))

    assert grown.size == 9000
    assert len(grown.hashes) == (9000).bit_count()


def test_each_full_subtree_is_told_once_when_a_range_grows() -> None:
    told: dict[tuple[int, int], bytes] = {}

    def grown(level: int, first: int, hashes: list[bytes]) -> None:
        for index, found in enumerate(hashes, first):
            assert told.setdefault((level, index), found) == found
            assert sum(place == (level, index) for place in told) == 1

    CompactRange().extended(LEAVES[:9], grown).extended(LEAVES[9:10], grown).extended(LEAVES[10:], grown)

    assert told == {(level, i): node(level, i) for level in range(5) for i in range(21 >> level)}


def test_nothing_is_told_when_no_leaf_comes() -> None:
    before = CompactRange().extended(LEAVES)

    assert before.extended([], lambda *_: pytest.fail("told of nothing")) == before


@pytest.mark.parametrize(("size", "hashes"), [(3, 1), (0, 1), (4, 0), (-1, 1)])
def test_a_range_is_refused_when_it_has_not_its_hashes(size: int, hashes: int) -> None:
    with pytest.raises(AuditBroken):
        CompactRange(size, (bytes(32),) * hashes)


def test_a_range_is_refused_when_a_hash_is_short() -> None:
    with pytest.raises(AuditBroken):
        CompactRange(1, (bytes(31),))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_inclusion_is_proved_when_the_tree_has_no_such_leaf(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="leaf of the tree"):
        merkle.inclusion_proof(index, size, node)
    with pytest.raises(AuditBroken):
        merkle.verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


@pytest.mark.parametrize("index", [0, 7, 15, 16, 20])
def test_an_inclusion_proof_is_refused_when_anything_about_it_changes(index: int) -> None:
    proof = merkle.inclusion_proof(index, 21, node)
    merkle.verify_inclusion(index, 21, LEAVES[index], proof, ROOT)
    changed = [
        (index + 1, 21, LEAVES[index], proof, ROOT),
        (index, 43, LEAVES[index], proof, ROOT),
        (index, 21, LEAVES[index - 1], proof, ROOT),
        (index, 21, LEAVES[index], proof[:-1], ROOT),
        (index, 21, LEAVES[index], [*proof, ROOT], ROOT),
        (index, 21, LEAVES[index], proof[::-1], ROOT),
        (index, 21, LEAVES[index], proof, LEAVES[0]),
        *((index, 21, LEAVES[index], [*proof[:n], bytes(32), *proof[n + 1 :]], ROOT) for n in range(len(proof))),
    ]

    for position, size, leaf, hashes, root in changed:
        with pytest.raises(AuditBroken):
            merkle.verify_inclusion(position, size, leaf, hashes, root)


@pytest.mark.parametrize("old", [1, 2, 7, 8, 16, 20])
def test_a_consistency_proof_is_refused_when_anything_about_it_changes(old: int) -> None:
    proof, old_root = merkle.consistency_proof(old, 21, node), merkle.root(LEAVES[:old])
    merkle.verify_consistency(old, 21, old_root, ROOT, proof)
    changed = [
        (old + 1, 21, old_root, ROOT, proof),
        (old, 43, old_root, ROOT, proof),
        (old, 21, LEAVES[3], ROOT, proof),
        (old, 21, old_root, LEAVES[3], proof),
        (old, 21, old_root, ROOT, proof[:-1]),
        (old, 21, old_root, ROOT, [*proof, ROOT]),
        (old, 21, old_root, ROOT, []),
        *((old, 21, old_root, ROOT, [*proof[:n], bytes(32), *proof[n + 1 :]]) for n in range(len(proof))),
    ]

    for values in changed:
        with pytest.raises(AuditBroken):
            merkle.verify_consistency(*values)


def test_trees_of_one_size_are_consistent_when_their_roots_are_one() -> None:
    merkle.verify_consistency(21, 21, ROOT, ROOT, [])

    for old_root, proof in ((LEAVES[0], []), (ROOT, [ROOT])):
        with pytest.raises(AuditBroken):
            merkle.verify_consistency(21, 21, old_root, ROOT, proof)
    with pytest.raises(AuditBroken):
        merkle.verify_consistency(22, 21, ROOT, ROOT, [])
