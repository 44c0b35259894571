"""The demo as a user runs it: it ends with a log that two programs have verified, and with a forged copy refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_log_is_verified_and_a_forged_one_refused_when_the_demo_ends() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))}

    ended = subprocess.run(
        [sys.executable, "-m", "infra.demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert "OK: the bundle is complete, in the log" in ended.stdout
    assert "NOT OK: proof bad" in ended.stdout
