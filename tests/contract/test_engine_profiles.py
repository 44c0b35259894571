"""Homes outside AWS: calls that a profile forbids are refused, and the cell's resources and queues work within it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.core import envelope as sealing
from chalicelib.core.envelope import OVERHEAD_BYTES
from chalicelib.flow.hooks.packing import EVENT_LIMIT_BYTES
from chalicelib.flow.messages import RECEIVES_MAX
from chalicelib.store.evidence import EvidenceBucket
from chalicelib.store.queues import OutgoingMessage, Queue
from chalicelib.store.seal_requests import SealRequest, SealRequestQueue
from infra.cell import making
from infra.cell.engines import mocked
from infra.deploy import template
from tests.support.engines import session
from tests.support.profiles import Shim, shim

REGION = "ru-home1"
MOTO_REGION = "eu-central-1"
"""moto knows AWS's regions only."""


class Home:
    """An engine played by moto, under the shim of a profile."""

    def __init__(self, over: Shim) -> None:
        self.shim = over
        self._made: list[Any] = []

    def client(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1})
        make: Any = session().client  # its stubs know each service by a literal
        made = self.shim.over(make(service, MOTO_REGION, config=config, **CREDENTIALS))
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.close()


CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@pytest.fixture(params=["ydb", "alternator"])
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    with mocked():
        made = Home(shim(request.param))
        yield made
        made.close()


def one_table(**changes: Any) -> dict[str, Any]:
    create = {
        "TableName": "waybill-ru1-one",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "day")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    }
    return {**create, **changes}


def row(pk: str, size: int = 0) -> dict[str, Any]:
    return {"pk": {"S": pk}, "body": {"B": b"0" * size}}


