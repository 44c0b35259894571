"""Show how a served cell does, as a table: queues, lanes, lag, last jobs and breakers. No key is needed, and no id is shown.

``/readyz`` and ``/metrics`` are pages of ``waybill serve``. Another cell shows ``/healthz`` only.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from .connection import is_safe, opener

READY: Final = 0
NOT_READY: Final = 1
NOT_ANSWERED: Final = 2
WRONG: Final = 3
TIMEOUT_S: Final = 10
ABSENT: Final = 404
CLEAR: Final = "\x1b[H\x1b[2J"
Fetch = Callable[[str], tuple[int, str]]
Samples = list[tuple[str, Mapping[str, str], float]]


def run(
    url: str,
    watch_s: float | None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Print the table, again and again if ``watch_s`` is given. Return the exit code of the last one."""
    base = url.rstrip("/")
    if not is_safe(base):
        _say("--url is an address of https, or of http on this machine")
        return WRONG
    code = READY
    try:
        while True:
            try:
                code, lines = table(lambda path: _fetch(base + path), now())
                text = "\n".join(lines)
            except OSError as fault:
                code, text = NOT_ANSWERED, f"the cell does not answer ({type(fault).__name__})"
            if watch_s is None:
                if code == NOT_ANSWERED:
                    _say(text)
                else:
                    print(text)
                return code
            print(f"{CLEAR if sys.stdout.isatty() else ''}{now():%Y-%m-%d %H:%M:%S} UTC\n{text}", flush=True)
            sleep(watch_s)
    except KeyboardInterrupt:
        return code


def table(fetch: Fetch, now: datetime) -> tuple[int, list[str]]:
    """Return the exit code and the lines.

    Raises:
        OSError: the cell does not answer.
    """
    status, body = fetch("/healthz")
    if status != 200:
        raise ConnectionError
    where = json.loads(body)
    lines = [f"cell      {where['cell']} in {where['region']} ({where['country']})"]
    status, body = fetch("/readyz")
    if status == ABSENT:
        return READY, [*lines, "no more is shown: only waybill serve has /readyz and /metrics"]
    ready = json.loads(body)
    lines.append(f"ready     {'yes' if status == 200 else 'no'}")
    lines += [f"          {part}: {why}" for part, why in ready.items() if part != "status" and why != "ok"]
    status, body = fetch("/metrics")
    if status == 200:
        lines += _measured(body, now)
    return READY if ready["status"] == "ready" else NOT_READY, lines


def _measured(text: str, now: datetime) -> Iterator[str]:
    found: Samples = [
        (s.name, s.labels, s.value) for family in text_string_to_metric_families(text) for s in family.samples
    ]

    def of(metric: str) -> list[tuple[Mapping[str, str], float]]:
        return [(labels, value) for name, labels, value in found if name == metric]

    queues: dict[str, dict[str, float]] = {}
    for labels, value in of("waybill_queue_messages"):
        queues.setdefault(labels["queue"], {})[labels["state"]] = value
    yield f"{'queue':20}{'waiting':>9}{'in hand':>9}{'delayed':>9}"
    for name, counts in queues.items():
        yield f"{name:20}" + "".join(f"{counts.get(s, 0):9.0f}" for s in ("waiting", "in_hand", "delayed"))
    lanes = ", ".join(f"{value:.0f} {labels['state']}" for labels, value in of("waybill_lanes"))
    lag = next((value for _, value in of("waybill_lane_lag_seconds")), 0.0)
    yield f"lanes     {lanes}; lag {_length(lag)}"
    yield "breakers  " + ", ".join(f"{value:.0f} {labels['state']}" for labels, value in of("waybill_breakers"))
    for labels, value in of("waybill_job_ended_timestamp_seconds"):
        ended = "has not ended yet" if value == 0 else f"ended {_length(now.timestamp() - value)} ago"
        yield f"{labels['job']:10}{ended}"


def _length(seconds: float) -> str:
    """Write a time in its largest unit."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _fetch(url: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"User-Agent": "waybill-status"})
    try:
        with opener().open(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode(errors="replace")


def _say(line: Any) -> None:
    print(f"waybill status: {line}", file=sys.stderr, flush=True)
