"""The cost of a cell at list prices (``prices.json``): a million delivered events, and an idle month.

The price of a million events is all in: what moves them, and what keeps them for as long as the product keeps them. Counted:
calls, write and read units, bytes stored and logged, metrics. Assumed, since no machine here is Lambda: how long functions run,
and the lines that Lambda itself logs. Without the free tier.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chalicelib.core import ids
from chalicelib.core.log import audit, leaf, tiles
from chalicelib.store.evidence import LEVEL
from infra.deploy import template
from simulation import memory

from . import calls, units, warm
from . import leaf as leaves
from .calls import Counted
from .results import Result

PRICES = Path(__file__).with_name("prices.json")
REGIONS = ("us-east-1", "eu-central-1")
"""The budget is held against the first, whose prices are all confirmed; the others are shown."""
MILLION_BUDGET_USD = 7.5
"""The budget of what moves an event, at full batches in the first region."""
BATCHES = (10, 2, 1)
ALL_IN_BUDGETS_USD = {10: 12.0, 1: 18.0}
"""The budgets by events in a batch. They are held against ``ALL_IN_REGION``, where most cells are."""
ALL_IN_REGION = "eu-central-1"
IDLE_BUDGET_USD = 10.0
MILLION = 1_000_000
GB = 1e9
MEMORY_GB = 0.5
RUNS_S = {"receive": 0.012, "route": 0.06, "deliver": 0.15}
"""Assumed: how long an invocation runs. receive: one call; route: five, one after the other; deliver: ten in parallel."""
PLATFORM_LOG_BYTES = 350
"""Assumed: START, END and REPORT of one invocation. The functions of an event's way do not log them (``LoggingConfig``)."""
CONTENT_MONTHS = 1.0
"""How long an event's content is kept: 30 days, the retention of the benchmark's tenant."""
AUDIT_MONTHS = 8.0
"""How long a row of the log is in its table, on average: half of its year, and until the February after."""
EVIDENCE_MONTHS = 84.0
"""How long the evidence bucket is locked."""
LOG_MONTHS = 1.0
SEALED_EVENTS = 1_500
"""Assumed: the events of one seal, at five events a second and a seal each five minutes."""
SEAL_PUTS = 4
PERSON_EVENTS = 10.0
"""Assumed: how many events one person sends before the person's end."""
PERSON_UNITS = {"first contact": 5.0, "ends moved": 4.0, "end": 5.0}
"""Write units of a person: four rows and an index entry; an end that is moved on four slots of six hours (assumed); and the
deletion, as the group ``expiry`` measures it. TTL deletes the rows of events."""
REQUESTS_A_CALL = 10
"""``collect`` receives and removes ten seal requests with one call."""
POLLS_A_MINUTE = 3
"""``collect`` asks an empty queue three times."""
FEW_A_S = 5.0
"""The rate at which fixed costs of a busy cell are shared, in events a second."""
LOG_PARTS = ("decided", "attempted")
SENT_BYTES = 1500
"""Assumed: a delivery of 1 KB with its headers."""
MONTH_S = 30 * 24 * 3600
POLLERS = 5
POLL_S = 20
"""Lambda polls an idle queue with five long polls at once.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html (read 2026-11-22).
"""
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
    invocations = {"receive": 1.0, "route": 1 / counted.size, "deliver": 1 / counted.size}
    sends = sum(
        count for stage in warm.STAGES for name, count in counted.operations[stage].items() if name.startswith("send_")
    )
    mapped = 2 * 2  # the mappings of two queues receive and delete, once a batch
    logged = sum(v for part, v in counted.units.items() if part.startswith(LOG_PARTS)) + minute_rows
    others = sum(v for part, v in counted.units.items() if not part.startswith((*LOG_PARTS, "minute")))
    return {
        "http_api_request": 1.0,
        "lambda_request": sum(invocations.values()),
        "lambda_gb_s_arm64": sum(RUNS_S[stage] * number for stage, number in invocations.items()) * MEMORY_GB,
        "sqs_fifo_request": (sends + mapped) / counted.size,
        "dynamodb_write_unit": others,
        "dynamodb_ia_write_unit": logged,
        "dynamodb_read_unit": counted.reads - counted.audit_reads,
        "dynamodb_ia_read_unit": counted.audit_reads,
        "log_ingest_gb": counted.log_bytes / GB,
        "data_out_gb": SENT_BYTES / GB,
    }


def kept(counted: Counted) -> dict[str, dict[str, float]]:
    """Return the amounts that keep one event and its log, by what is kept."""
    rows = sum(counted.stored[part] for part in LOG_PARTS)
    in_index = sum(counted.indexed[part] for part in LOG_PARTS)
    evidence = compact_bytes() + 2 * 32 * 256 / 255
    return {
        "content": {
            "dynamodb_storage_gb_month": counted.stored["event"] * CONTENT_MONTHS / GB,
            **_backup(counted.stored["event"] - counted.indexed["event"], CONTENT_MONTHS),
        },
        "rows of the log": {"dynamodb_ia_storage_gb_month": rows * AUDIT_MONTHS / GB},
        "backups of the log": _backup(rows - in_index, AUDIT_MONTHS),
        "evidence bucket": {
            "s3_storage_gb_month": evidence * EVIDENCE_MONTHS / GB,
            "s3_put": 2 / 256 + SEAL_PUTS / SEALED_EVENTS,
        },
        "sealing": {
            # Route and deliver ask once a batch at most. A request is received and removed twice: alone, and merged.
            "sqs_request": 2 * 2 * 2 / REQUESTS_A_CALL / counted.size,
            "dynamodb_ia_read_unit": rows / units.READ_BYTES,
        },
        "people": {"dynamodb_write_unit": sum(PERSON_UNITS.values()) / PERSON_EVENTS},
        "reconciliation": {"dynamodb_ia_read_unit": rows / units.READ_BYTES},
        "logs kept": {"log_storage_gb_month": counted.log_bytes * LOG_MONTHS / GB},
        "metrics": {"metric_month": counted.metrics / (FEW_A_S * MONTH_S)},
    }


