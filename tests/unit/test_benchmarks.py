"""The benchmarks' arithmetic, their counts and the form of their output. Never how long anything takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as bench
from benchmarks import calls, coldstart, prices, sealing_scale, units, warm
from benchmarks.results import Result, from_document, table
from simulation import memory
from tests.support.ungathered import each_alone


@pytest.fixture(scope="module")
def counted() -> calls.Counted:
    with each_alone():
        return calls.counted(warm.Warm(memory.Memory(warm.REGION).client))


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 1), ("7", 2), ("42", 2), ("123", 3), ("-123", 4), ("1200", 2), ("1.5", 2), ("1763802000", 5)],
)
def test_a_number_takes_a_byte_for_two_digits_when_it_is_counted(text: str, size: int) -> None:
    assert units.number_bytes(text) == size


def test_names_count_as_much_as_values_when_an_item_is_counted() -> None:
    item: dict[str, dict[str, Any]] = {
        "pk": {"S": "ключ"},
        "n": {"N": "-12"},
        "b": {"B": b"123"},
        "f": {"BOOL": True},
        "x": {"NULL": True},
    }

    assert units.item_bytes(item) == (2 + 8) + (1 + 3) + (1 + 3) + (1 + 1) + (1 + 1)


def test_refused_when_an_attribute_is_nested() -> None:
    with pytest.raises(ValueError, match="type M"):
        units.value_bytes({"M": {}})


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (2048, 2), (2049, 3)])
def test_rounded_up_to_a_kilobyte_when_units_are_counted(size: int, count: int) -> None:
    assert units.write_units(size) == count


def test_an_index_counts_its_keys_only_where_the_item_has_them() -> None:
    made = {
        "KeySchema": [{"AttributeName": "pk"}, {"AttributeName": "sk"}],
        "GlobalSecondaryIndexes": [
            {"IndexName": "s", "KeySchema": [{"AttributeName": "subject"}, {"AttributeName": "sk"}],
             "Projection": {"ProjectionType": "KEYS_ONLY"}},
        ],
    }  # fmt: skip
    item: dict[str, dict[str, Any]] = {"pk": {"S": "p"}, "sk": {"S": "s"}, "leaf": {"B": bytes(3000)}}

    indexes = units.indexes_of(made)

    assert indexes[0].projected == ("pk", "sk", "subject")
    assert units.insert_units(item, indexes) == {"": 3}
    assert units.insert_units({**item, "subject": {"S": "x" * 2000}}, indexes) == {"": 5, "s": 2}


def test_refused_when_an_index_projects_more_than_keys() -> None:
    index = {"IndexName": "a", "KeySchema": [], "Projection": {"ProjectionType": "ALL"}}

    with pytest.raises(ValueError, match="keys-only"):
        units.indexes_of({"KeySchema": [], "GlobalSecondaryIndexes": [index]})


def test_calls_and_units_are_within_their_budgets_when_a_warm_batch_is_counted(counted: calls.Counted) -> None:
    assert counted.operations["receive"] == {"send_message": warm.BATCH}
    # The second call requests a seal of partitions that the process has not named in this minute.
    assert counted.operations["route"].get("send_message_batch") in (1, 2)
    assert {**counted.operations["route"], "send_message_batch": 1} == {
        "get_item": 1, "batch_get_item": 1, "batch_execute_statement": 2, "send_message_batch": 1,
    }  # fmt: skip
    assert counted.operations["deliver"] == {
        "get_item": 1, "batch_get_item": 1, "batch_execute_statement": warm.BATCH,
    }  # fmt: skip
    assert all(counted.calls[stage] <= calls.BUDGETS[stage] for stage in warm.STAGES)
    assert {part: counted.units[part] for part in calls.PARTS} == dict.fromkeys(calls.PARTS, 1.0)
    assert set(counted.units) <= {*calls.PARTS, "minute"}


def test_at_most_eight_minute_rows_when_a_minute_is_busy() -> None:
    assert calls.minute_rows(batches=4) * 4 * warm.BATCH <= 8


def test_refused_when_a_write_is_not_counted() -> None:
    call = warm.Call("route", "put_item", {})

    with pytest.raises(ValueError, match="put_item"):
        calls.units_of([call], [], 1)


def test_quantities_are_those_counted_when_an_event_is_priced(counted: calls.Counted) -> None:
    event = prices.per_event(counted, 0.5)

    assert event["sqs_fifo_request"] == pytest.approx(1.55, abs=0.06)
    assert event["lambda_request"] == pytest.approx(1.2)
    assert event["dynamodb_write_unit"] + event["dynamodb_ia_write_unit"] == pytest.approx(5.5)
    assert event["dynamodb_ia_write_unit"] == pytest.approx(3.5)  # decision, its index entry, attempt, and the minute's
    assert event["dynamodb_read_unit"] + event["dynamodb_ia_read_unit"] == pytest.approx(counted.reads)
    assert counted.reads > event["dynamodb_ia_read_unit"] == counted.audit_reads > 0


def test_one_unit_for_each_key_when_reads_are_counted() -> None:
    asked: Any = {"RequestItems": {"a": {"Keys": [{}, {}]}, "b": {"Keys": [{}]}}}

    reads: list[tuple[str, Any]] = [("batch_get_item", asked), ("get_item", {})]
    found = [calls.read_units(warm.Call("route", *read)) for read in reads]

    assert [*found, calls.read_units(warm.Call("route", "send_message", {}))] == [3, 1, 0]
    assert calls.read_units(warm.Call("route", "batch_get_item", asked), "b") == 1


def test_multiplied_and_divided_when_a_price_is_for_many() -> None:
    of = {"call": {"usd": 0.5, "per": 1_000_000}, "key": {"usd": 1.0, "per": 1}}

    assert prices.cost({"call": 3_000_000, "key": 2}, of) == {"call": 1.5, "key": 2.0}


def test_every_quantity_has_a_price_in_every_region(counted: calls.Counted) -> None:
    for region in prices.REGIONS:
        for quantities in (prices.per_event(counted, 0.0), prices.idle_month(), *prices.kept(counted).values()):
            assert set(prices.cost(quantities, prices.prices(region))) == set(quantities)


def test_everything_that_an_event_leaves_behind_is_in_its_price(counted: calls.Counted) -> None:
    kept, of = prices.kept(counted), prices.prices("eu-central-1")

    assert counted.stored.keys() >= {"decided", "attempted", "event"}
    rows = counted.stored["decided"] + counted.stored["attempted"]
    assert kept["rows of the log"]["dynamodb_ia_storage_gb_month"] * prices.GB == pytest.approx(8 * rows)
    assert kept["backups of the log"]["dynamodb_pitr_gb_month"] * prices.GB == pytest.approx(
        8 * (rows - counted.indexed["decided"])
    )
    assert (counted.indexed["attempted"], counted.indexed["decided"] > 100) == (0, True)
    assert kept["evidence bucket"]["s3_storage_gb_month"] * prices.GB == pytest.approx(
        84 * (prices.compact_bytes() + 2 * 32 * 256 / 255)
    )
    assert 100 < prices.compact_bytes() < 2 * 1_500 / 4  # an event's entries have 2 KB before they are compressed
    assert set(prices.all_in(counted, 0.0, of)) == {"moved and decided", *kept}
    assert sum(prices.all_in(counted, 0.0, of).values()) > 2 * prices.event_bus(of)


def test_the_dashboard_and_each_polled_queue_are_in_the_price_of_an_idle_cell() -> None:
    idle = prices.idle_month()

    assert idle["dashboard_month"] == 1
    assert idle["sqs_fifo_request"] == 5 * 5 * 3 * 60 * 24 * 30  # five queues, five pollers, three polls a minute


def test_a_batch_of_one_costs_the_calls_of_ten(counted: calls.Counted) -> None:
    one = calls.counted(warm.Warm(memory.Memory(warm.REGION).client, 1))

    assert (one.size, counted.size) == (1, 10)
    assert prices.per_event(one, 0.0)["sqs_fifo_request"] > 3.5 * prices.per_event(counted, 0.0)["sqs_fifo_request"]
    assert one.metrics == counted.metrics > 0


def test_a_metric_is_one_for_each_value_of_its_dimensions() -> None:
    def line(**values: Any) -> str:
        names = [name for name in values if name != "n"]
        told = {"Namespace": "waybill", "Dimensions": [names], "Metrics": [{"Name": "n"}]}
        return json.dumps({"_aws": {"CloudWatchMetrics": [told]}, **values})

    assert calls.metrics_in("\n".join([line(c="a", n=1), line(c="a", n=2), line(c="b", n=1), '{"message": "x"}'])) == 2


@pytest.mark.parametrize(
    ("value", "budget", "sense", "kept"),
    [(1, 1, "max", True), (1.1, 1, "max", False), (1, 1, "min", True), (0.9, 1, "min", False), (5, None, "max", None)],
)
def test_a_budget_is_the_most_or_the_least_as_its_sense_says(value: Any, budget: Any, sense: Any, kept: Any) -> None:
    assert Result("x", value, "u", budget, None, sense).kept is kept


def test_columns_line_up_when_rows_are_laid_out() -> None:
    lines = table([Result("a", 1.0, "us", 2.0), Result("longer name", 12345.0, "bytes", None, 3.0)]).splitlines()

    assert lines[0].split() == ["name", "value", "unit", "budget", "floor", "verdict"]
    assert lines[1].split() == ["a", "1", "us", "≤", "2", "-", "kept"]
    assert lines[1].index("us") == lines[2].index("bytes") == lines[0].index("unit")


def test_every_row_has_the_documented_fields_when_figures_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"

    status = bench.main(["--quick", "--only", "decisions", "--out", str(out)])

    written, printed = json.loads(out.read_text("utf-8")), capsys.readouterr().out
    assert set(written) == {"results"}
    for row in written["results"]:
        assert set(row) == {"name", "value", "unit", "budget", "sense", "floor"}
        assert isinstance(row["value"], float)
        assert row["sense"] in ("max", "min")
        assert from_document(row).document() == row
        assert row["name"] in printed
    assert status == 0


def test_told_what_there_is_when_a_group_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--only", "nothing"])

    assert "decisions" in capsys.readouterr().err


def test_an_error_is_raised_when_a_function_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ValueError('at import')\n", "utf-8")

    with coldstart.serving() as server, pytest.raises(RuntimeError, match="broken"):
        coldstart.spawn_ms(server, "broken.handler", {}, tmp_path)


def test_answered_as_a_function_does_when_one_is_spawned(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("def handler(event, context):\n    return {'seen': event['n']}\n", "utf-8")

    with coldstart.serving() as server:
        took_ms, answer = coldstart.spawn_ms(server, "plain.handler", {"n": 4}, tmp_path)

    assert answer == {"seen": 4}
    assert took_ms > 0


def test_all_is_sealed_when_a_minute_is_simulated() -> None:
    rate, collected_s = sealing_scale.one_log(batch=10, entries=600)

    assert rate > 0 < collected_s


def test_every_tenant_is_sealed_when_many_are_due() -> None:
    assert sealing_scale.tenants(6) > 0
