"""``waybill listen``: verified deliveries are printed and forwarded, others go no further, and no line holds content."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import cli
from chalicelib.core.delivery import signature
from infra.client.listen import BadOption, Receiver, forward_target, secrets_in

SECRET = signature.make_secret(b"s" * 32)
PAIR = signature.make_pair(b"p" * 32)
BODY = b'{"text":"Wann kommt mein Paket?"}'


class LocalServer:
    """The developer's own server: it keeps what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, dict[str, str]]] = []
        self.status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.got.append((self.path, body, {k.lower(): v for k, v in self.headers.items()}))
                self.send_response(server.status)
                self.send_header("Content-Length", "4")
                self.send_header("Retry-After", "7")
                self.end_headers()
                self.wfile.write(b"done")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks?shop=1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def own() -> Iterator[LocalServer]:
    server = LocalServer()
    yield server
    server.stop()


@pytest.fixture
def lines() -> list[str]:
    return []


def receiver(lines: list[str], tmp_path: Path, forward: str | None = None, content: bool = False) -> Receiver:
    file = tmp_path / "secrets"
    file.write_text(f"{SECRET}\n{signature.public_key(PAIR)}\n")
    made = Receiver(0, secrets_in(file), lines.append, forward=forward, content=content)
    made.start()
    return made


def send(
    made: Receiver,
    secret: str = SECRET,
    body: bytes = BODY,
    method: str = "POST",
    at: int = 0,
    more: Mapping[str, str] | None = None,
) -> tuple[int, bytes, dict[str, str]]:
    stamp = int(time.time()) + at
    headers = {"webhook-id": "dlv_1", "webhook-timestamp": str(stamp), "Content-Type": "application/json"}
    headers |= {"webhook-signature": signature.header([secret], "dlv_1", stamp, BODY)}
    headers |= more or {}
    connection = http.client.HTTPConnection(urlsplit(made.url).netloc, timeout=10)
    connection.request(method, "/any/path", body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    connection.close()
    return found


@pytest.mark.parametrize("secret", [SECRET, PAIR], ids=["v1", "v1a"])
def test_delivery_is_taken_and_told_without_content_when_its_signature_fits(
    lines: list[str], tmp_path: Path, secret: str
) -> None:
    made = receiver(lines, tmp_path)

    status, _, _ = send(made, secret)
    made.stop()

    assert status == 204
    assert len(lines) == 1
    assert lines[0].endswith(f"dlv_1  verified  {len(BODY)} bytes  answered 204")


@pytest.mark.parametrize(
    "change",
    [
        {"secret": signature.make_secret(b"o" * 32)},
        {"body": BODY + b" "},
        {"at": -3600},
        {"more": {"webhook-signature": "v1,AAAA"}},
        {"more": {"webhook-id": "dlv_2\x80"}},
    ],
    ids=["secret", "body", "time", "signature", "id"],
)
def test_delivery_goes_no_further_when_its_signature_does_not_fit(
    lines: list[str], tmp_path: Path, own: LocalServer, change: dict[str, Any]
) -> None:
    made = receiver(lines, tmp_path, own.url)

    status, _, _ = send(made, **change)
    made.stop()

    assert (status, own.got) == (401, [])
    assert "not verified" in lines[0]
    assert lines[0].isascii()


def test_delivery_is_passed_on_with_its_headers_and_the_answer_comes_back(
    lines: list[str], tmp_path: Path, own: LocalServer
) -> None:
    made = receiver(lines, tmp_path, own.url)
    own.status = 503

    status, body, headers = send(made)
    made.stop()

    assert (status, body, headers["retry-after"]) == (503, b"done", "7")
    path, passed, names = own.got[0]
    assert (path, passed) == ("/webhooks?shop=1", BODY)
    assert names["webhook-id"] == "dlv_1"
    assert names["host"] == urlsplit(own.url).netloc
    assert lines[0].endswith("answered 503")


def test_delivery_is_answered_502_when_the_local_server_is_down(
    lines: list[str], tmp_path: Path, own: LocalServer
) -> None:
    own.stop()
    made = receiver(lines, tmp_path, own.url)

    status, _, _ = send(made)
    made.stop()

    assert status == 502


def test_content_is_printed_only_when_it_is_asked_for_and_never_of_another_sender(
    lines: list[str], tmp_path: Path
) -> None:
    made = receiver(lines, tmp_path, content=True)

    send(made)
    send(made, signature.make_secret(b"o" * 32))
    made.stop()

    assert sum("Paket" in line for line in lines) == 1


def test_destination_with_a_handshake_is_agreed_to(lines: list[str], tmp_path: Path) -> None:
    made = receiver(lines, tmp_path)

    _, _, headers = send(made, method="OPTIONS", body=b"", more={"WebHook-Request-Origin": "waybill.example"})
    made.stop()

    assert (headers["webhook-allowed-origin"], headers["webhook-allowed-rate"]) == ("waybill.example", "*")


def test_body_is_refused_when_it_is_too_large_or_of_no_length(lines: list[str], tmp_path: Path) -> None:
    made = receiver(lines, tmp_path)

    assert send(made, more={"Content-Length": str(9 * 1024 * 1024)})[0] == 413
    made.stop()


@pytest.mark.parametrize("content", ["", "not a secret", "whpk_" + base64.b64encode(b"short").decode()])
def test_secret_file_is_refused_without_showing_it_when_a_line_is_no_secret(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secrets"
    file.write_text(content)

    with pytest.raises(BadOption) as refused:
        secrets_in(file)
    assert not content or content not in str(refused.value).replace(str(file), "")


@pytest.mark.parametrize("url", ["http://shop.example/", "ftp://127.0.0.1/", "127.0.0.1:3000"])
def test_forwarding_is_refused_when_content_would_leave_the_machine_unencrypted(url: str) -> None:
    with pytest.raises(BadOption):
        forward_target(url)


def test_command_prints_its_address_and_ends_cleanly_when_it_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(SECRET)
    command = [sys.executable, "cli.py", "listen", "--secret-file", str(file)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)

    assert ready["url"].startswith("http://127.0.0.1:")
    assert process.returncode == 0


def test_command_ends_with_one_sentence_when_a_file_is_missing(capsys: Any, tmp_path: Path) -> None:
    assert cli.main(["listen", "--secret-file", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().err.count("\n") == 1
