"""The runs of periodic jobs, on every engine: no process skips one, however short it lives, and no two do one at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.store.runs import JobRun, RunStore
from infra.cell.feeders import LEASE, run_if_due
from tests.support.engines import Engine
from tests.support.stores import NOW, new_id, table

HOUR = timedelta(hours=1)


@pytest.fixture
def runs(engine: Engine) -> RunStore:
    return RunStore(table(engine, "config"))


class Process:
    """A process of a cell with a clock and a job; the job may die in the middle."""

    def __init__(self, runs: RunStore) -> None:
        self.runs = runs
        self.at = NOW
        self.name = new_id("job")
        self.ran: list[datetime] = []
        self.dies = False

    def tick(self) -> None:
        cell: Any = SimpleNamespace(now=lambda: self.at)
        run_if_due(cell, self.runs, self.name, HOUR, lambda _: self._job())

    def _job(self) -> None:
        self.ran.append(self.at)
        if self.dies:
            raise KeyboardInterrupt


def test_job_runs_once_a_period_when_every_process_lives_shorter(runs: RunStore) -> None:
    one = Process(runs)
    for _ in range(12):  # twelve starts, a quarter of an hour apart
        one.tick()
        one.at += HOUR / 4

    assert one.ran == [NOW, NOW + HOUR, NOW + 2 * HOUR]


def test_job_runs_again_soon_when_its_process_died_in_it(runs: RunStore) -> None:
    one = Process(runs)
    one.dies = True
    with pytest.raises(KeyboardInterrupt):
        one.tick()
    one.dies = False

    one.at += LEASE / 2
    one.tick()
    one.at += LEASE / 2
    one.tick()

    assert one.ran == [NOW, NOW + LEASE]


def test_only_one_process_runs_a_job_when_several_ask(runs: RunStore) -> None:
    name = new_id("job")

    first = [runs.claim(name, NOW, HOUR, LEASE) for _ in range(2)]
    runs.ended(name, NOW)
    second = [runs.claim(name, NOW + HOUR, HOUR, LEASE) for _ in range(2)]

    assert (first, second) == ([True, False], [True, False])


def test_job_runs_when_the_clock_was_ahead_at_its_last_run(runs: RunStore) -> None:
    name = new_id("job")
    runs.claim(name, NOW + 100 * HOUR, HOUR, LEASE)
    runs.ended(name, NOW + 100 * HOUR)

    assert runs.claim(name, NOW, HOUR, LEASE)


def test_last_runs_are_listed(runs: RunStore) -> None:
    name = new_id("job")
    runs.claim(name, NOW, HOUR, LEASE)

    (found,) = [run for run in runs.all() if run.name == name]

    assert found == JobRun(name, int(NOW.timestamp() * 1000), 0)
