"""A story that answers are asked about: one tenant, four destinations, two people; delivered, held, refused, erased."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.support.api_cell import RECIPIENT, SOURCE, US_RECIPIENT, Api
from tests.support.sealing import seal_due

HOSTILE = '<script>alert("1")</script> & "Söhne" \u202egnp.exe\u2066 ' + "x" * 120
"""A name that no page may take at its word: markup, text that turns around, and no place to break it."""


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiver() -> Iterator[str]:
    """Run something that takes every delivery; yield its address."""
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/in"
        server.shutdown()
        thread.join()


def route(api: Api, name: str, recipient: dict[str, Any], url: str, **settings: Any) -> dict[str, str]:
    """Declare a recipient, its destination and a route of all messages there; return their ids."""
    made = {"recipient": api.made_by("/v1/recipients", recipient)["id"]}
    destination = {
        "name": name,
        "kind": "http",
        "config": {"url": url},
        "recipient": made["recipient"],
        "retry": {"delays_s": []},
    }
    made["destination"] = api.made_by("/v1/destinations", destination)["id"]
    pattern = {"kind": ["message"]}
    body = {"name": name, "pattern": pattern, "purpose": "customer_support", "mode": "replicate", **settings}
    made["route"] = api.made_by("/v1/routes", {**body, "destination": made["destination"]})["id"]
    return made


def sealed(api: Api) -> None:
    """Advance the time until waiting entries are sealed."""
    api.clock.at += timedelta(minutes=10)
    seal_due(api.runtime)


def played(api: Api, url: str, names: str = "Nord CRM GmbH") -> dict[str, Any]:
    """Play the story; return the ids of its records, and those of the two events, the erased one last."""
    made: dict[str, Any] = {"source": api.made_by("/v1/sources", SOURCE)["id"]}
    api.made["source"] = made["source"]
    for kind in ("instruction", "contract"):
        basis = {"kind": kind, "valid_from": "2026-01-01", "valid_until": None, "evidence": "sha256:" + "ab" * 32}
        made[kind] = api.made_by("/v1/bases", basis)["id"]
    made["taken"] = route(api, "taken", {**RECIPIENT, "legal_name": names}, url)
    made["failing"] = route(api, "failing", {**RECIPIENT, "legal_name": "Dead End GmbH"}, "http://127.0.0.1:9/in")
    made["held"] = route(api, "held", US_RECIPIENT, url)
    made["refused"] = route(api, "refused", {**RECIPIENT, "legal_name": "Nobody KG"}, url, bases=[made["contract"]])
    for number, chat in ((1, 77), (2, 78)):
        api.hook("hello", number, chat)
    api.deliver()
    found = api.get("/v1/events").json["data"]
    # People's messages first: a refused route makes the cell tell its tenant, by an event of its own.
    oldest_first = list(reversed(found))
    made["events"] = [one["id"] for one in sorted(oldest_first, key=lambda one: one["channel"] == "waybill")]
    erased = api.call("DELETE", f"/v1/events/{made['events'][1]}/content?ground=subject_request")
    assert erased.status == 204, erased.text
    return made
