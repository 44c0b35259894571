"""Engines that stand in for AWS on one machine: moto in this process, ministack as a child process, or any endpoint."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import botocore.session
from botocore.config import Config

from chalicelib.store.direct import direct

from . import ministack_child
from .local_options import engine_misfit

START_S = 120


@dataclass(frozen=True)
class Engine:
    """A running engine.

    ``insert`` is how the log is appended to: moto does not refuse a doubled INSERT. ``sequences`` is False where the
    sequence numbers of a FIFO queue's messages do not grow: moto draws them. ``signs`` is False where KMS has no Ed25519 keys.
    """

    name: str
    insert: Literal["partiql", "put"]
    make_client: Callable[[str, str], Any]
    endpoint: str | None = None
    account: str = "000000000000"
    sequences: bool = True
    signs: bool = True


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@functools.cache
def _session() -> botocore.session.Session:
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    return session


_making = threading.Lock()
"""A session reads the SDK's descriptions of services once, and is not safe to be asked by two threads."""


@functools.cache
def _first(endpoint: str | None, pool: int, service: str, region: str) -> Any:
    config = Config(
        region_name=region,
        max_pool_connections=pool,
        retries={"mode": "standard"},
        user_agent="waybill-local",  # without a setting the SDK computes its own for every call
    )
    client = _session().create_client(service, region_name=region, endpoint_url=endpoint, config=config)
    # moto answers inside the SDK's own calls.
    return client if endpoint is None else direct(_session(), client, connect_s=60, read_s=60)


def _client(endpoint: str | None, pool: int = 30) -> Callable[[str, str], Any]:
    """Return a maker of clients. Each is a copy of the first of its kind: the SDK takes long to make one."""

    def make(service: str, region: str) -> Any:
        with _making:
            first = _first(endpoint, pool, service, region)
        made = object.__new__(type(first))
        made.__dict__.update(first.__dict__)
        return made

    return make


@contextlib.contextmanager
def mocked() -> Iterator[None]:
    """Make moto answer every client of this process, without its slow, useless work."""
    from moto import mock_aws

    from .moto import answers, keys, queues, tables

    with (
        mock_aws(),
        answers.remembered(),
        keys.drawn_once(),
        queues.searched(),
        tables.searched(),
    ):
        yield


_calling = threading.RLock()


def one_at_a_time(client: Any) -> Any:
    """Serialise the calls of all clients given here: moto's tables have no locks. Return the client."""
    call = client._make_api_call

    def locked(*arguments: Any) -> Any:
        with _calling:
            return call(*arguments)

    client._make_api_call = locked
    return client


@contextlib.contextmanager
def moto() -> Iterator[Engine]:
    """Run moto inside this process, one call at a time."""
    make = _client(None)
    with mocked():
        yield Engine(
            "moto",
            "put",
            lambda *asked: one_at_a_time(make(*asked)),
            account="123456789012",
            sequences=False,
            signs=False,
        )


@contextlib.contextmanager
def ministack(region: str, state: Path | None = None, log: Path | None = None) -> Iterator[Engine]:
    """Run ministack as a child process on a free port of the loopback interface, and end it.

    It ends with this process, even if this process is killed. Then it saves its state, if it keeps one.

    Raises:
        RuntimeError: it is not installed, does not answer within ``START_S``, or another process uses its state.
    """
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="waybill-") as scratch, contextlib.ExitStack() as stack:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_", "LOCALSTACK_"))}
        environment |= {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "PERSIST_STATE": "1" if state else "0",
            "STATE_DIR": str(state or scratch),
        }
        output = stack.enter_context((log or Path(scratch) / "ministack.log").open("ab"))
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
        # -P: the child must not take modules of this folder for packages of the same names.
        command = [sys.executable, "-P", str(Path(ministack_child.__file__))]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output)
        try:
            _wait(f"{endpoint}/_ministack/health", process)
            yield Engine("ministack", "partiql", _client(endpoint), endpoint)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a child process: ask it to, and kill it after ten seconds."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() == ministack_child.IN_USE:
            raise RuntimeError("another process uses the folder of --state")
        if process.poll() is not None:
            raise RuntimeError("ministack ended at once; is it installed? pip install -r requirements-dev.txt")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"ministack did not answer within {START_S} s")


@contextlib.contextmanager
def start(engine: str, region: str, state: Path | None = None) -> Iterator[Engine]:
    """Run an engine by its name: ``moto``, ``ministack``, or the URL of one that runs.

    Raises:
        ValueError: another name, or ``state`` for an engine that keeps none.
    """
    fault = engine_misfit(engine, state)
    if fault is not None:
        raise ValueError(fault)
    if engine == "moto":
        with moto() as running:
            yield running
    elif engine == "ministack":
        with ministack(region, state) as running:
            yield running
    else:
        yield Engine(engine, "partiql", _client(engine), engine)
