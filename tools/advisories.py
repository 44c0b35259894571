"""Compare the pins with the published security advisories: ``python -m tools.advisories``, or ``make advisories``.

Exit 0: no advisory is known, or no advisories can be had here, which is said. Exit 1: a pin has an advisory.

An index without advisories answers as if there were none. So a release with well-known advisories is asked for first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements-cell.lock", "requirements-serve.lock", "requirements.lock")

KNOWN_BAD: Final = "urllib3==1.26.4"  # PYSEC-2021-108 and others

Audit = Callable[[Path], subprocess.CompletedProcess[str]]


def audit(lock: Path) -> subprocess.CompletedProcess[str]:
    """Run pip-audit on a file of pins."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def advisories(answer: str) -> list[str]:
    """Read pip-audit's answer: one line for each advisory of a pin.

    Raises:
        ValueError: it is not an answer of pip-audit.
    """
    found: dict[str, Any] = json.loads(answer)
    return [
        f"{package['name']} {package['version']}: {advisory['id']}, mended in {', '.join(advisory['fix_versions']) or 'no version'}"
        for package in found["dependencies"]
        for advisory in package.get("vulns", ())
    ]


def main(run: Audit = audit) -> int:
    """Report on each lock file."""
    with tempfile.TemporaryDirectory() as scratch:
        probe = Path(scratch) / "requirements.txt"
        probe.write_text(f"{KNOWN_BAD}\n", "utf-8")
        if not _found(run, probe):
            print(f"not checked: the package index here has no advisories, not even those of {KNOWN_BAD}")
            return 0
    code = 0
    for name in LOCKS:
        found = _found(run, ROOT / name)
        if found is None:
            print(f"{name}: not checked: pip-audit did not answer")
        elif found:
            print(*(f"{name}: {line}" for line in found), sep="\n")
            code = 1
        else:
            print(f"{name}: no advisory is known")
    return code


def _found(run: Audit, lock: Path) -> list[str] | None:
    """Return the advisories of a file of pins; None where pip-audit could not ask."""
    try:
        return advisories(run(lock).stdout)
    except (ValueError, KeyError, TypeError, subprocess.TimeoutExpired):
        return None


if __name__ == "__main__":
    sys.exit(main())
