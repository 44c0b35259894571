"""Ask a cell for the whole way of one event, and print it line by line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .report.asking import NotAnswered, opened

SHOWN: Final = 0
NOT_ANSWERED: Final = 2
WRONG: Final = 3
_FIELDS: Final = ("transfer", "route", "destination", "decision", "attempt", "outcome", "code", "reason")


def run(url: str, key_file: Path, tenant: str | None, thing: str, message: str | None, as_json: bool) -> int:
    """Print a trace. Return the exit code.

    Args:
        tenant: the tenant, where the key is the operator's.
        thing: an event, a transfer, or a source, of which ``message`` is the platform's id.
    """
    name = {"evt": "event", "trf": "transfer", "src": "source"}.get(thing.partition("_")[0])
    if name is None or (name == "source") != (message is not None):
        _say("give evt_…, or trf_…, or src_… and the platform's id")
        return WRONG
    query = {name: thing} | ({"message": message} if message is not None else {})
    try:
        cell = opened(url, key_file)
    except NotAnswered as fault:
        _say(str(fault))
        return WRONG
    try:
        found = cell.json(f"/v1/tenants/{tenant}/trace" if tenant is not None else "/v1/trace", query)
    except NotAnswered as fault:
        _say(str(fault))
        return NOT_ANSWERED
    if as_json:
        print(json.dumps(found))
    else:
        print("\n".join(lines(found)))
    return SHOWN


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a trace: the event, its steps, its transfers."""
    expires = f", until {found['expires_at']}" if found["expires_at"] else ""
    yield f"{found['event']}  {found['channel'] or '-'} {found['kind'] or '-'}  {found['stored']}{expires}"
    for step in found["steps"]:
        told = [str(step[name]) for name in _FIELDS if step[name] is not None]
        place = f"{step['log']}/{'-' if step['index'] is None else step['index']}" if step["entry"] else ""
        yield "  ".join(filter(None, (step["at"], f"{step['what']:11}", *told, place)))
    for one in found["transfers"]:
        due = f" until {one['due_at']}" if one["due_at"] else ""
        behind = f", behind {one['behind']}" if one["behind"] else ""
        waits = f"  waits: {one['waits']}{due}{behind}" if one["waits"] else ""
        letter = "  dead letter" if one["dead_letter"] else ""
        yield f"{one['id']}  {one['outcome']}{waits}{letter}"


def _say(line: str) -> None:
    print(f"waybill trace: {line}", file=sys.stderr, flush=True)
