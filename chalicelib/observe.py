"""Logs and metrics: JSON log lines and metrics, in the home region only.

Callers pass only codes, refs, counts and durations.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from .core import encoders

NAMESPACE = "waybill"
_logger = Logger(service="waybill", log_uncaught_exceptions=False)


def info(event: str, **fields: Any) -> None:
    """Log what happened, by a stable name."""
    _logger.info(event, **fields)


def warning(event: str, **fields: Any) -> None:
    """Log a line that an operator may want to look at."""
    _logger.warning(event, **fields)


def error(event: str, fault: BaseException, **fields: Any) -> None:
    """Log a fault of ours by its type and code; its text only where it is one of ours, which hold no personal data."""
    code = getattr(fault, "code", None)
    detail = getattr(fault, "detail", None)
    _logger.error(event, fault=type(fault).__name__, code=code, detail=detail, where=_where(fault), **fields)


def _where(fault: BaseException) -> str:
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    code = trace.tb_frame.f_code
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"


def count(metric: str, number: int = 1, **dimensions: str) -> None:
    """Count something in the cell's metrics: one line of the embedded metric format, no call.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    (read 2026-11-22).
    """
    # Written here: a provider of powertools for each count took as much CPU as opening and routing an event.
    at = time.time_ns() // 1_000_000
    values = encoders.escaped({**dimensions, metric: number})
    described = _described(metric, tuple(dimensions))
    sys.stdout.write(f'{{"_aws":{{"Timestamp":{at},"CloudWatchMetrics":{described}}},{values[1:]}\n')


@cache
def _described(metric: str, dimensions: tuple[str, ...]) -> str:
    """Return the fields that every line of a metric repeats."""
    directive = {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": [{"Name": metric, "Unit": "Count"}]}
    return encoders.escaped([directive])
