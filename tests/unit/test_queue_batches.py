"""A queue sends messages in order and never two of one group in one call."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.core.errors import Unavailable
from chalicelib.store.queues import BYTES_A_CALL, ENTRIES_A_CALL, OutgoingMessage, Queue


class RecordingClient:
    """An SQS client that keeps what each call sends, and refuses the messages of one group."""

    def __init__(self, refused: str | None = None) -> None:
        self.calls: list[list[tuple[str, str, str]]] = []
        self.refused = refused

    def get_queue_url(self, QueueName: str) -> dict[str, str]:
        return {"QueueUrl": f"https://queue.example/{QueueName}"}

    def send_message(self, **sent: str) -> dict[str, Any]:
        self.calls.append([(sent["MessageGroupId"], sent["MessageBody"], sent["MessageDeduplicationId"])])
        return {}

    def send_message_batch(self, *, Entries: list[dict[str, str]], **_: str) -> dict[str, Any]:
        self.calls.append([(e["MessageGroupId"], e["MessageBody"], e["MessageDeduplicationId"]) for e in Entries])
        return {"Failed": [{"Id": e["Id"]} for e in Entries if e["MessageGroupId"] == self.refused]}


def messages(groups: list[str], size: int = 3) -> list[OutgoingMessage]:
    return [OutgoingMessage(f"{number:0{size}}", group, f"d{number}") for number, group in enumerate(groups)]


@given(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=40), st.sampled_from([3, BYTES_A_CALL // 4]))
@example(["a", "a"], 3)
@example(["a", "b", "a", "c"], 3)
@example(list("abcdefghijkl"), 3)
@example(list("abcdefgh"), BYTES_A_CALL // 4)
def test_messages_keep_their_order_and_each_call_has_one_of_a_group(groups: list[str], size: int) -> None:
    client = RecordingClient()

    Queue(client, "outbox").send(messages(groups, size))

    assert [m for call in client.calls for m in call] == [
        (m.group, m.body, m.deduplication) for m in messages(groups, size)
    ]
    for call in client.calls:
        assert len({group for group, _, _ in call}) == len(call) <= ENTRIES_A_CALL
        assert sum(len(body) for _, body, _ in call) <= BYTES_A_CALL


def test_few_calls_are_made_when_all_groups_differ() -> None:
    client = RecordingClient()

    Queue(client, "outbox").send(messages(list("abcdefghijkl")))

    assert [len(call) for call in client.calls] == [10, 2]


def test_nothing_more_is_sent_when_a_call_is_taken_in_part() -> None:
    client = RecordingClient(refused="b")

    with pytest.raises(Unavailable):
        Queue(client, "outbox").send(messages(["a", "b", "b", "c"]))

    assert len(client.calls) == 1
