"""How the AWS kinds act: sessions of roles, one attempt code for each fault, sizes, regions, and the content of each call."""

from __future__ import annotations

import dataclasses
import json
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import exceptions as faults
from botocore.awsrequest import AWSResponse
from botocore.parsers import ResponseParserError

from chalicelib.core.delivery.retry import CODES as ATTEMPT_CODES
from chalicelib.core.delivery.retry import Outcome
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import aws_client, of_kind
from chalicelib.destinations.aws_client import Access, RoleClients, Session
from chalicelib.destinations.base import SendingClients
from chalicelib.destinations.proof import Proof
from tests.support import tenant_aws
from tests.support.destination_kinds import AWS_KINDS, DOCUMENT, NOW, delivery
from tests.support.tenant_aws import EXTERNAL_ID, SAID, TAKEN, faked, refusal

ROLE = "arn:aws:iam::999988887777:role/waybill-events"
ACCESS = Access(ROLE, EXTERNAL_ID, "dst_00000000000000000000000001")
aws_kinds = pytest.mark.parametrize("kind", AWS_KINDS)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def sent(kind: str, clients: SendingClients, document: Any = DOCUMENT, **changes: Any) -> Any:
    module = of_kind(kind)
    return module.send(module.render(document, delivery(kind, **changes)), clients)


def failed(kind: str, *answers: Any, document: Any = DOCUMENT) -> DeliveryError:
    clients, _ = faked(lambda: NOW, ROLE, *answers)
    with pytest.raises(DeliveryError) as error:
        sent(kind, clients, document)
    return error.value


# Faults


WORDS = [(word, code) for code, words in aws_client.CODES.items() for word in words]


@pytest.mark.parametrize(("word", "code"), WORDS)
@pytest.mark.parametrize("form", ["{}", "{}Exception", "AWS.SimpleQueueService.{}", "com.amazonaws.kinesis#{}"])
def test_code_is_the_tables_when_a_service_answers_by_a_word(word: str, code: str, form: str) -> None:
    fault = aws_client.fault_of(refusal(form.format(word), 400))

    assert fault.attempt_code == code
    assert fault.retryable is (ATTEMPT_CODES[code] is Outcome.FAILED)
    assert fault.sent is True


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *[(500, "unavailable"), (503, "unavailable"), (400, "invalid"), (418, "invalid"), (0, "invalid")],
        *sorted(aws_client.BY_STATUS.items()),
    ],
)
def test_code_is_the_statuss_when_the_word_is_unknown(status: int, code: str) -> None:
    assert aws_client.fault_of(refusal("SomethingNew", status)).attempt_code == code


ENDPOINT = "https://sqs.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("error", "code", "arrived"),
    [
        (faults.ConnectTimeoutError(endpoint_url=ENDPOINT), "timeout", False),
        (faults.ReadTimeoutError(endpoint_url=ENDPOINT), "timeout", True),
        (faults.SSLError(endpoint_url=ENDPOINT, error=ValueError(SAID)), "tls", False),
        (faults.EndpointConnectionError(endpoint_url=ENDPOINT), "connect", False),
        (faults.ConnectionClosedError(endpoint_url=ENDPOINT), "broken", True),
        (ResponseParserError(SAID), "protocol", True),
        (faults.ParamValidationError(report=SAID), "invalid", False),
        (faults.NoCredentialsError(), "unavailable", False),
        (faults.UnknownServiceError(service_name="x", known_service_names=["y"]), "unavailable", False),
    ],
)
@aws_kinds
def test_code_says_what_broke_when_a_service_does_not_answer(
    kind: str, error: Exception, code: str, arrived: bool
) -> None:
    fault = failed(kind, error)

    assert (fault.attempt_code, fault.sent) == (code, arrived)


@aws_kinds
def test_a_services_words_are_nowhere_when_it_refuses(kind: str) -> None:
    fault = failed(kind, refusal("SomethingNew"))

    shown = "".join(traceback.format_exception(fault)) + repr(fault) + fault.detail + repr(fault.response)
    assert SAID not in shown
    assert "c-o-n-t-e-n-t" not in shown


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("ThrottlingException", "throttled"),
        ("NotAuthorizedForSource", "invalid"),
        ("AccessDeniedException", "denied"),
        ("ResourceNotFoundException", "not_found"),
        ("InternalFailure", "unavailable"),
        ("MalformedDetail", "invalid"),
    ],
)
def test_attempt_fails_when_a_bus_took_the_call_but_not_the_entry(word: str, code: str) -> None:
    partly = {"ResponseMetadata": {"HTTPStatusCode": 200}, "FailedEntryCount": 1, "Entries": [{"ErrorCode": word}]}

    assert failed("eventbridge", partly).attempt_code == code