@functools.cache
def compact_bytes() -> float:
    """Return the bytes of an event's entries in a batch of compact evidence: every id and hash is another."""
    found = []
    for number in map(str, range(SEALED_EVENTS)):
        event, person = ids.derived("evt", number), str(int(number) % 500)
        decision = dict(leaves.decided())
        decision["event"], decision["receipt"] = (
            event,
            {
                **decision["receipt"],
                "commitment": hashlib.sha256(number.encode()).hexdigest(),
                "subjects": [ids.derived("sub", person)],
                "conversation": ids.derived("cnv", person),
            },
        )
        decision["routes"][0]["transfer"] = ids.derived("trf", number)
        decision["id"] = audit.entry_id(audit.minute_of(decision["id"]), event, audit.natural_key(decision))
        found += [leaf.leaf(decision), leaf.leaf(leaves.attempted(decision))]
    return len(gzip.compress(tiles.bundle(found), LEVEL, mtime=0)) / SEALED_EVENTS


def _backup(size: float, months: float) -> dict[str, float]:
    """Point-in-time recovery is billed by the size of the table without its global indexes.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html
    (read 2026-11-30).
    """
    return {"dynamodb_pitr_gb_month": size * months / GB}


def event_bus(of: Prices) -> float:
    """Return the price of a million events over an HTTP API, a verifying function, an event bus and an API destination.

    Nothing is decided, kept in order, encrypted or logged there.
    """
    one = {
        "http_api_request": 1.0,
        "lambda_request": 1.0,
        "lambda_gb_s_arm64": RUNS_S["receive"] * MEMORY_GB,
        "log_ingest_gb": PLATFORM_LOG_BYTES / GB,
        "event_bus_event": 1.0,
        "api_destination_call": 1.0,
        "data_out_gb": SENT_BYTES / GB,
    }
    return MILLION * sum(cost(one, of).values())


def all_in(counted: Counted, minute_rows: float, of: Prices) -> dict[str, float]:
    """Return the price of a million delivered events, everything included, by part."""
    moved = sum(cost(per_event(counted, minute_rows), of).values())
    parts = {name: sum(cost(amounts, of).values()) for name, amounts in kept(counted).items()}
    return {name: MILLION * usd for name, usd in {"moved and decided": moved, **parts}.items()}


def idle_month() -> dict[str, float]:
    """Return the amounts that an idle cell uses in a month, counted in its own template."""
    found = template.resources(warm.CELL, warm.REGION, warm.COUNTRY)
    kinds = [resource.get("Type") for resource in found.values()]
    minutes = MONTH_S / 60
    mapped = [r for r in found.values() if r.get("Type") == "AWS::SQS::Queue" and r["Properties"].get("FifoQueue")]
    return {
        "kms_key_month": kinds.count("AWS::KMS::Key"),
        "alarm_month": kinds.count("AWS::CloudWatch::Alarm"),
        "dashboard_month": kinds.count("AWS::CloudWatch::Dashboard"),
        "sqs_fifo_request": len(mapped) * POLLERS * MONTH_S / POLL_S,
        "sqs_request": minutes * POLLS_A_MINUTE,
        "lambda_request": minutes + MONTH_S / 3600,
        "lambda_gb_s_arm64": minutes * PUMP_RUN_S * PUMP_GB,
        "dynamodb_read_unit": minutes * PUMP_QUERIES * 0.5,  # of an index, hence eventually consistent
        "log_ingest_gb": minutes * PLATFORM_LOG_BYTES / GB,
    }


def run(counted: Counted, minute_rows: float) -> list[Result]:
    """Price the counts."""
    return _all_in() + _moved(counted, minute_rows)


def _all_in() -> list[Result]:
    of, results = prices(ALL_IN_REGION), []
    for size in BATCHES:
        counted = calls.counted(warm.Warm(memory.Memory(warm.REGION).client, size))
        parts = all_in(counted, calls.minute_rows(size=size), of)
        name = f"a million delivered events, all in, batch {size}, {ALL_IN_REGION}"
        results.append(Result(name, sum(parts.values()), "USD", ALL_IN_BUDGETS_USD.get(size)))
        results += [Result(f"  {part}, batch {size}", usd, "USD") for part, usd in parts.items()]
    name = f"a million events over an event bus and an API destination, {ALL_IN_REGION}"
    return [*results, Result(name, event_bus(of), "USD")]


def _moved(counted: Counted, minute_rows: float) -> list[Result]:
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
