"""``tools/logcheck``, written in Go on others' packages, accepts our tiles and notes, and refuses any that are altered."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.log import merkle, note, tiles
from chalicelib.core.log.note import Checkpoint, VerifierKey
from chalicelib.core.log.tiles import Tile
from tests.fixtures.audit.signers import seeded
from tests.support.golang import logcheck

ORIGIN = "audit.example/eu-central-1/tnt_a/2026"
LOG = seeded(ORIGIN, b"l" * 32)
WITNESS = seeded("witness.example/w1", b"w" * 32)
WITNESS_KEY = VerifierKey(WITNESS.vkey.split("+")[0], note.parse_vkey(WITNESS.vkey).public, note.WITNESS)
SIZE, EARLIER, LARGE = 600, 300, 66_000

Files = dict[str, bytes]


def cosigned(signed: note.Note, time: int = 1_790_000_000) -> note.Note:
    proof = WITNESS.sign(f"cosignature/v1\ntime {time}\n{signed.text}".encode())
    line = note.Signature(WITNESS_KEY.name, WITNESS_KEY.id, time.to_bytes(8, "big") + proof)
    return note.Note(signed.text, (*signed.signatures, line))


def checkpoint(leaves: list[bytes], origin: str = ORIGIN) -> note.Note:
    return note.sign_note(Checkpoint(origin, len(leaves), merkle.root(leaves)).text, [LOG])


def log_of(size: int, word: str = "entry") -> Files:
    """Lay a log out as files."""
    entries = [f"{word} {number}".encode() for number in range(size)]
    row = [merkle.leaf_hash(entry) for entry in entries]
    files = {"checkpoint": str(cosigned(checkpoint(row))).encode()}
    for start in range(0, size, tiles.WIDTH):
        some = entries[start : start + tiles.WIDTH]
        files[tiles.entries_path(start // tiles.WIDTH, len(some))] = tiles.bundle(some)
    level = 0
    while row:
        for start in range(0, len(row), tiles.WIDTH):
            some = row[start : start + tiles.WIDTH]
            files[Tile(level, start // tiles.WIDTH, len(some)).path] = b"".join(some)
        full = len(row) // tiles.WIDTH
        row = [merkle.root(row[tiles.WIDTH * n : tiles.WIDTH * (n + 1)]) for n in range(full)]
        level += 1
    return files


@dataclass
class StaticLog:
    """A server of a log's files."""

    url: str = ""
    files: Files = field(default_factory=dict)
    authorised: set[str | None] = field(default_factory=set)


