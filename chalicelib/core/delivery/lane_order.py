"""The place of a delivery in its lane: texts that sort as the queue's messages were sent, on any SQS-compatible queue. Pure.

Rows of a lane are read in the order of their sort keys, which are text. SQS documents a sequence number as "a large,
non-consecutive number" of 128 bits, without a width. SQS itself gives 20 digits, which sort as they are. Rows of earlier
releases there keep their keys, and a release can go back. Other queues count from 1, some of them again after each restart.
There the time of sending comes first and the number decides within a millisecond.

| number | place |
|---|---|
| 20 digits, as SQS gives them | the number |
| more digits | ``a`` and 39 digits, behind all numbers of 20 |
| fewer digits, or with zeros in front | the time in 14 digits, the first of them 0, and the number in 20 |

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html, SequenceNumber (read
2026-11-30).
"""

from __future__ import annotations

from typing import Final

AS_SQS: Final = 20
_LARGEST: Final = 39
"""The digits of 2 ** 128."""


def place(number: str, sent_ms: int) -> str:
    """Return the place of a message.

    Args:
        number: its sequence number, decimal.
        sent_ms: when the queue took it, in milliseconds since 1970.

    Raises:
        ValueError: the number is no number.
    """
    digits = str(int(number))
    if len(digits) > AS_SQS:
        return f"a{digits:0>{_LARGEST}}"
    if len(digits) == AS_SQS:
        return digits
    return f"{sent_ms:014d}{digits:0>{AS_SQS}}"


def is_of_sqs(found: str) -> bool:
    """Say whether a place is a number as SQS gives it, so that no row of its lane has another form."""
    return len(found) == AS_SQS and not found.startswith("0")


def is_of_before(found: str) -> bool:
    """Say whether an earlier release wrote a place: the plain number of a queue that counts from 1."""
    return len(found) < AS_SQS and not found.startswith("0")
