from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import merkle, tiles
from chalicelib.core.log.merkle import CompactRange

LEAVES = [merkle.leaf_hash(b"%d" % n) for n in range(300)]


@cache
def node(level: int, index: int) -> bytes:
    if level == 0:
        return LEAVES[index]
    return merkle.node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))


@cache
def root(size: int) -> bytes:
    return merkle.root(LEAVES[:size])


def test_inclusion_proofs_go_round_for_all_sizes_to_300() -> None:
    for size in range(1, 301):
        for index in range(size):
            merkle.verify_inclusion(index, size, LEAVES[index], merkle.inclusion_proof(index, size, node), root(size))


def test_consistency_proofs_go_round_for_all_sizes_to_300() -> None:
    for new in range(1, 301):
        for old in range(1, new + 1):
            merkle.verify_consistency(old, new, root(old), root(new), merkle.consistency_proof(old, new, node))


@given(st.lists(st.integers(0, 90), max_size=8))
def test_a_tree_is_the_same_when_it_grows_in_steps_or_at_once(steps: list[int]) -> None:
    grown, size = CompactRange(), 0
    for step in steps:
        step = min(step, 300 - size)
        grown = CompactRange(grown.size, grown.hashes).extended(LEAVES[size : size + step])
        size += step

        assert grown == CompactRange().extended(LEAVES[:size])
        assert grown.root() == root(size) == merkle.root_of(size, node)


@settings(max_examples=200)
@given(st.data())
def test_a_proof_proves_nothing_else_when_leaf_index_or_size_is_another(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 300))
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    proof = merkle.inclusion_proof(index, size, node)

    with pytest.raises(AuditBroken):
        merkle.verify_inclusion(index, size, LEAVES[other], proof, root(size))
    with pytest.raises(AuditBroken):
        merkle.verify_inclusion(other, size, LEAVES[index], proof, root(size))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 299))
def test_no_tree_is_consistent_with_another_log_when_an_old_leaf_differs(a: int, b: int, changed: int) -> None:
    old, new = sorted((a, b))
    forged = [*LEAVES[:old]]
    forged[changed % old] = bytes(32)

    with pytest.raises(AuditBroken):
        merkle.verify_consistency(old, new, merkle.root(forged), root(new), merkle.consistency_proof(old, new, node))


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_entries_come_back_from_a_bundle(entries: list[bytes]) -> None:
    assert tiles.unbundle(tiles.bundle(entries)) == entries


@given(st.binary(max_size=60))
def test_bytes_are_entries_or_refused_when_read_as_a_bundle(data: bytes) -> None:
    try:
        assert tiles.bundle(tiles.unbundle(data)) == data
    except AuditBroken:
        return
