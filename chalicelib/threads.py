"""Run calls at once: on threads of the process, or on the tasks of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # few functions run anything at once, and the pool takes its time to load
    from concurrent.futures import Future, ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")


class Threads(Protocol):
    """Runs calls at once."""

    def run(
        self, pool: str, size: int, calls: Sequence[Callable[[], Result]], timeout_s: float | None = None
    ) -> list[Future[Result]]:
        """Run calls on a pool that the process keeps, and wait for them.

        Args:
            pool: the name of the pool; it is made with ``size`` threads when it is first used. A call may not use its own
                pool.
            timeout_s: how long to wait. Calls that last longer run on.

        Returns:
            The futures that are done, in the order of the calls.
        """

    def map(self, size: int, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield a function's result for each item, in order. The threads, at most ``size``, end with the last result."""


class ProcessThreads:
    """Real threads of this process."""

    def __init__(self) -> None:
        self._pools: dict[str, ThreadPoolExecutor] = {}

    def run(
        self, pool: str, size: int, calls: Sequence[Callable[[], Result]], timeout_s: float | None = None
    ) -> list[Future[Result]]:
        """Run calls on a kept pool: making ten threads costs more CPU than their ten deliveries."""
        from concurrent.futures import ThreadPoolExecutor, wait

        executor = self._pools.get(pool)
        if executor is None:
            executor = self._pools.setdefault(pool, ThreadPoolExecutor(size, thread_name_prefix=pool))
        # Each with a copy of the caller's context: its log lines name the same request.
        running = [executor.submit(copy_context().run, call) for call in calls]
        done, _ = wait(running, timeout=timeout_s)
        return [future for future in running if future in done]

    def map(self, size: int, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results of threads that are made for these items."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(size) as threads:
            calls = [(copy_context(), item) for item in items]
            yield from threads.map(lambda call: call[0].run(function, call[1]), calls)


PROCESS_THREADS = ProcessThreads()
"""The threads of this process, for every runtime in it."""
