"""A lost seal request: the day's reconciliation finds its entries, counts them, and gets them sealed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.flow.retention import sweep
from chalicelib.flow.sealing import reconcile
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
