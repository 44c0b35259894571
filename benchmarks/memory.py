"""AWS as the warm path of the flow uses it, in dicts: answers at once, so that what is measured is our own work.

Only what that path calls is there; anything else raises. Not a second implementation of semantics: those are proven on
moto and ministack.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

Item = Mapping[str, Any]
_INSERT = re.compile(r"INSERT INTO \"([^\"]+)\" VALUE \{(.*)\}\Z")
_RECEIVED = {"ApproximateReceiveCount": "1", "SentTimestamp": "0"}


def _exists() -> ClientError:
    return ClientError({"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}, "PutItem")


@functools.lru_cache(1000)
def _statement(text: str) -> tuple[str, tuple[str, ...]]:
    found = _INSERT.match(text)
    if found is None:
        raise LookupError("only INSERT is known here")
    return found[1], tuple(re.findall(r"'([^']+)'", found[2]))


class DynamoDB:
    """Tables as dicts of rows by key."""

    def __init__(self, region: str) -> None:
        self.meta = SimpleNamespace(region_name=region)
        self.tables: dict[str, dict[tuple[str, str], Item]] = {}

    @staticmethod
    def _key(item: Item) -> tuple[str, str]:
        return item["pk"]["S"], item["sk"]["S"] if "sk" in item else ""

    def _table(self, name: str) -> dict[tuple[str, str], Item]:
        return self.tables.setdefault(name, {})

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803  (AWS's names)
        """Read a row."""
        item = self._table(TableName).get(self._key(Key))
        return {} if item is None else {"Item": item}

    def put_item(self, *, TableName: str, Item: Item, ConditionExpression: str) -> dict[str, Any]:  # noqa: N803
        """Insert a row if it is not there."""
        if ConditionExpression != "attribute_not_exists(pk)":
            raise LookupError(ConditionExpression)
        if self._table(TableName).setdefault(self._key(Item), Item) is not Item:
            raise _exists()
        return {}

    def update_item(self, *, TableName: str, Key: Item, UpdateExpression: str, **how: Any) -> dict[str, Any]:  # noqa: N803
        """Add one to a number or set one attribute, which is all that declaring a tenant needs."""
        rows, key = self._table(TableName), self._key(Key)
        if UpdateExpression == "SET published = :h":
            rows[key] = {**rows[key], "published": how["ExpressionAttributeValues"][":h"]}
            return {"Attributes": rows[key]}
        verb, name, value = UpdateExpression.split(" ")
        if (verb, value) != ("ADD", ":one"):
            raise LookupError(UpdateExpression)
        rows[key] = {**rows[key], name: {"N": str(int(rows[key][name]["N"]) + 1)}}
        return {"Attributes": rows[key]}

    def query(self, *, TableName: str, KeyConditionExpression: str, **how: Any) -> dict[str, Any]:  # noqa: N803
        """Read a partition."""
        if KeyConditionExpression != "pk = :p":
            raise LookupError(KeyConditionExpression)
        wanted = how["ExpressionAttributeValues"][":p"]["S"]
        return {"Items": [row for (pk, _), row in sorted(self._table(TableName).items()) if pk == wanted]}

    def batch_get_item(self, *, RequestItems: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Read rows of several tables."""
        found = {}
        for name, request in RequestItems.items():
            rows = self._table(name)
            found[name] = [rows[key] for key in map(self._key, request["Keys"]) if key in rows]
        return {"Responses": found, "UnprocessedKeys": {}}

    def batch_execute_statement(self, *, Statements: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Insert rows that are not there."""
        answers: list[dict[str, Any]] = []
        for statement in Statements:
            table, item = inserted(statement)
            taken = self._table(table).setdefault(self._key(item), item) is not item
            answers.append({"Error": {"Code": "DuplicateItem", "Message": ""}} if taken else {"TableName": table})
        return {"Responses": answers}


class SQS:
    """Queues as deques: nothing is in flight, and nothing comes back."""

    def __init__(self, region: str) -> None:
        self.meta = SimpleNamespace(region_name=region)
        self.queues: dict[str, deque[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)

    def get_queue_url(self, *, QueueName: str) -> dict[str, Any]:  # noqa: N803
        """Return a queue's name."""
        return {"QueueUrl": QueueName}

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MessageBody: str,  # noqa: N803
        MessageGroupId: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Add a message."""
        number = next(self._numbers)
        message = {
            "MessageId": str(number),
            "ReceiptHandle": str(number),
            "Body": MessageBody,
            "Attributes": {**_RECEIVED, "MessageGroupId": MessageGroupId, "SequenceNumber": f"{number:020d}"},
            "MD5OfBody": "",
        }
        self.queues.setdefault(QueueUrl, deque()).append(message)
        return {"MessageId": str(number)}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Add messages."""
        for entry in Entries:
            self.send_message(QueueUrl=QueueUrl, **entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Take messages."""
        queue = self.queues.get(QueueUrl, deque())
        return {"Messages": [queue.popleft() for _ in range(min(len(queue), MaxNumberOfMessages))]}

    def delete_message_batch(self, **_: Any) -> dict[str, Any]:
        """Forget what was taken: it is gone already."""
        return {}


class KMS:
    """Data keys that are hashes of their wrapped form."""

    def __init__(self, region: str) -> None:
        self.meta = SimpleNamespace(region_name=region)

    def generate_data_key_without_plaintext(
        self,
        *,
        EncryptionContext: Mapping[str, str],  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Make a key."""
        return {"CiphertextBlob": hashlib.sha256(repr(EncryptionContext).encode()).digest()}

    def decrypt(self, *, CiphertextBlob: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Open a key."""
        return {"Plaintext": hashlib.sha256(CiphertextBlob).digest()}


class Memory:
    """One region's services."""

    def __init__(self, region: str) -> None:
        self._services = {"dynamodb": DynamoDB(region), "sqs": SQS(region), "kms": KMS(region)}

    def client(self, service: str, region: str) -> Any:
        """Return the one client of a service."""
        return self._services[service]


def inserted(statement: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read an INSERT: the table, and the item."""
    table, names = _statement(statement["Statement"])
    return table, dict(zip(names, statement["Parameters"], strict=True))
