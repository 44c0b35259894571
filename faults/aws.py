"""AWS as a process meets it: an engine's tables and keys and simulated queues, which throttle, stall, forget to answer, and
behind any call of which the process may be gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ReadTimeoutError

if TYPE_CHECKING:
    from .world import World

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


def refused(code: str, operation: str, status: int = 400) -> ClientError:
    """Make the error of a refused call."""
    answer: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class Client:
    """A service's client: each call is an effect, which takes time and may fail."""

    def __init__(self, world: World, raw: Any, service: str) -> None:
        self.meta = raw.meta
        self.exceptions = getattr(raw, "exceptions", None)
        self._world, self._raw, self._service = world, raw, service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._raw, name)

        def call(**arguments: Any) -> Any:
            return self._world.effect(self._service, name, lambda: function(**arguments), arguments)

        setattr(self, name, call)
        return call


class Queues:
    """SQS over the world's queues."""

    def __init__(self, world: World, region: str) -> None:
        self.meta = SimpleNamespace(region_name=region)
        self._world = world

    def get_queue_url(self, *, QueueName: str) -> dict[str, Any]:  # noqa: N803  (AWS's names)
        """Return a queue's name."""
        return {"QueueUrl": QueueName}

    def _send(self, queue: str, message: Mapping[str, Any]) -> str:
        world = self._world
        if not queue.endswith(".fifo"):
            sent = world.standard_named(queue).send(message["MessageBody"], world.scheduler.now_s)
            world.moved.write(f"{sent.body}\n")
            return sent.id
        return world.queue_named(queue).send(
            message["MessageBody"],
            message["MessageGroupId"],
            message["MessageDeduplicationId"],
            world.scheduler.now_s,
        )

    def send_message(self, *, QueueUrl: str, **message: Any) -> dict[str, Any]:  # noqa: N803
        """Take a message."""
        return {"MessageId": self._send(QueueUrl, message)}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Take messages, or some of them."""
        world = self._world
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        some = world.fault_of_task("queue_takes_half", "sqs")
        for entry in Entries:
            if some and world.faults.random.random() < 0.5:
                failed.append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"})
            else:
                done.append({"Id": entry["Id"], "MessageId": self._send(QueueUrl, entry)})
        return {"Successful": done, "Failed": failed} if failed else {"Successful": done}

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> dict[str, Any]:
        """Have a message come back sooner or later."""
        world = self._world
        if not world.queue_named(QueueUrl).change_visibility(ReceiptHandle, VisibilityTimeout, world.scheduler.now_s):
            raise refused("InvalidParameterValue", "ChangeMessageVisibility")
        return {}

    # Of standard queues, which functions read themselves

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
        AttributeNames: list[str],  # noqa: N803
    ) -> dict[str, Any]:
        """Give some messages."""
        world = self._world
        queue = world.standard_named(QueueUrl)
        batch = queue.receive(MaxNumberOfMessages, world.scheduler.now_s, VisibilityTimeout)
        return {"Messages": [m.record(world.start_ms) for m in batch]}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Delete messages, or forget to: a deleted message may come again."""
        world = self._world
        for entry in Entries:
            if not world.fault_of_task("message_twice", "notices"):
                world.standard_named(QueueUrl).delete(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def change_message_visibility_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        Entries: list[Mapping[str, Any]],  # noqa: N803
    ) -> dict[str, Any]:
        """Have messages come back sooner or later."""
        queue, now_s = self._world.standard_named(QueueUrl), self._world.scheduler.now_s
        for entry in Entries:
            queue.change_visibility(entry["ReceiptHandle"], entry["VisibilityTimeout"], now_s)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


def faulty(world: World, service: str, operation: str, act: Callable[[], Any]) -> Any:
    """Make one call, with whatever goes wrong.

    Raises:
        ClientError: throttled, or AWS failed.
        ReadTimeoutError: no answer came; what was asked may have been done.
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
