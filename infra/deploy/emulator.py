"""Run ministack with its gaps filled: ``python -m infra.deploy.emulator``.

Lambda hands over the group, the sequence number and the deduplication id of each message of a FIFO queue; ministack's queue
mappings do not, although its ``ReceiveMessage`` does. Our functions need them to keep the order.

Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, "Example FIFO queue message event" (read 2026-11-22)
"""

from __future__ import annotations

from typing import Any

from ministack import app
from ministack.services import lambda_svc, sqs

# Lambda's name for an attribute, and ministack's.
_FIFO = {"MessageGroupId": "group_id", "SequenceNumber": "seq", "MessageDeduplicationId": "dedup_id"}


def complete(event: Any, queues: Any) -> None:
    """Add to an event's SQS records the attributes of a FIFO queue's messages."""
    records = event.get("Records", []) if isinstance(event, dict) else []
    wanted = {r["receiptHandle"]: r["attributes"] for r in records if r.get("eventSource") == "aws:sqs"}
    if not wanted:
        return
    for queue in queues:
        for message in queue["messages"]:
            attributes = wanted.get(message.get("receipt_handle"))
            if attributes is not None:
                attributes.update({name: message[ours] for name, ours in _FIFO.items() if message.get(ours)})


def main() -> None:
    """Run ministack."""
    execute = lambda_svc._execute_function

    def execute_completed(function: dict[str, Any], event: Any) -> Any:
        complete(event, list(sqs._queues.values()))
        return execute(function, event)

    lambda_svc._execute_function = execute_completed
    app.main()


if __name__ == "__main__":
    main()
