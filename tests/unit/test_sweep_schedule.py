"""The sweep's rule runs every five minutes: people each time, all that is over once an hour."""

from __future__ import annotations

from typing import Any

import pytest

import app
from chalicelib.flow.retention import sweep
from faults.world import TICK


def test_all_that_is_over_ends_once_an_hour_and_people_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    monkeypatch.setattr(app, "runtime", lambda: None)
    monkeypatch.setattr(sweep, "handle", lambda _: runs.append("all"))
    monkeypatch.setattr(sweep, "handle_people", lambda _: runs.append("people"))

    for minute in range(3, 60, 5):
        event: dict[str, Any] = {**TICK, "time": f"2026-11-20T09:{minute:02d}:41Z"}
        app.sweep(event, None)

    assert runs == ["all", *["people"] * 11]