TABLE = "waybill-ru1-one"
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("create_table", one_table()),
    ("create_table", one_table(GlobalSecondaryIndexes=[], SSESpecification={"Enabled": True})),
    ("create_table", one_table(GlobalSecondaryIndexes=[], StreamSpecification={"StreamEnabled": True})),
    ("execute_statement", {"Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': 'a'}}"}),
    ("batch_execute_statement", {"Statements": [{"Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': 'a'}}"}]}),
    (
        "transact_write_items",
        {"TransactItems": [{"Put": {"TableName": TABLE, "Item": row(str(n))}} for n in range(26)]},
    ),
    ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [{"pk": {"S": str(n)}} for n in range(101)]}}}),
    ("put_item", {"TableName": TABLE, "Item": row("a", 409_600)}),
    (
        "put_item",
        {
            "TableName": TABLE, "Item": row("a"), "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    ),
    (
        "update_continuous_backups",
        {"TableName": TABLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "arguments"), REFUSED, ids=[f"{n}-{c}" for n, (c, _) in enumerate(REFUSED)])
def test_call_is_refused_when_the_profile_lacks_it(home: Home, call: str, arguments: dict[str, Any]) -> None:
    dynamodb = home.client("dynamodb")

    with pytest.raises(ClientError, match=home.shim.profile.name):
        getattr(dynamodb, call)(**arguments)

    assert len(home.shim.refusals) == 1


def make_queues(home: Home) -> Any:
    sqs = home.client("sqs")
    making.make_queues(sqs, template.queues("ru1", REGION, "RU", engine=home.shim.profile))
    return sqs


def test_tables_are_made_as_the_profile_allows_and_again_to_no_effect(home: Home) -> None:
    dynamodb, engine = home.client("dynamodb"), home.shim.profile

    for _ in range(2):
        making.make_tables(dynamodb, template.tables("ru1", REGION, "RU", engine=engine))

    assert {"waybill-ru1-config", "waybill-ru1-data", "waybill-ru1-people"} <= set(dynamodb.list_tables()["TableNames"])
    found = dynamodb.describe_table(TableName="waybill-ru1-data")["Table"]
    assert {i["Projection"]["ProjectionType"] for i in found["GlobalSecondaryIndexes"]} == {"ALL"}
    ttl = dynamodb.describe_time_to_live(TableName="waybill-ru1-data")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    tags = dynamodb.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"]
    assert {t["Key"]: t["Value"] for t in tags} == dict(engine.table_tags)
    assert home.shim.refusals == []


def test_backups_are_never_switched_on_when_the_profile_has_none(home: Home) -> None:
    tables = template.tables("ru1", REGION, "RU", engine=home.shim.profile)

    assert [t.backups for t in tables] == [None] * len(tables)
    assert any(t.backups for t in template.tables("eu1", MOTO_REGION, "DE"))


def test_order_groups_and_doubles_are_kept_by_queues_without_scopes(home: Home) -> None:
    sqs = make_queues(home)
    queue = Queue(sqs, "waybill-ru1-inbox.fifo")

    queue.send([OutgoingMessage(json.dumps({"n": n}), f"group {n % 2}", f"once {n}") for n in range(4)])
    queue.send([OutgoingMessage(json.dumps({"n": 0}), "group 0", "once 0")])

    got = sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    order = [(m["Attributes"]["MessageGroupId"], json.loads(m["Body"])["n"]) for m in got]
    assert sorted(order) == [("group 0", 0), ("group 0", 2), ("group 1", 1), ("group 1", 3)]
    assert [n for group, n in order if group == "group 0"] == [0, 2]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue.url)
    assert home.shim.refusals == []


def test_dead_letters_go_where_the_service_says_the_queue_is(home: Home) -> None:
    sqs = make_queues(home)
    url = sqs.get_queue_url(QueueName="waybill-ru1-outbox.fifo")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName="waybill-ru1-outbox-dead.fifo")["QueueUrl"]

    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    assert json.loads(found["RedrivePolicy"]) == {"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX}
    assert (found["FifoQueue"], found["VisibilityTimeout"]) == ("true", "360")


def test_notices_are_told_and_removed(home: Home) -> None:
    sqs = make_queues(home)
    notices = SealRequestQueue(sqs, "waybill-ru1-seal-requests")

    notices.send([SealRequest("tnt_1", "2026", ("2026-11-22T10:00#00",), 1)])
    (received,) = notices.receive(60)
    notices.remove([received.receipt])

    assert received.notice.tenant == "tnt_1"
    assert home.shim.refusals == []


def densest(size: int) -> str:
    """Return text of ``size`` bytes of UTF-8 which deflate makes hardly smaller: every byte that JSON leaves as it is."""
    drawn = random.Random(7)
    text, length = [], 0
    while length < size - 4:
        char = drawn.choice((chr(drawn.randrange(0x20, 0x7F)), chr(drawn.randrange(0x80, 0x800)), chr(drawn.randrange(0x800, 0xD800)), chr(drawn.randrange(0x10000, 0x110000))))  # fmt: skip
        length += len(char.encode())
        text.append(char)
    return "".join(text)


def test_largest_event_fits_a_message_of_every_home(home: Home) -> None:
    packed = sealing.pack({"raw": densest(EVENT_LIMIT_BYTES - 20_000)}, EVENT_LIMIT_BYTES)
    worst = EVENT_LIMIT_BYTES * 7.72 / 8  # UTF-8 has 210 byte values at most, hence log2(210) bits a byte
    envelope = 400

    assert len(packed) < worst
    assert (worst + 5 * EVENT_LIMIT_BYTES / 16_383 + OVERHEAD_BYTES) * 4 / 3 + envelope < home.shim.profile.limits[
        "message_bytes"
    ]
    queue = Queue(make_queues(home), "waybill-ru1-inbox.fifo")
    queue.send([OutgoingMessage("0" * int(worst * 4 / 3 + envelope), "group", "once")])
    assert home.shim.refusals == []


def test_object_is_written_once_with_a_checksum_that_a_locked_bucket_asks_for(home: Home) -> None:
    s3, asked = home.client("s3"), list[dict[str, Any]]()
    s3.meta.events.register("provide-client-params.s3.PutObject", lambda params, **_: asked.append(dict(params)))
    s3.create_bucket(Bucket="waybill-ru1-evidence", CreateBucketConfiguration={"LocationConstraint": MOTO_REGION})
    evidence = EvidenceBucket(lambda: s3, "waybill-ru1-evidence", MOTO_REGION)

    assert evidence.put("logs/a", b"one")
    assert not EvidenceBucket(lambda: s3, "waybill-ru1-evidence", MOTO_REGION).put("logs/a", b"one")

    assert evidence.get("logs/a") == b"one"
    assert asked[0]["ContentMD5"] == "+XxdKZQb+xsv2rCHSQargg=="
    assert asked[0]["IfNoneMatch"] == "*"
