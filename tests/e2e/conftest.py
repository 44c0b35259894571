"""Cells of few parts: what spreads the load of many people costs a test with three of them most of its time."""

from __future__ import annotations

import pytest

from chalicelib.store import person_ends


@pytest.fixture(autouse=True)
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spread the ends of people over two shards. A sweep after weeks asks each shard about each slot."""
    monkeypatch.setattr(person_ends, "SHARDS", 2)
