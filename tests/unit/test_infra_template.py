"""The parts of a cell: the shape of its tables, queues and keys, and the arguments that make them elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from chalicelib.flow.messages import RECEIVES_MAX
from chalicelib.flow.sealing import collect, seal
from infra.deploy import template, tripwire
from infra.deploy.template import Cell

MOTO = "123456789012"
EU = ("eu1", "eu-central-1", "DE")
TABLES = {t.create["TableName"].removeprefix("waybill-eu1-"): t for t in template.tables(*EU)}
QUEUES = {q.create["QueueName"].removeprefix("waybill-eu1-"): q for q in template.queues(*EU)}
STAGES = json.loads(template.CONFIG.read_text("utf-8"))["stages"]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield lambda service: boto3.client(service, region_name="eu-central-1")


def test_boto3_makes_every_resource_when_given_the_arguments(aws: Any) -> None:
    for key in template.keys(*EU, MOTO):
        if key.create["KeyUsage"] == "SIGN_VERIFY":
            continue  # moto has no Ed25519 keys
        made = aws("kms").create_key(**key.create)["KeyMetadata"]["KeyId"]
        aws("kms").create_alias(AliasName=key.alias, TargetKeyId=made)
    for table in template.tables(*EU, MOTO):
        aws("dynamodb").create_table(**table.create)
        if table.ttl:
            aws("dynamodb").update_time_to_live(**table.ttl)
        if table.backups:
            aws("dynamodb").update_continuous_backups(**table.backups)
    for queue in template.queues(*EU, MOTO):
        aws("sqs").create_queue(**queue.create)
    for bucket in template.buckets(*EU, MOTO):
        aws("s3").create_bucket(**bucket.create)

    assert set(aws("dynamodb").list_tables()["TableNames"]) == {t.create["TableName"] for t in template.tables(*EU)}
    assert len(aws("sqs").list_queues()["QueueUrls"]) == 6
    assert {"alias/waybill-eu1", "alias/waybill-eu1-audit"} <= {
        alias["AliasName"] for alias in aws("kms").list_aliases()["Aliases"]
    }


# table: keys, indexes, TTL attribute, PITR, stream
SHAPES = {
    "config": ("pk sk", {}, None, True, None),
    "data": ("pk sk", {"day": "day at", "due": "due_shard due_at"}, "ttl", True, None),
    "people": ("pk", {"ends": "look_at pk"}, None, False, None),
    "audit-2026": ("pk sk", {"subject": "subject sk"}, None, True, "NEW_AND_OLD_IMAGES"),
}
NEXT_YEAR = datetime.now(UTC).year + 1
SHAPES |= {f"audit-{year}": SHAPES["audit-2026"] for year in range(2027, NEXT_YEAR + 1)}


def test_the_tables_have_their_shapes_when_read() -> None:
    def attributes(schema: list[dict[str, str]]) -> str:
        return " ".join(key["AttributeName"] for key in schema)

    shapes = {
        name: (
            attributes(table.create["KeySchema"]),
            {i["IndexName"]: attributes(i["KeySchema"]) for i in table.create.get("GlobalSecondaryIndexes", [])},
            table.ttl and table.ttl["TimeToLiveSpecification"]["AttributeName"],
            table.backups is not None,
            table.create.get("StreamSpecification", {}).get("StreamViewType"),
        )
        for name, table in TABLES.items()
    }

    assert shapes == SHAPES


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_is_protected_when_made(name: str) -> None:
    table = TABLES[name].create

    key = "waybill-eu1-audit" if name.startswith("audit") else "waybill-eu1"
    assert table["SSESpecification"] == {
        "Enabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": f"arn:aws:kms:eu-central-1:{template.LOCAL_ACCOUNT}:alias/{key}",
    }
    assert table["DeletionProtectionEnabled"] is True
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert all(i["Projection"] == {"ProjectionType": "KEYS_ONLY"} for i in table.get("GlobalSecondaryIndexes", []))


def test_audit_tables_differ_in_their_year_only_when_compared() -> None:
    texts = {re.sub(r"audit-\d{4}", "audit", json.dumps(t.create)) for n, t in TABLES.items() if n.startswith("audit")}

    assert len(texts) == 1


@pytest.mark.parametrize("name", ["inbox", "outbox"])
def test_a_queue_gives_up_into_its_own_dead_letter_queue_when_its_tries_are_over(name: str) -> None:
    queue, dead = QUEUES[f"{name}.fifo"].create["Attributes"], QUEUES[f"{name}-dead.fifo"].create["Attributes"]

    redrive = json.loads(queue["RedrivePolicy"])
    assert redrive["maxReceiveCount"] == 200
    assert redrive["deadLetterTargetArn"].endswith(f":waybill-eu1-{name}-dead.fifo")
    assert json.loads(dead["RedriveAllowPolicy"])["sourceQueueArns"][0].endswith(f":waybill-eu1-{name}.fifo")
    assert (queue["MessageRetentionPeriod"], dead["MessageRetentionPeriod"]) == ("345600", "1209600")


@pytest.mark.parametrize("name", sorted(QUEUES))
def test_a_queue_orders_by_group_when_made(name: str) -> None:
    attributes = QUEUES[name].create["Attributes"]

    if name == "seal-requests":  # which has no order, and whose sealer asks for it every minute
        assert "FifoQueue" not in attributes and attributes["VisibilityTimeout"] == "60"
        return
    assert attributes["FifoQueue"] == "true"
    assert attributes["FifoThroughputLimit"] == "perMessageGroupId"
    assert attributes["DeduplicationScope"] == "messageGroup"
    assert attributes["VisibilityTimeout"] == "360"


def test_dead_letter_queues_come_first_when_queues_are_listed() -> None:
    names = [queue.create["QueueName"] for queue in template.queues(*EU)]

    assert [name.endswith("-dead.fifo") for name in names] == [True, True, False, False, False, False]


def test_visibility_is_six_times_the_longest_handler_when_settings_change() -> None:
    functions = json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]
    consumers = ("route", "deliver", "dead_inbox", "dead_outbox")

    assert max(functions[name]["lambda_timeout"] for name in consumers) * 6 <= 360


def test_a_task_is_hidden_for_longer_than_a_sealer_runs() -> None:
    functions = json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]

    assert (
        seal.UNTIL_S
        < functions["seal"]["lambda_timeout"]
        < int(QUEUES["sealing.fifo"].create["Attributes"]["VisibilityTimeout"])
    )
    assert collect.UNTIL_S < functions["collect"]["lambda_timeout"] < collect.HIDDEN_S


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_no_placeholder_is_left_when_a_stage_is_filled(stage: str) -> None:
    cell = template.cell_of(stage)
    functions = json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]

    fragment = template.fragment(cell)
    texts = [json.dumps(template.policy(name, cell)) for name in functions]
    texts += [json.dumps(fragment["Resources"]), json.dumps(template.guardrails(cell))]

    assert not any(re.search(r"\$\{(Cell|Region|Country|File)", text) for text in texts)
    assert all(cell.region in text for text in texts)


def test_a_cell_names_no_other_cells_resources_when_filled() -> None:
    text = json.dumps(template.fragment(Cell("me1", "me-central-1", "AE")))

    assert "eu1" not in text
    assert "eu-central-1" not in text


def test_a_stage_is_refused_when_it_is_unknown() -> None:
    with pytest.raises(template.UnknownStage, match="there are: eu1, me1, rehearsal"):
        template.cell_of("nowhere")


class Bucket:
    """An S3 client that keeps each object, once."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = False

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str, **_: str) -> None:
        code = "ServiceUnavailable" if self.down else "PreconditionFailed" if Key in self.objects else None
        if code is not None:
            raise ClientError({"Error": {"Code": code, "Message": ""}}, "PutObject")
        assert (Bucket, IfNoneMatch) == ("waybill-eu1-evidence-1", "*")
        self.objects[Key] = Body


