"""The HTTP server of a cell without API Gateway: requests in threads, bodies that are too large, our faults, the stop."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from chalice import Blueprint, Response

import app
from chalicelib import runtime as shells
from chalicelib.api import gateway
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.region import Clients
from infra.cell import wsgi
from infra.cell.local_server import BODY_MAX_BYTES

SECRET = "what somebody wrote"


@pytest.fixture
def door() -> Iterator[wsgi.App]:
    settings = Settings(cell="ru1", region="ru-home1", country="RU")
    shells.install(Runtime(settings, Clients("ru-home1", endpoints={"s3": "https://objects.example"})))
    yield wsgi.App(app.app)
    shells.install(None)


def ask(
    door: wsgi.App, path: str, method: str = "GET", body: bytes = b"", **headers: str
) -> tuple[str, dict[str, str], bytes]:
    """Ask as a WSGI server does."""
    told: list[Any] = []
    environ: Mapping[str, Any] = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": path,
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)) if body else "",
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }
    answer = b"".join(door(environ, lambda status, headers: told.extend((status, dict(headers)))))
    return told[0], {k.lower(): v for k, v in told[1].items()}, answer


def test_api_answers_with_its_type_and_length(door: wsgi.App) -> None:
    status, headers, body = ask(door, "/healthz")

    assert status == "200 OK"
    assert json.loads(body)["country"] == "RU"
    assert (headers["content-type"], headers["content-length"]) == ("application/json", str(len(body)))


def test_head_is_answered_without_a_body(door: wsgi.App) -> None:
    status, headers, body = ask(door, "/nowhere", "HEAD")

    assert (status, body) == ("404 Not Found", b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize("path", ["/v1/sources", "/hooks/src_x"])
def test_body_is_refused_unread_when_it_is_too_large(door: wsgi.App, path: str) -> None:
    status, _, _ = ask(door, path, "POST", b"0" * (BODY_MAX_BYTES + 1))

    assert status.startswith("413")


def test_unknown_source_is_answered_without_asking_the_store(door: wsgi.App) -> None:
    assert ask(door, "/hooks/nothing?a=b", "POST", b"{}")[0] == "404 Not Found"


def test_fault_of_ours_is_answered_and_logged_without_its_text(door: wsgi.App, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, dict[str, Any]]] = []

    def broken(*_: Any) -> Any:
        raise ValueError(SECRET)

    monkeypatch.setattr(door, "_api", broken)
    monkeypatch.setattr(wsgi, "error", lambda message, fault, **more: said.append((message, more)))

    status, _, body = ask(door, "/v1/tenant")

    assert (status, body) == ("500 Internal Server Error", b"internal error")
    assert said == [("request_failed", {})]  # of a fault, a log line names the class and the place


def test_nothing_is_taken_once_it_is_stopping(door: wsgi.App) -> None:
    door.stopping.set()

    status, headers, _ = ask(door, "/healthz")

    assert status == "503 Service Unavailable"
    assert headers["retry-after"] == "5"


def test_end_waits_for_the_request_in_hand(door: wsgi.App, monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end = threading.Event(), threading.Event()

    def slow(*_: Any) -> Any:
        began.set()
        may_end.wait(60)
        return {"statusCode": 200, "headers": {}, "body": "done"}

    monkeypatch.setattr(door, "_api", slow)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask(door, "/slow")))
    thread.start()
    began.wait(60)

    assert not door.finish(0.05)
    may_end.set()
    assert door.finish(60)

    thread.join(60)
    assert answers[0][2] == b"done"


def test_nobody_answers_at_the_address_once_the_server_has_stopped(door: wsgi.App) -> None:
    server = wsgi.Server(door, "127.0.0.1", 0, threads=1, body_bytes=1000)
    server.start()
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))

    with socket.create_connection(address, timeout=60) as idle:
        server.stop()

        with contextlib.suppress(ConnectionResetError):  # where the server had not taken the connection yet
            assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=60)


def test_each_thread_sees_its_own_request() -> None:
    shared, both, views = gateway.ThreadedApp(app_name="waybill"), threading.Barrier(2), Blueprint("tests")

    @views.route("/{proxy+}", methods=["GET"])
    def echo(**_: str) -> Response:
        both.wait(60)  # both requests are in hand now
        return Response({"path": "/" + (views.current_request.uri_params or {})["proxy"]})

    shared.register_blueprint(views)
    answers: dict[str, Any] = {}

    def one(path: str) -> None:
        answers[path] = gateway.handle(shared, "GET", path, "", [], b"")

    threads = [threading.Thread(target=one, args=(path,)) for path in ("/a", "/b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert {path: json.loads(answer["body"])["path"] for path, answer in answers.items()} == {"/a": "/a", "/b": "/b"}
