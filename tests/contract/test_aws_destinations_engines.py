"""The AWS kinds against services that store the data sent to them: moto in this process, ministack if it is found.

Neither knows trust policies; proofs of roles are in ``test_aws_roles.py``. moto has no throttling and no entries
that fail: a hook on the client makes those.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import of_kind
from chalicelib.destinations.aws_client import ClientFactory, RoleClients, Session
from chalicelib.destinations.base import SendingClients
from infra.cell.engines import mocked
from tests.support import engines
from tests.support.destination_kinds import DOCUMENT, delivery
from tests.support.tenant_aws import CELL_ACCOUNT

REGION = engines.REGION
_numbers = iter(range(1, 10_000))


@functools.cache
def _maker(url: str | None) -> ClientFactory:
    """Return the one session that makes every client of an engine: a new one reads the SDK's descriptions again."""
    return ClientFactory(url)


@dataclass
class Tenant:
    """A tenant's account on an engine, as its owner sees it, and the cell's clients that reach it."""

    name: str
    account: str
    owner: Callable[[str], Any]
    aws: RoleClients
    fresh: str

    @property
    def clients(self) -> SendingClients:
        return SendingClients(aws=self.aws)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{self.account}:{resource}"

    def config(self, kind: str, **fields: Any) -> Any:
        return of_kind(kind).Config(role_arn=f"arn:aws:iam::{self.account}:role/waybill-events", **fields)

    def send(self, kind: str, config: Any, document: Any = DOCUMENT, **changes: Any) -> str:
        module = of_kind(kind)
        receipt = module.send(module.render(document, delivery(kind, config=config, **changes)), self.clients)
        return str(receipt.code)

    def fault(self, kind: str, config: Any) -> str:
        with pytest.raises(DeliveryError) as error:
            self.send(kind, config)
        return error.value.attempt_code


def _owner(endpoint: str | None, keys: dict[str, str]) -> Callable[[str], Any]:
    return lambda service: engines.session().client(service, region_name=REGION, endpoint_url=endpoint, **keys)  # type: ignore[call-overload]


