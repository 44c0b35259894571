"""DynamoDB items as plain values, and the few calls that every table needs.

Attributes are str, int, bool, bytes or None; nested values are one JSON string. Every row names its region, and a row of
another region is not read.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from ..core.errors import NoCredentials, Unavailable, WrongRegion
from .direct import DirectClient

Item = dict[str, Any]
Value = str | int | bool | bytes | None
BATCH_GET = 100


def attribute(value: Value) -> dict[str, Any]:
    """Write one attribute value."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    return {"S": value}


def write(values: Mapping[str, Value]) -> dict[str, Any]:
    """Write an item; attributes that are None are left out."""
    return {name: attribute(value) for name, value in values.items() if value is not None}


def read(item: Mapping[str, Any], region: str) -> Item:
    """Read an item.

    Raises:
        WrongRegion: the row names another region than the home region.
    """
    values: Item = {}
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        values[name] = int(value) if kind == "N" else bytes(value) if kind == "B" else None if kind == "NULL" else value
    if values.get("region", region) != region:
        raise WrongRegion("a stored row names another region")
    return values


def code_of(error: ClientError) -> str:
    """Return the error code of a refused call."""
    return str(error.response.get("Error", {}).get("Code", ""))


FAILED_CALLS = (ClientError, BotoCoreError, ResponseParserError, HTTPError)
"""All errors of a call. botocore wraps those of urllib3, except some of a body that is read in pieces."""
_SAID = frozenset(
    {
        "ConditionalCheckFailedException", "DuplicateItem", "DuplicateItemException", "ItemCollectionSizeLimitExceededException",
        "ResourceNotFoundException", "ValidationException", "ValidationError", "SerializationException",  # DynamoDB
        "InvalidParameterValue", "InvalidParameterValueException", "ReceiptHandleIsInvalid", "MessageNotInflight",
        "InvalidMessageContents", "MessageTooLong", "BatchRequestTooLong",  # SQS
        "AWS.SimpleQueueService.MessageNotInflight", "AWS.SimpleQueueService.BatchRequestTooLong",
        "InvalidCiphertextException", "IncorrectKeyException",  # KMS
        "NoSuchKey", "NotFound", "404", "PreconditionFailed", "412", "ConditionalRequestConflict", "EntityTooLarge",
        "InvalidRange", "NoSuchUpload",  # S3
    }
)  # fmt: skip
"""Codes by which a service that works answers the call itself: about the stored state, or about the arguments. All other
errors are outages of ours: throttling, a failing service, a missing right, a disabled key."""


MALFORMED = frozenset({"ValidationError", "ValidationException", "ItemCollectionSizeLimitExceeded"})
"""Codes by which a table refuses one row for its form."""


def is_unavailable(error: Exception) -> bool:
    """Say whether an error of a call is an outage: the same call may succeed later."""
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or code_of(error) not in _SAID


def cause_of(error: Exception) -> str:
    """Return the code of a refused call, or the type of another error."""
    return code_of(error) if isinstance(error, ClientError) else type(error).__name__


