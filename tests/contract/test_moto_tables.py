"""moto's tables as the embedded engine and simulated worlds have them: they answer as moto's own do, and a query of the engine's
does not grow with what other partitions hold."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.cell import engines
from infra.cell.moto import tables
from simulation.tables import Tables

REGION = "eu-central-1"
INDEX = {
    "IndexName": "day",
    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
CONDITIONS = {
    "sk": ("", "AND sk = :l", "AND sk < :l", "AND sk >= :l", "AND sk BETWEEN :l AND :h", "AND begins_with(sk, :l)"),
    "at": ("", "AND #at > :l", "AND #at <= :l", "AND #at BETWEEN :l AND :h"),
}


def item(number: int) -> dict[str, Any]:
    """Spread over three partitions and two days; every fifth is in no index."""
    indexed = {"day": {"S": f"d{number % 2}"}, "at": {"S": f"{number * 7 % 10}"}} if number % 5 else {}
    return {"pk": {"S": f"p{number % 3}"}, "sk": {"S": f"{number * 11 % 30:02}"}, "n": {"N": str(number)}, **indexed}


def make(client: Any, name: str) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk", "day", "at")],
        GlobalSecondaryIndexes=[INDEX],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(30):
        client.put_item(TableName=name, Item=item(number))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """The table ``slow`` is moto's, ``fast`` is ours; both hold the same."""
    with mock_aws():
        made = boto3.client("dynamodb", REGION)
        make(made, "slow")
        with tables.searched():
            make(made, "fast")
        yield made


def told(client: Any, **query: Any) -> list[dict[str, Any]]:
    found = [client.query(**query)]
    while "LastEvaluatedKey" in found[-1]:
        found.append(client.query(**query, ExclusiveStartKey=found[-1]["LastEvaluatedKey"]))
    return found


def pages(client: Any, **query: Any) -> list[dict[str, Any]]:
    names = ("Items", "Count", "ScannedCount", "LastEvaluatedKey")
    return [{name: page.get(name) for name in names} for page in told(client, **query)]


def straight() -> Tables:
    """The same tables without the wire."""
    account = boto3.client("sts", REGION).get_caller_identity()["Account"]
    engine = engines.Engine("moto", "put", lambda service, region: boto3.client(service, region), account=account)  # type: ignore[call-overload]
    return Tables(engine, REGION, lambda *_: None)


def items(client: Any, limit: int | None, **query: Any) -> list[dict[str, Any]]:
    """The items of all pages; moto's own pages may announce another page when none follows."""
    found = told(client, **query)
    assert all(len(page["Items"]) <= (limit or 30) for page in found)
    return [row for page in found for row in page["Items"]]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("condition", CONDITIONS["sk"])
def test_a_query_answers_as_motos_own_when_it_is_of_a_partition(
    client: Any, condition: str, limit: int | None, forward: bool
) -> None:
    for partition, low in itertools.product(("p0", "none"), ("1", "15")):
        bound = {":p": {"S": partition}, ":l": {"S": low}, ":h": {"S": "22"}}
        query = {
            "KeyConditionExpression": f"pk = :p {condition}", "ScanIndexForward": forward,
            "ExpressionAttributeValues": {n: v for n, v in bound.items() if n == ":p" or n in condition},
        } | ({"Limit": limit} if limit else {})  # fmt: skip

        assert pages(client, TableName="fast", **query) == pages(client, TableName="slow", **query)
        assert items(straight(), limit, TableName="slow", **query) == items(client, limit, TableName="slow", **query)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("condition", CONDITIONS["at"])
