"""List a cell's dead letters, or have them sent again, with the operator's key."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .report.asking import Cell, pages, run_with

DONE: Final = 0
SOME_STAY: Final = 1
ASK_EVERY_S: Final = 5.0


def listed(url: str, key_file: Path, tenant: str | None, thing: str | None) -> int:
    """Print the dead letters of one tenant, or of all. Return the exit code."""

    def run(cell: Cell) -> int:
        tenants = [tenant] if tenant is not None else [one["id"] for one in pages(cell, "/v1/tenants")]
        for one in tenants:
            for letter in pages(cell, f"/v1/tenants/{one}/dead-letters"):
                about = letter["transfer"] or letter["event"] or "-"
                if thing in (None, about):
                    print(f"{letter['parked_at']}  {one}  {letter['queue']:7}{about}")
        return DONE

    return run_with(url, key_file, run, _say, time.sleep)


def sent(url: str, key_file: Path, asked: Mapping[str, str], sleep: Callable[[float], None] = time.sleep) -> int:
    """Have letters sent again, and print what became of them, by tenant. Return the exit code.

    Args:
        asked: the body of ``POST /v1/redrives``.
    """

    def run(cell: Cell) -> int:
        found = cell.post("/v1/redrives", json.dumps(dict(asked)).encode(), "application/json")
        while found["state"] in ("queued", "running"):
            _say(f"{found['sent']} sent again, {found['stays']} stay, {len(found['tenants'])} tenants")
            sleep(ASK_EVERY_S)
            found = cell.json(f"/v1/redrives/{found['id']}")
        for one in found["tenants"]:
            failure = f"  failed: {one['error']['detail']}" if one["error"] else ""
            print(f"{one['tenant']}  {one['sent']} sent again, {one['stays']} stay{failure}")
        return DONE if found["state"] == "done" and not found["stays"] else SOME_STAY

    return run_with(url, key_file, run, _say, sleep)


def _say(line: str) -> None:
    print(f"waybill redrive: {line}", file=sys.stderr, flush=True)