def _tripwire(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> Callable[[Any, None], None]:
    monkeypatch.setattr(tripwire, "client", lambda: bucket)
    monkeypatch.setenv("WAYBILL_EVIDENCE_BUCKET", "waybill-eu1-evidence-1")
    return tripwire.handler


CHANGED = {
    "eventName": "REMOVE",
    "eventSourceARN": "arn:aws:dynamodb:eu-central-1:1:table/waybill-eu1-audit-2026/stream/x",
    "dynamodb": {
        "Keys": {"pk": {"S": "p"}, "sk": {"S": "s"}},
        "SequenceNumber": "7",
        "OldImage": {"leaf": {"B": "Y2FuYXJ5"}},
    },
}


def test_the_tripwire_names_the_key_and_keeps_the_image_when_an_entry_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()

    _tripwire(monkeypatch, bucket)({"Records": [CHANGED, CHANGED]}, None)

    said = {
        "change": "REMOVE",
        "table": "waybill-eu1-audit-2026",
        "pk": "p",
        "sk": "s",
        "sequence": "7",
    }
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"level": "ERROR", "message": "audit entry changed", **said}] * 2
    assert {name: json.loads(data) for name, data in bucket.objects.items()} == {
        "tripwire/waybill-eu1-audit-2026/7.json": {**said, "old": {"leaf": {"B": "Y2FuYXJ5"}}}
    }