@pytest.fixture(scope="module")
def served() -> Iterator[StaticLog]:
    log = StaticLog()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            log.authorised.add(self.headers["Authorization"])
            data = log.files.get(self.path.removeprefix("/log/"))
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    log.url = f"http://127.0.0.1:{server.server_address[1]}/log/"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield log
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logcheck(tmp_path_factory.mktemp("logcheck"))


Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(program: Path, served: StaticLog) -> Check:
    def run(files: Files, *options: str) -> subprocess.CompletedProcess[str]:
        served.files = files
        served.authorised.clear()
        command = [str(program), "-prefix", served.url, "-vkey", LOG.vkey, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize("size", [1, 255, 256, 257, SIZE, LARGE])
def test_every_tile_and_entry_is_checked_when_the_log_is_good(check: Check, size: int) -> None:
    files = log_of(size)

    done = check(files, "-witness", WITNESS_KEY.text, "-quorum", "1", "-entry", str(size // 2))

    assert done.returncode == 0, done.stderr
    number = sum(not path.startswith("tile/entries/") for path in files) - 1
    assert done.stdout.splitlines() == [
        f"1 checkpoint: {size} entries, signed by the log and 1 witnesses",
        f"2 tiles: {number} tiles and {size} entries are the signed ones",
        f"4 inclusion: entry {size // 2} is in the log",
    ]


def test_growth_is_proved_from_the_checkpoint_of_the_last_run(check: Check, tmp_path: Path, served: StaticLog) -> None:
    key = tmp_path / "tenant.key"
    key.write_text("wb_key\n")
    options = ("-seen", str(tmp_path / "seen"), "-key-file", str(key))

    assert "first checkpoint seen" in check(log_of(EARLIER), *options).stdout
    assert f"continues the {EARLIER} entries" in check(log_of(SIZE), *options).stdout
    assert f"continues the {SIZE} entries" in check(log_of(SIZE), *options).stdout
    assert served.authorised == {"Bearer wb_key"}
    assert (tmp_path / "seen").read_bytes() == log_of(SIZE)["checkpoint"]


def flipped(files: Files, path: str, at: int = 40) -> Files:
    data = bytearray(files[path])
    data[at] ^= 1
    return {**files, path: bytes(data)}


GOOD = log_of(SIZE)
ALTERED = {
    "entry": flipped(GOOD, "tile/entries/001"),
    "partial entries": flipped(GOOD, "tile/entries/002.p/88"),
    "hash": flipped(GOOD, "tile/0/001"),
    "partial tile": flipped(GOOD, "tile/0/002.p/88"),
    "upper tile": flipped(GOOD, "tile/1/000.p/2"),
    "no partial tile": {path: data for path, data in GOOD.items() if path != "tile/0/002.p/88"},
    "no upper tile": {path: data for path, data in GOOD.items() if path != "tile/1/000.p/2"},
    "a short bundle": {**GOOD, "tile/entries/000": GOOD["tile/entries/000"][:-9]},
    "fewer entries": {**GOOD, "tile/entries/000": tiles.bundle([b"entry 0"])},
    "another log's entries": {**GOOD, "tile/entries/000": log_of(SIZE, "other")["tile/entries/000"]},
    "another size": {**GOOD, "checkpoint": GOOD["checkpoint"].replace(b"\n600\n", b"\n601\n")},
    "another name": {**GOOD, "checkpoint": GOOD["checkpoint"].replace(b"tnt_a", b"tnt_b")},
    "another origin": {**GOOD, "checkpoint": str(checkpoint([b"a" * 32] * SIZE, "other.example/log")).encode()},
    "another root": {**GOOD, "checkpoint": str(checkpoint([b"a" * 32] * SIZE)).encode()},
    "no signature of the log": {
        **GOOD,
        "checkpoint": str(
            note.Note(checkpoint([b"a" * 32]).text, cosigned(checkpoint([b"a" * 32])).signatures[1:])
        ).encode(),
    },
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_log_is_refused_when_it_is_altered(check: Check, name: str) -> None:
    done = check(ALTERED[name], "-witness", WITNESS_KEY.text)

    assert (done.returncode, done.stdout.count("4 inclusion")) == (1, 0), done.stdout
    assert done.stderr.startswith("logcheck: ")


def test_a_cosignature_is_refused_when_its_time_is_another(check: Check) -> None:
    read = note.parse_note(GOOD["checkpoint"])
    own, witness = read.signatures
    later = note.Signature(witness.name, witness.id, (1).to_bytes(8, "big") + witness.signature[8:])
    files = {**GOOD, "checkpoint": str(note.Note(read.text, (own, later))).encode()}

    assert check(files, "-witness", WITNESS_KEY.text).returncode == 1
    assert check(files).returncode == 0  # the signature of an unknown key counts for nothing


def test_a_log_is_refused_when_too_few_witnesses_have_cosigned(check: Check) -> None:
    assert check(GOOD, "-quorum", "1").returncode == 1
    assert check(GOOD, "-witness", WITNESS_KEY.text, "-quorum", "2").returncode == 1


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (log_of(EARLIER, "other"), "does not continue"),
        (log_of(SIZE, "other"), "another root"),
        (log_of(SIZE + 1), "fewer entries than the 601"),
        ({"checkpoint": b"none"}, "cannot be verified"),
    ],
    ids=["fork", "same size", "shrunk", "no checkpoint"],
)
def test_a_log_is_refused_when_it_does_not_continue_the_one_that_was_seen(
    check: Check, tmp_path: Path, seen: Files, told: str
) -> None:
    kept = tmp_path / "seen"
    kept.write_bytes(seen["checkpoint"])

    done = check(GOOD, "-seen", str(kept))

    assert done.returncode == 1
    assert told in done.stderr
    assert kept.read_bytes() == seen["checkpoint"]


def test_usage_is_refused_when_the_prefix_is_missing(program: Path) -> None:
    assert subprocess.run([str(program)], capture_output=True, check=False).returncode == 2
