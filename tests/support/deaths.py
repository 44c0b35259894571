"""At which of its effects a process dies in a test: at a few of them in each run, at every one with ``WAYBILL_DEATHS=all``.

A few are every k-th, from a place that moves on by one each day, so that all have their turn within k days. A number in
``WAYBILL_DEATHS`` is that place: what failed on another day fails again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import pytest

CHOSEN = os.environ.get("WAYBILL_DEATHS") or str(datetime.now(UTC).toordinal())
PARTS = 4 if CHOSEN == "all" else 1
"""In how many pieces, which several processes can take, a test goes through its effects."""


def in_parts(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test as one of those that ``make deaths`` runs, and give it the ``part`` that it hands to ``at``."""
    marked: Callable[..., None] = pytest.mark.deaths(pytest.mark.parametrize("part", range(PARTS))(test))
    return marked


def at(effects: Iterable[int], most: int, part: int, always: Iterable[int] = ()) -> list[int]:
    """Return at which effects one piece of a test has the process die.

    Args:
        effects: the numbers of all that there are.
        most: how many in all pieces together, unless it is all of them.
        always: those that are among them each day, beside ``most``.
    """
    return sorted({*spread(list(effects), most, CHOSEN), *always})[part::PARTS]


def spread(effects: list[int], most: int, chosen: str) -> list[int]:
    """Return every k-th effect, at most ``most``; or all of them."""
    if chosen == "all":
        return effects
    step = -(-len(effects) // most)
    return effects[int(chosen) % step :: step]
