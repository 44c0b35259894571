"""The faults of AWS: its calls are throttled, stall or lose their answer, and its queues lose part of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import ReadTimeoutError

from simulation.scheduler import Scheduler
from simulation.sqs import Document, Entries, Sqs, refused

from .weather import Faults

READS = frozenset(
    {
        "get_item",
        "batch_get_item",
        "query",
        "get_queue_url",
        "decrypt",
        "scan",
        "get_object",
        "head_object",
        "list_objects_v2",
    }
)
UNREACHED = "https://aws.invalid"


class Cell(Protocol):
    """The parts of a world that decide whether a call fails."""

    faults: Faults
    scheduler: Scheduler

    def fault_of_task(self, kind: str, where: str) -> bool:
        """Draw a fault for the process that runs now, and record it."""


class Queues(Sqs):
    """SQS that accepts some messages of a batch only, and forgets to delete messages."""

    def __init__(self, cell: Cell, region: str, start_ms: int) -> None:
        super().__init__(region, lambda: cell.scheduler.now_s, start_ms)
        self._cell = cell

    def send_message_batch(self, *, QueueUrl: str, Entries: Entries) -> Document:  # noqa: N803  (AWS's names)
        """Accept messages, or some of them."""
        randomness = self._cell.faults.random
        some = self._cell.fault_of_task("queue_takes_half", "sqs")
        lost = [e["Id"] for e in Entries if some and randomness.random() < 0.5]
        answer = super().send_message_batch(QueueUrl=QueueUrl, Entries=[e for e in Entries if e["Id"] not in lost])
        failed = [{"Id": name, "SenderFault": False, "Code": "InternalError"} for name in lost]
        return {**answer, "Failed": failed} if failed else answer

    def delete_message_batch(self, *, QueueUrl: str, Entries: Entries) -> Document:  # noqa: N803
        """Delete messages, or forget to: a deleted message may come again."""
        kept = [e["Id"] for e in Entries if self._cell.fault_of_task("message_twice", "seal-requests")]
        super().delete_message_batch(QueueUrl=QueueUrl, Entries=[e for e in Entries if e["Id"] not in kept])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


def faulty(world: Cell, service: str, operation: str, act: Callable[[], Any]) -> Any:
    """Make one call, which may fail, be slow or lose its answer.

    Raises:
        ClientError: throttled, or AWS failed.
        ReadTimeoutError: no answer came; the call may have taken effect.
    """
    faults, writes = world.faults, operation not in READS

    def happens(kind: str) -> bool:
        return world.fault_of_task(kind, f"{service}.{operation}")

    if service == "kms" and happens("key_fault"):
        raise refused("KMSThrottlingException", operation)
    if service == "sqs" and happens("queue_refuses"):
        raise refused("ThrottlingException", operation)
    if service == "s3" and happens("bucket_refuses"):
        raise refused("ServiceUnavailable", operation, 503)
    if service == "dynamodb" and happens("throttle"):
        raise refused("ProvisionedThroughputExceededException", operation)
    if service == "dynamodb" and happens("server_error"):
        raise refused("InternalServerError", operation, 500)
    if happens("slow_call"):
        world.scheduler.pause(faults.random.uniform(0.5, 12))
    answer = act()
    if writes and happens("queue_lost_answer" if service == "sqs" else "lost_answer"):
        raise ReadTimeoutError(endpoint_url=UNREACHED)
    return answer
