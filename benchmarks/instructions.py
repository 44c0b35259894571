"""Our own CPU an event as instructions, counted by callgrind: the same within a hundredth on a busy machine.

A child process under valgrind warms a cell over dicts (``warm``), and then counts whole batches, from webhook to delivery.
The dicts that stand in for AWS count too: some hundredths. Without valgrind the group has no rows.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from simulation import memory

from . import warm
from .results import Result

BUDGET = 5_000_000
ROOT = Path(__file__).resolve().parent.parent
_SUMMARY = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def counted(batches: int, out: Path) -> float:
    """Return the instructions of an event.

    Args:
        out: a folder for what callgrind writes.

    Raises:
        RuntimeError: the child or valgrind failed.
    """
    command = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}/callgrind.out",
        sys.executable, "-m", "benchmarks.instructions", str(batches),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        assert child.stdin is not None and child.stdout is not None
        for switch in ("on", "off"):
            if child.stdout.readline() != "now\n":
                raise RuntimeError("the child of the benchmark ended too early")
            subprocess.run(["callgrind_control", f"--instr={switch}", str(child.pid)], check=True, capture_output=True)
            child.stdin.write("\n")
            child.stdin.flush()
    found = sum(int(n) for path in out.iterdir() for n in _SUMMARY.findall(path.read_text("latin-1"))[-1:])
    if not found:
        raise RuntimeError("callgrind counted nothing")
    return found / (batches * warm.BATCH)


def run(quick: bool = False) -> list[Result]:
    """Measure, where valgrind is found."""
    if shutil.which("valgrind") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        found = counted(2 if quick else 10, Path(folder))
    return [Result("own instructions: receive, route and deliver", found / 1e6, "million/event", BUDGET / 1e6)]


def main(batches: int) -> None:
    """Run batches between the two moments at which the parent switches the counting on and off."""
    cell = warm.Warm(memory.Memory(warm.REGION).client)
    handled = io.StringIO()
    with warm.answering():
        for number in (3, batches):
            with contextlib.redirect_stdout(handled):
                for _ in range(number):
                    cell.batch()
            print("now", flush=True)
            sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]))
