"""Simulated time: tasks that run one at a time and hand over where they would wait. The same seed gives the same run.

A task is a thread, since the code of a cell calls AWS and waits in plain functions; only the one that holds the baton runs.
It is handed on at every effect, in the order of simulated time, so that invocations interleave as they do on Lambda.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from chalicelib.threads import Item, Result


class Killed(BaseException):
    """The process that ran this is gone."""


class Task:
    """A running task: its place in simulated time, and data of its owner (``context``)."""

    def __init__(self, scheduler: Scheduler, context: Any) -> None:
        self.context = context
        self.deadline_s: float | None = None
        self.cancelled = False
        self._scheduler = scheduler
        self._work: Callable[[], Any] | None = None
        self._baton = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._loop, name="task", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while True:
            self._baton.acquire()
            work, self._work = self._work, None
            if work is None:
                return
            self._scheduler.enter(self)
            try:
                work()
            except Killed:
                self._scheduler.killed += 1
            except BaseException as fault:  # noqa: BLE001  (a fault of the harness itself: the round is worth nothing)
                self._scheduler.broken = self._scheduler.broken or fault
            self._scheduler.leave(self)

    def give(self, work: Callable[[], Any]) -> None:
        """Set the function that runs when the baton comes."""
        self._work = work

    def hand_over(self) -> None:
        """Run this task until it waits or ends. Called by the scheduler."""
        self._baton.release()

    def wait(self) -> None:
        """Stand still until the baton comes back. Called by the task itself."""
        self._baton.acquire()

    def end(self) -> None:
        """End the thread of an idle task."""
        self._work = None
        self._baton.release()
        self._thread.join(5)


class Scheduler:
    """The clock, and the order in which tasks run."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.killed = 0
        self.broken: BaseException | None = None
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._limit_s = 0.0
        self._main = threading.Semaphore(0)
        self._idle: list[Task] = []
        self._waiting: set[Task] = set()
        self._local = threading.local()

    # Of tasks

    @property
    def current(self) -> Task | None:
        """The task that runs; None where the harness itself does."""
        return getattr(self._local, "task", None)

    def enter(self, task: Task) -> None:
        """Note which task a thread is."""
        self._local.task = task

    def leave(self, task: Task) -> None:
        """Take a task that has ended out of time."""
        task.deadline_s, task.context, task.cancelled = None, None, False
        self._idle.append(task)
        self._main.release()

    def pause(self, seconds: float) -> None:
        """Advance simulated time for the running task. The harness itself takes no time.

        Raises:
            Killed: the task's deadline has come, or it was cancelled.
        """
        task = self.current
        if task is None:
            return
        until = self.now_s + max(seconds, 0.0)
        late = task.deadline_s is not None and until >= task.deadline_s
        if late and task.deadline_s is not None:
            until = max(task.deadline_s, self.now_s)
        if (not self._heap or self._heap[0][0] > until) and until <= self._limit_s:
            self.now_s = until  # no other task is due before
        else:
            self.at(until, lambda: self._hand_over(task))
            self._stand(task)
        if late or task.cancelled:
            raise Killed

    def _stand(self, task: Task) -> None:
        self._waiting.add(task)
        self._main.release()
        task.wait()
        self._waiting.discard(task)

    def _hand_over(self, task: Task) -> None:
        task.hand_over()
        self._main.acquire()

    def join(self, futures: Iterable[Future[Any]]) -> tuple[set[Future[Any]], set[Future[Any]]]:
        """Wait until all of some futures are done, those of ``submit``. Return them, and none, as ``wait`` does."""
        task, futures = self.current, list(futures)
        for future in futures:
            while not future.done():
                if task is None:
                    raise RuntimeError("only a task can wait for tasks")
                future.add_done_callback(lambda _: self.at(self.now_s, lambda: self._hand_over(task)))
                self._stand(task)
                if task.cancelled:
                    raise Killed
        return set(futures), set()

    # Of the harness

    def at(self, when_s: float, callback: Callable[[], None]) -> None:
        """Schedule a function of the harness for a time."""
        self._count += 1
        heapq.heappush(self._heap, (max(when_s, self.now_s), self._count, callback))

    def spawn(self, work: Callable[[], Any], *, context: Any = None, after_s: float = 0.0) -> None:
        """Start a task."""

        def begin() -> None:
            task = self._idle.pop() if self._idle else Task(self, context)
            task.context = context
            task.give(work)
            self._hand_over(task)

        self.at(self.now_s + after_s, begin)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Start a task of the same context as the running one, as a thread of its process."""
        future: Future[Any] = Future()
        parent = self.current

        def work() -> None:
            task = self.current
            if task is not None and parent is not None:
                task.deadline_s = deadline
            try:
                future.set_result(function(*arguments))
            except BaseException as fault:  # noqa: BLE001  (handed to whoever asks for the result)
                future.set_exception(fault)

        deadline = parent.deadline_s if parent is not None else None
        self.spawn(work, context=parent.context if parent is not None else None)
        return future

    def run(self, until_s: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Advance time.

        Raises:
            BaseException: an error that broke a task, other than its death: a fault of the harness.
        """
        self._limit_s = until_s
        while self._heap and self._heap[0][0] <= until_s and not stop():
            when_s, _, callback = heapq.heappop(self._heap)
            self.now_s = max(self.now_s, when_s)
            callback()
            if self.broken is not None:
                raise self.broken
        if not stop():
            self.now_s = max(self.now_s, until_s)

    @property
    def next_s(self) -> float | None:
        """When the next task is due; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def close(self) -> None:
        """End every thread."""
        self._heap.clear()
        while self._waiting:
            task = next(iter(self._waiting))
            task.cancelled = True
            task.deadline_s = self.now_s
            self._hand_over(task)
            self._heap.clear()
        for task in self._idle:
            task.end()


class SimulatedThreads:
    """The threads of a runtime, as tasks of the running one."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def run(
        self, pool: str, size: int, calls: Sequence[Callable[[], Result]], timeout_s: float | None = None
    ) -> list[Future[Result]]:
        """Run each call as a task, and wait for all: no call lasts longer than its invocation."""
        futures = [self._scheduler.submit(call) for call in calls]
        self._scheduler.join(futures)
        return futures

    def map(self, size: int, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield a function's result for each. The harness itself, which takes no time, calls one after another."""
        if self._scheduler.current is None:
            yield from map(function, items)
            return
        futures = [self._scheduler.submit(function, item) for item in items]
        self._scheduler.join(futures)
        yield from (future.result() for future in futures)

    def gathered(self, do: Callable[[list[Item]], list[Result]], most: int) -> Callable[[Item], Result]:
        """Return a function that does each item alone: a task that waited for a thread would stop the clock."""
        return lambda item: do([item])[0]
