"""The limits on the way to 10,000 events a second: the page shows what is counted, and new tables can be warmed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scaling
from infra.deploy import template, warm

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
CELL = template.Cell("eu1", "eu-central-1", "DE")


def test_the_page_shows_the_counted_table() -> None:
    assert scaling.table() in PAGE.read_text("utf-8"), "python -m benchmarks.scaling prints the table"


def test_one_tenant_and_one_cell_can_have_a_thousand_events_a_second() -> None:
    ten, one = scaling.needs_of(10), scaling.needs_of(1)

    short = {limit.name for limit in scaling.limits() if min(limit.ceiling(ten), limit.ceiling(one)) < 1_000}

    assert short == {"parked lanes that `pump` wakes a second"}


def test_a_limit_that_nothing_needs_has_no_ceiling() -> None:
    none = scaling.Needs(1, {}, {})
    limit = scaling.Limit("x", 5, lambda of: of.writes.get("audit", 0), "fixed", "nothing")

    assert limit.ceiling(none) == float("inf")


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "warm.toml"
    file.write_text("[eu1.2028]\nreads_per_s = 50_000\nwrites_per_s = 30_000\n[other.2027]\nreads_per_s = 1\n", "utf-8")
    made: dict[str, Any] = template.fragment(CELL, date(2027, 12, 1))["Resources"]
    return warm.warmed(made, "eu1", file)


def test_a_new_audit_table_is_warm_where_the_file_says_so(tables: dict[str, Any]) -> None:
    throughput = {"ReadUnitsPerSecond": 50_000, "WriteUnitsPerSecond": 30_000}
    found = tables["AuditTable2028"]["Properties"]

    assert found["WarmThroughput"] == throughput
    assert [index["WarmThroughput"] for index in found["GlobalSecondaryIndexes"]] == [throughput]


def test_no_table_that_is_there_changes_when_a_later_one_is_warmed(tables: dict[str, Any]) -> None:
    """A change of a locked table would stop the deployment."""
    plain = template.fragment(CELL, date(2027, 12, 1))["Resources"]

    assert {name for name in plain if plain[name] != tables[name]} == {"AuditTable2028"}


def test_refused_when_a_throughput_is_no_whole_number(tmp_path: Path) -> None:
    file = tmp_path / "warm.toml"
    file.write_text('[eu1.2028]\nreads_per_s = "many"\nwrites_per_s = 1\n', "utf-8")

    with pytest.raises(ValueError, match="whole numbers"):
        warm.warmed({}, "eu1", file)
