"""A direct client and the SDK's client of the same service send the same, and make the same of every answer."""

from __future__ import annotations

import contextlib
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.store import direct as direct_module
from chalicelib.store.direct import AT_ONCE, CALLS, DirectClient, direct
from chalicelib.store.items import each
from chalicelib.store.request_signature import RequestSigner

REGION = "eu-central-1"
ROW = {
    "pk": {"S": "tnt_a#evt_ü"},
    "sk": {"S": "-"},
    "leaf": {"B": b"\x00\xff"},
    "v": {"N": "1"},
    "gone": {"NULL": True},
}
KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}
QUEUE = {"QueueUrl": "https://queues.example/1/q.fifo"}
ASKED: dict[str, dict[str, Any]] = {
    "get_item": {"TableName": "t", "Key": KEY, "ConsistentRead": True},
    "put_item": {"TableName": "t", "Item": ROW, "ConditionExpression": "attribute_not_exists(pk)"},
    "update_item": {
        "TableName": "t",
        "Key": KEY,
        "UpdateExpression": "SET body = :b",
        "ExpressionAttributeValues": {":b": {"B": b"\x01"}},
    },
    "delete_item": {"TableName": "t", "Key": KEY},
    "query": {"TableName": "t", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "é"}}},
    "batch_get_item": {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": True}}},
    "batch_execute_statement": {"Statements": [{"Statement": "INSERT …", "Parameters": list(ROW.values())}]},
    "get_queue_url": {"QueueName": "q.fifo"},
    "send_message": {**QUEUE, "MessageBody": "{}", "MessageGroupId": "g", "MessageDeduplicationId": "d"},
    "send_message_batch": {**QUEUE, "Entries": [{"Id": "0", "MessageBody": "é", "MessageGroupId": "g"}]},
    "receive_message": {**QUEUE, "MaxNumberOfMessages": 10, "AttributeNames": ["All"], "WaitTimeSeconds": 1},
    "delete_message": {**QUEUE, "ReceiptHandle": "r"},
    "delete_message_batch": {**QUEUE, "Entries": [{"Id": "0", "ReceiptHandle": "r"}]},
    "change_message_visibility": {**QUEUE, "ReceiptHandle": "r", "VisibilityTimeout": 5},
    "change_message_visibility_batch": {
        **QUEUE,
        "Entries": [{"Id": "0", "ReceiptHandle": "r", "VisibilityTimeout": 5}],
    },
}
Answers = Callable[[int], tuple[int, Mapping[str, str], bytes]]


@dataclass
class Service:
    """A service on loopback that answers as it is told, and keeps the requests."""

    url: str = ""
    answers: Answers = lambda _number: (200, {}, b"{}")
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0
    most: int = 0
    waiting: int = 0
    wait_for: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)


@pytest.fixture
def service() -> Iterator[Service]:
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            told.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with told.changed:
                told.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                number = len(told.requests) - 1
                told.waiting += 1
                told.most = max(told.most, told.waiting)
                told.changed.notify_all()
                told.changed.wait_for(lambda: told.most >= told.wait_for, 5)
                told.waiting -= 1
            status, headers, answer = told.answers(number)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)
            if "Connection" in headers:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


def session_of() -> Any:
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret", "token")
    return session


SESSION = session_of()


