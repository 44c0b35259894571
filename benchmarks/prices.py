"""The cost of a cell at list prices (``prices.json``): a million delivered events at full batches, and an idle month.

Counted: calls, write and read units, bytes logged. Assumed, since no machine here is Lambda: how long functions run, and the
lines that Lambda itself logs. Without the free tier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.deploy import template

from . import warm
from .calls import Counted
from .results import Result

PRICES = Path(__file__).with_name("prices.json")
REGIONS = ("us-east-1", "eu-central-1")
"""The budget is held against the first, whose prices are all confirmed; the others are shown."""
MILLION_BUDGET_USD = 7.5
IDLE_BUDGET_USD = 10.0
MILLION = 1_000_000
GB = 1e9
MEMORY_GB = 0.5
RUNS_S = {"receive": 0.012, "route": 0.06, "deliver": 0.15}
"""Assumed: how long an invocation runs. receive: one call; route: five, one after the other; deliver: ten in parallel."""
PLATFORM_LOG_BYTES = 350
"""Assumed: START, END and REPORT of one invocation."""
SENT_BYTES = 1500
"""Assumed: a delivery of 1 KB with its headers."""
MONTH_S = 30 * 24 * 3600
POLLERS = 5
POLL_S = 20
"""Lambda polls an idle queue with five long polls at once.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html (read 2026-11-22).
"""
IDLE_METRICS = ("wakes", "tenants_erased")
"""The metrics that pump and sweep count in every run."""
PUMP_QUERIES = 8
PUMP_RUN_S = 0.1
PUMP_GB = 0.25

Prices = Mapping[str, Mapping[str, Any]]
Quantities = Mapping[str, float]


def prices(region: str) -> Prices:
    """Read the prices of a region."""
    found: Prices = json.loads(PRICES.read_text("utf-8"))["regions"][region]
    return found


def cost(quantities: Quantities, of: Prices) -> dict[str, float]:
    """Multiply quantities with prices, by part."""
    return {name: number * of[name]["usd"] / of[name]["per"] for name, number in quantities.items()}


def per_event(counted: Counted, minute_rows: float) -> dict[str, float]:
    """Return the amounts that one delivered event uses."""
    invocations = {"receive": 1.0, "route": 1 / warm.BATCH, "deliver": 1 / warm.BATCH}
    sends = sum(
        count for stage in warm.STAGES for name, count in counted.operations[stage].items() if name.startswith("send_")
    )
    mapped = 2 * 2  # the mappings of two queues receive and delete, once a batch
    return {
        "http_api_request": 1.0,
        "lambda_request": sum(invocations.values()),
        "lambda_gb_s_arm64": sum(RUNS_S[stage] * number for stage, number in invocations.items()) * MEMORY_GB,
        "sqs_fifo_request": (sends + mapped) / warm.BATCH,
        "dynamodb_write_unit": sum(v for part, v in counted.units.items() if part != "minute") + minute_rows,
        "dynamodb_read_unit": counted.reads,
        "log_ingest_gb": (counted.log_bytes + PLATFORM_LOG_BYTES * sum(invocations.values())) / GB,
        "data_out_gb": SENT_BYTES / GB,
    }


def idle_month() -> dict[str, float]:
    """Return the amounts that an idle cell uses in a month, counted in its own template."""
    found = template.resources(warm.CELL, warm.REGION, warm.COUNTRY)
    kinds = [resource.get("Type") for resource in found.values()]
    minutes = MONTH_S / 60
    return {
        "kms_key_month": kinds.count("AWS::KMS::Key"),
        "alarm_month": kinds.count("AWS::CloudWatch::Alarm"),
        "metric_month": len(IDLE_METRICS),
        "sqs_fifo_request": kinds.count("AWS::SQS::Queue") * POLLERS * MONTH_S / POLL_S,
        "lambda_request": minutes + MONTH_S / 3600,
        "lambda_gb_s_arm64": minutes * PUMP_RUN_S * PUMP_GB,
        "dynamodb_read_unit": minutes * PUMP_QUERIES * 0.5,  # of an index, hence eventually consistent
        "log_ingest_gb": minutes * PLATFORM_LOG_BYTES / GB,
    }


def run(counted: Counted, minute_rows: float) -> list[Result]:
    """Price the counts."""
    event, idle = per_event(counted, minute_rows), idle_month()
    results = []
    for region in REGIONS:
        of, ours = prices(region), region == REGIONS[0]
        million = cost({name: number * MILLION for name, number in event.items()}, of)
        month = cost(idle, of)
        for name, parts, budget in (
            ("list price: a million delivered events", million, MILLION_BUDGET_USD),
            ("list price: an idle cell, a month", month, IDLE_BUDGET_USD),
        ):
            results.append(Result(f"{name}, {region}", sum(parts.values()), "USD", budget if ours else None))
            results += [Result(f"  {part}, {region}", usd, "USD") for part, usd in parts.items() if ours]
    return results
