"""Engine profiles put over an engine: calls that the profile's engine lacks are refused, and its limits are kept.

The clients stay genuine: a hook looks at the arguments of each call before it is sent, and refuses as the engine would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.store.engines import EngineProfile, profile
from infra.deploy import template

NEEDS = {
    "TransactWriteItems": "transact_write",
    "TransactGetItems": "transact_write",
    "ExecuteStatement": "insert_only_partiql",
    "BatchExecuteStatement": "insert_only_partiql",
    "ExecuteTransaction": "insert_only_partiql",
    "UpdateTimeToLive": "ttl",
    "UpdateContinuousBackups": "pitr",
    "DescribeStream": "streams",
}
"""The capability that a call needs."""
UNKNOWN = ("ReturnValuesOnConditionCheckFailure", "ClientRequestToken")
"""Arguments that only DynamoDB itself knows."""


def refused(operation: str, why: str, code: str = "ValidationException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": why}}, operation)


def size_of(item: Mapping[str, Any]) -> int:
    """Return an item's size, as DynamoDB counts it for the types we use."""
    values = (next(iter(v.values())) for v in item.values())
    return sum(map(len, item)) + sum(len(v) if isinstance(v, bytes | str) else 1 for v in values)


class Shim:
    """Checks calls against a profile. ``refusals`` names the calls that were refused."""

    def __init__(self, one: EngineProfile) -> None:
        self.profile = one
        self.refusals: list[str] = []
        self._checks: dict[str, Callable[[dict[str, Any]], str | None]] = {
            "CreateTable": self._create_table,
            "BatchGetItem": self._batch_get,
            "TransactWriteItems": lambda a: self._many("transact_items", a["TransactItems"]),
            "PutItem": lambda a: self._many("item_bytes", range(size_of(a["Item"]))),
            "CreateQueue": self._create_queue,
            "SendMessage": lambda a: self._messages([a]),
            "SendMessageBatch": lambda a: self._messages(a["Entries"]),
        }

    def over(self, client: Any) -> Any:
        """Put the shim over a client; return the client."""
        client.meta.events.register("provide-client-params.*.*", self._look)
        return client

    def _look(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        operation = model.name
        why = self._refusal(operation, params)
        if why is not None:
            self.refusals.append(operation)
            raise refused(operation, f"{self.profile.name}: {why}")

    def _refusal(self, operation: str, params: dict[str, Any]) -> str | None:
        needed = NEEDS.get(operation)
        if needed is not None and needed not in self.profile.capabilities:
            return f"no {needed}"
        for name in UNKNOWN:
            if name in json.dumps(params, default=str):
                return f"no {name}"
        check = self._checks.get(operation)
        return check(params) if check else None

    def _many(self, limit: str, things: Iterable[Any]) -> str | None:
        number = len(list(things))
        return f"{limit} is {self.profile.limits[limit]}" if number > self.profile.limits[limit] else None

    def _batch_get(self, params: dict[str, Any]) -> str | None:
        return self._many("batch_get_items", [k for t in params["RequestItems"].values() for k in t["Keys"]])

    def _create_table(self, params: dict[str, Any]) -> str | None:
        known = self.profile.create_table | ({"Tags"} if self.profile.table_tags else set())
        if known and set(params) - known:
            return f"CreateTable knows no {sorted(set(params) - known)}"
        for index in params.get("GlobalSecondaryIndexes", ()):
            if index["Projection"]["ProjectionType"] not in self.profile.projections:
                return "an index holds all attributes"
            if len(index["IndexName"]) < 3:
                return "an index has a name of three characters"
        if {t["Key"]: t["Value"] for t in params.get("Tags", ())} != dict(self.profile.table_tags):
            return "a table has the profile's tags"
        return None

    def _create_queue(self, params: dict[str, Any]) -> str | None:
        unknown = set(params.get("Attributes", ())) - self.profile.create_queue
        return f"CreateQueue knows no {sorted(unknown)}" if unknown else None

    def _messages(self, entries: list[dict[str, Any]]) -> str | None:
        if len(entries) > self.profile.limits["messages_a_call"]:
            return "too many messages"
        size = sum(len(e["MessageBody"].encode()) for e in entries)
        return "the messages are too large" if size > self.profile.limits["message_bytes"] else None


def shim(name: str) -> Shim:
    """Make the shim of a profile."""
    return Shim(profile(name))


def create_table(one: EngineProfile, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``create_table`` as the product asks an engine."""
    return template.table_on(one, arguments)