def _clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(params=[name for name in engines.found() if name in ("moto", "ministack")])
def tenant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    """A tenant's account on every engine that is found."""
    fresh = f"events-{next(_numbers)}"
    if request.param == "moto":
        with mocked():
            given = boto3.client("sts", region_name=REGION).assume_role(
                RoleArn="arn:aws:iam::999988887777:role/owner", RoleSessionName="owner"
            )["Credentials"]
            keys = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
            yield Tenant(
                "moto",
                "999988887777",
                _owner(None, keys),
                RoleClients(REGION, CELL_ACCOUNT, _clock, _maker(None)),
                fresh,
            )
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    url = request.getfixturevalue("ministack_url")
    owner = _owner(url, {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"})
    yield Tenant("ministack", "000000000000", owner, RoleClients(REGION, CELL_ACCOUNT, _clock, _maker(url)), fresh)


def queue(tenant: Tenant, name: str | None = None, **attributes: str) -> tuple[str, Any]:
    name = name or tenant.fresh
    url = tenant.owner("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, tenant.config("sqs", arn=tenant.arn("sqs", name))


def messages(tenant: Tenant, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        got = tenant.owner("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        )
        if not got.get("Messages"):
            return found
        for message in got["Messages"]:
            found.append(message)
            tenant.owner("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_message_is_in_the_queue_when_it_was_accepted(tenant: Tenant) -> None:
    url, config = queue(tenant)

    code = tenant.send("sqs", config)

    (message,) = messages(tenant, url)
    assert code == "accepted"
    assert json.loads(message["Body"]) == DOCUMENT
    assert {n: a["StringValue"] for n, a in message["MessageAttributes"].items()}["transfer_id"].startswith("trf_")


def test_fifo_queue_keeps_order_and_one_of_each_when_deliveries_are_made_twice(tenant: Tenant) -> None:
    url, config = queue(tenant, tenant.fresh + ".fifo", FifoQueue="true")

    for number in (1, 1, 2, 3, 2):
        tenant.send("sqs", config, {"n": number}, delivery_id=f"dlv_{number}")

    found = messages(tenant, url)
    assert [json.loads(m["Body"])["n"] for m in found] == [1, 2, 3]
    assert {m["Attributes"]["MessageGroupId"] for m in found} == {"cnv_00000000000000000000000001"}


@pytest.mark.parametrize("fifo", [False, True])
def test_subscriber_gets_the_message_when_a_topic_took_it(tenant: Tenant, fifo: bool) -> None:
    name = tenant.fresh + (".fifo" if fifo else "")
    attributes = {"FifoTopic": "true"} if fifo else {}
    topic = tenant.owner("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
    url, _ = queue(tenant, name, **({"FifoQueue": "true"} if fifo else {}))
    tenant.owner("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=tenant.arn("sqs", name),
        Attributes={"RawMessageDelivery": "true"},
    )

    code = tenant.send("sns", tenant.config("sns", arn=topic))

    (message,) = messages(tenant, url)
    assert code == "accepted"
    assert json.loads(message["Body"]) == DOCUMENT
    assert message["MessageAttributes"]["event_id"]["StringValue"] == DOCUMENT["id"]


def test_record_is_in_the_stream_when_it_was_accepted(tenant: Tenant) -> None:
    kinesis = tenant.owner("kinesis")
    kinesis.create_stream(StreamName=tenant.fresh, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=tenant.fresh, WaiterConfig={"Delay": 1})

    code = tenant.send("kinesis", tenant.config("kinesis", arn=tenant.arn("kinesis", f"stream/{tenant.fresh}")))

    shard = kinesis.list_shards(StreamName=tenant.fresh)["Shards"][0]["ShardId"]
    at = kinesis.get_shard_iterator(StreamName=tenant.fresh, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    (record,) = kinesis.get_records(ShardIterator=at["ShardIterator"])["Records"]
    assert code == "accepted"
    assert json.loads(record["Data"]) == DOCUMENT
    assert record["PartitionKey"] == "cnv_00000000000000000000000001"


def test_rule_sees_the_event_when_a_bus_took_it(tenant: Tenant) -> None:
    events = tenant.owner("events")
    bus = events.create_event_bus(Name=tenant.fresh)["EventBusArn"]
    url, _ = queue(tenant)
    events.put_rule(
        Name=tenant.fresh,
        EventBusName=tenant.fresh,
        EventPattern=json.dumps({"source": ["waybill.example"], "detail-type": ["waybill.message"]}),
    )
    target = {"Id": "1", "Arn": tenant.arn("sqs", tenant.fresh)}
    events.put_targets(Rule=tenant.fresh, EventBusName=tenant.fresh, Targets=[target])

    code = tenant.send("eventbridge", tenant.config("eventbridge", arn=bus, source="waybill.example"))

    assert code == "accepted"
    (message,) = messages(tenant, url)
    seen = json.loads(message["Body"])
    assert seen["detail"] == DOCUMENT
    assert seen["resources"] == ["trf_00000000000000000000000001", "dlv_00000000000000000000000001"]


def test_line_is_in_the_bucket_behind_when_firehose_took_it(tenant: Tenant) -> None:
    tenant.owner("s3").create_bucket(Bucket=tenant.fresh, CreateBucketConfiguration={"LocationConstraint": REGION})
    tenant.owner("firehose").create_delivery_stream(
        DeliveryStreamName=tenant.fresh,
        ExtendedS3DestinationConfiguration={
            "RoleARN": f"arn:aws:iam::{tenant.account}:role/firehose",
            "BucketARN": f"arn:aws:s3:::{tenant.fresh}",
        },
    )
    arn = tenant.arn("firehose", f"deliverystream/{tenant.fresh}")

    code = tenant.send("firehose", tenant.config("firehose", arn=arn))

    assert code == "accepted"
    written = b"".join(content for _, content in objects(tenant))
    if written[:2] == b"\x1f\x8b":
        written = gzip.decompress(written)
    assert written.endswith(b"}\n")
    assert json.loads(written) == DOCUMENT


def objects(tenant: Tenant) -> list[tuple[str, bytes]]:
    s3 = tenant.owner("s3")
    listed = s3.list_objects_v2(Bucket=tenant.fresh).get("Contents", [])
    return [(o["Key"], s3.get_object(Bucket=tenant.fresh, Key=o["Key"])["Body"].read()) for o in listed]


def test_objects_stand_side_by_side_when_an_event_comes_again(tenant: Tenant) -> None:
    tenant.owner("s3").create_bucket(Bucket=tenant.fresh, CreateBucketConfiguration={"LocationConstraint": REGION})
    config = tenant.config("s3", bucket=tenant.fresh, region=REGION, prefix="in")

    codes = [
        tenant.send("s3", config, {"n": number}, transfer_id=transfer)
        for number, transfer in ((1, "trf_1"), (2, "trf_2"), (3, "trf_2"))
    ]

    stem = "in/2026/03/01/evt_00000000000000000000000001"
    assert codes == ["accepted"] * 3
    assert objects(tenant) == [(f"{stem}.json", b'{"n":1}'), (f"{stem}.trf_2.json", b'{"n":2}')]


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("sqs", "missing"),
        ("sns", "missing"),
        ("kinesis", "stream/missing"),
        ("firehose", "deliverystream/missing"),
    ],
)
def test_code_is_not_found_when_the_thing_is_not_there(tenant: Tenant, kind: str, resource: str) -> None:
    assert tenant.fault(kind, tenant.config(kind, arn=tenant.arn(kind, resource))) == "not_found"


def test_code_is_not_found_when_the_bucket_is_not_there(tenant: Tenant) -> None:
    assert tenant.fault("s3", tenant.config("s3", bucket="missing-bucket", region=REGION)) == "not_found"


class Interrupted:
    """Makes clients whose service answers with another reply, set before sending."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status, self.body, self.headers = status, body, headers

    def __call__(self, service: str, region: str, session: Session | None) -> Any:
        client = _maker(None)(service, region, session)

        def answer(request: Any, **_: Any) -> Any:
            headers: Any = self.headers
            made: Any = AWSResponse(request.url, self.status, headers, None)
            made._content = self.body
            return made

        if service != "sts":
            client.meta.events.register_first("before-send", answer)
        return client


JSON_10 = {"content-type": "application/x-amz-json-1.0"}


@pytest.mark.parametrize(
    ("kind", "status", "body", "headers", "code"),
    [
        ("sqs", 400, b'{"__type":"com.amazonaws.sqs#RequestThrottled"}', JSON_10, "throttled"),
        (
            "sqs", 400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}',
            {**JSON_10, "x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}, "not_found",
        ),
        ("kinesis", 400, b'{"__type":"ProvisionedThroughputExceededException"}', JSON_10, "throttled"),
        ("firehose", 503, b'{"__type":"ServiceUnavailableException"}', JSON_10, "unavailable"),
        ("sns", 400, b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>", {}, "throttled"),
        ("sns", 403, b"<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>", {}, "denied"),
        ("s3", 503, b"<Error><Code>SlowDown</Code></Error>", {}, "throttled"),
        ("s3", 403, b"<Error><Code>AccessDenied</Code></Error>", {}, "denied"),
        (
            "eventbridge", 200, b'{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException"}]}', JSON_10,
            "throttled",
        ),
    ],
)  # fmt: skip
def test_code_is_the_tables_when_the_wire_carries_a_fault(
    kind: str, status: int, body: bytes, headers: dict[str, str], code: str
) -> None:
    with mocked():
        aws = RoleClients(REGION, CELL_ACCOUNT, _clock, Interrupted(status, body, headers))
        module = of_kind(kind)

        with pytest.raises(DeliveryError) as error:
            module.send(module.render(DOCUMENT, delivery(kind)), SendingClients(aws=aws))

    assert error.value.attempt_code == code


def test_sessions_of_a_real_sts_are_kept_until_they_are_about_to_expire() -> None:
    with mocked():
        at = [_clock()]
        made: list[tuple[str, str | None]] = []

        class Noting(ClientFactory):
            def __call__(self, service: str, region: str, session: Session | None) -> Any:
                made.append((service, session.key_id if session else None))
                return super().__call__(service, region, session)

        aws = RoleClients(REGION, CELL_ACCOUNT, lambda: at[0], Noting())
        config = delivery("sqs").config
        module = of_kind("sqs")
        for minutes in (0, 10, 50):
            at[0] += timedelta(minutes=minutes)
            with pytest.raises(DeliveryError):  # there is no such queue; the session is what matters here
                module.send(module.render(DOCUMENT, delivery("sqs", config=config)), SendingClients(aws=aws))

    assert [service for service, _ in made] == ["sts", "sqs", "sqs"]
    assert made[1] != made[2]
