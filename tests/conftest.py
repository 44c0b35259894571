"""Settings of every test: which examples hypothesis draws, and loggers that no test hands to the next."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support import deaths

# The same code draws the same examples in each run, and no database of earlier failures counts: a run is red because of the
# change that it tests. A busy machine is no failure. `make fuzz` searches further, at random.
settings.register_profile(
    "waybill",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("fuzz", settings.get_profile("waybill"), derandomize=False)
settings.load_profile("waybill")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how to repeat, on another day, a test that chooses its crashes by the day."""
    if any("deaths" in report.keywords for report in terminalreporter.getreports("failed")):
        terminalreporter.write_line(f"deaths were chosen by WAYBILL_DEATHS={deaths.CHOSEN}")


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Enable the cell's logger before each test, and restore it after it: a fixture's library may disable it."""
    logger = logging.getLogger("waybill")
    logging.disable(logging.NOTSET)
    logger.disabled = False
    before = logger.disabled, logger.propagate, logger.level, list(logger.handlers)
    yield
    logging.disable(logging.NOTSET)
    logger.disabled, logger.propagate, logger.level, logger.handlers = before
