"""The calls of DynamoDB and SQS that an event makes, without the SDK's layers: a tenth of its CPU.

A direct client has the methods of the SDK's client, and gives the same answers and errors. It makes the calls that exchange
JSON itself. Every other attribute is the SDK client's own, which also says where the service is and who signs.

Retries are those of the SDK's mode ``standard``: outages of a connection, errors of the service and throttling, four tries
in all, as long as the client's budget of retries lasts.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html (read 2026-11-30).
"""

from __future__ import annotations

import base64
import json
import random
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, ReadTimeoutError
from botocore.exceptions import ConnectionError as NotConnected
from botocore.httpsession import get_cert_path
from botocore.retries.quota import RetryQuota
from botocore.utils import get_environ_proxies

from .connections import Answer, Connections
from .request_signature import RequestSigner

CALLS = {
    "dynamodb": frozenset(
        {
            "get_item", "put_item", "update_item", "delete_item", "query", "batch_get_item", "batch_execute_statement",
        }
    ),
    "sqs": frozenset(
        {
            "get_queue_url", "send_message", "send_message_batch", "receive_message", "delete_message",
            "delete_message_batch", "change_message_visibility", "change_message_visibility_batch",
        }
    ),
}  # fmt: skip
"""The calls that are made directly, by service."""
AT_ONCE = 16
"""How many requests of ``each`` are on their way at once."""
TRIES = 4
RETRY_COST, TIMEOUT_COST = 5, 10
LONGEST_WAIT_S = 20.0
SCALE_S = {"dynamodb": 0.025, "sqs": 0.05}
THROTTLED_SCALE_S = 1.0
THROTTLED = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException",
        "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
        "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "RequestThrottled", "SlowDown",
        "PriorRequestNotComplete",
    }
)  # fmt: skip
TRANSIENT = frozenset({"RequestTimeout", "RequestTimeoutException"})
TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})
Failure = ClientError | HTTPClientError | NotConnected
_FAILURES = (ClientError, HTTPClientError, NotConnected)


