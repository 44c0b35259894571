"""The page at ``/docs`` shows every operation of ``/openapi.json``: in Chromium, and in Node without a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_cell import Api

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OUTSIDE = """
const made = [];
const element = (tag) => { const e = {tag, textContent: "", children: [], append(c) { e.children.push(c) }}; made.push(e); return e };
const state = element("p"), main = element("main");
globalThis.document = {createElement: element, getElementById: () => state, querySelector: () => main};
globalThis.location = {href: "http://cell/docs"};
globalThis.fetch = () => Promise.resolve({json: () => JSON.parse(require("fs").readFileSync(0, "utf8"))});
"""
"""As much of a browser as the page uses."""
COUNT = """
setTimeout(() => console.log(JSON.stringify(
  {state: state.textContent, shown: made.filter(e => e.tag === "details").map(e => e.children[0].children.map(c => c.textContent))}
)), 50);
"""


def operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


@pytest.fixture
def address(cell: Api) -> Iterator[str]:
    """Serve the cell's two answers over HTTP, as its door does."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = cell.call("GET", self.path, key=None)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_docs_show_every_operation_in_a_browser(cell: Api, address: str, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")

    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    page = subprocess.run(
        [*command, f"--user-data-dir={tmp_path / 'profile'}", f"{address}/docs"],
        capture_output=True, text=True, check=True, timeout=120, env=home,
    ).stdout  # fmt: skip

    shown = re.findall(r"<summary><b>(\w+)</b><code>([^<]+)</code>", page)
    assert shown == operations(cell.call("GET", "/openapi.json", key=None).json)


def test_docs_script_shows_every_operation_without_a_browser(cell: Api) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node is installed (apt-get install nodejs)")
    document = cell.call("GET", "/openapi.json", key=None)
    (script,) = re.findall(r"<script>(.*?)</script>", cell.call("GET", "/docs", key=None).text, re.DOTALL)

    found = json.loads(
        subprocess.run(
            [node, "-e", OUTSIDE + script + COUNT],
            input=document.text, capture_output=True, text=True, check=True, timeout=60,
        ).stdout
    )  # fmt: skip

    assert found["state"] == document.json["info"]["description"]
    assert [tuple(head[:2]) for head in found["shown"]] == operations(document.json)
