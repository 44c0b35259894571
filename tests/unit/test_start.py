"""A function's start: how many modules it loads, which is most of its time, and that its memory fits what it needs most.

The numbers may only sink. A new import that a function needs at its first event is worth its row here, and a line in the commit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import app
from infra.deploy import template

ROOT = Path(__file__).resolve().parents[2]
LOADED: dict[str, tuple[int, int]] = {
    "hooks": (54, 280),
    "route": (103, 280),
    "deliver": (118, 280),
    "dead_inbox": (66, 280),
    "dead_outbox": (66, 280),
    "pump": (28, 210),
    "jobs": (62, 280),
    "sweep": (114, 290),
    "collect": (55, 270),
    "seal": (54, 270),
    "app": (152, 280),
}
"""By handler: how many modules of ours a process has loaded before its first event, and how many of packages.

Versions of Python load a few modules of packages more or less, so that number is rounded up to the next ten.
"""

COUNT = """
import json, sys
import app
ours = sorted(name for name in sys.modules if name.partition(".")[0] == "chalicelib")
packages = [m for m in list(sys.modules.values()) if "site-packages" in (getattr(m, "__file__", None) or "")]
print(json.dumps([len(ours), len(packages)]))
"""


def loaded(handler: str) -> list[int]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_", "_HANDLER"))}
    run = subprocess.run(
        [sys.executable, "-c", COUNT], cwd=ROOT, env={**environment, "_HANDLER": f"app.{handler}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[int] = json.loads(run.stdout)
    return found


def test_every_function_has_its_row() -> None:
    assert LOADED.keys() == {*app.LOADED, "app"}


@pytest.mark.parametrize("handler", LOADED)
def test_a_function_loads_no_more_modules_than_before(handler: str) -> None:
    ours, packages = loaded(handler)

    assert (ours <= LOADED[handler][0], packages <= LOADED[handler][1]) == (True, True), (ours, packages)


def test_the_memory_of_a_function_fits_the_largest_batch() -> None:
    """One process does the work of three functions with the largest events; each must have twice as much."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    functions = json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]
    smallest = min(functions[name]["lambda_memory_size"] for name in ("hooks", "route", "deliver"))

    assert 50 < int(run.stdout.splitlines()[-1]) < smallest / 2
