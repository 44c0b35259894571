"""Messages in hand: short visibility that a heartbeat extends, so that a killed process's conversations continue soon."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cell.feeders import FEEDERS, feed_once
from infra.cell.heartbeat import BEAT_S, HOLD_MAX_S, VISIBILITY_S, Heartbeat
from infra.cell.serve import WAIT_S


class Visible:
    """A queue on a clock of its own, with a message or several that become visible again."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.visible_s: dict[str, float] = {"a": 0.0, "b": 0.0}
        self.deleted: list[str] = []
        self.broken = False

    def monotonic(self) -> float:
        return self.now_s

    def receive_message(self, VisibilityTimeout: int | None = None, **_: Any) -> dict[str, Any]:
        found = [name for name, at in self.visible_s.items() if at <= self.now_s]
        for name in found:
            self.visible_s[name] = self.now_s + (360 if VisibilityTimeout is None else VisibilityTimeout)
        return {
            "Messages": [
                {"MessageId": n, "ReceiptHandle": n, "Body": "{}", "Attributes": {}, "MD5OfBody": ""} for n in found
            ]
        }

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self.broken:
            raise OSError
        for entry in Entries:
            self.visible_s[entry["ReceiptHandle"]] = self.now_s + entry["VisibilityTimeout"]
        return {}

    def delete_message_batch(self, Entries: list[dict[str, str]], **_: Any) -> None:
        for entry in Entries:
            del self.visible_s[entry["ReceiptHandle"]]


def work(queue: Visible, heartbeat: Heartbeat, seconds: float) -> Any:
    """Return a handler that works for some seconds of the queue's clock, while the heartbeat's thread beats."""

    def handler(event: Any, context: Any) -> dict[str, Any]:
        until = queue.now_s + seconds
        while queue.now_s < until:
            queue.now_s += BEAT_S
            heartbeat.beat()
            assert not [n for n, at in queue.visible_s.items() if at <= queue.now_s], "visible while in hand"
        return {"batchItemFailures": []}

    return handler


def test_messages_stay_in_hand_while_work_lasts() -> None:
    queue = Visible()
    heartbeat = Heartbeat(queue, queue.monotonic)

    took = feed_once(queue, "url", "ru-home1", "q", work(queue, heartbeat, 200), heartbeat=heartbeat)

    assert (took, queue.visible_s) == (2, {})


@pytest.mark.parametrize("after_s", [0, 60])
def test_messages_of_a_killed_process_are_visible_within_half_a_minute(after_s: float) -> None:
    queue = Visible()
    heartbeat = Heartbeat(queue, queue.monotonic)

    def killed(event: Any, context: Any) -> dict[str, Any]:
        work(queue, heartbeat, after_s)(event, context)
        raise KeyboardInterrupt

    try:
        feed_once(queue, "url", "ru-home1", "q", killed, heartbeat=heartbeat)
    except KeyboardInterrupt:
        killed_s = queue.now_s
    heartbeat.beat()

    assert max(queue.visible_s.values()) + WAIT_S - killed_s <= 30


def test_beat_is_made_again_when_the_queue_did_not_answer(caplog: Any) -> None:
    queue = Visible()
    heartbeat = Heartbeat(queue, queue.monotonic)
    with heartbeat.holding("url", ["a"]):
        queue.broken = True
        heartbeat.beat()
        queue.broken, queue.now_s = False, BEAT_S
        heartbeat.beat()

    assert queue.visible_s["a"] == BEAT_S + VISIBILITY_S
    assert [r.getMessage() for r in caplog.records if r.name == "waybill"] == ["heartbeat_failed"]


def test_work_that_hangs_gives_its_messages_up() -> None:
    queue = Visible()
    heartbeat = Heartbeat(queue, queue.monotonic)
    with heartbeat.holding("url", ["a"]):
        queue.now_s = HOLD_MAX_S + 1
        heartbeat.beat()

    assert queue.visible_s["a"] == 0


def test_queue_keeps_its_own_visibility_when_there_is_no_heartbeat() -> None:
    queue = Visible()

    feed_once(queue, "url", "ru-home1", "q", lambda *_: {"batchItemFailures": [{"itemIdentifier": "a"}]})

    assert queue.visible_s == {"a": 360.0}


def test_pool_of_connections_fits_the_threads_of_a_process() -> None:
    from chalicelib.flow.delivery import deliver
    from chalicelib.store.region import Clients
    from infra.commands.numbers import threads

    url = "https://engine.example"
    clients = Clients("ru-home1", endpoints=dict.fromkeys(("dynamodb", "sqs", "s3"), url))
    lanes = min(10, deliver.THREADS) * FEEDERS["outbox"]
    most = threads("256") + sum(FEEDERS.values()) + lanes + 8  # and the clocks

    for service in ("dynamodb", "sqs", "s3"):
        assert clients.get(service).meta.config.max_pool_connections >= most
