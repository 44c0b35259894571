"""Run calls at once, and calls that meet as one: on threads of the process, or on the tasks of a simulation."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:  # few functions run anything at once, and the pool takes its time to load
    from concurrent.futures import Future, ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")
Do = Callable[[list[Item]], list[Result]]
"""Does some items, and returns a result for each, in order."""
ALONE_S = 1.0
"""How long a call waits for the others before it is made alone: calls that time out must not add up."""


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

    def gathered(self, do: Do[Item, Result], most: int) -> Callable[[Item], Result]:
        """Return a function of one item. Where threads call it at the same time, ``do`` may get up to ``most`` items."""


class _AskedItem(Generic[Item, Result]):
    """An item that a thread wants done. ``turn`` is free once it is, or once the thread must do the next items."""

    __slots__ = ("fault", "item", "leads", "result", "turn")

    result: Result

    def __init__(self, item: Item) -> None:
        self.item = item
        self.fault: BaseException | None = None
        self.leads = False
        self.turn = threading.Lock()
        self.turn.acquire()


class GatheredCalls(Generic[Item, Result]):
    """Do together what threads ask for at the same time.

    The first thread does its item at once. Items that come meanwhile gather, and the first of their threads does them all.
    """

    def __init__(self, do: Do[Item, Result], most: int) -> None:
        self._do = do
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[_AskedItem[Item, Result]] = deque()
        self._busy = False

    def __call__(self, item: Item) -> Result:
        """Have an item done, and return its result. A fault of ``do`` is raised for each of its items."""
        with self._lock:
            if self._busy:
                asked = _AskedItem[Item, Result](item)
                self._waiting.append(asked)
            else:
                asked, self._busy = None, True
        if asked is None:
            try:
                (result,) = self._do([item])
            finally:
                self._hand_on()
            return result
        if not asked.turn.acquire(timeout=ALONE_S) and self._left(asked):
            (result,) = self._do([item])
            return result
        if asked.leads:
            self._lead(asked)
        if asked.fault is not None:
            raise asked.fault
        return asked.result

    def _left(self, asked: _AskedItem[Item, Result]) -> bool:
        """Take an item out again. Return False, once it is done or its thread leads, where another thread was faster."""
        with self._lock:
            if asked in self._waiting:
                self._waiting.remove(asked)
                return True
        asked.turn.acquire()
        return False

    def _lead(self, first: _AskedItem[Item, Result]) -> None:
        with self._lock:
            others = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most - 1))]
        batch = [first, *others]
        try:
            for asked, result in zip(batch, self._do([asked.item for asked in batch]), strict=True):
                asked.result = result
        except BaseException as fault:  # noqa: BLE001  (each thread raises it for its own item)
            for asked in batch:
                asked.fault = fault
        self._hand_on()
        for asked in others:
            asked.turn.release()

    def _hand_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._busy = False
                return
            following = self._waiting.popleft()
        following.leads = True
        following.turn.release()


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

    def gathered(self, do: Do[Item, Result], most: int) -> Callable[[Item], Result]:
        """Return a function whose calls are made together where they meet."""
        return GatheredCalls(do, most)


PROCESS_THREADS = ProcessThreads()
"""The threads of this process, for every runtime in it."""
