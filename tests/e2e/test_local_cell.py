"""The local cell as a user meets it: a process, a ready line, an address, a signal."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.demo import journey
from infra.demo.gateway import Gateway, Tenant
from infra.demo.messengers import new_secret

ROOT = Path(__file__).parents[2]


@contextmanager
def cell(*options: str, **settings: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[bytes]]]:
    """Run ``waybill local`` and yield its ready line and the process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))} | settings
    process = subprocess.Popen(
        [sys.executable, "cli.py", "local", "--pump-s", "1", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("engine", ["moto", "ministack"])
def test_journey_ends_as_the_law_says_and_the_process_ends_cleanly(engine: str) -> None:
    with cell("--engine", engine) as (ready, process):
        gateway = Gateway(ready["url"])

        lines = journey.run(gateway, gateway, ready["operator_key"], lambda _: None)

        assert {line.decision for line in lines} == {"allowed", "redacted", "held", "refused"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b""


def tenant_of(ready: dict[str, Any]) -> Tenant:
    """Make a tenant, and return its key on the cell's API."""
    gateway = Gateway(ready["url"])
    asked: dict[str, Any] = {
        "name": "Nord",
        "edition": "enterprise",
        "tenant_class": "general",
        "retention": {"default_days": 30},
    }
    asked["controller"] = {"legal_name": "Nord", "country": "DE", "contact": "privacy@tenant.example"}
    made = Tenant(gateway, ready["operator_key"])("POST", "/v1/tenants", asked)
    return Tenant(gateway, made["key"]["secret"])


def source_of(tenant: Tenant) -> Any:
    secret = new_secret("telegram")
    asked = {"channel": "telegram", "name": "Shop", "secret": secret, "subject_country": "DE"}
    return tenant("POST", "/v1/sources", asked)


def test_state_outlives_the_process_when_it_is_killed(tmp_path: Path) -> None:
    options = ("--engine", "ministack", "--state", str(tmp_path / "state"))
    with cell(*options) as (ready, process):
        tenant = tenant_of(ready)
        source = source_of(tenant)
        process.kill()

    with cell(*options) as (again, _):
        found = Tenant(Gateway(again["url"]), tenant.key)("GET", f"/v1/sources/{source['id']}")

    assert again["operator_key"] == ready["operator_key"]
    assert found["name"] == "Shop"


@pytest.fixture(scope="module")
def behind_a_tunnel() -> Iterator[dict[str, Any]]:
    """The ready line of a cell in Russia whose operator runs a tunnel to it."""
    with cell("--country", "RU", WAYBILL_HOOKS_URL="https://name.example/") as (ready, _):
        yield ready


def test_country_is_what_the_operator_says_on_this_machine(behind_a_tunnel: dict[str, Any]) -> None:
    assert (behind_a_tunnel["region"], behind_a_tunnel["country"]) == ("eu-central-1", "RU")


def test_addresses_are_the_tunnels_when_a_setting_names_one(behind_a_tunnel: dict[str, Any]) -> None:
    source = source_of(tenant_of(behind_a_tunnel))

    assert behind_a_tunnel["url"].startswith("http://127.0.0.1:")
    assert source["url"] == f"https://name.example/hooks/{source['id']}"


def test_ready_line_tells_where_the_cell_is() -> None:
    with cell("--region", "me-central-1") as (ready, process):
        assert ready == {
            "ready": True,
            "url": ready["url"],
            "operator_key": ready["operator_key"],
            "engine": "moto",
            "region": "me-central-1",
            "country": "AE",
        }
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--country", "Atlantis"), "--country"),
        (("--engine", "floppy"), "--engine"),
        (("--region", "mars-north-1"), "region"),
        (("--state", "somewhere"), "--engine ministack"),
    ],
)
def test_refused_with_a_remedy_when_an_option_cannot_be(options: tuple[str, ...], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "cli.py", "local", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_too_large_is_read_away_and_answered_on_any_path_and_framing() -> None:
    with cell() as (ready, _):
        host = ready["url"].removeprefix("http://")
        for path in ("/hooks/src_x", "/v1/sources"):
            connection = http.client.HTTPConnection(host, timeout=300)
            connection.request("POST", path, body=b"0" * 8_000_000, headers={"Content-Type": "application/json"})
            assert connection.getresponse().status == 413
            connection.close()
            connection = http.client.HTTPConnection(host, timeout=300)
            chunks = iter([b"0" * 65536] * 130)
            connection.request(
                "POST", path, body=chunks, headers={"Content-Type": "application/json"}, encode_chunked=True
            )
            assert connection.getresponse().status == 413
            connection.close()
