"""``waybill consents import``: a file of any size, in pieces, repeated without harm; a refused line is named by its number."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import cli
from chalicelib.core.tenant.consent_lines import LINES_MAX
from infra.client import consents

KEY = "wb_canary"


class Cell:
    """A cell that refuses lines which say so, and gives its prepared answers first."""

    def __init__(self) -> None:
        self.first: list[tuple[int, dict[str, str]]] = []
        self.bodies: list[list[bytes]] = []
        self.keys: set[str | None] = set()
        cell = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                lines = self.rfile.read(int(self.headers["Content-Length"])).split(b"\n")
                cell.keys.add(self.headers["Authorization"])
                status, headers = cell.first.pop(0) if cell.first else (200, {})
                bad = [n for n, line in enumerate(lines, 1) if b"bad" in line]
                answer: dict[str, Any] = {"detail": "busy"}
                if status == 200:
                    cell.bodies.append(lines)
                    refused = [{"line": n, "code": "unknown_id", "loc": "line.subject"} for n in bad]
                    answer = {"taken": len(lines) - len(bad), "already": 0, "refused": refused}
                text = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def sent(self) -> list[bytes]:
        return [line for body in self.bodies for line in body]


@pytest.fixture
def cell() -> Iterator[Cell]:
    made = Cell()
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(cell: Cell, folder: Path, content: bytes, *options: str, key: str = KEY) -> int:
    (folder / "given.jsonl").write_bytes(content)
    (folder / "key").write_text(key + "\n")
    named = ["--url", cell.url, "--key-file", str(folder / "key"), *options]
    return cli.main(["consents", "import", str(folder / "given.jsonl"), *named])


def test_all_lines_are_sent_in_pieces_that_a_request_takes(cell: Cell, tmp_path: Path) -> None:
    lines = [b'{"n": %d}' % n for n in range(2 * LINES_MAX + 7)]

    code = run(cell, tmp_path, b"\n".join(lines))

    assert code == 0
    assert cell.sent == lines
    assert [len(body) for body in cell.bodies] == [LINES_MAX, LINES_MAX, 7]
    assert cell.keys == {f"Bearer {KEY}"}


def test_refused_lines_are_named_by_their_place_in_the_file(
    cell: Cell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (
        b'\xef\xbb\xbf{"n": 1}\r\n\r\n{"bad": 3}\n   \n{"n": 5}\n' + b"x" * (consents.BYTES_MAX + 5) + b'\n{"bad": 7}'
    )

    code = run(cell, tmp_path, content, "--report", str(tmp_path / "refused"))

    assert code == 1
    assert cell.sent == [b'{"n": 1}', b'{"bad": 3}', b'{"n": 5}', b'{"bad": 7}']
    assert [json.loads(line) for line in (tmp_path / "refused").read_text().splitlines()] == [
        {"line": 3, "code": "unknown_id", "loc": "line.subject"},
        {"line": 6, "code": "too_large", "loc": "line"},
        {"line": 7, "code": "unknown_id", "loc": "line.subject"},
    ]
    said = capsys.readouterr()
    assert "2 taken, 0 had been taken before, 3 refused" in said.err
    assert said.out == ""
    assert KEY not in said.err


def test_it_begins_where_it_is_told_to_and_adds_to_the_report(cell: Cell, tmp_path: Path) -> None:
    report = tmp_path / "refused"
    report.write_text('{"line": 1}\n')

    code = run(cell, tmp_path, b"bad 1\n\nbad 3\nok 4\n", "--from-line", "3", "--report", str(report))

    assert (code, cell.sent) == (1, [b"bad 3", b"ok 4"])
    assert [json.loads(line)["line"] for line in report.read_text().splitlines()] == [1, 3]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_cell_is_asked_again_when_it_says(cell: Cell, tmp_path: Path, status: int) -> None:
    cell.first = [(status, {"Retry-After": "7"}), (status, {"Retry-After": "600"})]
    waited: list[float] = []
    (tmp_path / "given").write_bytes(b"one\n")
    (tmp_path / "key").write_text(KEY)

    code = consents.run(tmp_path / "given", cell.url, tmp_path / "key", None, 1, waited.append)

    assert (code, cell.sent, waited) == (0, [b"one"], [7.0, 60.0])


def test_the_line_to_go_on_with_is_named_when_the_cell_refuses(
    cell: Cell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell.first = [(200, {}), (403, {})]

    code = run(cell, tmp_path, b"x\n" * (LINES_MAX + 5))

    assert code == 2
    assert f"go on with --from-line {LINES_MAX + 1}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [("--key-file", "nowhere"), ("--url", "http://cell.example"), ("--report", "nowhere/at/all"), ("--from-line", "0")],
)
def test_nothing_is_sent_when_the_usage_is_wrong(cell: Cell, tmp_path: Path, options: tuple[str, str]) -> None:
    try:
        code = run(cell, tmp_path, b"one\n", *options)
    except SystemExit as end:
        code = int(str(end.code))

    assert (code, cell.bodies) == (3, [])


def test_wrong_usage_when_the_file_is_not_there(cell: Cell, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)

    assert consents.run(tmp_path / "nowhere", cell.url, tmp_path / "key", None, 1) == 3


def test_pieces_hold_no_more_bytes_than_a_request_takes() -> None:
    line = b"y" * (consents.BYTES_MAX // 3)

    found = list(consents.pieces(io.BytesIO(b"\n".join([line] * 7)), 1))

    assert [piece.numbers for piece in found] == [[1, 2], [3, 4], [5, 6], [7]]
    assert all(len(b"\n".join(piece.lines)) <= consents.BYTES_MAX for piece in found)


def test_progress_is_told_when_it_takes_long(cell: Cell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "given").write_bytes(b"x\n" * (2 * LINES_MAX))
    (tmp_path / "key").write_text(KEY)
    clock = iter(range(0, 1000, 3))

    consents.run(tmp_path / "given", cell.url, tmp_path / "key", None, 1, lambda _: None, lambda: float(next(clock)))

    assert f"{LINES_MAX} of {2 * LINES_MAX} lines, 3 s left" in capsys.readouterr().err
