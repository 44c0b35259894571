"""A pull link is a secret in an address: no line that a cell writes holds one. Its gateways: ``test_infra_package``."""

from __future__ import annotations

import http.client
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import app
from chalicelib.core import ids
from chalicelib.core.delivery import links
from chalicelib.core.errors import AuditUnavailable
from infra.cell import wsgi
from tests.support.api_cell import Api


def token(api: Api) -> str:
    """A genuine token of a transfer that does not exist."""
    keys = api.runtime.config.keys_of(api.made["tenant"])
    return links.token(keys.links[0], api.made["tenant"], ids.derived("trf", "none"), api.clock.at, 24)


@contextmanager
def served(application: Any) -> Iterator[tuple[str, int]]:
    server = wsgi.Server(application, "127.0.0.1", 0, threads=1, body_bytes=1000)
    server.start()
    try:
        yield "127.0.0.1", int(server.url.rpartition(":")[2])
    finally:
        server.stop()


def test_no_line_holds_the_token_whatever_becomes_of_the_request(
    tenant: Api, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    logger = logging.getLogger(
        "waybill"
    )  # other tests of this process may have left its streams closed, or logging off
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, caplog.handler])
    caplog.set_level(logging.INFO, "waybill")
    secret = token(tenant)
    statuses = []

    def broken(*_: Any) -> Any:
        raise AuditUnavailable("the audit log cannot be read; try again")

    def dying(*_: Any) -> Any:
        raise ValueError(secret)

    with served(wsgi.App(app.app)) as (host, port):
        for of_transfer in (None, broken, dying):
            with monkeypatch.context() as patch:
                if of_transfer is not None:
                    patch.setattr(tenant.runtime.audit, "of_transfer", of_transfer)
                for method in ("GET", "HEAD", "POST"):
                    connection = http.client.HTTPConnection(host, port, timeout=60)
                    connection.request(method, f"/pull/{secret}")
                    statuses.append(connection.getresponse().status)
                    connection.close()

    written = "".join(capfd.readouterr()) + caplog.text + "".join(str(vars(r)) for r in caplog.records)
    assert statuses == [410, 405, 405, 503, 405, 405, 500, 405, 405]
    assert "api_failed" in written
    assert secret not in written
    assert secret[-ids.LENGTH :] not in written


def test_no_line_holds_the_token_when_the_client_does_not_wait_for_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    def endless(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while True:
            yield bytes(1000)
            time.sleep(0.001)

    caplog.set_level(logging.INFO)
    with served(endless) as address:
        with socket.create_connection(address) as client:
            client.sendall(b"GET /pull/canary HTTP/1.1\r\n\r\n")
            client.recv(1)
        until = time.monotonic() + 300
        while "disconnected" not in caplog.text and time.monotonic() < until:
            time.sleep(0.01)

    assert "disconnected" in caplog.text
    assert "canary" not in caplog.text