def call(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call AWS, and turn an outage into ``Unavailable``.

    Raises:
        Unavailable: throttled, refused for a reason that is not the call's, or the service did not answer.
        NoCredentials: there is nothing to sign the call with.
        ClientError: the service answered that the stored state or the arguments forbid it. The caller reads the code.
    """
    try:
        return function(**arguments)
    except FAILED_CALLS as error:
        fault = fault_of(error)
        if fault is error:
            raise
        raise fault from error


def fault_of(error: Exception) -> Exception:
    """Return what a failed call raises: ``Unavailable`` or ``NoCredentials`` for an outage, else the error itself."""
    if isinstance(error, NoCredentialsError):
        return NoCredentials("there are no AWS credentials in the environment")
    return Unavailable(f"{cause_of(error)} from AWS; try again") if is_unavailable(error) else error


def each(client: Any, name: str, calls: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Make several calls of one operation: at once over a direct client, else one after the other.

    Returns:
        For each call, in order, its answer, or the error that it ended with.
    """
    calls = list(calls)
    if len(calls) > 1 and isinstance(client, DirectClient):
        return client.each(name, calls)
    function, outcomes = getattr(client, name), list[Any]()
    for arguments in calls:
        try:
            outcomes.append(function(**arguments))
        except FAILED_CALLS as error:
            outcomes.append(error)
    return outcomes


class Table:
    """One table of the cell, over a low-level client. Single-item writes are conditional."""

    def __init__(self, client: Any, name: str, region: str) -> None:
        self.client = client
        self.name = name
        self.region = region

    def get(self, key: Mapping[str, Value]) -> Item | None:
        """Read one row, consistently."""
        answer = call(self.client.get_item, TableName=self.name, Key=write(key), ConsistentRead=True)
        item = answer.get("Item")
        return read(item, self.region) if item else None

    def insert(self, values: Mapping[str, Value]) -> bool:
        """Put a row that is not there yet. Return False if it is."""
        try:
            call(
                self.client.put_item,
                TableName=self.name,
                Item=write({**values, "region": self.region}),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def insert_each(self, rows: Iterable[Mapping[str, Value]]) -> list[Unavailable | None]:
        """Put rows that are not there yet. An outage is the outcome of its row alone."""
        puts = (
            {
                "TableName": self.name,
                "Item": write({**row, "region": self.region}),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
            for row in rows
        )
        outcomes: list[Unavailable | None] = []
        for outcome in each(self.client, "put_item", puts):
            there = isinstance(outcome, ClientError) and code_of(outcome) == "ConditionalCheckFailedException"
            fault = fault_of(outcome) if isinstance(outcome, Exception) and not there else None
            if fault is not None and not isinstance(fault, Unavailable):
                raise fault
            outcomes.append(fault)
        return outcomes

    def replace(self, values: Mapping[str, Value], condition: str, bound: Mapping[str, Value]) -> bool:
        """Put a row where ``condition`` holds. Return False where it does not."""
        try:
            call(
                self.client.put_item,
                TableName=self.name,
                Item=write({**values, "region": self.region}),
                ConditionExpression=condition,
                ExpressionAttributeValues=write(bound),
            )
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def update(
        self,
        key: Mapping[str, Value],
        expression: str,
        bound: Mapping[str, Value],
        condition: str | None = "attribute_exists(pk)",
        names: Mapping[str, str] | None = None,
    ) -> Item | None:
        """Update a row where ``condition`` holds. Return it as it is now, or None."""
        extra: dict[str, Any] = {"ExpressionAttributeNames": dict(names)} if names else {}
        if bound:
            extra["ExpressionAttributeValues"] = write(bound)
        if condition:
            extra["ConditionExpression"] = condition
        try:
            answer = call(
                self.client.update_item,
                TableName=self.name,
                Key=write(key),
                UpdateExpression=expression,
                ReturnValues="ALL_NEW",
                **extra,
            )
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return None
            raise
        return read(answer["Attributes"], self.region)

    def delete(
        self,
        key: Mapping[str, Value],
        condition: str | None = None,
        bound: Mapping[str, Value] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> bool:
        """Delete a row, if ``condition`` holds where one is given. Return False where it does not.

        Deleting a missing row does no harm.
        """
        extra: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        if names:
            extra["ExpressionAttributeNames"] = dict(names)
        if bound:
            extra["ExpressionAttributeValues"] = write(bound)
        try:
            call(self.client.delete_item, TableName=self.name, Key=write(key), **extra)
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def query(
        self,
        condition: str,
        bound: Mapping[str, Value],
        *,
        index: str | None = None,
        names: Mapping[str, str] | None = None,
        ascending: bool = True,
        limit: int | None = None,
        start: Mapping[str, Value] | None = None,
    ) -> Iterator[Item]:
        """Yield rows in key order, page by page as they are asked for; consistently on the table itself."""
        arguments: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": write(bound),
            "ScanIndexForward": ascending,
        }
        if index:
            arguments["IndexName"] = index
        else:
            arguments["ConsistentRead"] = True
        if names:
            arguments["ExpressionAttributeNames"] = dict(names)
        if start:
            arguments["ExclusiveStartKey"] = write(start)
        if limit:
            arguments["Limit"] = limit
        while True:
            answer = call(self.client.query, **arguments)
            for item in answer.get("Items", ()):
                yield read(item, self.region)
            if not answer.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def page(
        self,
        condition: str,
        bound: Mapping[str, Value],
        limit: int,
        start: Mapping[str, Value] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> tuple[list[Item], Item | None]:
        """Read the next ``limit`` rows of the whole table, consistently. Return those where ``condition`` holds.

        A scan: it costs as much as the rows that it reads, not those that it returns. Only jobs and the sweep may use it.

        Returns:
            The rows, and the key to start the next page with; None after the last page.
        """
        arguments: dict[str, Any] = {"ExclusiveStartKey": write(start)} if start else {}
        if names:
            arguments["ExpressionAttributeNames"] = dict(names)
        answer = call(
            self.client.scan,
            TableName=self.name,
            FilterExpression=condition,
            ExpressionAttributeValues=write(bound),
            Limit=limit,
            ConsistentRead=True,
            **arguments,
        )
        last = answer.get("LastEvaluatedKey")
        return [read(item, self.region) for item in answer.get("Items", ())], read(last, self.region) if last else None


def batch_get(
    client: Any,
    keys: Iterable[tuple[str, Mapping[str, Value]]],
    region: str,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, list[Item]]:
    """Read up to ``BATCH_GET`` rows of several tables in one consistent round trip.

    Args:
        keys: pairs of table name and key; doubles are asked for once.

    Returns:
        The rows found, by table name, in no order; rows keep raw binary attributes.

    Raises:
        Unavailable: keys stayed unprocessed.
    """
    places: dict[str, dict[frozenset[tuple[str, Value]], dict[str, Any]]] = {}
    for table, key in keys:
        places.setdefault(table, {}).setdefault(frozenset(key.items()), write(key))
    wanted = {table: {"Keys": list(here.values()), "ConsistentRead": True} for table, here in places.items()}
    found: dict[str, list[Item]] = {table: [] for table in wanted}
    if not wanted:
        return found
    for attempt in range(6):
        answer = call(client.batch_get_item, RequestItems=wanted)
        for table, items in answer["Responses"].items():
            found[table].extend(read(item, region) for item in items)
        wanted = answer.get("UnprocessedKeys") or {}
        if not wanted:
            return found
        sleep(0.05 * 2**attempt * (0.5 + random.random()))  # noqa: S311  (jitter, not a secret)
    raise Unavailable("DynamoDB left keys unprocessed; try again")