def test_the_tripwire_fails_when_the_bucket_does_not_take_the_image(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()
    bucket.down = True

    with pytest.raises(ClientError):  # the stream gives the record again
        _tripwire(monkeypatch, bucket)({"Records": [CHANGED]}, None)

    assert '"sk": "s"' in capsys.readouterr().out


def test_every_function_alarms_when_it_fails() -> None:
    found = template.fragment(Cell(*EU))["Resources"]
    functions = {name for name, r in found.items() if "FunctionName" in r.get("Properties", {}) and "Code" not in r}
    functions = {name for name in functions if found[name].get("Type") is None} | {"Tripwire"}

    watched = {
        alarm["Properties"]["Dimensions"][0]["Value"]["Ref"]
        for alarm in found.values()
        if alarm.get("Type") == "AWS::CloudWatch::Alarm" and alarm["Properties"]["MetricName"] == "Errors"
    }

    assert watched == functions


def test_every_alarm_reaches_somebody_when_it_rings() -> None:
    alarms = [
        r for r in template.fragment(Cell(*EU))["Resources"].values() if r.get("Type") == "AWS::CloudWatch::Alarm"
    ]

    assert len(alarms) > 10
    assert all(alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}] for alarm in alarms)


@pytest.mark.parametrize("name", ["inbox.fifo", "outbox.fifo"])
def test_queue_gives_a_message_up_when_its_consumer_expects_it(name: str) -> None:
    policy = json.loads(QUEUES[name].create["Attributes"]["RedrivePolicy"])

    assert policy["maxReceiveCount"] == RECEIVES_MAX


@pytest.mark.parametrize(
    ("today", "last"), [(date(2026, 11, 30), 2027), (date(2026, 12, 31), 2027), (date(2030, 1, 1), 2031)]
)
def test_each_deployment_makes_the_audit_table_of_the_next_year(today: date, last: int) -> None:
    resources = template.fragment(Cell(*EU), today)["Resources"]

    years = range(2026, last + 1)
    tables = {n for n, r in resources.items() if r.get("Type") == "AWS::DynamoDB::Table" and n.startswith("AuditTable")}
    assert tables == {f"AuditTable{year}" for year in years}
    for year in years:
        assert resources[f"AuditTable{year}"]["Properties"]["TableName"] == f"waybill-eu1-audit-{year}"
        mapping = resources[f"TripwireOn{year}"]["Properties"]
        assert mapping["EventSourceArn"] == {"Fn::GetAtt": [f"AuditTable{year}", "StreamArn"]}
    assert "${Year}" not in json.dumps(resources)