def clients(service: Service, name: str, path: str = "") -> tuple[Any, Any]:
    """The SDK's client and the direct one."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=2, read_timeout=2)
    sdk = SESSION.create_client(name, region_name=REGION, endpoint_url=service.url + path, config=config)
    return sdk, direct(SESSION, sdk, connect_s=2, read_s=2)


def service_of(call: str) -> str:
    return next(name for name, calls in CALLS.items() if call in calls)


@pytest.mark.parametrize("path", ["", "/ru-central1/b1g"])
@pytest.mark.parametrize("call", sorted(ASKED))
def test_requests_are_the_sdks(service: Service, call: str, path: str) -> None:
    sdk, own = clients(service, service_of(call), path)
    assert isinstance(own, DirectClient)

    getattr(sdk, call)(**ASKED[call])
    getattr(own, call)(**ASKED[call])

    (path_of_sdk, its, its_body), (path_of_own, ours, our_body) = service.requests
    assert path_of_own == path_of_sdk
    assert json.loads(our_body) == json.loads(its_body)
    for name in ("host", "content-type", "x-amz-target", "x-amzn-query-mode", "x-amz-security-token"):
        assert ours.get(name) == its.get(name), name


def test_every_direct_call_is_compared() -> None:
    assert set(ASKED) == set().union(*CALLS.values())


@pytest.mark.parametrize("token", [None, "session/token+=="])
@pytest.mark.parametrize("url", ["https://dynamodb.eu-central-1.amazonaws.com/", "http://h.example:8000/ru-1/b1~g"])
def test_signatures_are_the_sdks(url: str, token: str | None) -> None:
    body, target, at = b'{"a":"\xc3\xa9"}', "DynamoDB_20120810.PutItem", datetime(2026, 11, 30, 23, 59, 1, tzinfo=UTC)
    parts = urlsplit(url)
    signer = RequestSigner(parts.netloc, parts.path, REGION, "dynamodb")

    signed = signer.headers(target, body, at, "AKIDEXAMPLE", "secret", token)

    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "secret", token), "dynamodb", REGION)
    request = AWSRequest("POST", url, headers={"X-Amz-Target": target}, data=body)
    request.context["timestamp"] = signed["X-Amz-Date"]
    request.headers["X-Amz-Date"] = signed["X-Amz-Date"]
    if token is not None:
        request.headers["X-Amz-Security-Token"] = token
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert signed["Authorization"].rpartition("Signature=")[2] == auth.signature(text, request)


def wire(row: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(row, default=direct_module._base64))


GIVEN = {
    "get_item": {"Item": wire(ROW)},
    "update_item": {"Attributes": wire({**ROW, "m": {"M": {"b": {"B": b"x"}}}, "l": {"L": [{"B": b"y"}]}})},
    "query": {"Items": [wire(ROW), wire(KEY)], "Count": 2, "LastEvaluatedKey": wire({"pk": {"B": b"k"}})},
    "batch_get_item": {
        "Responses": {"t": [wire(ROW)]},
        "UnprocessedKeys": {"t": {"Keys": [wire({"pk": {"B": b"k"}})], "ConsistentRead": True}},
    },
    "batch_execute_statement": {"Responses": [{"TableName": "t"}, {"Error": {"Code": "DuplicateItem"}}, {"Item": wire(ROW)}]},
    "get_queue_url": {"QueueUrl": "https://queues.example/1/q.fifo"},
    "send_message_batch": {"Successful": [], "Failed": [{"Id": "0", "Code": "x", "SenderFault": True}]},
    "receive_message": {"Messages": [{"MessageId": "m", "Body": "é", "Attributes": {"SequenceNumber": "9"}}]},
}  # fmt: skip


@pytest.mark.parametrize("call", sorted(GIVEN))
def test_answers_are_read_as_the_sdk_reads_them(service: Service, call: str) -> None:
    body = json.dumps(GIVEN[call]).encode()
    service.answers = lambda _: (200, {"x-amz-crc32": str(zlib.crc32(body))}, body)
    sdk, own = clients(service, service_of(call))

    expected = getattr(sdk, call)(**ASKED[call])

    del expected["ResponseMetadata"]
    assert getattr(own, call)(**ASKED[call]) == expected


def refusal(code: str, **more: Any) -> bytes:
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **more}).encode()


QUEUE_GONE = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
REFUSALS: dict[str, tuple[str, int, Mapping[str, str], bytes]] = {
    "condition": ("put_item", 400, {}, refusal("ConditionalCheckFailedException")),
    "missing table": ("get_item", 400, {}, refusal("ResourceNotFoundException")),
    "throttled": ("get_item", 400, {}, refusal("ProvisionedThroughputExceededException")),
    "denied": ("get_item", 400, {}, refusal("AccessDeniedException")),
    "broken service": ("get_item", 500, {}, refusal("InternalServerError")),
    "named in a header": ("get_item", 400, {"x-amzn-errortype": "ValidationException:http://x/"}, b"{}"),
    "no body": ("get_item", 503, {}, b""),
    "a proxy's page": ("get_item", 502, {}, b"<html>bad gateway</html>"),
    "queue": ("receive_message", 400, QUEUE_GONE, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}'),
    "receipt": ("delete_message", 400, {}, b'{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"no"}'),
    "too many requests": ("send_message", 429, {}, b"{}"),
}


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_refusals_are_the_sdks(service: Service, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, status, headers, body = REFUSALS[name]
    service.answers = lambda _: (status, headers, body)
    monkeypatch.setattr("time.sleep", lambda _: None)
    sdk, own = clients(service, service_of(call))
    own._sleep = lambda _: None

    with pytest.raises(ClientError) as of_sdk:
        getattr(sdk, call)(**ASKED[call])
    tries = len(service.requests)
    with pytest.raises(ClientError) as ours:
        getattr(own, call)(**ASKED[call])

    def told(caught: pytest.ExceptionInfo[ClientError]) -> tuple[Any, ...]:
        response = caught.value.response
        return (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], str(caught.type))

    assert told(ours) == told(of_sdk)
    assert len(service.requests) - tries == tries


BROKEN: dict[str, tuple[int, Mapping[str, str], bytes]] = {
    "cut": (200, {"Content-Length": "50", "Connection": "close"}, b"{}"),
    "wrong checksum": (200, {"x-amz-crc32": "1"}, b"{}"),
    "cut chunk": (200, {"Content-Length": "", "Transfer-Encoding": "chunked", "Connection": "close"}, b"5\r\n{}"),
    "too many headers": (200, {f"h{n}": "x" for n in range(101)}, b"{}"),
    "no length": (200, {"Content-Length": "x"}, b"{}"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_answers_are_outages_and_tried_again(service: Service, name: str) -> None:
    service.answers = lambda number: BROKEN[name] if number < 3 else (200, {}, b"{}")
    _, own = clients(service, "dynamodb")

    assert own.get_item(**ASKED["get_item"]) == {}
    assert len(service.requests) == 4

    service.answers = lambda _: BROKEN[name]
    with pytest.raises(BotoCoreError):
        own.get_item(**ASKED["get_item"])
    assert len(service.requests) == 8


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Length": "", "Transfer-Encoding": "chunked"}, b"2;x=y\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"),
        ({"Content-Length": "", "Connection": "close"}, b"{}"),
        ({}, b""),
    ],
)
def test_every_framing_of_an_answer_is_read(service: Service, headers: dict[str, str], body: bytes) -> None:
    service.answers = lambda _: (200, headers, body)
    _, own = clients(service, "dynamodb")

    assert [own.get_item(**ASKED["get_item"]) for _ in range(2)] == [{}, {}]
    assert service.connections == (2 if "Connection" in headers else 1)


def test_a_closed_connection_is_not_used_again(service: Service) -> None:
    _, own = clients(service, "dynamodb")
    own.get_item(**ASKED["get_item"])
    for connection in own._connections._idle:
        connection.socket.shutdown(0)

    own.get_item(**ASKED["get_item"])

    assert (service.connections, len(service.requests)) == (2, 2)


def test_nothing_that_listens_is_an_outage() -> None:
    _, own = clients(Service("http://127.0.0.1:9"), "dynamodb")

    with pytest.raises(BotoCoreError):
        own.get_item(**ASKED["get_item"])


def test_calls_are_made_at_once_each_with_its_own_outcome(service: Service) -> None:
    service.wait_for = AT_ONCE
    refused = refusal("ConditionalCheckFailedException")
    service.answers = lambda number: (400, {}, refused) if b'"3"' in service.requests[number][2] else (200, {}, b"{}")
    _, own = clients(service, "dynamodb")
    puts = [{"TableName": "t", "Item": {"pk": {"S": str(number)}}} for number in range(AT_ONCE + 2)]

    outcomes = each(own, "put_item", puts)

    assert [isinstance(outcome, ClientError) for outcome in outcomes] == [n == 3 for n in range(AT_ONCE + 2)]
    assert service.most == AT_ONCE == service.connections


def test_calls_at_once_that_meet_an_outage_are_tried_again(service: Service) -> None:
    service.answers = lambda number: (500, {}, b"") if number < 4 else (200, {}, b"{}")
    _, own = clients(service, "dynamodb")

    assert each(own, "put_item", [ASKED["put_item"]] * 4) == [{}] * 4
    service.answers = lambda _: (503, {}, b"")
    outcomes = each(own, "put_item", [ASKED["put_item"]] * 2)
    assert [str(outcome.response["Error"]["Code"]) for outcome in outcomes] == ["503", "503"]


def test_a_proxy_is_left_to_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    with contextlib.suppress(KeyError):
        monkeypatch.delenv("no_proxy")
    sdk = SESSION.create_client("sqs", region_name=REGION, endpoint_url="http://queues.example")

    assert direct(SESSION, sdk, connect_s=2, read_s=2) is sdk
