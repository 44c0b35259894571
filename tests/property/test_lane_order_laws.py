"""Laws of a lane's order, for every way in which a queue may number its messages."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.delivery import lane_order
from chalicelib.flow.messages import from_lambda

MS = st.integers(1_700_000_000_000, 4_102_444_800_000)
SQS = st.integers(10**19, 10**20 - 1)
ANY = st.integers(0, 2**128 - 1)


def sequences(messages: list[tuple[str, int]]) -> list[str]:
    """Return the places that deliver gives to messages with these numbers and times."""
    records: list[dict[str, Any]] = [
        {
            "messageId": str(at),
            "receiptHandle": "",
            "body": "{}",
            "attributes": {
                "MessageGroupId": "lane",
                "SequenceNumber": number,
                "SentTimestamp": str(sent_ms),
                "ApproximateReceiveCount": "1",
            },
        }
        for at, (number, sent_ms) in enumerate(messages)
    ]
    return [message.sequence for message in from_lambda({"Records": records})]


def in_order(messages: list[tuple[str, int]]) -> None:
    found = sequences(messages)
    assert found == sorted(found)
    assert len(set(found)) == len(found)


@given(st.lists(ANY, min_size=2, max_size=20, unique=True), MS)
def test_places_sort_as_the_numbers_when_a_queue_counts_on(numbers: list[int], first_ms: int) -> None:
    in_order([(str(number), first_ms + at // 3) for at, number in enumerate(sorted(numbers))])


@given(st.lists(ANY, min_size=2, max_size=20, unique=True), st.integers(20, 39), MS)
def test_places_sort_as_the_numbers_when_a_queue_pads_them(numbers: list[int], width: int, first_ms: int) -> None:
    in_order([(f"{number:0{width}d}", first_ms) for number in sorted(numbers)])


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), MS)
def test_places_sort_as_sent_when_a_queue_counts_anew_after_each_restart(runs: list[int], first_ms: int) -> None:
    messages = [(str(n), first_ms + 1000 * run) for run, length in enumerate(runs) for n in range(1, length + 1)]

    in_order(messages)


@given(SQS, MS)
def test_numbers_of_sqs_are_kept_when_releases_mix(number: int, sent_ms: int) -> None:
    assert sequences([(str(number), sent_ms)]) == [str(number)]
    assert lane_order.is_of_sqs(str(number))


@given(st.integers(1, 10**19 - 1), MS)
def test_places_of_the_release_before_are_told_from_all_others(number: int, sent_ms: int) -> None:
    assert lane_order.is_of_before(str(number))
    for other in (number, number + 10**19, number + 10**20):
        assert not lane_order.is_of_before(lane_order.place(str(other), sent_ms))
