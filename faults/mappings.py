"""Event source mappings on simulated time: they poll the FIFO queues and give batches to the functions, early, late or twice."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, Protocol

import app
from infra.cell import feeders, local
from simulation.queues import VISIBILITY_S, Fifo, QueuedMessage
from simulation.scheduler import Scheduler

from .aws import Queues
from .weather import Faults

FEEDERS = {"inbox": 3, "outbox": 4, "inbox-dead": 1, "outbox-dead": 1, "sealing": 2}
POLL_S = 0.3


class Cell(Protocol):
    """The parts of a world that its mappings need."""

    faults: Faults
    scheduler: Scheduler
    sqs: Queues
    tick: int
    stopped: bool

    def spawn(self, work: Callable[[], None]) -> None:
        """Start a task of the platform."""

    def invoke(self, kind: str, handler: Callable[[], Any], limit_s: float | None = None) -> Any:
        """Run a function's handler in the running task."""


class Mappings:
    """The queues of a cell and the mappings that feed its functions. ``bodies`` holds every message, to be searched."""

    def __init__(self, cell: Cell, name: str, region: str) -> None:
        self._cell = cell
        self._region = region
        self.bodies = io.StringIO()
        self.moves: list[tuple[int, str, str]] = []
        self.taken: list[tuple[int, str, str, str, str]] = []
        self.queues: dict[str, Fifo] = {}
        for short in ("inbox-dead", "outbox-dead", "inbox", "outbox", "sealing"):
            queue = Fifo(short, self.queues.get(f"{short}-dead"))
            self.queues[short] = queue
            cell.sqs.fifos[f"waybill-{name}-{short}.fifo"] = queue
            queue.on_ready = self._teller(short)
            queue.on_sent = self._hear
        self._feeding = dict.fromkeys(self.queues, 0)
        self._told: dict[str, float] = {}
        self._late: dict[str, float] = {}

    def _hear(self, queue: Fifo, message: QueuedMessage) -> None:
        """Keep each message of a queue, to be searched; and the accepted events, in their order."""
        self.bodies.write(f"{message.body}\n{message.group}\n{message.deduplication}\n")
        if queue.name == "inbox":
            order = json.loads(message.body)
            self.taken.append((self._cell.tick, order["tenant"], order["source"], order["event"], message.group))

    def _teller(self, name: str) -> Callable[[float], None]:
        def told(at_s: float) -> None:
            # A mapping's pollers see a message a moment later, together with newer ones.
            due = max(at_s + POLL_S, self._cell.scheduler.now_s + POLL_S, self._late.get(name, 0.0))
            known = self._told.get(name)
            if known is None or due < known:
                self._told[name] = due
                self._cell.scheduler.at(due, lambda: self._feed(name, due))

        return told

    def _feed(self, name: str, due_s: float) -> None:
        """Give the receivable messages to the queue's function, as its mapping does."""
        if self._told.get(name) != due_s:
            return  # an earlier look took its place
        del self._told[name]
        queue = self.queues[name]
        now_s = self._cell.scheduler.now_s
        while self._feeding[name] < FEEDERS[name] and not self._cell.stopped:
            if len(queue) and self._cell.faults.draws("late_poll"):
                self._cell.faults.note(self._cell.tick, now_s, "late_poll", name)
                self._late[name] = now_s + self._cell.faults.random.uniform(5, 120)
                self._teller(name)(now_s)
                return
            early = self._cell.faults.draws("early_return")
            visibility_s = self._cell.faults.random.uniform(0.05, 20) if early else VISIBILITY_S
            batch = queue.receive(10, now_s, visibility_s)
            if not batch:
                break
            if early:
                self._cell.faults.note(self._cell.tick, now_s, "early_return", name)
            self._feeding[name] += 1
            self._cell.spawn(self._feeder(name, batch))
        waits = [m.visible_s for m in queue if m.visible_s > now_s]
        if waits:
            self._teller(name)(min(waits))

    def _feeder(self, name: str, batch: list[QueuedMessage]) -> Callable[[], None]:
        def work() -> None:
            try:
                self._handle(name, batch)
            finally:
                self._feeding[name] -= 1
                self._teller(name)(self._cell.scheduler.now_s)

        return work

    def _handle(self, name: str, batch: list[QueuedMessage]) -> None:
        queue = self.queues[name]
        records = [m.record(self._cell.sqs.start_ms) for m in batch]
        handles = {m.id: m.handle for m in batch}
        handler = getattr(app, local.HANDLERS[name])
        self._move("taken", name, batch)
        answer = self._cell.invoke(name, lambda: handler(feeders.sqs_event(records, self._region, name), None), 60.0)
        if answer is None:
            self._move("left by a dead process", name, batch)
            return
        back = {f["itemIdentifier"] for f in answer["batchItemFailures"]}
        self._move("given back", name, [m for m in batch if m.id in back])
        self._move("done with", name, [m for m in batch if m.id not in back])
        for message in [m for m in batch if m.id not in back]:
            gone = queue.delete(handles[message.id], self._cell.scheduler.now_s)
            if gone is not None and gone.copies < 2 and self._cell.faults.draws("message_twice"):
                self._cell.faults.note(self._cell.tick, self._cell.scheduler.now_s, "message_twice", name)
                later = self._cell.faults.random.choice((0.1, 1, 30, 400, 1500))
                self._cell.scheduler.at(self._cell.scheduler.now_s + later, self._copier(queue, gone))

    def _copier(self, queue: Fifo, message: QueuedMessage) -> Callable[[], None]:
        return lambda: queue.copy(message, self._cell.scheduler.now_s)

    def _move(self, what: str, queue: str, messages: list[QueuedMessage]) -> None:
        """Note what became of messages, by the event, transfer or lane that each is about."""
        for message in messages:
            order = json.loads(message.body)
            about = order.get("wake") or order.get("transfer") or order.get("event") or order["log"]
            self.moves.append(
                (self._cell.tick, about, f"{queue} message {message.id} {what} (receipt {message.receives})")
            )
