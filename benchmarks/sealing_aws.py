"""The audit table, the evidence bucket and the queues of a cell in memory, for sealing in virtual time.

The answers are those of AWS for the calls that sealing makes. Reading an answer costs the SDK CPU, which is charged here: measured
with botocore 1.43 at 25 µs for an entry and 17 µs for a message.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from simulation.memory import DynamoDB, inserted
from simulation.sqs import Sqs, refused

from .virtual import Virtual

ENTRY_CPU_S = 25e-6
MESSAGE_CPU_S = 17e-6
Row = Mapping[str, Any]


class Tables(DynamoDB):
    """Rows by partition, in the order of their sort keys."""

    def __init__(self, region: str, virtual: Virtual) -> None:
        super().__init__(region)
        self._virtual = virtual
        self.rows: dict[tuple[str, str], tuple[list[str], list[Row]]] = {}

    def add(self, table: str, row: Row) -> bool:
        """Insert a row. Return False if it exists."""
        keys, rows = self.rows.setdefault((table, row["pk"]["S"]), ([], []))
        key = row["sk"]["S"]
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            return False
        keys.insert(place, key)
        rows.insert(place, row)
        return True

    def execute_statement(self, **statement: Any) -> dict[str, Any]:
        """Insert a row."""
        if not self.add(*inserted(statement)):
            raise refused("DuplicateItemException", "ExecuteStatement")
        return {"Items": []}

    def query(self, *, TableName: str, KeyConditionExpression: str, **how: Any) -> dict[str, Any]:  # noqa: N803  (AWS's names)
        """Read or count a range of a partition, a page at a time."""
        values = how["ExpressionAttributeValues"]
        partition = values.get(":h", values.get(":p"))["S"]
        keys, rows = self.rows.get((TableName, partition), ([], []))
        first, end = 0, len(keys)
        if "BETWEEN" in KeyConditionExpression:
            first, end = bisect_left(keys, values[":a"]["S"]), bisect_right(keys, values[":b"]["S"])
        elif "<=" in KeyConditionExpression:
            end = bisect_right(keys, values[":s"]["S"])
        elif ">=" in KeyConditionExpression:
            first = bisect_left(keys, values[":s"]["S"])
        else:
            first, end = bisect_left(keys, values[":s"]["S"]), bisect_right(keys, values[":s"]["S"])
        if "ExclusiveStartKey" in how:
            first = max(first, bisect_right(keys, how["ExclusiveStartKey"]["sk"]["S"]))
        found = rows[first:end] if how.get("ScanIndexForward", True) else rows[first:end][::-1]
        limit = how.get("Limit", 1400)  # about 1 MB of entries
        page = found[:limit]
        more = {"LastEvaluatedKey": {name: page[-1][name] for name in ("pk", "sk")}} if len(found) >= limit else {}
        if how.get("Select") == "COUNT":
            return {"Count": len(page), **more}
        self._virtual.charge(ENTRY_CPU_S * len(page))
        return {"Items": page, **more}


class Bucket:
    """Objects that are written once."""

    def __init__(self, region: str) -> None:
        self.meta = SimpleNamespace(region_name=region)
        self.objects: dict[str, tuple[bytes, str, str]] = {}

    def put_object(self, *, Key: str, Body: bytes, **how: Any) -> dict[str, Any]:  # noqa: N803
        """Write an object under its condition."""
        there = self.objects.get(Key)
        if ("IfNoneMatch" in how and there is not None) or (
            "IfMatch" in how and (there is None or there[1] != how["IfMatch"])
        ):
            raise refused("PreconditionFailed", "PutObject", 412)
        tag = hashlib.sha256(Body).hexdigest()
        self.objects[Key] = (Body, tag, how.get("ContentEncoding", ""))
        return {"ETag": tag}

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Read an object."""
        if Key not in self.objects:
            raise refused("NoSuchKey", "GetObject", 404)
        body, tag, encoding = self.objects[Key]
        return {"Body": BytesIO(body), "ETag": tag, "ContentEncoding": encoding}


class Queues(Sqs):
    """Queues on virtual time."""

    def __init__(self, region: str, virtual: Virtual, start_ms: int) -> None:
        super().__init__(region, lambda: virtual.seconds, start_ms)
        self._virtual = virtual

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        """Receive messages."""
        answer = super().receive_message(**asked)
        self._virtual.charge(MESSAGE_CPU_S * len(answer["Messages"]))
        return answer
