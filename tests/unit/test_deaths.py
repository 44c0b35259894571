"""The sample of effects at which tests crash a process."""

from __future__ import annotations

import pytest

from tests.support import deaths
from tests.support.deaths import spread


@pytest.mark.parametrize(("number", "most", "step"), [(142, 8, 18), (16, 8, 2), (5, 8, 1), (1, 1, 1)])
def test_every_effect_has_its_turn_when_the_place_moves_on(number: int, most: int, step: int) -> None:
    effects = list(range(7, 7 + number))

    days = [spread(effects, most, str(day)) for day in range(739_000, 739_000 + step)]

    assert sorted(effect for day in days for effect in day) == effects
    assert all(1 <= len(day) <= most for day in days)


def test_no_effect_is_left_out_when_all_are_asked_for() -> None:
    assert spread([3, 4, 5], 1, "all") == [3, 4, 5]


@pytest.mark.parametrize("chosen", ["all", "739000"])
def test_the_parts_of_a_test_are_all_that_it_goes_through(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.setattr(deaths, "CHOSEN", chosen)
    monkeypatch.setattr(deaths, "PARTS", 4)

    parts = [number for part in range(4) for number in deaths.at(range(1, 31), 5, part, always=[2, 30])]

    assert sorted(parts) == sorted({*spread(list(range(1, 31)), 5, chosen), 2, 30})
