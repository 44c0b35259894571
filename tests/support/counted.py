"""Queues, a signer and a receiver of a simulated world.

Each use of a queue or of the key is an effect of the world: a process can die there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from chalicelib.core.errors import Unavailable
from chalicelib.flow.messages import QueueMessage, from_lambda
from chalicelib.runtime import Runtime
from chalicelib.store.queues import OutgoingMessage, Queue
from chalicelib.store.seal_requests import SealRequest, SealRequestQueue
from chalicelib.store.signer import Signer
from infra.cell import feeders
from simulation.queues import QueuedMessage
from simulation.sqs import Sqs


class Crash(BaseException):
    """The process is gone."""


class Cell(Protocol):
    """The parts of a world that its queues and its signer use."""

    sqs: Sqs
    runtime: Runtime
    crashes: int
    doubles: bool
    signed: list[bytes]

    @property
    def now_s(self) -> float:
        """The queues' clock."""

    def reach(self, service: str) -> None:
        """Fail a call of a service during its outage."""

    def effect(self, name: str) -> None:
        """Count an effect; die here if this is the one."""

    def restart(self) -> None:
        """Start a new process."""

    def at(self, seconds: float) -> datetime:
        """The time of the queues' clock."""


class FifoQueue(Queue):
    """A FIFO queue of the cell over a simulated one. Each message that is sent is an effect."""

    def __init__(self, world: Cell, name: str, dead: FifoQueue | None = None) -> None:
        super().__init__(world.sqs, f"waybill-test-{name}.fifo")
        self.world, self.short = world, name
        self.fifo = world.sqs.fifo(self.name)
        self.fifo.dead = dead.fifo if dead is not None else None

    @property
    def messages(self) -> list[QueuedMessage]:
        """The messages in the order in which they were sent."""
        return sorted(self.fifo, key=lambda message: message.number)

    @property
    def sent(self) -> int:
        return self.fifo.sent

    def send(self, messages: Iterable[OutgoingMessage]) -> None:
        for outgoing in messages:
            self.world.reach("sqs")
            self.world.effect(f"{self.short}.send")
            super().send([outgoing])
            self.world.effect(f"{self.short}.sent")

    def again(self, message: QueuedMessage) -> None:
        """Deliver a message again, as at-least-once queues may."""
        self.fifo.copy(message, self.world.now_s)

    def receive(self) -> list[QueuedMessage]:
        """Receive a batch, as the mapping does; none while its service fails."""
        try:
            self.world.reach("sqs")
        except Unavailable:
            return []
        return self.fifo.receive(10, self.world.now_s)

    def retry_in(self, receipt_handle: str, delay_s: int) -> None:
        self.world.reach("sqs")
        self.world.effect(f"{self.short}.retry_in")
        super().retry_in(receipt_handle, delay_s)

    def run(self, handler: Callable[[Runtime, list[QueueMessage]], list[str]]) -> int:
        """Give one batch to a handler, as a Lambda mapping does. Return how many messages it was."""
        batch = self.receive()
        if not batch:
            return 0
        records = [message.record(self.world.sqs.start_ms) for message in batch]
        handles = {message.id: message.handle for message in batch}
        try:
            back = handler(
                self.world.runtime, from_lambda(feeders.sqs_event(records, self.world.sqs.meta.region_name, self.name))
            )
        except Crash:
            self.world.crashes += 1
            self.world.restart()
            return len(batch)
        for done in reversed([handle for name, handle in handles.items() if name not in back]):
            gone = self.fifo.delete(done, self.world.now_s)
            if gone is not None and self.world.doubles and not gone.copies:
                self.again(gone)
        return len(batch)

    def next_at(self) -> datetime | None:
        return min((self.world.at(message.visible_s) for message in self.fifo), default=None)


class NoticeQueue(SealRequestQueue):
    """The queue of notices over a simulated one. Each notice that is sent or removed is an effect."""

    def __init__(self, world: Cell) -> None:
        super().__init__(world.sqs, "waybill-test-seal-requests")
        self.world = world
        self.queue = world.sqs.standard(self.name)

    @property
    def messages(self) -> list[str]:
        """The bodies of the messages."""
        return [message.body for message in self.queue]

    @property
    def sent(self) -> int:
        return self.queue.sent

    def send(self, notices: Iterable[SealRequest]) -> None:
        for notice in notices:
            self.world.reach("sqs")
            self.world.effect("seal-requests.send")
            super().send([notice])
            self.world.effect("seal-requests.sent")

    def remove(self, receipts: Iterable[str]) -> None:
        for receipt in receipts:
            self.world.reach("sqs")
            self.world.effect("seal-requests.remove")
            super().remove([receipt])

    def lose(self) -> None:
        """Lose every message."""
        for message in list(self.queue):
            self.queue.delete(f"{message.id}/", self.world.now_s)

    def again(self) -> None:
        """Show every notice once more, hidden ones too, as an at-least-once queue may."""
        for message in self.queue:
            message.visible_s = self.world.now_s


class CountedSigner:
    """The cell's key, every use of which is an effect. It records each signature."""

    def __init__(self, world: Cell, inner: Signer) -> None:
        self.world, self.inner = world, inner

    @property
    def public_key(self) -> bytes:
        return self.inner.public_key

    def sign(self, message: bytes) -> bytes:
        self.world.reach("kms")
        self.world.effect("before Sign")
        signature = self.inner.sign(message)
        self.world.signed.append(message)
        self.world.effect("after Sign")
        return signature


class Receiver:
    """A destination on loopback that gives the answers set by a test."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], tuple[int, dict[str, str]]] = lambda body: (204, {})
        self.requests: list[tuple[str, dict[str, str], dict[str, Any], int]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers = receiver.answer(body)
                sent = {k.lower(): v for k, v in self.headers.items()}
                receiver.requests.append((self.path, sent, body, status))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/in"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def texts(self, status: int | None = 204) -> list[str]:
        """The texts that arrived, in order; those answered with ``status``."""
        return [b["data"]["message"]["text"] for _, _, b, s in self.requests if status is None or s == status]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
