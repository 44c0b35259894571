from __future__ import annotations

import json
from datetime import timedelta

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core import times
from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import audit, leaf
from chalicelib.core.log.entry import ACTS, VERDICTS
from chalicelib.core.log.entry_types import Entry
from tests.fixtures.audit import made

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    "\ud7ff\ue000\uffff\U00010000\U0001f600a", max_size=3
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=20,
)
CODES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.:#/-", max_size=20)
LEAVING: st.SearchStrategy[list[str]] = st.sampled_from([[], made.CLASSES])
FACTS = st.dictionaries(
    CODES, st.none() | st.booleans() | st.integers(0, 10**6) | CODES | st.lists(CODES, max_size=2), max_size=4
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    at = made.AT + timedelta(milliseconds=draw(st.integers(0, 10**9)))
    seed = draw(st.integers(0, 10**6))
    routes = []
    for n in range(draw(st.integers(0, 4))):
        verdicts = draw(st.lists(st.sampled_from(VERDICTS), max_size=4))
        strictest = max(verdicts, key=VERDICTS.index, default="refused")
        rules = [
            {"id": f"EU.{i}", "verdict": v, "ref": draw(st.text("artç§ .()0123456789", min_size=1))}
            for i, v in enumerate(verdicts)
        ]
        leaves = strictest in ("allowed", "redacted")
        routes.append(made.route((seed, n), rules, strictest, draw(LEAVING) if leaves else []))
    decision = made.decided(
        seed, at=at, routes=routes, facts=draw(FACTS), receipt=made.receipt(seed, draw(st.integers(0, 16)))
    )
    if routes and bool(draw(st.booleans())):
        return made.attempted(decision, at=at, attempt=draw(st.integers(1, 50)), take=draw(st.integers(0, 3)))
    if draw(st.booleans()):
        return made.act(draw(st.sampled_from(ACTS)), seed, at=at, reason=draw(st.sampled_from([None, "retention"])))
    return decision


@given(VALUES)
def test_canonical_bytes_equal_the_reference_when_there_are_no_floats(value: object) -> None:
    assert leaf.canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(VALUES)
def test_canonical_bytes_stay_when_parsed_and_written_again(value: object) -> None:
    data = leaf.canonical(value)

    assert leaf.canonical(json.loads(data)) == data


@given(st.binary(max_size=2_000) | st.text(max_size=500).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_bytes_come_back_when_deflated_and_inflated(data: bytes) -> None:
    assert leaf.inflate(leaf.deflate(data)) == data


@settings(max_examples=60)
@given(entries())
def test_an_entry_comes_back_when_stored_and_read(entry: Entry) -> None:
    data = leaf.leaf(entry)
    stored = leaf.deflate(data)

    assert data == rfc8785.dumps(entry)
    assert leaf.verify_entry(leaf.inflate(stored)) == entry
    assert audit.entry_id(audit.minute_of(entry["id"]), audit.owner_of(entry), audit.natural_key(entry)) == entry["id"]


@settings(max_examples=60)
@given(entries(), st.data())
def test_a_stored_leaf_is_refused_when_it_is_cut_or_has_a_tail(entry: Entry, data: st.DataObject) -> None:
    stored = leaf.deflate(leaf.leaf(entry))
    cut = data.draw(st.integers(0, len(stored) - 1))

    with pytest.raises(AuditBroken):
        leaf.inflate(stored[:cut])
    with pytest.raises(AuditBroken):
        leaf.inflate(stored + data.draw(st.binary(min_size=1, max_size=9)))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_bounded_when_inflated(data: bytes) -> None:
    try:
        inflated = leaf.inflate(data)
    except AuditBroken:
        return
    assert len(inflated) <= leaf.LEAF_BYTES


@given(st.integers(0, times.minute(times.LATEST)), st.text(max_size=40), st.text(max_size=40))
def test_an_id_tells_its_minute_and_a_shard_when_derived(minute: int, owner: str, natural: str) -> None:
    entry_id = audit.entry_id(minute, owner, natural)

    assert audit.minute_of(entry_id) == minute
    assert 0 <= audit.shard(entry_id) < audit.SHARDS
    assert audit.partition_of("tnt", entry_id) == audit.partition("tnt", minute, audit.shard(entry_id))
