"""A lost seal request: the day's reconciliation finds its entries, counts them, and gets them sealed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.core.log import seal as log_seal
from chalicelib.flow.retention import sweep
from chalicelib.flow.sealing import reconcile
from chalicelib.store.seal_requests import ReconcileTask
from tests.support.logs import act, append, assert_whole, let_seal, of_log
from tests.support.world import START, World, world


def sweep_a_day(w: World) -> None:
    """Run the hourly clock for a day, and the sealer's after each hour."""
    for _ in range(24):
        w.clock += timedelta(hours=1)
        sweep.handle(w.runtime)
        w.seal()
    let_seal(w)


def counted(output: str, metric: str) -> int:
    return output.count(f'"{metric}":')


def test_a_lost_notice_is_healed_within_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(3)))
        let_seal(w)
        append(w, *(act(w, n) for n in range(3, 6)))
        w.seal_requests.lose()

        w.clock = START.replace(hour=0) + timedelta(days=1)
        sweep_a_day(w)

        assert len(assert_whole(w)) == 6
        assert counted(capsys.readouterr().out, "entries_unsealed") == 1


def test_nothing_is_told_when_all_is_sealed(capsys: pytest.CaptureFixture[str]) -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(3)))
        let_seal(w)
        before, told = of_log(w), w.seal_requests.sent

        sweep_a_day(w)

        assert (of_log(w), w.seal_requests.sent) == (before, told)
        assert counted(capsys.readouterr().out, "entries_unsealed") == 0


@pytest.mark.parametrize("back", [1, 5, 27])
def test_every_day_is_looked_at_within_four_weeks(back: int) -> None:
    with world(clock=START - timedelta(days=30)) as w:
        w.connect()
        tenant = w.runtime.config.tenant(w.tenant).record
        w.clock = START

        looked = [day for n in range(28) for day in reconcile.days(tenant, START + timedelta(days=n))]

        assert int(START.timestamp()) // 86_400 - back in looked
        assert len(list(reconcile.days(tenant, START))) <= 4


@pytest.mark.parametrize(("minutes", "waits", "late"), [(None, 29, 0), (None, 31, 1), (60, 119, 0), (60, 121, 1)])
def test_an_entry_is_late_when_it_waits_half_an_hour_or_twice_its_tenants_interval(
    minutes: int | None, waits: int, late: int
) -> None:
    with world() as w:
        w.connect()
        row = w.runtime.config.tenant(w.tenant)
        w.runtime.config.replace_tenant(row.record.model_copy(update={"seal_minutes": minutes}), row.version)
        append(w, act(w, 1, minute=START - timedelta(days=1)), tell_too=False)

        w.clock += timedelta(minutes=waits)

        assert reconcile.reconcile(w.runtime, w.runtime.config.tenant(w.tenant).record) == late


def test_each_tenant_has_one_hour_of_the_day() -> None:
    hours = [h for h in range(24) if reconcile.due("tnt_" + "0" * 26, START.replace(hour=h))]

    assert len(hours) == 1


def test_a_run_that_failed_is_made_good_by_the_next_days(capsys: pytest.CaptureFixture[str]) -> None:
    with world() as w:
        w.connect()
        append(w, act(w, 1))
        w.seal_requests.lose()
        good = w.runtime.audit.day_buckets
        calls: list[str] = []

        def once_down(tenant: str, log: str, day: int) -> list[str]:
            calls.append(tenant)
            if len(calls) == 1:
                raise Unavailable("down")
            return good(tenant, log, day)

        w.runtime.audit.day_buckets = once_down  # type: ignore[method-assign]
        w.clock = START.replace(hour=0) + timedelta(days=1)
        sweep_a_day(w)
        assert counted(capsys.readouterr().out, "reconciliations_failed") == 1

        sweep_a_day(w)

        assert len(assert_whole(w)) == 1


# How entries are compared


def _unsealed_among_sealed(w: World) -> None:
    """One entry whose request is lost, in a day of sealed ones."""
    w.connect()
    append(w, *(act(w, n) for n in range(40)))
    let_seal(w)
    append(w, act(w, 99, minute=START))
    w.seal_requests.lose()
    w.clock = START + timedelta(days=1)


def _reconciled(w: World) -> int:
    return reconcile.reconcile(w.runtime, w.runtime.config.tenant(w.tenant).record)


def test_no_entry_is_read_when_the_numbers_agree() -> None:
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(40)))
        let_seal(w)
        w.clock = START + timedelta(days=1)
        read: list[str] = []
        w.runtime.audit.partition_page = lambda *asked: read.append(asked[2])  # type: ignore[method-assign,assignment]

        assert _reconciled(w) == 0
        assert read == []


def test_only_partitions_whose_number_differs_are_read_when_an_entry_is_not_sealed() -> None:
    with world() as w:
        _unsealed_among_sealed(w)
        read: list[str] = []
        page = w.runtime.audit.partition_page

        def counted(tenant: str, log: str, name: str, after: str, limit: int) -> Any:
            read.append(name)
            return page(tenant, log, name, after, limit)

        w.runtime.audit.partition_page = counted  # type: ignore[method-assign]

        assert _reconciled(w) == 1
        assert len(read) == 1


@pytest.mark.parametrize("lost", [0, 1])
def test_entries_are_compared_one_by_one_when_seals_count_nothing(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_seal, "PARTITIONS_MAX", 0)
    with world() as w:
        _unsealed_among_sealed(w)
        if not lost:
            append(w, act(w, 99, minute=START))
            for _ in range(2):
                let_seal(w)
        w.clock = START + timedelta(days=1, hours=2)

        assert _reconciled(w) == lost


def test_sealers_do_the_rest_when_a_run_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "INLINE_S", -1)
    monkeypatch.setattr(reconcile, "SLICE", 3)
    with world() as w:
        _unsealed_among_sealed(w)

        assert _reconciled(w) == 0
        assert len(w.sealing.messages) == 1
        w.seal()
        for _ in range(2):
            let_seal(w)

        assert len(assert_whole(w)) == 41


def test_a_task_goes_on_where_it_stands_when_its_process_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "SLICE", 1)
    with world() as w:
        _unsealed_among_sealed(w)
        names = w.runtime.audit.day_buckets(w.tenant, "2026", int(START.timestamp()) // 86_400)
        task = ReconcileTask(w.tenant, "2026", int(START.timestamp()) // 86_400, w.clock, names[2], 3)

        reconcile.proceed(w.runtime, task, until=-1)

        (sent,) = w.sealing.messages
        assert ReconcileTask.from_document(json.loads(sent.body)) == replace(task, rounds=4)
        reconcile.proceed(w.runtime, replace(task, rounds=reconcile.ROUNDS_MAX), until=-1)
        assert len(w.sealing.messages) == 1
