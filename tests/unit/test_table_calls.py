"""DynamoDB's answers other than plain success: keys left over, throttling, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from chalicelib.core.errors import Misconfigured, Unavailable, WrongRegion
from chalicelib.store.items import Table, batch_get, call, write

REGION = "eu-central-1"


def row(number: int, region: str = REGION) -> dict[str, Any]:
    return write({"pk": f"p{number}", "region": region})


class Answers:
    """A client that answers a batch read with only so many of the rows that are asked for, in turn."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = iter(sizes)
        self.asked: list[list[str]] = []

    def batch_get_item(self, RequestItems: dict[str, dict[str, Any]]) -> dict[str, Any]:
        ((table, wanted),) = RequestItems.items()
        keys = wanted["Keys"]
        self.asked.append([key["pk"]["S"] for key in keys])
        assert wanted["ConsistentRead"] is True
        size = next(self.sizes)
        left = {table: {**wanted, "Keys": keys[size:]}} if keys[size:] else {}
        rows = [{**key, **write({"region": REGION})} for key in keys[:size]]
        return {"Responses": {table: rows}, "UnprocessedKeys": left}


def read(client: Answers, names: str, slept: list[float] | None = None) -> list[str]:
    keys = [("data", {"pk": name}) for name in names]
    found = batch_get(client, keys, REGION, (slept if slept is not None else []).append)
    return [str(item["pk"]) for item in found["data"]]


def test_keys_that_were_left_over_are_asked_for_again_with_growing_waits() -> None:
    client, slept = Answers(1, 0, 9), list[float]()

    assert read(client, "abc", slept) == ["a", "b", "c"]

    assert client.asked == [["a", "b", "c"], ["b", "c"], ["b", "c"]]
    assert 0.025 <= slept[0] <= 0.075 and 0.05 <= slept[1] <= 0.15


def test_read_fails_and_gives_no_part_when_keys_stay_left_over() -> None:
    client = Answers(1, *[0] * 20)

    with pytest.raises(Unavailable):
        read(client, "abc")

    assert len(client.asked) == 6


def test_key_that_is_named_twice_is_asked_for_once() -> None:
    client = Answers(9)

    assert read(client, "aab") == ["a", "b"]

    assert client.asked == [["a", "b"]]


def test_nothing_is_called_when_nothing_is_asked_for() -> None:
    assert batch_get(None, [], REGION) == {}


def refusing(error: Exception) -> Any:
    """Return a client whose every call fails."""

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            def refuse(**_: Any) -> None:
                raise error

            return refuse

    return Refusing()


def of_code(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem")


BUSY = (
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "InternalServerError",
    "ServiceUnavailable", "InternalFailure", "TransactionConflictException", "LimitExceededException",  # of DynamoDB
    "RequestThrottled", "AWS.SimpleQueueService.NonExistentQueue.Throttled", "ThrottledException",  # of SQS
    "KMSThrottlingException",  # of SQS and DynamoDB under a key of KMS
)  # fmt: skip


@pytest.mark.parametrize("code", BUSY)
def test_call_may_be_tried_again_when_aws_is_busy(code: str) -> None:
    with pytest.raises(Unavailable):
        call(refusing(of_code(code)).put_item)


def test_call_may_be_tried_again_when_aws_does_not_answer() -> None:
    with pytest.raises(Unavailable):
        call(refusing(EndpointConnectionError(endpoint_url="https://dynamodb")).put_item)


def test_call_names_the_cause_when_there_are_no_credentials() -> None:
    with pytest.raises(Misconfigured):
        call(refusing(NoCredentialsError()).put_item)


def writes(table: Table) -> list[Any]:
    """Make each conditional write; return the results."""
    key = {"pk": "p"}
    return [
        table.insert(key),
        table.replace(key, "version = :v", {":v": 1}),
        table.update(key, "SET a = :a", {":a": 1}),
        table.delete(key, "version = :v", {":v": 1}),
    ]


def test_write_says_so_when_its_condition_does_not_hold() -> None:
    table = Table(refusing(of_code("ConditionalCheckFailedException")), "data", REGION)

    assert writes(table) == [False, False, None, False]


@pytest.mark.parametrize("number", range(4))
def test_write_fails_when_it_is_refused_for_another_reason(number: int) -> None:
    table = Table(refusing(of_code("ValidationException")), "data", REGION)
    key = {"pk": "p"}
    write_of = [
        lambda: table.insert(key),
        lambda: table.replace(key, "version = :v", {":v": 1}),
        lambda: table.update(key, "SET a = :a", {":a": 1}),
        lambda: table.delete(key),
    ][number]

    with pytest.raises(ClientError):
        write_of()


def test_row_of_another_region_is_not_read() -> None:
    class Other:
        def get_item(self, **_: Any) -> dict[str, Any]:
            return {"Item": row(1, "us-east-1")}

    with pytest.raises(WrongRegion):
        Table(Other(), "data", REGION).get({"pk": "p1"})
