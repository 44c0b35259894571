"""Clients that generators make of ``/openapi.json`` compile, and run the README's first flow against a cell.

The generators have environments of their own, which ``make clients`` makes in ``build/``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import api
from chalicelib.api.openapi import document

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "tests" / "clients"
PYTHON = ROOT / "build" / "clients" / "bin"
NODE = ROOT / "build" / "clients-node"
TEXT = "Where is my parcel?"
TYPES = ["--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]


@pytest.fixture(scope="module")
def cell() -> Iterator[dict[str, Any]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))}
    command = [sys.executable, "cli.py", "local", "--pump-s", "1"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_text(json.dumps(document(api.ENDPOINTS)), "utf-8")
    return path


def output(*command: str | Path, **more: Any) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout) + str(done.stderr)


def test_python_client_has_every_operation_and_runs_the_first_flow(
    cell: dict[str, Any], description: Path, tmp_path: Path
) -> None:
    if not (PYTHON / "openapi-python-client").exists():
        pytest.skip("openapi-python-client is not installed: run make clients")
    package = tmp_path / "waybill_client"

    said = output(
        PYTHON / "openapi-python-client", "generate", "--path", description, "--config", CLIENTS / "python-client.yml",
        "--output-path", package, "--meta", "none",
    )  # fmt: skip
    made = {path.stem for path in (package / "api").glob("*/*.py")} - {"__init__"}
    ran = output(
        PYTHON / "python", CLIENTS / "first_flow.py", cell["url"], cell["operator_key"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "NO_PROXY": "127.0.0.1"},
    )  # fmt: skip

    assert "WARNING" not in said, said
    assert made == {e.operation_id for e in api.ENDPOINTS}
    output(PYTHON / "python", "-m", "compileall", "-q", package)
    assert ran.strip() == TEXT


def test_typescript_client_compiles_and_runs_the_first_flow(
    cell: dict[str, Any], description: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules" / ".bin" / "openapi-typescript").exists():
        pytest.skip("Node or openapi-typescript is not installed: run make clients")
    modules = NODE / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)
    shutil.copy(CLIENTS / "package.json", tmp_path)
    shutil.copy(CLIENTS / "first_flow.ts", tmp_path)

    output(
        modules / ".bin" / "openapi-typescript",
        description,
        "--default-non-nullable",
        "false",
        "-o",
        tmp_path / "waybill.d.ts",
    )
    output(modules / ".bin" / "tsc", *TYPES, "first_flow.ts", cwd=tmp_path)
    ran = output(node, "first_flow.js", cell["url"], cell["operator_key"], cwd=tmp_path)

    assert ran.strip() == TEXT
