"""AWS calls and write request units of an event, warm, in batches of ten, as measured on ministack.

The calls of Lambda's queue mapping (receive, delete) are AWS's own. The people are known. All events of a minute share the
rows that say which minutes of the log hold entries, so these rows have a line of their own.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from chalicelib.core.log import leaf
from infra.cell import engines, local
from infra.deploy import template
from simulation import memory
from simulation.memory import inserted

from . import units, warm
from .results import Result

BUDGETS = {"receive": 1.0, "route": 3.0, "deliver": 3.0}
FLOORS = {"receive": 1.0, "route": 0.1, "deliver": 0.1}
"""One call a webhook, one call a batch."""
UNITS_BUDGET = 5.0
MINUTE_BATCHES = 60
PARTS = ("decided", "decided, index subject", "attempted", "event", "event, index day")


@dataclass(frozen=True)
class Counted:
    """The calls, units and bytes of an event in one warm batch.

    Args:
        stored: bytes that an event leaves in tables, by part, with DynamoDB's own bytes for each row and index entry.
        indexed: the part of ``stored`` that is in indexes.
        audit_reads: the part of ``reads`` that is of tables of the log.
        metrics: the different custom metrics that the batch has counted.
        size: how many events the batch had.
    """

    calls: Mapping[str, float]
    operations: Mapping[str, Mapping[str, int]]
    units: Mapping[str, float]
    reads: float
    log_bytes: float
    stored: Mapping[str, float] = field(default_factory=dict)
    indexed: Mapping[str, float] = field(default_factory=dict)
    audit_reads: float = 0.0
    metrics: int = 0
    size: int = warm.BATCH


def part_of(table: str, item: units.Item) -> str:
    """Name a row: the kind of its audit entry, a bucket row of a minute, or the event."""
    if "-audit-" not in table:
        return "event"
    if "leaf" not in item:
        return "minute"
    return str(json.loads(leaf.inflate(bytes(item["leaf"]["B"])))["kind"])


def units_of(calls: Iterable[warm.Call], tables: Iterable[Mapping[str, Any]], events: int) -> dict[str, float]:
    """Return write units an event, by part, of the calls that write.

    Raises:
        ValueError: a call that writes in a way that is not counted here.
    """
    indexes = {table["TableName"]: units.indexes_of(table) for table in tables}
    found: Counter[str] = Counter()
    for call in calls:
        if call.operation == "batch_execute_statement":
            for statement in call.arguments["Statements"]:
                table, item = inserted(statement)
                part = part_of(table, item)
                for index, count in units.insert_units(item, indexes[table]).items():
                    found[f"{part}, index {index}" if index else part] += count
        elif call.operation == "update_item" and "#source#" in call.arguments["Key"]["pk"]["S"]:
            found["counts of a source"] += 1  # once a minute for each source
        elif call.operation == "update_item" and call.arguments["Key"]["pk"]["S"].startswith("parts#"):
            found["mark of a list"] += 1  # once a day for each process of a busy tenant
        elif call.operation in ("put_item", "update_item", "delete_item"):
            raise ValueError(f"{call.operation} is not counted")
    return {part: count / events for part, count in found.items()}


def stored_bytes(
    calls: Iterable[warm.Call], tables: Iterable[Mapping[str, Any]], events: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the bytes an event that inserts leave in tables, by part: with their entries in indexes, and those entries alone."""
    indexes = {table["TableName"]: units.indexes_of(table) for table in tables}
    found, rows = Counter[str](), Counter[str]()
    for call in calls:
        for statement in call.arguments.get("Statements", ()):
            table, item = inserted(statement)
            found[part_of(table, item)] += units.stored_bytes(item, indexes[table])
            rows[part_of(table, item)] += units.stored_bytes(item, ())
    return (
        {part: count / events for part, count in found.items()},
        {part: (count - rows[part]) / events for part, count in found.items()},
    )