# Sizes


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("sqs", 1_048_576),
        ("sns", 1_048_576),
        ("eventbridge", 1_048_576),
        ("kinesis", 10_485_760),
        ("firehose", 1_024_000),
    ],
)
def test_nothing_is_sent_when_an_event_is_one_byte_over_the_limit(kind: str, limit: int) -> None:
    module = of_kind(kind)
    spare = limit - module.render({"a": ""}, delivery(kind)).size_bytes
    clients, maker = faked(lambda: NOW, ROLE)

    sent(kind, clients, {"a": "x" * spare})
    with pytest.raises(DeliveryError) as error:
        sent(kind, clients, {"a": "x" * (spare + 1)})

    assert (error.value.attempt_code, error.value.sent) == ("too_large", False)
    assert len(maker.service.calls) == 1


@pytest.mark.parametrize(("letters", "code"), [(300_000, "too_large"), (1_000, "invalid")])
def test_event_is_too_large_when_a_queue_that_takes_less_calls_it_invalid(letters: int, code: str) -> None:
    fault = failed("sqs", refusal("InvalidParameterValue"), document={"a": "x" * letters})

    assert (fault.attempt_code, fault.sent) == (code, True)


# Sessions of roles


def test_role_is_assumed_once_when_many_are_sent_within_its_hour() -> None:
    clock = Clock()
    clients, maker = faked(clock, ROLE)

    for _ in range(3):
        sent("sqs", clients)
    clock.at += timedelta(minutes=54)
    sent("sqs", clients)
    before = len(maker.sts.asked)
    clock.at += timedelta(minutes=2)
    sent("sqs", clients)

    assert (before, len(maker.sts.asked)) == (1, 2)
    assert [made for made in maker.made if made[0] == "sqs"] == [
        ("sqs", "eu-central-1", "key-1"),
        ("sqs", "eu-central-1", "key-2"),
    ]
    assert maker.sts.asked[0] == {
        "RoleArn": ROLE,
        "RoleSessionName": "dst_00000000000000000000000001",
        "ExternalId": EXTERNAL_ID,
        "DurationSeconds": 3600,
    }


def test_role_is_never_anothers_when_its_external_id_is_another() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    sent("sqs", clients)

    with pytest.raises(DeliveryError) as error:
        sent("sqs", clients, external_id="wbx_another")

    assert error.value.attempt_code == "denied"
    assert len(maker.service.calls) == 1


def test_credentials_are_renewed_once_when_a_service_calls_them_expired() -> None:
    clients, maker = faked(lambda: NOW, ROLE, refusal("ExpiredTokenException"), TAKEN)

    receipt = sent("sqs", clients)

    assert (receipt.code, receipt.status) == ("accepted", 200)
    assert len(maker.sts.asked) == 2
    assert failed("sqs", refusal("ExpiredToken")).attempt_code == "credentials"


def test_sts_is_asked_at_home_with_our_own_credentials_when_a_queue_is_elsewhere() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    config = of_kind("sqs").Config(role_arn=ROLE, arn="arn:aws:sqs:us-east-1:999988887777:events")

    sent("sqs", clients, config=config)

    assert maker.made == [("sts", "eu-central-1", None), ("sqs", "us-east-1", "key-1")]


def test_clients_and_sessions_are_bounded_when_roles_are_many() -> None:
    sts = tenant_aws.Sts(lambda: NOW, {f"role-{n}": None for n in range(1100)})
    maker = tenant_aws.Maker(sts, tenant_aws.Service([TAKEN]))
    aws = RoleClients("eu-central-1", tenant_aws.CELL_ACCOUNT, lambda: NOW, maker)

    for number in range(1100):
        aws.call(Access(f"role-{number}", EXTERNAL_ID, "dst"), "sqs", "eu-central-1", "send_message", lambda _: {})

    assert len(aws._sessions) == aws_client.SESSIONS_MAX
    assert len(aws._clients) == aws_client.CLIENTS_MAX


