"""Calls that threads make at once, made one by one: how many meet is chance, and a count must be the same each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.threads import ProcessThreads


@contextmanager
def each_alone() -> Iterator[None]:
    """Let every call be made alone."""

    def alone(threads: ProcessThreads, do: Callable[[list[Any]], list[Any]], most: int) -> Callable[[Any], Any]:
        return lambda item: do([item])[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessThreads, "gathered", alone)
        yield
