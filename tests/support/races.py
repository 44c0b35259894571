"""Threads that race in a test: each runs to its end, and the first is overtaken for certain."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from chalicelib.core.errors import DeliveryError

PATIENCE_S = 300.0
"""Far more than any race takes, on however busy a machine."""


def tries(attempt: Callable[[], object]) -> int:
    """Make an attempt again and again while another is in its way; return how often one was.

    Raises:
        AssertionError: another code, or no success within ``PATIENCE_S``.
    """
    until, contended = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < until:
        try:
            attempt()
        except DeliveryError as error:
            assert error.attempt_code == "contended"
            contended += 1
            time.sleep(0.02)
        else:
            return contended
    raise AssertionError("contended for ever")


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not within ``PATIENCE_S``.
    """
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


def until_contended() -> Callable[[bool], None]:
    """Return a function for each claim's result: the first that is granted waits there until one is refused."""
    granted, refused = threading.Lock(), threading.Event()

    def claimed(got: bool) -> None:
        if not got:
            refused.set()
        elif granted.acquire(blocking=False):
            refused.wait(PATIENCE_S)

    return claimed