class DirectClient:
    """A client of DynamoDB or SQS that makes the calls of ``CALLS`` itself.

    Args:
        client: the SDK's client of the service.
        credentials: returns the SDK's credentials, None where there are none.
        sleep: waits, in seconds, between tries.
    """

    def __init__(
        self,
        client: Any,
        credentials: Callable[[], Any],
        *,
        connect_s: float,
        read_s: float,
        ca: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        service, url = client.meta.service_model, client.meta.endpoint_url
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].lower().removesuffix({"http": ":80", "https": ":443"}[parts.scheme])
        self.meta = client.meta
        self._client, self._credentials, self._sleep, self._now = client, credentials, sleep, now
        self._prefix = service.metadata["targetPrefix"]
        self._names = client.meta.method_to_api_mapping
        self._scale_s = SCALE_S[service.service_name]
        self._quota = RetryQuota()
        self._connections = Connections(url, connect_s, read_s, ca or str(get_cert_path(True)))
        self._signer = RequestSigner(host, parts.path or "/", client.meta.region_name, service.signing_name)
        query = "X-Amzn-Query-Mode: true\r\n" if "awsQueryCompatible" in service.metadata else ""
        self._start = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: waybill\r\n"
            f"Content-Type: application/x-amz-json-{service.metadata['jsonVersion']}\r\n{query}"
        )
        for name in CALLS[service.service_name]:
            setattr(self, name, self._method(name))

    def __getattr__(self, name: str) -> Any:
        """Return what the SDK's client has under this name."""
        return getattr(self._client, name)

    def _method(self, name: str) -> Callable[..., Any]:
        operation = self._names[name]

        def call(**arguments: Any) -> Any:
            return self._call(operation, _written(arguments))

        call.__name__ = name
        return call

    def each(self, name: str, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Make several calls of one operation at once, each on a connection of its own. No thread is used.

        Returns:
            For each call, in order, its answer, or the exception that it ended with.
        """
        operation = self._names[name]
        outcomes: list[Any] = []
        for start in range(0, len(calls), AT_ONCE):
            outcomes.extend(self._at_once(operation, [_written(call) for call in calls[start : start + AT_ONCE]]))
        return outcomes

    def _at_once(self, operation: str, bodies: list[bytes]) -> list[Any]:
        begun = [_outcome(self._start_call, operation, body) for body in bodies]
        # All answers are read, also after a failure: no connection may be left with one.
        firsts = [one if isinstance(one, Exception) else _outcome(self._finish_call, operation, one) for one in begun]
        return [
            _outcome(self._call, operation, body, first) if isinstance(first, _FAILURES) else first
            for body, first in zip(bodies, firsts, strict=True)
        ]

    def _start_call(self, operation: str, body: bytes) -> Any:
        return self._connections.start(self._request(operation, body))

    def _finish_call(self, operation: str, begun: Any) -> Any:
        return self._read(operation, self._connections.finish(begun))

    def _call(self, operation: str, body: bytes, failed: Failure | None = None) -> Any:
        """Make a call, and try again as the SDK does.

        Args:
            failed: the failure of its first try, where that was made already.
        """
        spent = 0
        for number in range(TRIES):
            if failed is None:
                request = self._request(operation, body)
                try:
                    answer = self._read(operation, self._connections.exchange(request))
                except _FAILURES as fault:
                    failed = fault
                else:
                    self._quota.release(spent or 1)
                    return answer
            cost = TIMEOUT_COST if isinstance(failed, ReadTimeoutError) else RETRY_COST
            if number == TRIES - 1 or not _may_pass(failed) or not self._quota.acquire(cost):
                raise failed
            spent = cost
            scale_s = THROTTLED_SCALE_S if _code(failed) in THROTTLED else self._scale_s
            self._sleep(random.random() * min(LONGEST_WAIT_S, scale_s * 2**number))  # noqa: S311  (jitter, not a secret)
            failed = None
        raise AssertionError("the last try returns or raises")

    def _request(self, operation: str, body: bytes) -> bytes:
        credentials = self._credentials()
        if credentials is None:
            raise NoCredentialsError
        key_id, secret, token, *_ = credentials.get_frozen_credentials()
        signed = self._signer.headers(f"{self._prefix}.{operation}", body, self._now(), key_id, secret, token)
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        return f"{self._start}{lines}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body

    def _read(self, operation: str, answer: Answer) -> Any:
        checksum = answer.headers.get("x-amz-crc32")
        if checksum is not None and int(checksum) != zlib.crc32(answer.body):
            raise HTTPClientError(error="an answer has another checksum than its header says")
        if answer.status >= 300:
            raise self._refusal(operation, answer)
        return _with_bytes(json.loads(answer.body)) if answer.body else {}

    def _refusal(self, operation: str, answer: Answer) -> ClientError:
        """Make the error of a refused call, as the SDK does."""
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            document = {}
        name = str(document.get("__type") or answer.status).partition(":")[0].rpartition("#")[2]
        # In the earlier protocol an error had another name, which callers know.
        earlier, said, _ = answer.headers.get("x-amzn-query-error", "").partition(";")
        rest = {name: value for name, value in document.items() if name not in ("__type", "message", "Message")}
        response = {
            **rest,
            "Error": {
                "Code": earlier if said else name,
                "Message": document.get("message") or document.get("Message") or "",
            },
            "ResponseMetadata": {"HTTPStatusCode": answer.status, "HTTPHeaders": dict(answer.headers)},
        }
        made: ClientError = self._client.exceptions.from_code(name)(response, operation)
        return made


def direct(session: Any, client: Any, *, connect_s: float, read_s: float) -> Any:
    """Return a direct client in place of the SDK's, or the SDK's own where its calls go through a proxy.

    Args:
        session: the botocore session that made ``client``.
    """
    if client.meta.service_model.service_name not in CALLS or get_environ_proxies(client.meta.endpoint_url):
        return client
    ca = session.get_config_variable("ca_bundle")
    return DirectClient(client, session.get_credentials, connect_s=connect_s, read_s=read_s, ca=ca)


def _outcome(act: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function, or the SDK's exception that it ends with."""
    try:
        return act(*arguments)
    except (ClientError, BotoCoreError) as fault:
        return fault


def _written(arguments: Mapping[str, Any]) -> bytes:
    return json.dumps(arguments, separators=(",", ":"), default=_base64).encode()


def _base64(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    raise TypeError(f"no call takes a {type(value).__name__}")


_ROWS = ("Item", "Attributes", "LastEvaluatedKey")


def _with_bytes(answer: Any) -> Any:
    """Turn the binary attributes of DynamoDB's rows into bytes, in place."""
    for name in _ROWS:
        if name in answer:
            _row(answer[name])
    for row in answer.get("Items", ()):
        _row(row)
    responses = answer.get("Responses")
    if isinstance(responses, dict):
        for rows in responses.values():
            for row in rows:
                _row(row)
    elif responses is not None:
        for response in responses:
            _row(response.get("Item", {}))
    for request in (answer.get("UnprocessedKeys") or {}).values():
        for key in request["Keys"]:
            _row(key)
    return answer


def _row(row: Any) -> None:
    for typed in row.values():
        if "B" in typed:
            typed["B"] = base64.b64decode(typed["B"])
        elif "BS" in typed:
            typed["BS"] = [base64.b64decode(value) for value in typed["BS"]]
        elif "M" in typed:
            _row(typed["M"])
        elif "L" in typed:
            _row(dict(enumerate(typed["L"])))


def _code(failure: Failure) -> str:
    return str(failure.response["Error"]["Code"]) if isinstance(failure, ClientError) else ""


def _may_pass(failure: Failure) -> bool:
    """Say whether the same call may succeed at once: the SDK tries these again."""
    if not isinstance(failure, ClientError):
        return True
    status = failure.response["ResponseMetadata"]["HTTPStatusCode"]
    return status in TRANSIENT_STATUSES or status == 429 or _code(failure) in THROTTLED | TRANSIENT
