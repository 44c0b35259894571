"""The demo as a user runs it: it ends with a log that two programs have verified, and with a forged copy refused."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.demo.situations import SITUATIONS
from tests.support.golang import logcheck

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo says. Its logs are followed by the checker in Go where Go is found."""
    followed: list[str] = []
    with contextlib.suppress(pytest.skip.Exception):
        followed = ["--logcheck", str(logcheck(tmp_path_factory.mktemp("logcheck")))]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))}

    ended = subprocess.run(
        [sys.executable, "-m", "infra.demo", *followed],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_log_is_verified_and_a_forged_one_refused_when_the_demo_ends(told: str) -> None:
    assert "OK: the bundle is complete, in the log" in told
    assert "NOT OK: proof bad" in told


def test_the_log_is_followed_by_a_checker_in_go(told: str, tmp_path: Path) -> None:
    logcheck(tmp_path)  # skips where there is no Go

    checked = re.findall(r": 2 tiles: ([0-9]+) tiles and ([0-9]+) entries are the signed ones", told)
    grown = re.findall(r": 3 consistency: the log continues the ([0-9]+) entries that were seen", told)
    tenants = len(SITUATIONS)
    assert len(checked) == 2 * tenants
    assert [entries for _, entries in checked[:tenants]] == grown
    assert all(int(later) > int(earlier) for (_, later), earlier in zip(checked[tenants:], grown, strict=True))
