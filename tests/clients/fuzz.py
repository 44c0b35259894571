"""Fuzz a cell's API by its description: ``fuzz.py MINUTES [PHASES [SEED]]``, run by the project's Python.

It starts a cell, and runs schemathesis from ``build/clients`` as a tenant and then as the operator. Exit code 1: the API
failed, answered what it does not describe, or refused what its schema allows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "clients"
OPERATORS = "^/v1/(tenants|redrives)"
CALLS_PLATFORM = "^/v1/sources/[^/]+/subscribe$"
"""Calls a platform, which a test must not. Its own tests have stand-ins."""
ASKED = {
    "tenant": ("--exclude-path-regex", f"{OPERATORS}|{CALLS_PLATFORM}"),
    "operator": ("--include-path-regex", OPERATORS),
}
TENANT = {
    "name": "Nord",
    "edition": "enterprise",
    "tenant_class": "general",
    "retention": {"default_days": 30},
    "controller": {"legal_name": "Nord GmbH", "country": "DE", "contact": "privacy@nord.example"},
}


def tenant_key(url: str, operator_key: str) -> str:
    """Make a tenant; return its key."""
    headers = {"Authorization": f"Bearer {operator_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/tenants", json.dumps(TENANT).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["key"]["secret"])


def fuzzed(url: str, key: str, seconds: int, chosen: tuple[str, ...], paths: tuple[str, ...]) -> int:
    """Run schemathesis with one key; return its exit code."""
    command = [
        str(ROOT / "build" / "clients" / "bin" / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}", *paths,
        *chosen, "--max-time", str(seconds), "--wait-for-schema", "120",
        "--request-timeout", "60", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "looser", "PYTHONPATH": str(HERE), "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, env=environment, check=False).returncode


def main(minutes: str, phases: str = "examples,coverage,fuzzing", seed: str | None = None) -> int:
    """Fuzz a fresh cell with both keys for so many minutes together. Without a seed, schemathesis chooses one."""
    chosen = ("--phases", phases, *(() if seed is None else ("--seed", seed)))
    environment = {**os.environ, "WAYBILL_KEY_RATE_PER_S": "10000"}
    command = [sys.executable, "cli.py", "local"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as cell:
        assert cell.stdout is not None
        try:
            ready = json.loads(cell.stdout.readline())
            url, operator_key = ready["url"], ready["operator_key"]
            keys = {"tenant": tenant_key(url, operator_key), "operator": operator_key}
            seconds = int(float(minutes) * 60 / len(keys))
            return max(fuzzed(url, keys[who], seconds, chosen, paths) for who, paths in ASKED.items())
        finally:
            cell.terminate()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
