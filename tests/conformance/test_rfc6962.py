"""The tree of RFC 6962 by published hashes, by the RFC's own recursive definitions, and against a tree that is not ours."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import pymerkle
import pytest

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import merkle

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Roots of the first 0 to 8 leaves, known since the reference implementation of Certificate Transparency."""
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
NODE_23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
NODE_45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
NODE_67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
NODE_47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
INCLUSION = {
    (0, 1): [],
    (0, 8): [LEAF_1, NODE_23, NODE_47],
    (5, 8): [LEAF_4, NODE_67, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], NODE_23, LEAF_4],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [LEAF_1, NODE_23, NODE_47],
    (6, 8): [NODE_45, NODE_67, ROOTS[4]],
    (2, 5): [NODE_23, LEAF_4],
}


# The RFC's definitions, word for word, over lists.


def mth(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def node_of(leaves: Sequence[bytes]) -> merkle.Node:
    def node(level: int, index: int) -> bytes:
        below = leaves[index << level : (index + 1) << level]
        assert len(below) == 1 << level, "asked for a subtree that is not full"
        return mth(below)

    return node


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one_when_there_are_so_many_leaves(size: int) -> None:
    assert merkle.root(map(merkle.leaf_hash, LEAVES[:size])).hex() == ROOTS[size]
    assert merkle.root_of(size, node_of(LEAVES)).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_the_inclusion_proof_is_the_published_one_when_made(index: int, size: int) -> None:
    proof = merkle.inclusion_proof(index, size, node_of(LEAVES))

    assert [h.hex() for h in proof] == INCLUSION[index, size]
    merkle.verify_inclusion(index, size, merkle.leaf_hash(LEAVES[index]), proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_the_consistency_proof_is_the_published_one_when_made(old: int, new: int) -> None:
    proof = merkle.consistency_proof(old, new, node_of(LEAVES))

    assert [h.hex() for h in proof] == CONSISTENCY[old, new]
    merkle.verify_consistency(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), proof)


def test_a_consistency_proof_is_refused_when_it_begins_at_the_empty_tree() -> None:
    with pytest.raises(AuditBroken):
        merkle.verify_consistency(0, 8, merkle.EMPTY_ROOT, bytes.fromhex(ROOTS[8]), [])
    with pytest.raises(ValueError, match="leads from a tree with leaves"):
        merkle.consistency_proof(0, 8, node_of(LEAVES))


def test_roots_and_proofs_equal_the_definition_when_sizes_are_small() -> None:
    leaves = [b"%d" % n for n in range(40)]
    node = node_of(leaves)

    for size in range(1, 41):
        assert merkle.root_of(size, node) == mth(leaves[:size])
        for index in range(size):
            assert merkle.inclusion_proof(index, size, node) == path(index, leaves[:size])
        for old in range(1, size + 1):
            assert merkle.consistency_proof(old, size, node) == subproof(old, leaves[:size], True)


def test_roots_and_proofs_equal_another_implementation_when_sizes_are_random() -> None:
    random_sizes = random.Random(6962)
    leaves = [random_sizes.randbytes(9) for _ in range(2000)]
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        other.append_entry(leaf)
    node = node_of(leaves)

    for size in {1, 2, 1023, 1024, 1025, 2000, *random_sizes.sample(range(3, 2000), 8)}:
        old, index = random_sizes.randint(1, size), random_sizes.randrange(size)
        root, proof = merkle.root(map(merkle.leaf_hash, leaves[:size])), merkle.inclusion_proof(index, size, node)
        kept = merkle.consistency_proof(old, size, node)

        assert root == other.get_root(size)
        # Theirs counts from one and begins with the leaf's own hash.
        assert [merkle.leaf_hash(leaves[index]), *proof] == other.prove_inclusion(index + 1, size).path
        merkle.verify_consistency(old, size, other.get_root(old), root, kept)
