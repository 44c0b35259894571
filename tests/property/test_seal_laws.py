"""Laws of sealing: any entries sealed in any pieces check, in order, as one tree; nothing else does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core import ids, times
from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import audit, leaf, merkle, seal, tiles
from chalicelib.core.log.seal import EntryRow, Seal

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
TENANT = ids.derived("tnt", "a")


def act(number: int, ms: int = 0, **given: Any) -> Mapping[str, Any]:
    at = AT + timedelta(milliseconds=ms)
    return audit.act(
        "viewed", tenant=TENANT, minute=times.minute(AT), at=at, actor=given.get("actor", ("key", "k")),
        request=f"req_{number}", object=given.get("object", ("source", "s")),
    )  # fmt: skip


def row(number: int, ms: int = 0) -> EntryRow:
    entry = act(number, ms)
    return EntryRow(entry["at"], entry["id"], leaf.leaf(entry))


def sealed(pieces: list[list[EntryRow]], horizons: list[int] | None = None) -> list[tuple[Seal, bytes]]:
    made: list[tuple[Seal, bytes]] = []
    for place, piece in enumerate(pieces):
        horizon = AT + timedelta(hours=horizons[place] if horizons else 1)
        made.append(seal.integrate(made[-1][0] if made else None, piece, horizon))
    return made


PIECES = st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=40), min_size=1, max_size=6)


@given(PIECES)
@settings(max_examples=40)
def test_what_is_integrated_checks_and_is_one_tree(times_ms: list[list[int]]) -> None:
    number = iter(range(10_000))
    pieces = [[row(next(number), ms) for ms in piece] for piece in times_ms]

    made = sealed(pieces)

    last, entries = None, []
    for (one, data), piece in zip(made, pieces, strict=True):
        leaves = seal.check(last, one, data)
        assert leaves == [r.leaf for r in sorted(piece)]
        assert list(seal.ids_of(leaves)) == [r.id for r in sorted(piece)]
        assert Seal.from_document(one.document()) == one
        entries += leaves
        last = one
    assert last is not None and last.size == len(entries)
    assert last.root == merkle.root(merkle.leaf_hash(x) for x in entries).hex()


@given(st.lists(st.integers(-48, 48), min_size=1, max_size=12))
@settings(max_examples=40)
def test_the_horizon_never_goes_back_whatever_the_clock_does(hours: list[int]) -> None:
    made = sealed([[row(n)] for n in range(len(hours))], hours)

    horizons = [one.horizon for one, _ in made]

    assert horizons == sorted(horizons)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=8), st.lists(st.integers(0, 99), min_size=1, max_size=8))
def test_a_seal_may_hold_whatever_it_holds(inside: list[int], asked: list[int]) -> None:
    ((one, _),) = sealed([[row(n, ms) for n, ms in enumerate(inside)]])
    ats = sorted(times.text(AT + timedelta(milliseconds=ms)) for ms in asked)

    within = any(min(inside) <= ms <= max(inside) for ms in asked)

    assert seal.may_hold(one, ats) is within


CHANGES: dict[str, Any] = {
    "first": lambda s: replace(s, first=s.first + 1),
    "count": lambda s: replace(s, count=s.count - 1),
    "root": lambda s: replace(s, root="00" * 32),
    "range": lambda s: replace(s, range=tuple("00" * 32 for _ in s.range)),
    "batch": lambda s: replace(s, batch=s.batch[:-1] + ("0" if s.batch[-1] != "0" else "1")),
    "horizon": lambda s: replace(s, horizon="2026-01-01T00:00:00.000Z"),
    "min_at": lambda s: replace(s, min_at="2026-01-01T00:00:00.000Z"),
    "max_at": lambda s: replace(s, max_at=s.min_at),
    "prev_root": lambda s: replace(s, prev_root="00" * 32),
}


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_a_seal_does_not_check_when_one_of_its_fields_is_another(field: str) -> None:
    (first, _), (second, data) = sealed([[row(1)], [row(2, 5), row(3, 6)]])

    with pytest.raises(AuditBroken):
        seal.check(first, CHANGES[field](second), data)

    assert len(seal.check(first, second, data)) == 2


@pytest.mark.parametrize("change", ["order", "twice", "cut", "rubbish"])
def test_a_seal_does_not_check_when_its_batch_is_another_though_all_hashes_fit(change: str) -> None:
    rows = sorted([row(2, 5), row(3, 6)])
    leaves = {
        "order": [r.leaf for r in rows[::-1]],
        "twice": [rows[0].leaf, rows[0].leaf],
        "cut": [rows[0].leaf],
        "rubbish": [rows[0].leaf, b"rubbish"],
    }[change]
    ((one, _),) = sealed([rows])
    data = tiles.bundle(leaves)
    tree = merkle.CompactRange().extended(map(merkle.leaf_hash, leaves))
    forged = replace(
        one, batch=f"batches/0-{hashlib.sha256(data).hexdigest()}", root=tree.root().hex(),
        range=tuple(h.hex() for h in tree.hashes),
    )  # fmt: skip

    with pytest.raises(AuditBroken):
        seal.check(None, forged, data)


@pytest.mark.parametrize(
    ("actor", "thing"),
    [
        (("operator", "ent_" + "0" * 26), ("source", "s")),
        (("operator", "tnt_" + "0" * 26), ("transfer", "ent_" + "1" * 26)),
    ],
)
def test_an_entry_is_read_by_its_own_name_when_others_stand_in_it(
    actor: tuple[str, str], thing: tuple[str, str]
) -> None:
    entry = act(1, actor=actor, object=thing)

    found = seal.row(entry["id"], TENANT, "2026", leaf.leaf(entry))

    assert (found.id, found.at) == (entry["id"], entry["at"])


@pytest.mark.parametrize(("name", "tenant", "log"), [("ent_" + "0" * 26, TENANT, "2026"), (None, "tnt_x", "2026"), (None, TENANT, "2027")])  # fmt: skip
def test_a_row_is_refused_when_it_is_anothers(name: str | None, tenant: str, log: str) -> None:
    entry = act(1)

    with pytest.raises(AuditBroken):
        seal.row(name or entry["id"], tenant, log, leaf.leaf(entry))
