"""A pull link is a secret in an address: no line that a cell writes holds one. Its gateways: ``test_infra_package``."""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from waitress.server import create_server

import app
from chalicelib.core import ids
from chalicelib.core.delivery import links
from chalicelib.core.errors import AuditUnavailable
from chalicelib.runtime import Runtime
from infra.cell import wsgi
from infra.cell.local_server import LocalServer
from tests.support.api_cell import Api


def token(api: Api) -> str:
    """A genuine token of a transfer that there is none of."""
    keys = api.runtime.config.keys_of(api.made["tenant"])
    return links.token(keys.links, api.made["tenant"], ids.derived("trf", "none"), api.clock.at, 24)


@contextmanager
def local_door(runtime: Runtime) -> Iterator[tuple[str, int]]:
    server = LocalServer(("127.0.0.1", 0), app.app)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield "127.0.0.1", server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def served_door(runtime: Runtime) -> Iterator[tuple[str, int]]:
    server: Any = create_server(wsgi.App(app.app), host="127.0.0.1", port=0, threads=1, ident=None)

    def run() -> None:
        with suppress(OSError):  # its socket is closed while it waits
            server.run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield "127.0.0.1", server.effective_port
    finally:
        server.close()
        thread.join(5)


Doors = Callable[[Runtime], Any]


@pytest.mark.parametrize("door", [local_door, served_door])
def test_no_line_holds_the_token_whatever_becomes_of_the_request(
    tenant: Api, door: Doors, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    logger = logging.getLogger(
        "waybill"
    )  # other tests of this process may have left its streams closed, or logging off
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, caplog.handler])
    caplog.set_level(logging.INFO)
    secret = token(tenant)
    statuses = []

    def broken(*_: Any) -> Any:
        raise AuditUnavailable("the audit log cannot be read; try again")

    def dying(*_: Any) -> Any:
        raise ValueError(secret)

    with door(tenant.runtime) as (host, port):
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
