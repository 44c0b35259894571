"""Every error by which a service of ours fails, in every call that a store makes, is known as an outage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError

from chalicelib.core.errors import is_outage
from chalicelib.core.log.seal import Seal
from chalicelib.store import items
from chalicelib.store.audit import AuditStore
from chalicelib.store.data import DataStore
from chalicelib.store.event_rows import EventKey, EventRow
from chalicelib.store.evidence import EvidenceBucket
from chalicelib.store.exports import Exports
from chalicelib.store.items import Table, batch_get
from chalicelib.store.keys import KeyStore
from chalicelib.store.queues import OutgoingMessage, Queue
from chalicelib.store.seal_requests import SealRequest, SealRequestQueue
from chalicelib.store.seals import Seals
from chalicelib.store.signer import KmsSigner
from simulation.sqs import refused
from tests.fixtures.audit import made
from tests.support.world import START

REGION, TENANT = "eu-central-1", made.TENANT
AT = {"endpoint_url": "https://service.eu-central-1.amazonaws.com"}


class Down:
    """A client whose every call fails."""

    def __init__(self, error: Exception) -> None:
        self.meta = SimpleNamespace(region_name=REGION)
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(**_: Any) -> Any:
            raise self._error

        return fail


class HalfDown(Down):
    """A bucket that answers, and fails while the body is read."""

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": SimpleNamespace(read=self.head_object), "ETag": "tag"}


THROTTLED = (
    "ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "TransactionConflictException",
    "ReplicatedWriteConflictException", "RequestThrottled", "OverLimit", "KmsThrottled", "LimitExceededException",
    "SlowDown", "RequestTimeout", "OperationAborted", "TooManyRequestsException", "503", "KMSInternalException",
    "KeyUnavailableException", "DependencyTimeoutException", "InternalError", "ServiceUnavailable", "InternalServerError",
)  # fmt: skip
OURS = (  # not the fault of a message, and not answered by the service's own state
    "AccessDeniedException", "AccessDenied", "ExpiredTokenException", "UnrecognizedClientException", "DisabledException",
    "KMSInvalidStateException", "KmsDisabled", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
    "SomethingNew",
)  # fmt: skip
ERRORS: dict[str, Exception] = {
    **{code: refused(code, "Any") for code in (*THROTTLED, *OURS)},
    "5xx": refused("ValidationException", "Any", 500),
    "bad gateway": refused("", "Any", 502),
    "read timeout": aws.ReadTimeoutError(**AT),
    "connect timeout": aws.ConnectTimeoutError(**AT),
    "no connection": aws.EndpointConnectionError(**AT),
    "closed": aws.ConnectionClosedError(**AT),
    "tls": aws.SSLError(error=OSError(), **AT),
    "proxy": aws.ProxyConnectionError(proxy_url="https://proxy"),
    "http": aws.HTTPClientError(error=OSError()),
    "half a body": aws.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    "stream": aws.ResponseStreamingError(error=OSError()),
    "credentials": aws.CredentialRetrievalError(provider="container-role", error_msg=""),
    "no credentials": aws.NoCredentialsError(),
    "no answer of ours": ResponseParserError("no JSON"),
    "urllib3": ProtocolError("broken"),
}


def _table(client: Down) -> Table:
    return Table(client, "data", REGION)


def _keys(client: Down) -> KeyStore:
    class Known(Table):
        def get(self, key: Any) -> Any:
            return {"wrapped": b"w"}

    return KeyStore(lambda: client, "alias/cell", Known(client, "people", REGION), lambda: 0.0, lambda: START)


def _event(client: Down) -> None:
    row = EventRow(EventKey(TENANT, "evt_1", "-"), START, START + timedelta(days=1), 1, None, None, {})
    for insert in ("partiql", "put"):
        (outcome,) = DataStore(_table(client), insert).insert_events([row])
        assert outcome is not None and is_outage(outcome)
    assert outcome is not None
    raise outcome


def _audit(client: Down, insert: Any) -> Any:
    return AuditStore(client, "waybill-eu1", REGION, insert, sleep=lambda _s: None).append(made.decided())


def _bucket(client: Down) -> EvidenceBucket:
    return EvidenceBucket(lambda: client, "evidence", REGION)


def _exports(client: Down) -> Exports:
    return Exports(lambda: client, "exports", REGION)


def _signer(client: Down) -> KmsSigner:
    return KmsSigner(lambda: client, "alias/seal")


def _queue(client: Down) -> Queue:
    queue = Queue(client, "inbox.fifo")
    queue._url = "known"
    return queue


def _requests(client: Down) -> SealRequestQueue:
    queue = SealRequestQueue(client, "seal-requests")
    queue._url = "known"
    return queue


def _seals(client: Down, insert: Any = "partiql") -> Seals:
    return Seals(client, lambda log: f"audit-{log}", REGION, insert)


SEAL = Seal(0, 1, "00" * 32, ("00" * 32,), "batches/0", "h", "t", "t", "00" * 32)
SENT = [OutgoingMessage("{}", f"g{n}", f"d{n}") for n in range(2)]
KEY = {"pk": "p"}
CALLS: dict[str, Callable[[Down], Any]] = {
    "table.get": lambda c: _table(c).get(KEY),
    "table.insert": lambda c: _table(c).insert(KEY),
    "table.replace": lambda c: _table(c).replace(KEY, "v = :v", {":v": 1}),
    "table.update": lambda c: _table(c).update(KEY, "SET a = :a", {":a": 1}),
    "table.delete": lambda c: _table(c).delete(KEY),
    "table.query": lambda c: list(_table(c).query("pk = :p", {":p": "p"})),
    "table.page": lambda c: _table(c).page("pk = :p", {":p": "p"}, 1),
    "batch_get": lambda c: batch_get(c, [("data", KEY)], REGION),
    "events": _event,
    "audit.partiql": lambda c: _audit(c, "partiql"),
    "audit.put": lambda c: _audit(c, "put"),
    "audit.get": lambda c: AuditStore(c, "waybill-eu1", REGION, "put").get(TENANT, made.decided()["id"], "2026"),
    "seals.last": lambda c: _seals(c).last(TENANT, "2026"),
    "seals.insert": lambda c: _seals(c).insert(TENANT, "2026", SEAL),
    "seals.put": lambda c: _seals(c, "put").insert(TENANT, "2026", SEAL),
    "queue.url": lambda c: Queue(c, "inbox.fifo").url,
    "queue.send": lambda c: _queue(c).send(SENT[:1]),
    "queue.send_batch": lambda c: _queue(c).send(SENT),
    "queue.retry_in": lambda c: _queue(c).retry_in("receipt", 1),
    "requests.send": lambda c: _requests(c).send([SealRequest(TENANT, "2026", ("b",), 1)]),
    "requests.receive": lambda c: _requests(c).receive(60),
    "requests.remove": lambda c: _requests(c).remove(["receipt"]),
    "requests.give_back": lambda c: _requests(c).give_back(["receipt"]),
    "keys.of": lambda c: _keys(c).of(TENANT),
    "keys.make": lambda c: KeyStore(
        lambda: c, "alias/cell", SimpleNamespace(get=lambda _key: None, insert=lambda _row: True), lambda: 0.0, lambda: START  # type: ignore[arg-type]
    ).make(TENANT),
    "signer.sign": lambda c: _signer(c).sign(b"text"),
    "signer.public_key": lambda c: _signer(c).public_key,
    "evidence.put": lambda c: _bucket(c).put("key", b"data"),
    "evidence.get": lambda c: _bucket(c).get("key"),
    "evidence.body": lambda c: _bucket(HalfDown(c._error)).get("key"),
    "evidence.replace": lambda c: _bucket(c).replace("key", b"data", "text/plain", None),
    "exports.put": lambda c: _exports(c).put("key", b"data"),
    "exports.get": lambda c: _exports(c).get("key"),
    "exports.body": lambda c: _exports(HalfDown(c._error)).get("key"),
    "exports.has": lambda c: _exports(c).has("key"),
    "exports.begin": lambda c: _exports(c).begin("key", "text/plain"),
    "exports.part": lambda c: _exports(c).part("key", "upload", 1, b"data"),
    "exports.finish": lambda c: _exports(c).finish("key", "upload", ["tag"]),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_every_error_of_a_service_is_an_outage_in_every_call(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _s: None)
    missed = []
    for name, error in ERRORS.items():
        with pytest.raises(Exception) as raised:
            CALLS[call](Down(error))
        if not is_outage(raised.value):
            missed.append(f"{name}: {type(raised.value).__name__}")

    assert missed == []


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFoundException", "InvalidCiphertextException"])
def test_an_answer_about_the_call_itself_is_no_outage(code: str) -> None:
    with pytest.raises(Exception) as raised:
        items.call(Down(refused(code, "Any")).any)

    assert not is_outage(raised.value)


def test_a_row_that_a_table_cannot_hold_is_no_outage() -> None:
    class Refusing(Down):
        def batch_execute_statement(self, **_: Any) -> Any:
            return {"Responses": [{"Error": {"Code": "ValidationError"}}]}

    row = EventRow(EventKey(TENANT, "evt_1", "-"), START, START + timedelta(days=1), 1, None, None, {})
    (outcome,) = DataStore(_table(Refusing(OSError())), "partiql").insert_events([row])

    assert outcome is not None and not is_outage(outcome)
