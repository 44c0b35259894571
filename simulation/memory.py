"""DynamoDB and KMS in dicts, for the calls that the warm path of the flow makes. Every other call raises.

They answer at once, so that a benchmark measures our own work. They do not replace moto and ministack: the contract
tests prove on those the behaviour that the stores need.
"""

from __future__ import annotations

import functools
import hashlib
import re
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from .sqs import Sqs

Item = Mapping[str, Any]
_DELETE = re.compile(r"DELETE FROM \"([^\"]+)\" WHERE (.*)\Z")
_TERM = re.compile(r"\"([^\"]+)\" (= \?|IS MISSING)")
_INSERT = re.compile(r"INSERT INTO \"([^\"]+)\" VALUE \{(.*)\}\Z")


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
        """Add one to a number, set one attribute, or take counts of a source and marks of lists, which nothing reads here."""
        rows, key = self._table(TableName), self._key(Key)
        if "#source#" in key[0] or key[0].startswith("parts#"):
            rows[key] = Key
            return {"Attributes": Key}
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
        """Decrypt a key."""
        return {"Plaintext": hashlib.sha256(CiphertextBlob).digest()}


class Memory:
    """One region's services."""

    def __init__(self, region: str) -> None:
        self._services = {"dynamodb": DynamoDB(region), "sqs": Sqs(region, time.monotonic), "kms": KMS(region)}

    def client(self, service: str, region: str) -> Any:
        """Return the one client of a service."""
        return self._services[service]


def inserted(statement: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read an INSERT: the table, and the item."""
    table, names = _statement(statement["Statement"])
    return table, dict(zip(names, statement["Parameters"], strict=True))


def deleted(statement: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Read a DELETE by a key ``pk``: the table, the key, and the values that its row must have (None: none)."""
    found = _DELETE.match(statement["Statement"])
    if found is None:
        raise LookupError("only DELETE by pk is known here")
    bound = iter(statement["Parameters"])
    wanted = {name: next(bound) if told == "= ?" else None for name, told in _TERM.findall(found[2])}
    return found[1], {"pk": wanted.pop("pk")}, wanted
