"""List a cell's dead letters, or have them sent again, with the operator's key."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .report.asking import Cell, NotAnswered, opened

DONE: Final = 0
SOME_STAY: Final = 1
NOT_ANSWERED: Final = 2
WRONG: Final = 3
ASK_EVERY_S: Final = 5.0


def listed(url: str, key_file: Path, tenant: str | None, thing: str | None) -> int:
    """Print the dead letters of one tenant, or of all. Return the exit code."""

    def run(cell: Cell) -> int:
        tenants = [tenant] if tenant is not None else [one["id"] for one in _pages(cell, "/v1/tenants")]
        for one in tenants:
            for letter in _pages(cell, f"/v1/tenants/{one}/dead-letters"):
                about = letter["transfer"] or letter["event"] or "-"
                if thing in (None, about):
                    print(f"{letter['parked_at']}  {one}  {letter['queue']:7}{about}")
        return DONE

    return _with(url, key_file, time.sleep, run)


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

    return _with(url, key_file, sleep, run)


def _with(url: str, key_file: Path, sleep: Callable[[float], None], run: Callable[[Cell], int]) -> int:
    try:
        cell = opened(url, key_file, sleep)
    except NotAnswered as fault:
        _say(str(fault))
        return WRONG
    try:
        return run(cell)
    except NotAnswered as fault:
        _say(str(fault))
        return NOT_ANSWERED


def _pages(cell: Cell, path: str) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = cell.json(path, {"cursor": cursor} if cursor else None)
        yield from page["data"]
        cursor = page["next"]
        if cursor is None:
            return


def _say(line: str) -> None:
    print(f"waybill redrive: {line}", file=sys.stderr, flush=True)
