"""Engines that the contract tests run on, as far as they are found on this machine.

moto runs in this process, one call at a time; it proves conditional puts only, since it accepts a duplicate INSERT. ministack
(a package), Dynoxide (``make parts`` builds it) and DynamoDB Local (``WAYBILL_DYNAMODB_LOCAL_JAR`` names its jar, and java is
installed) run as processes of their own, started once a session, and take INSERT as AWS does. For homes outside AWS, moto plays ``ydb`` and ``alternator``:
what those lack is refused.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config

from chalicelib.store.engines import profile
from infra.cell.engines import mocked, one_at_a_time, stop
from tests.support.profiles import Shim, create_table, shim

REGION = "eu-central-1"
JAR = "WAYBILL_DYNAMODB_LOCAL_JAR"
DYNOXIDE = Path(__file__).resolve().parents[2] / "build" / "home" / "bin" / "dynoxide"
START_S = 120
_CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
_prefixes = itertools.count(1)


@functools.cache
def session() -> boto3.session.Session:
    """Return the session that makes every client of the tests: a new one reads the SDK's descriptions again."""
    return boto3.session.Session()


@dataclass
class Engine:
    """A place to make tables in, whose calls are atomic. ``prefix`` is fresh for every test."""

    name: str
    insert_mode: Literal["partiql", "put"]
    services: frozenset[str]
    url: str | None = None
    region: str = REGION
    prefix: str = field(default_factory=lambda: f"waybill-test{os.getpid()}x{next(_prefixes)}")
    shim: Shim | None = None
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return the engine's client of a service; the test is skipped where the engine has no such service."""
        if service not in self.services:
            pytest.skip(f"{self.name} has no {service}")
        if service not in self._clients:
            # One try a call: a test that injects a fault sees each call of ours once.
            config = Config(retries={"total_max_attempts": 1}, max_pool_connections=50)
            make: Any = session().client  # its stubs know each service by a literal
            client = make(service, region_name=self.region, endpoint_url=self.url, config=config, **_CREDENTIALS)
            client = client if self.url else one_at_a_time(client)
            self._clients[service] = self.shim.over(client) if self.shim else client
        return self._clients[service]

    def create_table(self, name: str, range_key: bool = True, indexes: list[dict[str, Any]] | None = None) -> str:
        """Make an on-demand table ``{prefix}-{name}`` with ``pk`` (and ``sk``); return its full name.

        Args:
            indexes: as ``GlobalSecondaryIndexes`` of ``CreateTable``; all key attributes are strings.
        """
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        if range_key:
            keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
        named = {k["AttributeName"] for k in itertools.chain(keys, *(i["KeySchema"] for i in indexes or []))}
        table = f"{self.prefix}-{name}"
        create = {
            "TableName": table,
            "KeySchema": keys,
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in sorted(named)],
            "BillingMode": "PAY_PER_REQUEST",
            **({"GlobalSecondaryIndexes": copy.deepcopy(indexes)} if indexes else {}),
        }
        played = self.shim.profile if self.shim else profile("dynamodb")
        self.client("dynamodb").create_table(**create_table(played, create))
        return table

    def create_audit_table(self, year: str) -> str:
        """Make the audit table of a year; return its name."""
        subject = {
            "IndexName": "subject",
            "KeySchema": [
                {"AttributeName": "subject", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        return self.create_table(f"audit-{year}", indexes=[subject])

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()


def _jar() -> str | None:
    jar = os.environ.get(JAR)
    return jar if jar and Path(jar).is_file() and shutil.which("java") else None


PLAYED = ("ydb", "alternator")


def found() -> list[str]:
    """Name the engines that this machine has, and those that are played."""
    names = ["moto", *PLAYED]
    if importlib.util.find_spec("ministack"):
        names.append("ministack")
    if _jar():
        names.append("dynamodb-local")
    if DYNOXIDE.is_file():
        names.append("dynoxide")
    return names


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _process(command: list[str], port: int, environment: dict[str, str], folder: Path) -> Iterator[str]:
    log = folder / "engine.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + START_S
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"an engine did not start; see {log}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start ministack."""
    port, folder = free_port(), tmp_path_factory.mktemp("ministack")
    environment = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "WARNING",
    }
    with _process([sys.executable, "-m", "ministack"], port, environment, folder) as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_local_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start DynamoDB Local."""
    jar = Path(str(_jar()))
    port, folder = free_port(), tmp_path_factory.mktemp("dynamodb-local")
    libraries = f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}"
    command = ["java", libraries, "-jar", str(jar), "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with _process(command, port, {}, folder) as url:
        yield url


@pytest.fixture(scope="session")
def dynoxide_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start Dynoxide on a file."""
    port, folder = free_port(), tmp_path_factory.mktemp("dynoxide")
    command = [str(DYNOXIDE), "serve", "--port", str(port), "--db-path", str(folder / "store.db")]
    with _process(command, port, {}, folder) as url:
        yield url


@pytest.fixture(params=found())
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Run the test on every engine that is found."""
    if request.param in ("moto", *PLAYED):
        services, over = {"dynamodb", "sqs", "s3"}, shim(request.param) if request.param in PLAYED else None
        with mocked():
            one = Engine(request.param, "put", frozenset(services | (set() if over else {"kms"})), shim=over)
            yield one
            one.close()
        return
    if request.param == "ministack":
        url = request.getfixturevalue("ministack_url")
        one = Engine("ministack", "partiql", frozenset({"dynamodb", "sqs", "kms", "s3"}), url=url)
    else:
        url = request.getfixturevalue(f"{request.param.replace('-', '_')}_url")
        one = Engine(request.param, "partiql", frozenset({"dynamodb"}), url=url)
    yield one
    one.close()
