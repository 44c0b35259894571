"""A cell's API on loopback that answers each request with the next of its prepared answers, for tests of commands."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Cell:
    """A cell that answers each request with the next of its prepared answers."""

    def __init__(self) -> None:
        self.answers: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        cell = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                cell.asked.append((self.command, self.path, self.headers["Authorization"], body))
                known = cell.answers.get(self.path)
                text = json.dumps(known.pop(0) if known else {"detail": "no such tenant"}).encode()
                self.send_response(200 if known is not None else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def cell() -> Iterator[Cell]:
    made = Cell()
    yield made
    made.server.shutdown()
    made.server.server_close()
