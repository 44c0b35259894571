"""No partition key is hotter than its budget: the benchmark at a twentieth of its rate."""

from __future__ import annotations

import pytest

from benchmarks import counters, hot
from benchmarks.units import indexes_of

SHARE = 20
RATE = hot.RATE // SHARE


@pytest.fixture(scope="module", params=hot.SCENARIOS, ids=lambda scenario: scenario.name)
def found(request: pytest.FixtureRequest) -> dict[tuple[str, str], tuple[int, str]]:
    return hot.measure(request.param, 1, RATE)


def test_no_key_is_hotter_than_its_share_of_the_budget(found: dict[tuple[str, str], tuple[int, str]]) -> None:
    """The burst with which a process begins a list does not shrink with the rate."""
    for (place, kind), (number, key) in found.items():
        budget = hot.WRITES_BUDGET if kind == "writes" else hot.READS_BUDGET
        assert number <= budget / SHARE + (RATE if "index day" in place else 0), (place, key)


def test_every_table_and_index_of_an_event_is_counted(found: dict[tuple[str, str], tuple[int, str]]) -> None:
    names = {place.removeprefix("waybill-bench-") for place, kind in found if kind == "writes"}

    assert {"data", "data, index day", "people", "audit-2026", "audit-2026, index subject"} <= names


def test_an_index_is_written_where_a_row_enters_changes_or_leaves() -> None:
    table = {
        "KeySchema": [{"AttributeName": "pk"}],
        "GlobalSecondaryIndexes": [
            {"IndexName": "i", "KeySchema": [{"AttributeName": "day"}], "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    }
    heat = hot.Heat({"t": table})
    row, other = ({"pk": {"S": "a"}, "day": {"S": day}} for day in ("one", "two"))

    heat.write("t", None, row)
    heat.write("t", row, row)
    heat.write("t", row, other)
    heat.write("t", other, None)

    assert len(indexes_of(table)) == 1
    assert heat.hottest(0) == {("t", "writes"): (4, "a"), ("t, index i", "writes"): (2, "two")}


@pytest.mark.parametrize("batch", [1, 10])
def test_a_counter_takes_many_new_people_from_many_processes_and_no_batch_comes_back(batch: int) -> None:
    """Of a tenth of the people. One row alone takes a quarter of the budget and turns batches away."""
    per_s, back = counters.rate(batch, counters.PEOPLE // 10)

    assert back == 0
    assert per_s > counters.BUDGET_PER_S / 2