def metrics_in(printed: str) -> int:
    """Count the different custom metrics, each with its dimensions, in a function's log."""
    found = set()
    for line in printed.splitlines():
        document = json.loads(line)
        for one in document.get("_aws", {}).get("CloudWatchMetrics", ()):
            values = tuple((name, document[name]) for group in one["Dimensions"] for name in group)
            found |= {(metric["Name"], values) for metric in one["Metrics"]}
    return len(found)


def read_units(call: warm.Call, part: str = "") -> int:
    """Count a call's consistent reads: one unit for each key, found or not, since no row of an event has over 4 KB.

    Args:
        part: a part of the name of the tables that count.
    """
    if call.operation == "get_item":
        return int(part in call.arguments.get("TableName", ""))
    requests = call.arguments.get("RequestItems", {})
    return sum(len(request["Keys"]) for table, request in requests.items() if part in table)


def tables() -> list[Mapping[str, Any]]:
    """Return the cell's tables as they are made."""
    return [table.create for table in template.tables(warm.CELL, warm.REGION, warm.COUNTRY)]


def counted(cell: warm.Warm) -> Counted:
    """Count a batch of a cell, after one that warms it."""
    printed = io.StringIO()
    with warm.answering(), contextlib.redirect_stdout(printed):
        cell.batch()
        cell.meter.calls.clear()
        printed.truncate(0)
        printed.seek(0)
        cell.batch()
    made = [call for call in cell.meter.calls if call.stage in warm.STAGES]
    operations = {s: dict(Counter(c.operation for c in made if c.stage == s)) for s in warm.STAGES}
    stored, indexed = stored_bytes(made, tables(), cell.size)
    return Counted(
        calls={stage: sum(names.values()) / cell.size for stage, names in operations.items()},
        operations=operations,
        units=units_of(made, tables(), cell.size),
        reads=sum(map(read_units, made)) / cell.size,
        log_bytes=len(printed.getvalue().encode()) / cell.size,
        stored=stored,
        indexed=indexed,
        audit_reads=sum(read_units(call, "-audit-") for call in made) / cell.size,
        metrics=metrics_in(printed.getvalue()),
        size=cell.size,
    )


def minute_rows(batches: int = MINUTE_BATCHES, size: int = warm.BATCH) -> float:
    """Return the units an event that a minute's partition rows take, in a minute of ``batches`` batches."""
    cell = warm.Warm(memory.Memory(warm.REGION).client, size)
    with warm.answering(), contextlib.redirect_stdout(io.StringIO()):
        cell.batch()  # makes the people
        cell.meter.calls.clear()
        cell.at += timedelta(minutes=1)
        for _ in range(batches):
            cell.batch()
    made = [call for call in cell.meter.calls if call.stage in warm.STAGES]
    return units_of(made, tables(), batches * size).get("minute", 0.0)


def count() -> Counted:
    """Count on ministack, whose INSERT is refused where a row is, as DynamoDB's is."""
    with engines.ministack(warm.REGION) as engine:
        local.make_resources(engine, warm.CELL, warm.REGION, warm.COUNTRY)
        return counted(warm.Warm(engine.make_client))


def results_of(found: Counted, rows: float) -> list[Result]:
    """Lay out counts, and the units that the rows of a busy minute take."""
    results = [
        Result(f"AWS calls: {stage}", found.calls[stage], "calls/event", BUDGETS[stage], FLOORS[stage])
        for stage in warm.STAGES
    ]
    total = sum(found.units.get(part, 0.0) for part in PARTS)
    results.append(Result("write units: delivered event", total, "WRU/event", UNITS_BUDGET, float(len(PARTS))))
    results += [Result(f"write units: {part}", found.units.get(part, 0.0), "WRU/event", None, 1.0) for part in PARTS]
    name = f"write units: rows of a minute of {MINUTE_BATCHES * warm.BATCH} events"
    results.append(Result(name, rows, "WRU/event"))
    return results
