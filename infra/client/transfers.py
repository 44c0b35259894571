"""List the transfers of a destination that ended badly, or have them replayed, with a tenant's key."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .report.asking import NOT_ANSWERED, Cell, pages, run_with

DONE: Final = 0
SOME_STAY: Final = 1
OUTCOMES: Final = ("rejected", "gave_up", "refused", "expired")
ASK_EVERY_S: Final = 2.0


@dataclass(frozen=True)
class Asked:
    """The transfers that are asked for: a destination, an outcome, and times of receipt."""

    destination: str
    outcome: str
    after: str | None = None
    before: str | None = None

    @property
    def times(self) -> dict[str, str]:
        """The times that were given."""
        given = {"after": self.after, "before": self.before}
        return {name: value for name, value in given.items() if value is not None}


def listed(url: str, key_file: Path, asked: Asked, *, as_json: bool) -> int:
    """Print the transfers that a replay would take up, and count them by attempt code. Return the exit code."""

    def run(cell: Cell) -> int:
        query = {"destination": asked.destination, "outcome": asked.outcome, **asked.times}
        codes: Counter[str] = Counter()
        for one in pages(cell, "/v1/transfers", query):
            if one["replayed_by"] is None:
                codes[_code(one)] += 1
                print(json.dumps(one) if as_json else _line(one))
        _say(f"{codes.total()} to replay" + "".join(f", {count} of {code}" for code, count in codes.most_common()))
        return DONE

    return run_with(url, key_file, run, _say, time.sleep)


def replayed(
    url: str, key_file: Path, asked: Asked, *, as_json: bool, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Have the transfers replayed, wait for the end of the job, and print its counts. Return the exit code."""

    def run(cell: Cell) -> int:
        body = json.dumps({"outcome": asked.outcome, **asked.times}).encode()
        job = cell.post(f"/v1/destinations/{asked.destination}/replay", body, "application/json")
        while job["state"] in ("queued", "running"):
            _say(f"{job['id']}: {job['progress']['done']} events read, {job['summary']['replayed']} replayed")
            sleep(ASK_EVERY_S)
            job = cell.json(f"/v1/jobs/{job['id']}")
        made = job["summary"]
        skipped = sum(made["skipped"].values())
        if as_json:
            print(json.dumps(job))
        else:
            counts = f"{made['replayed']} replayed, {made['held']} held, {made['refused']} refused, {skipped} skipped"
            print(f"{job['id']}  {job['state']}  {counts}")
        if job["state"] != "done":
            return NOT_ANSWERED
        return SOME_STAY if made["held"] + made["refused"] + skipped else DONE

    return run_with(url, key_file, run, _say, sleep)


def _line(one: dict[str, Any]) -> str:
    return f"{one['created_at']}  {one['id']}  {one['event']}  {one['outcome']}  {_code(one)}"


def _code(one: dict[str, Any]) -> str:
    return str(one["attempts"][-1]["code"]) if one["attempts"] else "-"


def _say(line: str) -> None:
    print(f"waybill transfers: {line}", file=sys.stderr, flush=True)
