"""The content of each call of an AWS kind: keys, order, attributes, names of objects."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import of_kind
from chalicelib.destinations.aws_client import Session
from tests.support.aws_sending import ACCESS, ROLE, aws_kinds, failed, sent
from tests.support.destination_kinds import AWS_KINDS, DOCUMENT, NOW, delivery
from tests.support.tenant_aws import EXTERNAL_ID, TAKEN, faked, refusal


def call_of(kind: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    clients, maker = faked(lambda: NOW, ROLE)
    sent(kind, clients, **changes)
    (call,) = maker.service.calls
    return call


IDS = {
    "event_id": "evt_00000000000000000000000001",
    "kind": "message",
    "channel": "telegram",
    "transfer_id": "trf_00000000000000000000000001",
    "delivery_id": "dlv_00000000000000000000000001",
}
ATTRIBUTES = {name: {"DataType": "String", "StringValue": value} for name, value in IDS.items()}
BODY = json.dumps(DOCUMENT, ensure_ascii=False, separators=(",", ":"))
CONVERSATION = "cnv_00000000000000000000000001"


def test_message_is_plain_when_the_queue_is_standard() -> None:
    operation, arguments = call_of("sqs")

    assert operation == "send_message"
    assert arguments == {
        "QueueUrl": "https://thing.eu-central-1.amazonaws.com/999988887777/events",
        "MessageBody": BODY,
        "MessageAttributes": ATTRIBUTES,
    }


@pytest.mark.parametrize(
    ("conversation", "group"), [(CONVERSATION, CONVERSATION), (None, "evt_00000000000000000000000001")]
)
def test_message_keeps_its_conversations_order_when_the_topic_is_fifo(conversation: str | None, group: str) -> None:
    operation, arguments = call_of("sns", conversation=conversation)

    assert operation == "publish"
    assert arguments == {
        "TopicArn": "arn:aws:sns:eu-central-1:999988887777:events.fifo",
        "Message": BODY,
        "MessageAttributes": ATTRIBUTES,
        "MessageGroupId": group,
        "MessageDeduplicationId": "dlv_00000000000000000000000001",
    }


def test_records_are_keyed_and_end_as_their_service_needs_it() -> None:
    _, to_kinesis = call_of("kinesis")
    _, to_firehose = call_of("firehose")

    assert (to_kinesis["PartitionKey"], to_kinesis["Data"]) == (CONVERSATION, BODY.encode())
    assert to_firehose == {"DeliveryStreamName": "events", "Record": {"Data": BODY.encode() + b"\n"}}


def test_entry_names_its_kind_and_transfer_when_it_is_put_on_a_bus() -> None:
    _, arguments = call_of("eventbridge")

    (entry,) = arguments["Entries"]
    assert entry == {
        "Time": datetime(2026, 3, 1, 11, 59, 58, tzinfo=UTC),
        "Source": "waybill.example",
        "DetailType": "waybill.message",
        "Detail": BODY,
        "Resources": [IDS["transfer_id"], IDS["delivery_id"]],
        "EventBusName": "arn:aws:events:eu-central-1:999988887777:event-bus/events",
    }


@pytest.mark.parametrize("selected", [["a"], "a", 7, None])
def test_fault_is_render_when_what_is_selected_is_no_object_for_a_bus(selected: Any) -> None:
    assert failed("eventbridge", document=selected).attempt_code == "render"


@pytest.mark.parametrize("selected", [["a"], "a", 7, None])
@pytest.mark.parametrize("kind", [k for k in AWS_KINDS if k != "eventbridge"])
def test_body_is_what_is_selected_whatever_it_is(kind: str, selected: Any) -> None:
    body = of_kind(kind).render(selected, delivery(kind)).body

    assert json.loads(body) == selected


@aws_kinds
def test_body_is_a_text_that_every_service_takes_when_a_platforms_is_not(kind: str) -> None:
    text = "cut \ud83d, \ufffe\uffff, \x00\x1f, 👋"

    body = of_kind(kind).render({"text": text}, delivery(kind)).body

    assert json.loads(body) == {"text": text}
    assert not set(body.decode()) & {"\ufffe", "\uffff", "\x00", "\x1f"}


def keys(*answers: Any, **changes: Any) -> list[str]:
    clients, maker = faked(lambda: NOW, ROLE, *answers)
    assert sent("s3", clients, **changes).code == "accepted"
    assert all(arguments["IfNoneMatch"] == "*" for _, arguments in maker.service.calls)
    return [arguments["Key"] for _, arguments in maker.service.calls]


STEM = "waybill/in/2026/03/01/evt_00000000000000000000000001"
THERE = refusal("PreconditionFailed", 412)


def test_object_is_named_after_its_event_and_its_day_in_utc() -> None:
    at = datetime.fromisoformat("2026-03-02T01:30:00+02:00")

    assert keys(occurred_at=at) == [f"{STEM}.json"]
    bare = of_kind("s3").Config(role_arn=ROLE, bucket="events-example", region="eu-central-1")
    assert keys(config=bare) == ["2026/03/01/evt_00000000000000000000000001.json"]


@pytest.mark.parametrize("second", [TAKEN, THERE], ids=["new", "there too"])
def test_object_names_its_transfer_too_when_the_events_is_there(second: Any) -> None:
    assert keys(THERE, second) == [f"{STEM}.json", f"{STEM}.trf_00000000000000000000000001.json"]


def test_object_is_for_the_roles_account_only() -> None:
    _, arguments = call_of("s3")

    assert arguments["ExpectedBucketOwner"] == "999988887777"
    assert arguments["Metadata"] == {f"waybill-{name.replace('_', '-')}": value for name, value in IDS.items()}


def test_credentials_are_not_shown_when_values_are_printed() -> None:
    session = Session("key", "s-e-c-r-e-t", "t-o-k-e-n", NOW)

    shown = f"{session!r} {ACCESS!r} {of_kind('sqs').render(DOCUMENT, delivery('sqs'))!r}"

    assert not any(text in shown for text in ("s-e-c-r-e-t", "t-o-k-e-n", EXTERNAL_ID, "c-o-n-t-e-n-t"))


def test_fault_is_render_when_a_destination_has_no_external_id() -> None:
    with pytest.raises(DeliveryError) as error:
        of_kind("sqs").render(DOCUMENT, dataclasses.replace(delivery("sqs"), external_id=None))

    assert error.value.attempt_code == "render"
