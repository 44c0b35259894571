"""A tenant that closed: its end disturbs no other tenant's, survives crashes, and stops all its work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.flow.declare import connect
from chalicelib.flow.request import Request
from chalicelib.flow.retention import sweep
from tests.support import deaths
from tests.support.counted import Crash
from tests.support.logs import act, append, assert_whole, let_seal
from tests.support.world import World, world

HOUR = timedelta(hours=1)


def close(w: World) -> str:
    """Close the tenant, as the operator does."""
    row = w.runtime.config.tenant(w.tenant)
    w.runtime.config.replace_tenant(row.record.model_copy(update={"state": "closed"}), row.version)
    return w.tenant


def swept(w: World, hours: int) -> None:
    """Run the hourly clock; a process that dies is replaced the next hour."""
    for _ in range(hours):
        w.clock += HOUR
        try:
            sweep.handle(w.runtime)
        except Crash:
            w.crashes += 1
            w.restart()
        w.seal()


def _closed_beside_another(crash_at: int | None) -> list[str]:
    """Erase one tenant while another's notice is lost. Return the effects of the run that erases."""
    with world() as w:
        w.connect()
        gone = close(w)
        w.connect()
        append(w, act(w, 1), tell_too=False)
        w.restart()
        w.effects.clear()
        w.crash_at = crash_at
        swept(w, 1)
        effects, w.crash_at = list(w.effects), None

        swept(w, 47)
        let_seal(w)

        assert list(w.runtime.config.tenants()) == [w.tenant], effects[-1]
        assert [row for row in w.rows("config") if row["pk"]["S"] == gone] == []
        assert len(assert_whole(w)) == 1
        return effects


@deaths.in_parts
def test_the_sweep_goes_on_for_all_others_when_it_died_while_it_erased_one(part: int) -> None:
    effects = _closed_beside_another(None)

    for effect in deaths.at(range(1, len(effects) + 1), 8, part, always=range(len(effects) - 3, len(effects) + 1)):
        _closed_beside_another(effect)


def test_the_others_have_their_turn_when_one_tenant_cannot_be_erased() -> None:
    with world() as w:
        w.connect()
        gone = close(w)
        w.connect()
        append(w, act(w, 1), tell_too=False)
        w.restart()
        real = w.runtime.consents.erase

        def failing(tenant: str) -> None:
            raise Unavailable("down")

        w.runtime.consents.erase = failing  # type: ignore[method-assign]
        for _ in range(48):
            w.clock += HOUR
            with pytest.raises(Unavailable):
                sweep.handle(w.runtime)
            w.seal()
        let_seal(w)
        assert len(assert_whole(w)) == 1

        w.runtime.consents.erase = real  # type: ignore[method-assign]
        sweep.handle(w.runtime)

        assert gone not in w.runtime.config.tenants()


def _waits_for_a_closed_tenant(crash_at: int | None) -> list[str]:
    """Let two lanes wait while their tenant closes. Return the effects of the work that ends them."""
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        for number in range(4):
            w.post(number, chat=number % 2)
        w.run(timedelta(minutes=1))
        close(w)
        swept(w, 1)
        let_seal(w)
        w.effects.clear()
        w.crash_at = crash_at

        w.run(3 * HOUR)
        effects, w.crash_at = list(w.effects), None
        let_seal(w)

        ends = sorted(e["object"]["id"] for e in w.of_kind("expired"))
        assert ends == sorted(r["transfer"] for e in w.of_kind("decided") for r in e["routes"])
        assert [row for row in w.rows("data") if "due_at" in row] == []
        assert_whole(w)
        return effects


@deaths.in_parts
def test_all_that_waits_is_ended_and_sealed_when_its_tenant_is_erased(part: int) -> None:
    effects = _waits_for_a_closed_tenant(None)

    untold = [number for number, name in enumerate(effects, 1) if name == "seal-requests.send"]
    for effect in deaths.at(range(1, len(effects) + 1), 8, part, always=untold):
        _waits_for_a_closed_tenant(effect)


def _delete(w: World) -> None:
    row, keys = w.runtime.config.tenant(w.tenant), w.runtime.config.keys_of(w.tenant)
    key = ("key", "key_" + "0" * 26)
    w.runtime.config.delete(w.tenant, w.route)
    request = Request(w.runtime, row.record, row.version, keys, key, None, w.clock, "req_" + "0" * 26, b"seed")
    connect.delete_destination(request, w.destination)


def _close(w: World) -> None:
    close(w)
    sweep.handle(w.runtime)


@pytest.mark.parametrize("end", [_delete, _close])
def test_nobody_looks_any_further_when_a_destination_that_was_down_is_no_more(end: Callable[[World], None]) -> None:
    with world() as w:
        w.connect()
        w.receiver.answer = lambda _: (503, {})
        for number in range(15):
            w.post(number, chat=number)
        w.run(timedelta(minutes=20))
        opened = w.runtime.destination_state.get(w.tenant, w.destination).state.opened_at
        asked = len(w.receiver.requests)

        end(w)
        w.run(HOUR)  # a lane tried in the twentieth minute may be due 36 minutes later: the third wait, and a fifth

        assert opened is not None
        assert len(w.receiver.requests) == asked
        assert [row for row in w.rows("data") if "due_at" in row] == []
