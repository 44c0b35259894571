"""The cost of a cold start: from spawning a function's process to its first answer, against its dependencies alone.

Each function runs in a fresh interpreter under Lambda's own runtime client, which asks a small Runtime API here for its
one event. AWS is a stub without data, so that hooks answers 404 and the API 401 after their first look-up. The floor
is the same process with a handler that imports the same packages, makes one model, one logger and the same client, and
nothing of ours.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html (read 2026-11-22).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.cell import local_server

from .results import Result

ROOT = Path(__file__).resolve().parent.parent
BUDGET = 1.15
ANSWER_S = 30

FLOOR = """
import json
from chalice import Chalice
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
import boto3
from botocore.config import Config
from aws_lambda_powertools import Logger
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

app = Chalice(app_name="floor")
logger = Logger(service="floor")


class Model(BaseModel):
    name: str


def handler(event, context):
    session = boto3.session.Session(region_name="eu-central-1")
    session.client("dynamodb", config=Config(retries={"mode": "standard"}))
    return {"statusCode": 404, "headers": {}, "body": Model(name="x").model_dump_json()}
"""
"""The floor of both functions: the names that they import from packages, and one object of each class."""

UNKNOWN_SOURCE = "src_" + "0" * 26
UNKNOWN_KEY = "Bearer wb_live_" + "x" * 43


def hooks_event() -> dict[str, Any]:
    """Make a webhook for a source that does not exist."""
    return local_server.http_api_event(
        "POST", f"/hooks/{UNKNOWN_SOURCE}", "", [("content-type", "application/json")], b"{}"
    )


def api_event() -> dict[str, Any]:
    """Make a request of the tenant API with a key that does not exist, as API Gateway's REST API sends it."""
    headers = {"authorization": UNKNOWN_KEY, "accept": "application/json"}
    return {
        "resource": "/v1/tenant",
        "path": "/v1/tenant",
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"httpMethod": "GET", "resourcePath": "/v1/tenant", "path": "/v1/tenant", "stage": "api"},
        "body": None,
        "isBase64Encoded": False,
    }


@dataclass
class _Spawn:
    """One process: its event, its answer and the answer's time."""

    event: dict[str, Any]
    answered: threading.Event = field(default_factory=threading.Event)
    ends: threading.Event = field(default_factory=threading.Event)
    at_s: float = 0.0
    answer: Any = None
    given: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    spawn: _Spawn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the broken connection of a process that was ended while it waited; report any other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _RuntimeApi(BaseHTTPRequestHandler):
    """Lambda's Runtime API for one event, and AWS that knows nothing."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Give the next invocation; there is one."""
        spawn = self.server.spawn
        if spawn.given:
            spawn.ends.wait(ANSWER_S)
            self.close_connection = True
            return
        spawn.given = True
        deadline = str(int((time.time() + ANSWER_S) * 1000))
        headers = {
            "Lambda-Runtime-Aws-Request-Id": "1",
            "Lambda-Runtime-Deadline-Ms": deadline,
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:000000000000:function:bench",
            "Content-Type": "application/json",
        }
        self._say(200, json.dumps(spawn.event).encode(), headers)

    def do_POST(self) -> None:
        """Accept an answer or an error, or answer as AWS does for a missing item."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/2018-06-01/runtime/"):
            spawn = self.server.spawn
            spawn.at_s = time.perf_counter()
            spawn.answer = json.loads(body or b"null")
            spawn.answered.set()
            self._say(202, b"{}")
            return
        self._say(200, b"{}", {"Content-Type": "application/x-amz-json-1.0", "x-amz-crc32": "2745614147"})

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def serving() -> Iterator[_Server]:
    """Run the Runtime API on a free port of the loopback interface."""
    server = _Server(("127.0.0.1", 0), _RuntimeApi)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def spawn_ms(
    server: _Server, handler: str, event: dict[str, Any], path: Path, byte_code: Path | None = None
) -> tuple[float, Any]:
    """Run one process until its first answer. Return the milliseconds and the answer.

    Args:
        path: where the handler's module is.
        byte_code: where byte code is kept, of packages and of ours alike; in ``path`` unless given.

    Raises:
        RuntimeError: it gave none, or an error.
    """
    address = f"127.0.0.1:{server.server_address[1]}"
    ours = ("AWS_", "WAYBILL_", "POWERTOOLS_", "PYTHON")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "_HANDLER": handler,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAMBDA_TASK_ROOT": str(path),
        "WAYBILL_CELL": "bench",
        "WAYBILL_COUNTRY": "DE",
        "PYTHONPATH": str(path),
        "PYTHONPYCACHEPREFIX": str(byte_code or path / "byte-code"),
    }
    server.spawn = spawn = _Spawn(event)
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", handler], cwd=path, env=environment, stdout=output, stderr=output
        )
        try:
            if not spawn.answered.wait(ANSWER_S):
                output.seek(0)
                raise RuntimeError(f"{handler} did not answer: {output.read()[-2000:].decode(errors='replace')}")
        finally:
            spawn.ends.set()
            process.kill()
            process.wait()
    if "errorType" in (spawn.answer or {}):
        raise RuntimeError(f"{handler} failed: {spawn.answer['errorType']}")
    return (spawn.at_s - began) * 1000, spawn.answer


def run(quick: bool = False, root: Path = ROOT) -> list[Result]:
    """Measure hooks and api beside their floor, by turns, so that the machine's moods are shared.

    Args:
        root: the checkout whose ``app.py`` is started.

    Raises:
        RuntimeError: an answer was not the one that is measured.
    """
    rounds = 3 if quick else 11
    cases = {"hooks": ("app.hooks", hooks_event(), 404), "api": ("app.app", api_event(), 401)}
    took: dict[str, list[float]] = {name: [] for name in (*cases, "floor")}
    with serving() as server, tempfile.TemporaryDirectory(prefix="waybill-floor-") as scratch:
        floor_path, byte_code = Path(scratch), Path(scratch) / "byte-code"
        (floor_path / "floor.py").write_text(FLOOR, "utf-8")
        for number in range(rounds + 1):  # the first round writes byte code
            for name, (handler, event, status) in cases.items():
                ms, answer = spawn_ms(server, handler, event, root, byte_code)
                if answer["statusCode"] != status:
                    raise RuntimeError(f"{name} answered {answer['statusCode']} instead of {status}")
                took[name] += [ms] if number else []
            ms, _ = spawn_ms(server, "floor.handler", {}, floor_path, byte_code)
            took["floor"] += [ms] if number else []
    floor = statistics.median(took["floor"])
    results = []
    for name in cases:
        median = statistics.median(took[name])
        results.append(Result(f"cold start: {name}, against its dependencies", median / floor, "x", BUDGET, 1.0))
        results.append(Result(f"cold start: {name}, spawn to first answer", median, "ms", None, floor))
    return results