def test_role_is_assumed_for_all_when_threads_race_for_it() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    threads = [threading.Thread(target=sent, args=("sqs", clients)) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(maker.service.calls) == 8
    assert 1 <= len(maker.sts.asked) <= 8


# Proofs


@pytest.mark.parametrize(
    ("demands", "proof"), [(EXTERNAL_ID, Proof.PROVEN), (None, Proof.OPEN), ("wbx_another", Proof.REFUSED)]
)
@aws_kinds
def test_proof_tells_open_roles_from_closed_ones(kind: str, demands: str | None, proof: Proof) -> None:
    clients, _ = faked(lambda: NOW, ROLE, demands=demands)

    assert of_kind(kind).prove(delivery(kind).config, EXTERNAL_ID, "dst_1", clients) is proof


@pytest.mark.parametrize("word", ["ExpiredToken", "Throttling", "RegionDisabledException", "InternalFailure"])
def test_proof_is_unknown_when_sts_does_not_say(word: str) -> None:
    clients, _ = faked(lambda: NOW, ROLE, fault=refusal(word, 403))

    assert of_kind("sqs").prove(delivery("sqs").config, EXTERNAL_ID, "dst_1", clients) is Proof.UNKNOWN


def test_proof_is_not_answered_from_what_was_kept() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    sent("sqs", clients)

    maker.sts.trusts = {}

    assert of_kind("sqs").prove(delivery("sqs").config, EXTERNAL_ID, "dst_1", clients) is Proof.REFUSED


@pytest.mark.parametrize(
    ("demands", "fault", "code"),
    [
        (EXTERNAL_ID, None, "accepted"),
        (None, None, "denied"),
        ("wbx_another", None, "denied"),
        (EXTERNAL_ID, refusal("InternalFailure", 500), "unavailable"),
    ],
    ids=["ours", "anybody's", "another's", "no answer"],
)
@aws_kinds
def test_example_is_sent_only_when_the_role_is_proved(
    kind: str, demands: str | None, fault: Exception | None, code: str
) -> None:
    clients, maker = faked(lambda: NOW, ROLE, demands=demands, fault=fault)

    try:
        found = sent(kind, clients, test=True).code
    except DeliveryError as refused:
        found = refused.attempt_code

    assert found == code
    assert len(maker.service.calls) == (1 if code == "accepted" else 0)


# Where it goes

MAKER = aws_client.ClientFactory()
"""One for all: it reads the SDK's descriptions once, and nothing is kept between its clients."""


@pytest.mark.parametrize("bucket", ["events-example", "eu-central-1"])  # a bucket can be called like a region
def test_nothing_goes_to_another_region_when_a_bucket_says_that_it_is_there(bucket: str) -> None:
    hosts: list[str] = []
    client = MAKER("s3", "eu-central-1", Session("key", "secret", "token", NOW))

    def redirect(request: Any, **_: Any) -> Any:
        hosts.append(request.url.split("/")[2])
        headers: Any = {"x-amz-bucket-region": "us-east-1"}
        answer: Any = AWSResponse(request.url, 301, headers, None)
        answer._content = b""
        return answer

    client.meta.events.register_last("before-send", redirect)
    made = {"s3": client, "sts": tenant_aws.Sts(lambda: NOW, {ROLE: None})}
    clients = tenant_aws.clients(lambda service, *_: made[service], lambda: NOW)

    config = of_kind("s3").Config(role_arn=ROLE, bucket=bucket, region="eu-central-1")
    codes = []
    for _ in range(2):  # the second attempt does not use anything that the client learned from the first answer
        with pytest.raises(DeliveryError) as error:
            sent("s3", clients, config=config)
        codes.append(error.value.attempt_code)

    assert codes == ["not_found", "not_found"]
    assert hosts == [f"{bucket}.s3.eu-central-1.amazonaws.com"]


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1", "cn-north-1", "eusc-de-east-1"])
@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("sqs", "send_message", {"QueueUrl": "https://sqs/1/q", "MessageBody": "x"}),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:r:999988887777:t", "Message": "x"}),
        ("kinesis", "put_record", {"StreamARN": "", "PartitionKey": "x", "Data": b"x"}),
        ("firehose", "put_record", {"DeliveryStreamName": "x", "Record": {"Data": b"x"}}),
        ("events", "put_events", {"Entries": [{"Detail": "{}"}]}),
        ("s3", "put_object", {"Bucket": "events-example", "Key": "x", "Body": b"x"}),
        ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "dst"}),
    ],
)
def test_host_names_the_region_when_a_service_is_called_there(
    region: str, service: str, operation: str, arguments: Mapping[str, Any]
) -> None:
    class Gone(Exception):
        pass

    hosts: list[str] = []
    client = MAKER(service, region, Session("key", "secret", "token", NOW))

    def stop(request: Any, **_: Any) -> None:
        hosts.append(request.url.split("/")[2])
        raise Gone

    client.meta.events.register_last("before-send", stop)
    partition = {"cn-north-1": "aws-cn", "eusc-de-east-1": "aws-eusc"}.get(region, "aws")
    if service == "kinesis":
        arguments = {**arguments, "StreamARN": f"arn:{partition}:kinesis:{region}:999988887777:stream/events"}

    with pytest.raises(Gone):
        getattr(client, operation)(**arguments)

    assert region in hosts[0].split(".")
    assert client.meta.config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize(
    ("kind", "region", "country"),
    [("sqs", "us-east-1", "US"), ("sns", "eu-central-2", "CH"), ("kinesis", "me-central-1", "AE")],
)
def test_place_is_the_country_of_the_region(kind: str, region: str, country: str) -> None:
    module = of_kind(kind)
    config = module.Config(role_arn=ROLE, arn=delivery(kind).config.arn.replace("eu-central-1", region))

    assert module.place(config) == (country,)


@pytest.mark.parametrize("account", ["", "999988887777"])
@aws_kinds
def test_configuration_is_refused_when_the_account_is_unknown_or_the_cells_own(kind: str, account: str) -> None:
    maker = tenant_aws.Maker(tenant_aws.Sts(lambda: NOW, {ROLE: EXTERNAL_ID}), tenant_aws.Service([TAKEN]))

    with pytest.raises(DeliveryError) as error:
        sent(kind, tenant_aws.clients(maker, lambda: NOW, account))

    assert error.value.attempt_code == "forbidden_address"
    assert maker.made == []


# The content of each call


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
