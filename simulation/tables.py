"""moto's tables without the wire: plain calls of its DynamoDB, so that a round makes thousands of calls a second.

Reads, queries and conditional writes are moto's own. An INSERT is refused if the row exists, which moto does not do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import DynamoHandler

from infra.cell.engines import Engine

from .memory import deleted, inserted

Row = dict[str, dict[str, Any]]
Appended = Callable[[str, str], None]


class Tables:
    """DynamoDB of one region. ``appended`` is called with the table and the entry of each INSERT that was not refused."""

    def __init__(self, engine: Engine, region: str, appended: Appended) -> None:
        raw = engine.make_client("dynamodb", region)
        self.meta, self.exceptions = raw.meta, raw.exceptions
        self._appended = appended
        self._handler = DynamoHandler()
        self._handler.region, self._handler.current_account = region, engine.account
        self._tables = dynamodb_backends[engine.account][region].tables

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        act = getattr(self._handler, operation)

        def call(**arguments: Any) -> Any:
            self._handler.body = arguments
            try:
                return act()._result
            except JsonRESTError as refused:
                code = str(refused.error_type).rpartition("#")[2]
                answer: Any = {"Error": {"Code": code, "Message": str(refused.message)}}
                raise ClientError(answer, operation) from None

        return call

    def rows(self, table: str) -> list[Row]:
        """Return every row of a table.

        Raises:
            KeyError: there is no such table.
        """
        return [
            {name: value.to_regular_json() for name, value in item.attrs.items()}
            for group in self._tables[table].items.values()
            for item in (group.values() if isinstance(group, dict) else (group,))
        ]

    def batch_execute_statement(self, *, Statements: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Insert rows that do not exist, or delete rows, each with its own answer."""
        return {"Responses": [self._executed(statement) for statement in Statements]}

    def _executed(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        if not statement["Statement"].startswith("DELETE"):
            return self._insert(*inserted(statement))
        table, key, wanted = deleted(statement)
        found = self.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        if found is not None and any(found.get(name) != value for name, value in wanted.items()):
            return {"Error": {"Code": "ConditionalCheckFailed", "Message": ""}}
        self.delete_item(TableName=table, Key=key)
        return {"TableName": table}

    def execute_statement(self, *, Statement: str, Parameters: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Insert a row that does not exist.

        Raises:
            ClientError: ``DuplicateItemException`` if it exists.
        """
        answer = self._insert(*inserted({"Statement": Statement, "Parameters": Parameters}))
        if "Error" in answer:
            error: Any = {"Error": {"Code": "DuplicateItemException", "Message": ""}}
            raise ClientError(error, "ExecuteStatement")
        return {"Items": []}

    def _insert(self, table: str, item: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self.put_item(TableName=table, Item=dict(item), ConditionExpression="attribute_not_exists(pk)")
        except ClientError as refused:
            if refused.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return {"Error": {"Code": "DuplicateItem", "Message": ""}}
        self._appended(table, item["sk"]["S"])
        return {"TableName": table}


STRAIGHT = {
    "GetItem": "get_item", "BatchGetItem": "batch_get_item", "Query": "query",
    "PutItem": "put_item", "UpdateItem": "update_item", "DeleteItem": "delete_item",
}  # fmt: skip
"""The calls that go to moto's tables directly. The way there and back takes two thirds of a call."""


def without_wire(call: Callable[[str, Any], Any], tables: Tables) -> Callable[[str, Any], Any]:
    """Return a client's ``_make_api_call`` that asks the tables directly, and ``call`` for every other operation."""

    def asked(operation: str, arguments: Any) -> Any:
        if operation not in STRAIGHT:
            return call(operation, arguments)
        return getattr(tables, STRAIGHT[operation])(**arguments)

    return asked


class Served:
    """DynamoDB of an engine over the network, unchanged. ``appended`` is as in ``Tables``."""

    def __init__(self, engine: Engine, region: str, appended: Appended) -> None:
        self._raw = engine.make_client("dynamodb", region)
        self.meta, self.exceptions = self._raw.meta, self._raw.exceptions
        self._appended = appended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def rows(self, table: str) -> list[Row]:
        """Return every row of a table.

        Raises:
            KeyError: there is no such table.
        """
        if table not in self._raw.list_tables()["TableNames"]:
            raise KeyError(table)
        pages = self._raw.get_paginator("scan").paginate(TableName=table)
        return [row for page in pages for row in page["Items"]]

    def batch_execute_statement(self, *, Statements: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Execute statements, and call ``appended`` for rows that were inserted."""
        answer: dict[str, Any] = self._raw.batch_execute_statement(Statements=Statements)
        for statement, response in zip(Statements, answer["Responses"], strict=True):
            if "Error" not in response and statement["Statement"].startswith("INSERT"):
                table, item = inserted(statement)
                self._appended(table, item["sk"]["S"])
        return answer
