"""The checker of logs that is written in Go, built where Go is found."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "tools/logcheck"
USUAL = "/usr/local/go/bin/go"
UNREACHED = ("dial tcp", "proxyconnect", "no such host", "i/o timeout", "connection refused")


def logcheck(folder: Path) -> Path:
    """Build ``tools/logcheck``. Skip the test, with the reason, where that cannot be done here."""
    go = shutil.which("go") or (USUAL if Path(USUAL).exists() else None)
    if go is None:
        pytest.skip("Go is not found")
    made = folder / "logcheck"
    done = subprocess.run(
        [go, "build", "-mod=readonly", "-o", str(made), "."],
        cwd=SOURCE,
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "requires go >=" in done.stderr:
        pytest.skip("Go is older than tools/logcheck needs")
    if any(word in done.stderr for word in UNREACHED):
        pytest.skip("the Go module proxy cannot be reached")
    assert done.returncode == 0, done.stderr
    return made
