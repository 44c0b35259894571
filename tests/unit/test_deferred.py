"""The API's function loads a use case when a request needs it, and each of them then works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import json, sys, types
import app
flow = {n: m for n, m in sys.modules.items() if n.startswith("chalicelib.flow.")}
plain = lambda: sorted(n for n, m in flow.items() if type(m) is types.ModuleType and not hasattr(m, "__path__"))
before, packages = plain(), sum(type(m) is types.ModuleType and hasattr(m, "__path__") for m in flow.values())
docs = [m.__doc__ for m in flow.values()]
print(json.dumps({"named": len(flow) - packages, "before": before, "after": len(plain()), "docs": all(docs)}))
"""
NEEDED = ["chalicelib.flow.pagination", "chalicelib.flow.request", "chalicelib.flow.seal_requests"]
"""Modules whose names the API's own modules are made with."""


def started(handler: str) -> dict[str, Any]:
    environment = {**os.environ, "_HANDLER": handler, "WAYBILL_CELL": "x", "AWS_DEFAULT_REGION": "eu-central-1"}
    ran = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return started("app.app")


def test_no_use_case_is_loaded_before_the_first_request(api: dict[str, Any]) -> None:
    assert api["before"] == NEEDED


def test_every_use_case_is_whole_when_it_is_used(api: dict[str, Any]) -> None:
    assert api["named"] > 20
    assert (api["after"], api["docs"]) == (api["named"], True)


def test_only_the_apis_function_defers() -> None:
    found = started("app.sweep")

    assert "chalicelib.flow.retention.sweep" in found["before"]
    assert len(found["before"]) == found["named"]
