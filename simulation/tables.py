"""moto's tables without the wire: its DynamoDB as plain calls, so that a round makes thousands of them a second.

Reads and conditional writes are moto's own. Queries are made here from the rows that moto holds, since its own sorts a whole
table for each; INSERT is refused where a row is, which moto does not do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import DynamoHandler

from infra.cell.engines import Engine

from .memory import inserted

Row = dict[str, dict[str, Any]]
Appended = Callable[[str, str], None]
_BETWEEN = re.compile(r"(\S+) BETWEEN (\S+) AND (\S+)")
_BEGINS = re.compile(r"begins_with\((\S+), (\S+)\)")
_COMPARED = re.compile(r"(\S+) (=|<=|>=|<|>) (\S+)")
_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b, "<": lambda a, b: a < b, ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def condition(
    text: str, names: Mapping[str, str], values: Mapping[str, Any]
) -> list[tuple[str, Callable[[str], bool]]]:
    """Read a key condition: the attributes that it is about, and what each has to be.

    Raises:
        LookupError: a form that is not known here.
    """

    def value(name: str) -> str:
        return str(values[name]["S"])

    found: list[tuple[str, Callable[[str], bool]]] = []

    def between(match: re.Match[str]) -> str:
        low, high = value(match[2]), value(match[3])
        found.append((names.get(match[1], match[1]), lambda v: low <= v <= high))
        return ""

    for part in (p.strip() for p in _BETWEEN.sub(between, text).split(" AND ")):
        begins, compared = _BEGINS.fullmatch(part), _COMPARED.fullmatch(part)
        if begins:
            start = value(begins[2])
            found.append((names.get(begins[1], begins[1]), lambda v, start=start: v.startswith(start)))  # type: ignore[misc]
        elif compared:
            compare, right = _COMPARE[compared[2]], value(compared[3])
            found.append((names.get(compared[1], compared[1]), lambda v, c=compare, r=right: c(v, r)))  # type: ignore[misc]
        elif part:
            raise LookupError(part)
    return found


class Tables:
    """DynamoDB of one region. Tells what was appended to the log."""

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

    def _rows(self, table: str) -> Iterator[Row]:
        for group in self._tables[table].items.values():
            for item in group.values() if isinstance(group, dict) else (group,):
                yield {name: value.to_regular_json() for name, value in item.attrs.items()}

    def rows(self, table: str) -> list[Row]:
        """Return every row of a table.

        Raises:
            KeyError: there is no such table.
        """
        return list(self._rows(table))

    def _candidates(
        self, name: str, terms: list[tuple[str, Callable[[str], bool]]], index: str | None
    ) -> Iterator[Row]:
        if index is not None:  # sparse: only rows that have its attributes are looked at further
            wanted = {attribute for attribute, _ in terms}
            for group in self._tables[name].items.values():
                for item in group.values() if isinstance(group, dict) else (group,):
                    if wanted <= item.attrs.keys():
                        yield {key: value.to_regular_json() for key, value in item.attrs.items()}
            return
        fits = next(test for attribute, test in terms if attribute == "pk")
        for key, group in self._tables[name].items.items():
            if fits(key.value):
                for item in group.values() if isinstance(group, dict) else (group,):
                    yield {attribute: value.to_regular_json() for attribute, value in item.attrs.items()}

    def query(self, **arguments: Any) -> dict[str, Any]:
        """Read the rows that a key condition names, in the order of the sort key.

        Raises:
            ClientError: ``ResourceNotFoundException``, where there is no such table.
            LookupError: an argument that is not known here.
        """
        known = {
            "TableName", "KeyConditionExpression", "ExpressionAttributeValues", "ExpressionAttributeNames", "IndexName",
            "ScanIndexForward", "ConsistentRead", "Limit", "ExclusiveStartKey",
        }  # fmt: skip
        if not arguments.keys() <= known:
            raise LookupError(str(arguments.keys() - known))
        name, index = arguments["TableName"], arguments.get("IndexName")
        if name not in self._tables:
            missing: Any = {"Error": {"Code": "ResourceNotFoundException", "Message": ""}}
            raise ClientError(missing, "Query")
        table = self._tables[name]
        terms = condition(
            arguments["KeyConditionExpression"],
            arguments.get("ExpressionAttributeNames", {}),
            arguments["ExpressionAttributeValues"],
        )
        keys = [key["AttributeName"] for key in (table.get_index(index).schema if index is not None else table.schema)]
        base = [key["AttributeName"] for key in table.schema]
        order = [*keys[1:], *(base if index is not None else ())]
        found = [
            row
            for row in self._candidates(name, terms, index)
            if all(key in row for key in keys) and all(test(row[attribute]["S"]) for attribute, test in terms)
        ]
        forward = arguments.get("ScanIndexForward", True)

        def place(row: Mapping[str, Any]) -> list[str]:
            return [row[key]["S"] for key in order]

        found.sort(key=place, reverse=not forward)
        if "ExclusiveStartKey" in arguments:
            start = place(arguments["ExclusiveStartKey"])
            found = [row for row in found if (place(row) > start if forward else place(row) < start)]
        limit = arguments.get("Limit")
        answer: dict[str, Any] = {"Items": found[:limit]}
        if index is not None:
            names = {*keys, *base}
            answer["Items"] = [{n: v for n, v in row.items() if n in names} for row in answer["Items"]]
        if limit is not None and len(found) > limit:
            last = found[limit - 1]
            answer["LastEvaluatedKey"] = {key: last[key] for key in {*base, *keys}}
        return answer

    def batch_execute_statement(self, *, Statements: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Insert rows that are not there, each with its own answer."""
        return {"Responses": [self._insert(*inserted(statement)) for statement in Statements]}

    def execute_statement(self, *, Statement: str, Parameters: list[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Insert a row that is not there.

        Raises:
            ClientError: ``DuplicateItemException``, where it is.
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


class Served:
    """DynamoDB of an engine behind a wire, as it is. Tells what was appended to the log."""

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
        """Insert rows, and tell of those that were."""
        answer: dict[str, Any] = self._raw.batch_execute_statement(Statements=Statements)
        for statement, response in zip(Statements, answer["Responses"], strict=True):
            if "Error" not in response:
                table, item = inserted(statement)
                self._appended(table, item["sk"]["S"])
        return answer
