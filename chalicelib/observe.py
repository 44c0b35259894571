"""Logs and metrics: JSON log lines and metrics, in the home region only.

Callers pass only codes, refs, counts and durations. A handler and the use cases name what they work on (``about``,
``also_about``): each line that is logged meanwhile carries these ids, so that no call has to pass them.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, Protocol, TypeVar

from aws_lambda_powertools import Logger

from .core import encoders, ids
from .core.errors import Unavailable

NAMESPACE = "waybill"
_logger = Logger(service="waybill", log_uncaught_exceptions=False)
_ID: Final = rf"(?:{'|'.join(ids.PREFIXES)})_[0-9a-z]{{{ids.LENGTH}}}"
_SHOWN: Final = re.compile(rf"{_ID}(?:#(?:{_ID}|-))*|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")
"""Our ids, lanes, and the ids of AWS's requests and messages. Nothing else may become part of each line."""
Names = Callable[[], Mapping[str, object]]
_named: ContextVar[tuple[Names, ...]] = ContextVar("named", default=())
"""Asked only when a line is logged: most messages pass without one."""


class NamedMessage(Protocol):
    """A message that knows its ids."""

    def names(self) -> Mapping[str, object]:
        """Return the ids, by the names of their fields."""


Item = TypeVar("Item", bound=NamedMessage)


@contextmanager
def about(**names: object) -> Iterator[None]:
    """Add ids to each line that this block logs."""
    before = _named.get()
    also_about(**names)
    try:
        yield
    finally:
        _named.set(before)  # not by a token: a generator may be closed in another context


def also_about(**names: object) -> None:
    """Add ids to each line until the surrounding ``about`` ends."""
    _named.set((*_named.get(), lambda: names))


def about_each(items: Iterable[Item]) -> Iterator[Item]:
    """Yield each item. The lines that are logged until the next one carry its ids."""
    before = _named.get()
    try:
        for item in items:
            _named.set((*before, item.names))
            yield item
    finally:
        _named.set(before)


def _shown() -> dict[str, str]:
    """Return the ids of a line. A value that is no id is left out."""
    found = {name: value for names in _named.get() for name, value in names().items()}
    return {name: value for name, value in found.items() if isinstance(value, str) and _SHOWN.fullmatch(value)}


def info(event: str, **fields: Any) -> None:
    """Log what happened, by a stable name."""
    _logger.info(event, **{**_shown(), **fields})


def warning(event: str, **fields: Any) -> None:
    """Log a line that an operator may want to look at."""
    _logger.warning(event, **{**_shown(), **fields})


def error(event: str, fault: BaseException, **fields: Any) -> None:
    """Log a fault of ours by its type and code; its text only where it is one of ours, which hold no personal data.

    A service that did not answer is counted, too: the work comes back by itself, and no function fails.
    """
    if isinstance(fault, Unavailable):
        count("aws_unavailable")
    code = getattr(fault, "code", None)
    detail = getattr(fault, "detail", None)
    told = {"fault": type(fault).__name__, "code": code, "detail": detail, "where": _where(fault)}
    _logger.error(event, **{**_shown(), **told, **fields})


def _where(fault: BaseException) -> str:
    """Return the module and line of ours that raised a fault, or that called the library which raised it."""
    where, trace = "", fault.__traceback__
    while trace is not None:
        package, _, module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")
        if package == __package__:
            where = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def count(metric: str, number: int = 1, **dimensions: str) -> None:
    """Count something in the cell's metrics: one line of the embedded metric format, no call.

    CloudWatch bills each metric with each combination of dimensions. Hence a dimension has few values, all of them words of
    ours.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    (read 2026-11-22).
    """
    _metric(metric, number, "Count", dimensions)


def measure(metric: str, seconds: float) -> None:
    """Add a duration, in seconds, to the cell's metrics."""
    _metric(metric, seconds, "Seconds", {})


Recorder = Callable[[str, float, str, Mapping[str, str]], None]
"""Takes a metric, its value, its unit (``Count`` or ``Seconds``) and its dimensions; from any thread."""
_recorder: list[Recorder] = []


def record_with(recorder: Recorder | None) -> None:
    """Give metrics to ``recorder`` instead of standard output: a process without CloudWatch has its own. None: as before."""
    _recorder[:] = [] if recorder is None else [recorder]


def _metric(metric: str, number: float, unit: str, dimensions: Mapping[str, str]) -> None:
    if _recorder:
        _recorder[0](metric, number, unit, dimensions)
        return
    # Written here: a provider of powertools for each count took as much CPU as opening and routing an event.
    at = time.time_ns() // 1_000_000
    values = encoders.escaped({**dimensions, metric: number})
    described = _described(metric, tuple(dimensions), unit)
    sys.stdout.write(f'{{"_aws":{{"Timestamp":{at},"CloudWatchMetrics":{described}}},{values[1:]}\n')


@cache
def _described(metric: str, dimensions: tuple[str, ...], unit: str) -> str:
    """Return the fields that every line of a metric repeats."""
    directive = {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": [{"Name": metric, "Unit": unit}]}
    return encoders.escaped([directive])
