"""``python -m benchmarks.scaling``: the limits on the way to 10,000 events a second, as a table for ``docs/scaling.md``.

What an event needs is counted in the real calls of a warm batch. What a cell has comes from its own template, or is a default
quota of AWS. The ceiling of a limit is what there is, divided by what one event needs.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.log.audit import SHARDS as LOG_SHARDS
from chalicelib.flow.delivery.pump import LANES_A_SHARD
from chalicelib.store.config import CHECKS_A_S
from chalicelib.store.data import DUE_SHARDS
from chalicelib.store.lists import OWN_PER_S, PARTS
from infra.deploy import template
from simulation import memory
from simulation.memory import inserted

from . import calls, units, warm
from .prices import RUNS_S

HEADS = ("limit", "value", "ceiling, batch 10", "ceiling, batch 1", "whose", "to raise it")
PARTITION_WRITES = 1_000
PARTITION_READS = 3_000
"""Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html (read 2026-11-30)."""
TABLE_UNITS = 40_000
"""Of each table and each index, for reads and for writes, by default.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html (read 2026-11-30).
"""
NEW_TABLE_WRITES, NEW_TABLE_READS = 4_000, 12_000
"""What a new table on demand takes at once.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html (read 2026-11-30).
"""
LAMBDA_CONCURRENCY = 1_000
"""Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (read 2026-11-30)."""
GATEWAY_PER_S = 10_000
"""Of an account and region. Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html (read 2026-11-30)."""
FIFO_CALLS = 19_000
"""Calls a second of each kind to one high-throughput FIFO queue in eu-central-1; other regions have 2,400 to 70,000.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html (read 2026-11-30).
"""


@dataclass(frozen=True)
class Needs:
    """What one event needs in batches of one size: units of each table and index, and calls."""

    size: int
    writes: Mapping[str, float]
    reads: Mapping[str, float]


@dataclass(frozen=True)
class Limit:
    """One limit: how much there is, whose it is, and what one event needs of it."""

    name: str
    value: float
    needs: Callable[[Needs], float]
    whose: str
    remedy: str

    def ceiling(self, of: Needs) -> float:
        """Return the events a second at which the limit is reached."""
        needed = self.needs(of)
        return self.value / needed if needed else float("inf")


def needs_of(size: int) -> Needs:
    """Count the second batch of a warm cell."""
    cell = warm.Warm(memory.Memory(warm.REGION).client, size)
    with warm.answering(), contextlib.redirect_stdout(io.StringIO()):
        cell.batch()
        cell.meter.calls.clear()
        cell.batch()
    writes, reads = Counter[str](), Counter[str]()
    indexes = {table["TableName"]: units.indexes_of(table) for table in calls.tables()}
    for call in (one for one in cell.meter.calls if one.stage in warm.STAGES):
        for statement in call.arguments.get("Statements", ()):
            table, item = inserted(statement)
            if calls.part_of(table, item) == "minute":
                continue  # eight a minute and process, whatever the rate
            for index, number in units.insert_units(item, indexes[table]).items():
                writes[_kind(table, index)] += number
        if call.operation == "get_item":
            reads[_kind(call.arguments["TableName"])] += 1
        for table, request in call.arguments.get("RequestItems", {}).items():
            reads[_kind(table)] += len(request["Keys"])
    return Needs(size, _each(writes, size), _each(reads, size))


def _kind(table: str, index: str = "") -> str:
    name = re.sub(r"-\d{4}\Z", "", table.removeprefix(f"waybill-{warm.CELL}-"))
    return f"{name}, index {index}" if index else name


def _each(counts: Counter[str], size: int) -> dict[str, float]:
    return {name: number / size for name, number in counts.items()}


def limits() -> list[Limit]:
    """Return the limits of a cell as its template makes it, by the place where an event meets them."""
    functions = json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]
    found = template.resources(warm.CELL, warm.REGION, warm.COUNTRY)
    stage = next(s for s in _all(found, "DefaultRouteSettings"))
    most = {name: _concurrency(found, name) for name in ("route", "deliver")}
    busy = {name: busy_with(name) for name in RUNS_S}

    def account(of: Needs) -> float:
        return sum(one(of) for one in busy.values())

    ours, quota, fixed = "the template", "a quota", "fixed"
    return [
        Limit("HTTP API, requests a second", stage["ThrottlingRateLimit"], _one, ours, "`DefaultRouteSettings`"),
        Limit("API Gateway, requests a second", GATEWAY_PER_S, _one, quota, "a request to AWS"),
        Limit("`hooks`, at once", functions["hooks"]["reserved_concurrency"], busy["receive"], ours,
              "`reserved_concurrency`"),
        Limit("inbox, calls of one kind a second", FIFO_CALLS, _one, quota, "a request to AWS, or another region"),
        Limit("`route`, at once", most["route"], busy["route"], ours, "`MaximumConcurrency`"),
        Limit("`deliver`, at once", most["deliver"], busy["deliver"], ours, "`MaximumConcurrency`"),
        Limit("functions of the account, at once", LAMBDA_CONCURRENCY, account, quota, "a request to AWS"),
        Limit("log table, writes a second", TABLE_UNITS, lambda n: n.writes["audit"], quota, "a request to AWS"),
        Limit("log table, reads a second", TABLE_UNITS, lambda n: n.reads["audit"], quota, "a request to AWS"),
        Limit("new log table, writes a second", NEW_TABLE_WRITES, lambda n: n.writes["audit"], "the first minutes of a year",
              "warm throughput"),
        Limit("new log table, reads a second", NEW_TABLE_READS, lambda n: n.reads["audit"], "the first minutes of a year",
              "warm throughput"),
        Limit("`data`, writes a second", TABLE_UNITS, lambda n: n.writes["data"], quota, "a request to AWS"),
        Limit("`data`, reads a second", TABLE_UNITS, lambda n: n.reads["data"], quota, "a request to AWS"),
        Limit("`people`, reads a second", TABLE_UNITS, lambda n: n.reads["people"], quota, "a request to AWS"),
        Limit("one tenant: log partitions, writes", PARTITION_WRITES * LOG_SHARDS, lambda n: n.writes["audit"], fixed,
              "another tenant"),
        Limit("one tenant: log partitions, reads", PARTITION_READS * LOG_SHARDS, lambda n: n.reads["audit"], fixed,
              "another tenant"),
        Limit("one tenant: parts of a list, writes", PARTITION_WRITES * PARTS, lambda n: n.writes["data, index day"],
              "the code", "`store/lists.py`"),
        Limit("one tenant: its row, reads", PARTITION_READS / CHECKS_A_S, lambda n: busy["route"](n) + busy["deliver"](n),
              fixed, "another tenant"),
        Limit("one tenant: a list's own partition, writes", PARTITION_WRITES / OWN_PER_S, busy["route"], fixed,
              "another tenant"),
        Limit("one destination: its row, reads", PARTITION_READS, lambda n: 1 / n.size, fixed, "another destination"),
        Limit("parked lanes that `pump` wakes a second", DUE_SHARDS * LANES_A_SHARD / 60, _one, "the code", "`pump.py`"),
    ]  # fmt: skip


def busy_with(stage: str) -> Callable[[Needs], float]:
    """Return how many processes of a function one event a second keeps busy."""
    return lambda of: RUNS_S[stage] / (1 if stage == "receive" else of.size)


def _one(_of: Needs) -> float:
    return 1.0


def _all(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        own = [value[name]] if name in value else []
        return own + [x for inner in value.values() for x in _all(inner, name)]
    return [x for inner in value for x in _all(inner, name)] if isinstance(value, list) else []


def _concurrency(found: dict[str, Any], function: str) -> int:
    (most,) = (
        most
        for resource in found.values()
        if str(resource.get("Properties", {}).get("FunctionName", "")).endswith(f"-{function}")
        for most in _all(resource, "MaximumConcurrency")
    )
    return int(most)


def table() -> str:
    """Lay the limits out in Markdown, in the order in which an event meets them. Ceilings are events a second."""
    ten, one = needs_of(10), needs_of(1)
    rows = [
        (limit.name, f"{limit.value:,.0f}", _figure(limit.ceiling(ten)), _figure(limit.ceiling(one)), limit.whose, limit.remedy)
        for limit in limits()
    ]  # fmt: skip
    lines = [f"| {' | '.join(row)} |" for row in (HEADS, *rows)]
    lines.insert(1, "|---|---:|---:|---:|---|---|")
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    digits = max(0, len(str(int(value))) - 2)
    return "-" if value == float("inf") else f"{int(value) // 10**digits * 10**digits:,}"


if __name__ == "__main__":
    print(table(), end="")
