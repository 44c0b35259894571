"""What one test does to this process's loggers is nothing that the next should meet."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Have the cell's logger as it was before each test: enabled, told of, with its own streams."""
    logger, disable = logging.getLogger("waybill"), logging.root.manager.disable
    before = logger.disabled, logger.propagate, logger.level, list(logger.handlers)
    yield
    logging.disable(disable)
    logger.disabled, logger.propagate, logger.level, logger.handlers = before