def test_a_query_answers_as_motos_own_when_it_is_of_an_index(
    client: Any, condition: str, limit: int | None, forward: bool
) -> None:
    for day, low in itertools.product(("d0", "none"), ("0", "5")):
        bound = {":d": {"S": day}, ":l": {"S": low}, ":h": {"S": "7"}}
        query = {
            "IndexName": "day", "KeyConditionExpression": f"#day = :d {condition}", "ScanIndexForward": forward,
            "ExpressionAttributeNames": {"#day": "day", **({"#at": "at"} if condition else {})},
            "ExpressionAttributeValues": {n: v for n, v in bound.items() if n == ":d" or n in condition},
        } | ({"Limit": limit} if limit else {})  # fmt: skip

        assert pages(client, TableName="fast", **query) == pages(client, TableName="slow", **query)
        assert items(straight(), limit, TableName="slow", **query) == items(client, limit, TableName="slow", **query)


def outcome(client: Any, operation: str, **arguments: Any) -> Any:
    try:
        answer = getattr(client, operation)(**arguments)
    except ClientError as refused:
        return refused.response["Error"]["Code"]
    return answer.get("Item"), answer.get("Attributes"), answer.get("Responses")


@pytest.mark.parametrize("table", ["straight", "missing"])
def test_a_world_without_the_wire_is_answered_as_over_it(client: Any, table: str) -> None:
    key = {"pk": {"S": "one"}, "sk": {"S": "0"}}
    absent = {**key, "sk": {"S": "1"}}
    row = {**key, "b": {"B": b"\x00\xff"}, "n": {"N": "1.5"}, "l": {"L": [{"S": "a"}]}, "s": {"SS": ["x", "y"]}}
    free = {"ConditionExpression": "attribute_not_exists(pk)"}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("put_item", {"Item": row, **free}),
        ("put_item", {"Item": row, **free}),
        ("get_item", {"Key": key, "ConsistentRead": True}),
        ("get_item", {"Key": absent}),
        ("update_item", {
            "Key": key, "UpdateExpression": "SET n = n + :o REMOVE b", "ConditionExpression": "n = :n",
            "ExpressionAttributeValues": {":o": {"N": "1"}, ":n": {"N": "1.5"}}, "ReturnValues": "ALL_NEW",
        }),
        ("update_item", {
            "Key": key, "UpdateExpression": "SET n = :n", "ConditionExpression": "n = :n",
            "ExpressionAttributeValues": {":n": {"N": "7"}},
        }),
        ("delete_item", {"Key": absent, "ConditionExpression": "attribute_exists(pk)"}),
        ("delete_item", {"Key": key, "ReturnValues": "ALL_OLD"}),
        ("get_item", {"Key": key}),
        ("query", {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "one"}}}),
    ]  # fmt: skip
    if table == "straight":
        for name in ("wire", "straight"):
            make(client, name)

    over = [outcome(client, name, TableName="wire" if table == "straight" else table, **a) for name, a in steps]
    without = [outcome(straight(), name, TableName=table, **a) for name, a in steps]

    assert without == over
    assert len(set(map(str, over))) > 1 or table == "missing"


def test_a_scan_shows_everything_when_queries_were_made_before(client: Any) -> None:
    client.query(
        TableName="fast", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p1"}}
    )  # fmt: skip

    assert client.scan(TableName="fast")["Items"] == client.scan(TableName="slow")["Items"]


def test_a_query_makes_no_more_calls_when_other_partitions_hold_ten_times_as_much() -> None:
    with engines.moto() as engine:
        client = engine.make_client("dynamodb", REGION)
        make(client, "one")

        def calls() -> int:
            made = 0

            def count(_frame: Any, what: str, _argument: Any) -> None:
                nonlocal made
                made += what == "call"

            before = sys.getprofile()
            sys.setprofile(count)
            try:
                client.query(
                    TableName="one", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p1"}}
                )  # fmt: skip
            finally:
                sys.setprofile(before)
            return made

        calls()  # the first one loads what botocore loads once
        few = calls()
        for number in range(300):
            client.put_item(TableName="one", Item={"pk": {"S": "other"}, "sk": {"S": str(number)}})

        assert calls() < few * 1.2
