"""Calls of a world, watched and checked against each function's policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chalicelib.flow import dead
from chalicelib.flow.delivery import deliver
from chalicelib.flow.routing import route
from tests.support.deployed import ACCOUNT, BUCKET_POLICY, HERE, POLICIES, SEAL_KEY, USES, arn, role_arn
from tests.support.iam import Request, Verdict, evaluate
from tests.support.world import World


class Watched(World):
    """A world that notes which role makes which call."""

    def __init__(self) -> None:
        super().__init__()
        self.role: str | None = None
        self.calls: set[tuple[str, str, str, str]] = set()

    def note(self, service: str, action: str, resource: str, use: str = "") -> None:
        if self.role is not None:
            self.calls.add((self.role, f"{service}:{action}", resource, use))

    def effect(self, name: str) -> None:
        queue, _, operation = name.partition(".")
        if name == "before Sign":
            self.note("kms", "Sign", SEAL_KEY)
        if operation in ("send", "retry_in", "remove"):
            resource = arn("sqs", f"waybill-eu1-{queue}" if queue == "seal-requests" else f"waybill-eu1-{queue}.fifo")
            self.note("sqs", "GetQueueUrl", resource)
            self.note("sqs", SQS_CALLS[operation], resource)
        super().effect(name)

    def _client(self, service: str, region: str) -> Any:
        client = super()._client(service, region)
        call = client._make_api_call

        def noted(operation: str, arguments: dict[str, Any]) -> Any:
            if service == "dynamodb":
                for action, resource in _dynamodb(operation, arguments):
                    self.note("dynamodb", action, resource)
            elif service == "kms":
                self.note("kms", operation, arn("kms", "alias/waybill-eu1"), "for a tenant")
            elif service == "s3":
                use = "once" if "IfNoneMatch" in arguments else "over"
                bucket = arguments["Bucket"].replace("-test-", "-eu1-").replace(self.engine.account, ACCOUNT)
                self.note("s3", operation, f"arn:aws:s3:::{bucket}/{arguments['Key']}", use)
            return call(operation, arguments)

        client._make_api_call = noted
        return client

    def acting(self, role: str, run: Callable[[], Any]) -> None:
        before, self.role = self.role, role
        try:
            run()
        finally:
            self.role = before

    def hook(self, request: Any) -> Any:
        answer: list[Any] = []
        self.acting("hooks", lambda: answer.append(World.hook(self, request)))
        return answer[0]

    def step(self) -> bool:
        done: list[int] = []
        for role, queue, handler in (
            ("route", self.inbox, route.handle),
            ("deliver", self.outbox, deliver.handle),
            ("dead-inbox", self.dead_inbox, dead.handle_inbox),
            ("dead-outbox", self.dead_outbox, dead.handle_outbox),
        ):
            self.acting(role, lambda queue=queue, handler=handler: done.append(queue.run(handler)))  # type: ignore[misc]
        return sum(done) > 0

    def pump(self) -> None:
        self.acting("pump", lambda: World.pump(self))

    def seal(self) -> None:
        self.acting("collect", self.collect)
        self.acting("seal", self.seal_tasks)


SQS_CALLS = {"send": "SendMessage", "retry_in": "ChangeMessageVisibility", "remove": "DeleteMessage"}


CONTEXTS = {
    **USES,
    "over": {**HERE, "aws:SecureTransport": "true"},
    "once": {**HERE, "aws:SecureTransport": "true", "s3:if-none-match": "*"},
}


def _resource(table: str, index: str | None = None) -> str:
    name = table.replace("waybill-test-", "waybill-eu1-")
    return arn("dynamodb", f"table/{name}" + (f"/index/{index}" if index else ""))


def _dynamodb(operation: str, arguments: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The permissions that a call needs. moto is appended to by conditional puts; deployed cells INSERT."""
    if operation == "BatchGetItem":
        yield from ((operation, _resource(table)) for table in arguments["RequestItems"])
        return
    table = arguments["TableName"]
    inserted = "-audit-" in table or "body" in arguments.get("Item", {})
    action = "PartiQLInsert" if operation == "PutItem" and inserted else operation
    yield action, _resource(table, arguments.get("IndexName"))


def refused(w: Watched) -> list[tuple[str, str, str, str]]:
    """The calls that a role of the deployed cell would not be allowed."""
    return [
        call
        for call in sorted(w.calls)
        if evaluate(
            Request(role_arn(call[0]), call[1], call[2], CONTEXTS[call[3]] if call[3] else HERE),
            [POLICIES[call[0]]],
            _trust(call[1]),
        )
        is not Verdict.ALLOWED
    ]


def _trust(action: str) -> dict[str, Any] | None:
    """The key's policy hands the decision to the account; the bucket's says more."""
    if action.startswith("s3:"):
        result: dict[str, Any] | None = BUCKET_POLICY
        return result
    if not action.startswith("kms:"):
        return None
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [everyone]}
