"""The embedded engine's answers: what moto remembers of its own classes changes none of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.cell.moto import answers as moto_answers

REGION = "eu-central-1"
EVERY_TYPE: dict[str, Any] = {
    "pk": {"S": "a"}, "n": {"N": "1.50"}, "b": {"B": b"\x00\xff"}, "t": {"BOOL": False}, "nothing": {"NULL": True},
    "l": {"L": [{"S": ""}, {"M": {"S": {"S": "named as a type is"}}}]}, "m": {"M": {"tableName": {"L": []}}},
    "ss": {"SS": ["x", "y"]}, "ns": {"NS": ["1", "2"]}, "bs": {"BS": [b"1"]},
}  # fmt: skip


def answers() -> list[Any]:
    return [{n: v for n, v in answer.items() if n != "ResponseMetadata"} for answer in _answers()]


def _answers() -> Iterator[Any]:
    with mock_aws():
        dynamodb, s3 = boto3.client("dynamodb", REGION), boto3.client("s3", REGION)
        for name in ("one", "two"):
            made = dynamodb.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )["TableDescription"]
            yield {name: made[name] for name in made.keys() - {"CreationDateTime", "TableId", "BillingModeSummary"}}
            yield dynamodb.put_item(TableName=name, Item=EVERY_TYPE, ReturnValues="ALL_OLD")
            yield dynamodb.get_item(TableName=name, Key={"pk": {"S": "a"}})
            yield dynamodb.scan(TableName=name)
            yield dynamodb.batch_get_item(RequestItems={name: {"Keys": [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]}})
        yield dynamodb.list_tables()
        s3.create_bucket(Bucket="things", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="things", Key="a/b", Body=b"123")
        listed = s3.list_objects_v2(Bucket="things")
        yield {**listed, "Contents": [(one["Key"], one["Size"], one["ETag"]) for one in listed["Contents"]]}
        try:
            dynamodb.get_item(TableName="none", Key={"pk": {"S": "a"}})
        except ClientError as error:
            yield error.response


def test_every_answer_is_motos_own_when_it_remembers_its_classes() -> None:
    plain = answers()

    with moto_answers.remembered():
        first, second = answers(), answers()

    assert len(plain) == 13
    assert plain[2]["Item"] == EVERY_TYPE
    assert (first, second, answers()) == (plain, plain, plain)
