"""``make load``, tiny: it judges its observations, a loaded cell delivers all in order, and stored events cost nothing."""

from __future__ import annotations

import pytest

from benchmarks import load, stored
from chalicelib.core import ids
from chalicelib.core.log import audit
from tests.support.ungathered import each_alone

MINE = load.CONNECTIONS * load.CHATS
"""The next event of the conversation of event 0 has this number."""


def phase(answered: list[int], came: list[int]) -> load.Phase:
    return load.Phase(
        began=10.0,
        due=dict.fromkeys(answered, 10.0),
        answered=dict.fromkeys(answered, 10.5),
        came=[(number, 11.0 + place) for place, number in enumerate(came)],
    )


@pytest.mark.parametrize(
    ("answered", "came", "lost", "again", "disordered"),
    [
        ([0, 1, MINE], [1, 0, MINE], 0, 0, 0),
        ([0, 1, MINE], [0, MINE], 1, 0, 0),
        ([0, MINE], [MINE, 0], 0, 0, 1),
        ([0, MINE], [0, MINE, 0], 0, 1, 0),
        ([0, 1], [], 2, 0, 0),
    ],
)
def test_phase_tells_what_was_lost_repeated_or_late(
    answered: list[int], came: list[int], lost: int, again: int, disordered: int
) -> None:
    one = phase(answered, came)

    assert (one.lost, one.again, one.disordered) == (lost, again, disordered)


def test_rate_and_waits_are_from_what_was_due_to_what_came() -> None:
    one = phase([0, 1], [1, 0])

    assert one.rate_per_s == 1.0
    assert one.waits_ms(one.first_came) == [1000.0, 2000.0]
    assert one.waits_ms(one.answered) == [500.0, 500.0]


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (75, 3.0), (95, 4.0), (99, 4.0), (1, 1.0)])
def test_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert load.percentile([1.0, 2.0, 3.0, 4.0], percent) == value
    assert load.percentile([], percent) == 0.0


def test_all_is_delivered_in_order_when_a_cell_is_loaded() -> None:
    flood, paced = load.loaded("moto", 24, lambda _: None, post_s=600)

    for one in (flood, paced):
        assert (len(one.answered), one.lost, one.disordered, one.refused) == (24, 0, 0, {})
        assert all(one.cpu_s[stage] > 0 for stage in ("receive", "route", "deliver"))
    text = load.table([("flood", flood), ("paced", paced)])
    assert "24" in text and "deliver" in text


def test_calls_and_units_stay_when_ten_times_as_much_is_stored() -> None:
    with each_alone():
        few, many = stored.costs((100, 1000), 50, lambda _: None)

    assert (few.stored, many.stored) == (100, 1000)
    assert many.calls == pytest.approx(few.calls, rel=0.05)
    assert many.lookups == pytest.approx(few.lookups, rel=0.05)
    assert many.units == pytest.approx(few.units, rel=0.05)
    assert not {name for name in few.operations | many.operations if "query" in name or "scan" in name}
    assert "1,000" in stored.table([few, many])


def test_what_it_was_filled_with_is_there_and_can_be_read() -> None:
    filled = stored.Filled()

    filled.fill(30)

    runtime, tenant = filled.cell.runtime, filled.tenant
    for number in (0, 7, 29):
        event = ids.derived("evt", str(number))
        row = runtime.data.event(tenant, event, filled.cell.at)
        assert row is not None
        decided = audit.received_id(row.minute, event)
        (entry,) = runtime.audit.get_many(tenant, [(decided, filled.log)]).values()
        attempted = audit.attempt_id(decided, event, entry["routes"][0]["transfer"], 1)
        assert runtime.audit.get_many(tenant, [(attempted, filled.log)])[attempted]["outcome"] == "delivered"
