"""Both walk-throughs work as they stand, the README's and the long one: their blocks run one after the other in one bash."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


SHORT, LONG = "README.md", "docs/first-messenger.md"
HANGS_S = 600
"""When a walk-through is given up. It takes seconds; a busy machine takes minutes."""


def blocks(page: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    walk = text.partition("<!-- walk-through -->")[2].partition("<!-- /walk-through -->")[0]
    return re.findall(r"```bash\n(.*?)```", walk, re.DOTALL)


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def for_this_machine(block: str, port: str) -> str:
    """Take the running interpreter and free ports, so that several runs can share a machine."""
    replaced = {
        "make run": f"exec {sys.executable} {ROOT / 'cli.py'} local",
        ".venv/bin/python": sys.executable,
        "9000": port,
    }
    return re.sub("|".join(map(re.escape, replaced)), lambda found: replaced[found.group()], block)


def run(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(script, timeout=HANGS_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        pytest.fail("the walk-through did not come to its end")
    return subprocess.CompletedProcess([], process.returncode, output)


def documents(output: str) -> list[Any]:
    """Return the JSON documents that the walk-through shows, in order."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := output.find("{", at)) >= 0:
        document, at = decoder.raw_decode(output, at)
        found.append(document)
    return found


def walk(page: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.skip("the walk-through needs bash and curl")
    port = free_port()
    cleaned = "trap 'kill ${LISTENER:-} ${CELL:-} 2>/dev/null || true' EXIT\n"
    return run(folder, cleaned + "\n".join(for_this_machine(b, port) for b in blocks(page)))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return walk(LONG, tmp_path_factory.mktemp("walk"))


def test_every_step_succeeds_when_the_walk_through_is_pasted(walked: subprocess.CompletedProcess[str]) -> None:
    assert walked.returncode == 0, f"the walk-through stopped after {len(walked.stdout.splitlines())} lines of output"
    assert "verified: waybill.message Where is my parcel?" in walked.stdout.splitlines()


def test_walk_through_shows_what_the_page_says(walked: subprocess.CompletedProcess[str]) -> None:
    *bases, preflight, transfers, entries = documents(walked.stdout)

    assert [b["kind"] for b in bases] == ["instruction", "contract"]
    assert [line["ready"] for line in preflight["data"]] == [True]
    (transfer,) = transfers["data"]
    assert (transfer["decision"], transfer["outcome"]) == ("allowed", "delivered")
    assert {r["id"] for r in transfer["rules"]} == {"ANY.basis", "ANY.contract", "ANY.instruction"}
    assert [e["entry"]["kind"] for e in entries["data"]][:2] == ["decided", "attempted"]


def test_short_walk_through_ends_with_the_event(tmp_path: Path) -> None:
    walked = walk(SHORT, tmp_path)

    assert walked.returncode == 0, f"the walk-through stopped after {len(walked.stdout.splitlines())} lines of output"
    (events,) = documents(walked.stdout)
    assert [(e["kind"], e["channel"], e["message"]["text"]) for e in events["data"]] == [
        ("message", "telegram", "Where is my parcel?")
    ]


def test_every_step_has_a_block_that_can_be_pasted() -> None:
    assert len(blocks(LONG)) >= 10
    assert len(blocks(SHORT)) >= 5
