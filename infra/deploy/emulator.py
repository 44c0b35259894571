"""Run ministack with its gaps filled: ``python -m infra.deploy.emulator``.

Lambda hands over the group, the sequence number and the deduplication id of each message of a FIFO queue; ministack's queue
mappings do not, although its ``ReceiveMessage`` does. Our functions need them to keep the order. An update of a stack makes
a changed function anew there, and loses its versions, its aliases and the rights to call it.

Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, "Example FIFO queue message event" (read 2026-11-22)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.services import lambda_svc, sqs
from ministack.services.cloudformation import provisioners

# Lambda's name for an attribute, and ministack's.
_FIFO = {"MessageGroupId": "group_id", "SequenceNumber": "seq", "MessageDeduplicationId": "dedup_id"}


_KEPT = ("versions", "next_version", "aliases", "policy", "tags", "concurrency", "event_invoke_configs")
"""What a function keeps when its code or settings change."""

Create = Callable[[str, dict[str, Any], str], tuple[str, dict[str, Any]]]


def kept(create: Create) -> Create:
    """Return a maker of functions that keeps versions and aliases of a function that is there."""

    def again(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        before = lambda_svc._functions.get(properties.get("FunctionName", ""))
        name, attributes = create(logical_id, properties, stack)
        if before is not None:
            lambda_svc._functions[name].update({part: before[part] for part in _KEPT})
        return name, attributes

    return again


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
    function = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    function["create"] = kept(function["create"])
    app.main()


if __name__ == "__main__":
    main()
