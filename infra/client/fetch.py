"""Fetch evidence bundles from a cell with a key of scope ``audit``."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from chalicelib.core import times

from . import connection

WAIT_S = 900
"""How long a job is waited for."""
POLL_S = 2.0


class NotFetched(Exception):
    """A cell did not give a bundle. The text names the step that failed and holds no key."""


def bundles(
    url: str, key: str, after: datetime, before: datetime, folder: Path, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Path]:
    """Ask for a bundle of each log with entries in a period, and fetch the bundles into a folder.

    Raises:
        NotFetched: the cell refused, did not answer, or did not finish in time.
    """
    if not connection.is_safe(url):
        raise NotFetched("give the cell's address with https://")
    for year in range(after.year, before.year + 1):
        asked = {"mode": "selection", "log": f"{year:04d}", "after": times.text(after), "before": times.text(before)}
        status, job = _call(url, key, "POST", "/v1/audit/bundle", asked)
        if status == 404:  # nothing of that year is sealed
            continue
        job = _finished(url, key, _demand(status, job, 202, "asking for a bundle"), sleep)
        path, place = folder / f"{year:04d}.tar", str(job["url"])
        if not connection.is_safe(place):
            raise NotFetched("the bundle is at an address that is not safe to read")
        try:
            with connection.opener().open(place, timeout=60) as answer:
                path.write_bytes(answer.read())
        except (OSError, ValueError):
            raise NotFetched("the bundle could not be fetched") from None
        yield path


def _finished(url: str, key: str, job: dict[str, Any], sleep: Callable[[float], None]) -> dict[str, Any]:
    for _ in range(int(WAIT_S / POLL_S)):
        if job["state"] == "done" and job["url"]:
            return job
        if job["state"] == "failed":
            raise NotFetched("the cell could not make the bundle")
        sleep(POLL_S)
        job = _demand(*_call(url, key, "GET", f"/v1/jobs/{job['id']}"), 200, "asking for the job")
    raise NotFetched("the bundle was not made in time")


def _demand(status: int, answer: Any, wanted: int, step: str) -> dict[str, Any]:
    if status != wanted or not isinstance(answer, dict):
        raise NotFetched(f"{step} was answered {status}")
    return answer


def _call(url: str, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url.rstrip("/") + path, data=data, method=method, headers=headers)
    try:
        with connection.opener().open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, None
    except (OSError, ValueError):
        raise NotFetched("the cell does not answer") from None
