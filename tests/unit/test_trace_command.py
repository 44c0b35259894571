"""``waybill trace`` asks by an event, a transfer or a platform's id, and prints one line for each step."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import cli

KEY = "wb_canary"
STEP = dict.fromkeys(
    ("transfer", "route", "destination", "decision", "attempt", "outcome", "code", "took_ms", "reason", "entry", "log", "index")
)  # fmt: skip
TRACE: dict[str, Any] = {
    "event": "evt_1",
    "channel": "telegram",
    "kind": "message",
    "stored": "stored",
    "expires_at": "2026-12-22T09:30:00.000Z",
    "steps": [
        {**STEP, "at": "2026-11-22T09:30:00.000Z", "what": "received"},
        {**STEP, "at": "2026-11-22T09:30:00.120Z", "what": "decided", "transfer": "trf_1", "decision": "allowed",
         "entry": "ent_1", "log": "2026", "index": 0},
        {**STEP, "at": "2026-11-22T09:30:01.000Z", "what": "attempted", "transfer": "trf_1", "attempt": 1,
         "outcome": "failed", "code": "http_503", "entry": "ent_2", "log": "2026"},
    ],
    "transfers": [
        {"id": "trf_1", "outcome": "pending", "waits": "lane", "due_at": "2026-11-22T09:35:00.000Z", "behind": 2,
         "dead_letter": False},
    ],
}  # fmt: skip


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def given(asked: list[str], tmp_path: Path) -> Iterator[list[str]]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status = 404 if "none" in self.path else 200
            text = json.dumps(TRACE if status == 200 else {"detail": "no such event"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    (tmp_path / "key").write_text(KEY)
    yield ["--url", f"http://127.0.0.1:{server.server_address[1]}", "--key-file", str(tmp_path / "key")]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["evt_1"], "/v1/trace?event=evt_1"),
        (["trf_1"], "/v1/trace?transfer=trf_1"),
        (["src_1", "a b/7"], "/v1/trace?source=src_1&message=a+b%2F7"),
        (["evt_1", "--tenant", "tnt_1"], "/v1/tenants/tnt_1/trace?event=evt_1"),
    ],
)
def test_the_way_is_printed_line_by_line(
    given: list[str], asked: list[str], arguments: list[str], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["trace", *arguments, *given]) == 0

    assert asked == [path]
    assert capsys.readouterr().out.splitlines() == [
        "evt_1  telegram message  stored, until 2026-12-22T09:30:00.000Z",
        "2026-11-22T09:30:00.000Z  received   ",
        "2026-11-22T09:30:00.120Z  decided      trf_1  allowed  2026/0",
        "2026-11-22T09:30:01.000Z  attempted    trf_1  1  failed  http_503  2026/-",
        "trf_1  pending  waits: lane until 2026-11-22T09:35:00.000Z, behind 2",
    ]


def test_json_is_the_answer_itself(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trace", "evt_1", "--json", *given]) == 0

    assert json.loads(capsys.readouterr().out) == TRACE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["evt_none"], 2), (["src_1"], 3), (["evt_1", "7"], 3), (["x"], 3), (["evt_1", "--key-file", "/nowhere"], 3)],
)
def test_exit_code_says_why_nothing_was_shown(
    given: list[str], arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [argument for argument in arguments if not argument.startswith(("--", "/"))]
    assert cli.main(["trace", *names, *given, *arguments[len(names) :]]) == code

    out, said = capsys.readouterr()
    assert (out, said.count("\n")) == ("", 1)
    assert KEY not in said
