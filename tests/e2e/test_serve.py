"""A home without an AWS region as its operator meets it: ``waybill serve`` as processes, a person's data of RU kept in RU."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.log.note import parse_note, parse_vkey
from infra.cell import engines, making
from infra.demo.gateway import Gateway
from infra.demo.sink import Sink
from infra.deploy import template
from tests.support.races import eventually
from tests.support.shop import Shop, shop

ROOT = Path(__file__).parents[2]
REGION, OPERATOR_KEY = "ru-home1", "wb_operator_" + secrets.token_urlsafe(24)


@dataclass
class Home:
    """Tables, queues and buckets in the country, and the settings of a cell there."""

    environment: dict[str, str]
    endpoint: str
    folder: Path

    def run(self, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run ``waybill serve`` to its end."""
        return subprocess.run(
            [sys.executable, "cli.py", "serve", *options], cwd=ROOT, env={**self.environment, **changes},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def serving(self) -> Iterator[Served]:
        """Serve until the block ends, at the latest."""
        log = self.folder / f"{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "cli.py", "serve", "--port", "0", "--clock-s", "0.5"], cwd=ROOT, env=self.environment,
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            served = Served(process, log)
            eventually(lambda: served.lines("serving") or process.poll() is not None)
            yield served
        finally:
            process.kill()
            process.wait()


@dataclass
class Served:
    """A running process."""

    process: subprocess.Popen[bytes]
    log: Path
    ended: list[int] = field(default_factory=list)

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Return the log lines with a message; every whole line is JSON."""
        text = self.log.read_text("utf-8")
        return [
            d
            for d in map(json.loads, text.splitlines(keepends=False)[: text.count("\n")])
            if d.get("message") == message
        ]

    @property
    def gateway(self) -> Gateway:
        """Its door."""
        return Gateway(self.lines("serving")[0]["url"])

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(300)


def private(folder: Path, name: str) -> str:
    path = folder / name
    path.touch(0o600)
    path.write_text(secrets.token_hex(32))
    return str(path)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with engines.ministack(REGION) as engine:
        url = str(engine.endpoint)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))}
        yield Home(
            kept
            | {
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION,
                "WAYBILL_CELL": "ru1", "WAYBILL_COUNTRY": "RU", "WAYBILL_ENGINE": "alternator",
                "WAYBILL_DYNAMODB_URL": url, "WAYBILL_SQS_URL": url, "WAYBILL_S3_URL": url,
                "WAYBILL_EVIDENCE_BUCKET": "waybill-ru1-evidence", "WAYBILL_EXPORTS_BUCKET": "waybill-ru1-exports",
                "WAYBILL_CONTENTS_BUCKET": "waybill-ru1-contents",
                "WAYBILL_MASTER_KEY": private(folder, "master.key"), "WAYBILL_SEAL_SEED": private(folder, "seal.seed"),
                "WAYBILL_OPERATOR_KEY_SHA256": hashlib.sha256(OPERATOR_KEY.encode()).hexdigest(),
                "WAYBILL_OPERATOR_NAME": "Sever Hosting OOO", "WAYBILL_OPERATOR_CONTACT": "operator@hosting.example",
                "WAYBILL_OPERATOR_DOMAIN": "waybill.localhost",
                "WAYBILL_ALLOW_CIDRS": "127.0.0.0/8", "WAYBILL_SEAL_S": "0.5",
            },
            url,
            folder,
        )  # fmt: skip


@pytest.fixture(scope="module")
def home(empty: Home) -> Home:
    refused = empty.run("--check")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "waybill serve --init makes them" in refused.stderr
    for _ in range(2):
        made = empty.run("--init", "--lock", "GOVERNANCE")
        assert made.returncode == 0, made.stderr
    return empty


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


def texts(sink: Sink, one: Shop) -> list[str]:
    return [body["data"]["message"]["text"] for body in sink.received.get(one.name, [])]


def ends(one: Shop) -> list[tuple[str, str]]:
    return [(t["decision"], t["outcome"]) for t in one.tenant.all("/v1/transfers")]


def test_home_is_fit_when_it_was_made(home: Home) -> None:
    done = home.run("--check")

    assert (done.returncode, done.stdout) == (0, "fit to serve: alternator in RU\n"), done.stderr


def test_nothing_is_lost_or_doubled_when_the_process_ends_and_another_begins(home: Home, sink: Sink) -> None:
    with home.serving() as first:
        one = shop(first.gateway, sink, OPERATOR_KEY)
        assert first.gateway.call("GET", "/healthz")[1]["country"] == "RU"
        assert first.gateway.call("GET", "/readyz")[:2] == (
            200,
            {"status": "ready", "queues": "ok", "store": "ok", "clock": "ok"},
        )
        assert one.post(first.gateway, 1, "one") == 200
        eventually(lambda: texts(sink, one) == ["one"])
        assert [one.post(first.gateway, n, f"message {n}") for n in range(2, 12)] == [200] * 10

        assert first.stop() == 0
        assert first.lines("stopped")

    with home.serving() as second:
        one.tenant.api = second.gateway
        assert one.post(second.gateway, 12, "last") == 200
        eventually(lambda: "last" in texts(sink, one))
        assert texts(sink, one) == ["one", *(f"message {n}" for n in range(2, 12)), "last"]
        eventually(lambda: ends(one) == [("allowed", "delivered")] * 12)  # an attempt is logged after it has arrived
        transfers = list(one.tenant.all("/v1/transfers"))

        authorised = {"Authorization": f"Bearer {one.tenant.key}"}
        entry = next(one.tenant.all(f"/v1/audit/entries?event={transfers[0]['event']}"))["entry"]
        proof = f"/v1/audit/entries/{entry['id']}/proof"
        eventually(lambda: second.gateway.call("GET", proof, headers=authorised)[0] == 200)
        status, checkpoint, _ = second.gateway.call("GET", "/v1/audit/checkpoint", headers=authorised)
        (key,) = one.tenant("GET", "/v1/audit/keys")["data"]
        assert status == 200
        assert parse_note(checkpoint.encode()).check([parse_vkey(key["vkey"])])
        assert checkpoint.startswith(f"audit.waybill.localhost/{REGION}/{one.name}/")
        status, metrics, _ = second.gateway.call("GET", "/metrics")
        assert status == 200
        assert 'waybill_webhooks_total{channel="telegram",verdict="accepted"} 1.0' in metrics
        ended = re.findall(r'waybill_job_ended_timestamp_seconds\{job="(\w+)"\} [1-9]', metrics)
        assert set(ended) == {"people", "seal", "sweep"}
        assert second.stop() == 0


def test_order_is_kept_when_processes_serve_side_by_side(home: Home, sink: Sink) -> None:
    with home.serving() as first, home.serving() as second:
        one = shop(first.gateway, sink, OPERATOR_KEY)
        doors = [first.gateway, second.gateway]

        posted = [one.post(doors[n % 2], n, f"message {n}") for n in range(1, 21)]

        assert posted == [200] * 20
        eventually(lambda: len(texts(sink, one)) >= 20)
        assert texts(sink, one) == [f"message {n}" for n in range(1, 21)]
        assert [first.stop(), second.stop()] == [0, 0]


def test_what_is_too_large_is_refused_and_the_next_request_is_answered(home: Home) -> None:
    with home.serving() as served:
        for path in ("/hooks/src_x", "/v1/sources"):
            assert served.gateway.call("POST", path, b"0" * 7_000_000)[0] == 413
        assert served.gateway.call("GET", "/nowhere")[0] == 404


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"WAYBILL_COUNTRY": "KZ"}, "AWS_REGION names the country first"),
        ({"WAYBILL_ENGINE": "dynamodb"}, "AWS has no region in RU"),
        ({"WAYBILL_INSERT": "partiql"}, "insert_only_partiql"),
        ({"WAYBILL_MASTER_KEY": "/nowhere/master.key"}, "WAYBILL_MASTER_KEY names no readable file"),
        ({"WAYBILL_S3_URL": "https://s3.eu-central-1.amazonaws.com"}, "WAYBILL_S3_URL is an address of AWS"),
        (
            {"WAYBILL_EVIDENCE_BUCKET": "waybill-ru1-nothing"},
            "the buckets cannot be used (NoSuchBucket): waybill serve --init",
        ),
        ({"WAYBILL_CELL": "ru2"}, "the tables cannot be used"),
        ({"WAYBILL_SQS_URL": "http://127.0.0.1:1"}, "the queues cannot be reached"),
        ({"WAYBILL_OPERATOR_CONTACT": ""}, "set WAYBILL_OPERATOR_CONTACT to an address"),
    ],
)
def test_process_ends_with_a_remedy_when_the_home_will_not_do(home: Home, changes: dict[str, str], told: str) -> None:
    done = home.run("--check", **changes)

    assert done.returncode == 1
    assert told in done.stderr, done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_nothing_is_served_when_the_home_will_not_do(home: Home) -> None:
    done = home.run("--port", "0", WAYBILL_CELL="ru2")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "the tables cannot be used" in done.stderr


def test_bucket_without_a_lock_is_refused(home: Home) -> None:
    with engines.ministack(REGION) as other:
        s3 = other.make_client("s3", REGION)
        for name in ("waybill-ru1-evidence", "waybill-ru1-exports"):
            making.make_bucket(s3, template.Bucket({"Bucket": name}, name.split("-")[-1], None, None))

        done = home.run("--check", WAYBILL_S3_URL=str(other.endpoint))

    assert done.returncode == 1
    assert "the evidence bucket has no default lock" in done.stderr, done.stderr


def test_no_resources_are_made_where_a_deployment_makes_them(home: Home) -> None:
    plain = {name: "" for name in home.environment if name.endswith("_URL")}

    done = home.run(
        "--init",
        WAYBILL_ENGINE="dynamodb",
        AWS_REGION="eu-central-1",
        WAYBILL_COUNTRY="DE",
        WAYBILL_MASTER_KEY="",
        **plain,
    )

    assert done.returncode == 1
    assert "in AWS a deployment makes them" in done.stderr
