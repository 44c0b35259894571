"""Faults and sizes of the AWS kinds, and the regions that they send to."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import pytest
from botocore import exceptions as faults
from botocore.awsrequest import AWSResponse
from botocore.parsers import ResponseParserError

from chalicelib.core.delivery.retry import CODES as ATTEMPT_CODES
from chalicelib.core.delivery.retry import Outcome
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import aws_client, of_kind
from chalicelib.destinations.aws_client import Session
from tests.support import tenant_aws
from tests.support.aws_sending import ROLE, aws_kinds, failed, sent
from tests.support.destination_kinds import NOW, delivery
from tests.support.tenant_aws import EXTERNAL_ID, SAID, TAKEN, faked, refusal

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
        *[(500, "unavailable"), (503, "unavailable"), (400, "invalid"), (418, "unavailable"), (0, "invalid")],
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
