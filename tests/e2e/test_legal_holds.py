"""Legal holds over the whole cell: the content that they keep, the acts that they stop, and the end at their release."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.errors import NotFound
from chalicelib.core.tenant.legal_holds import LegalHoldSettings
from chalicelib.flow.ask import read
from chalicelib.flow.jobs import worker
from chalicelib.flow.retention import erase, legal_holds, sweep
from infra.cell import engines
from tests.support.logs import assert_whole, let_seal
from tests.support.retained import (
    DAY,
    HOUR,
    asked,
    cell,
    decided,
    events,
    expire,
    held,
    people,
    subject,
    swept,
    turned,
)
from tests.support.roles import Watched, refused
from tests.support.world import START, World

__all__ = ["cell"]


@pytest.mark.parametrize("scope", ["conversation", "subject", "period"])
def test_held_content_outlives_its_life_unseen_until_the_hold_is_released(cell: World, scope: str) -> None:
    cell.connect(days=2)
    cell.post(1, chat=1, text="held")
    cell.settle()
    cell.clock += HOUR
    period: dict[str, Any] = {"after": times.text(START), "before": times.text(cell.clock)}
    hold = held(cell, scope, **period)
    cell.post(2, chat=2, text="free")
    cell.settle()

    swept(cell, START + 5 * DAY)
    (kept,) = events(cell)
    with pytest.raises(NotFound):
        read.content(asked(cell), kept["pk"]["S"].partition("#")[2])
    legal_holds.release(asked(cell), hold)
    swept(cell, cell.clock + DAY)

    assert "body" in kept
    assert "ttl" not in kept
    assert events(cell) == []
    assert people(cell) == set()
    assert [r for r in cell.rows("data") if r["sk"]["S"].startswith("hld_")] == []
    assert [r for r in cell.rows("people") if "look_at" in r] == []


def test_content_stays_when_one_of_two_holds_is_released(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    first = held(cell, "conversation")
    second = legal_holds.place(
        asked(cell, 2),
        LegalHoldSettings.model_validate(
            {"scope": "subject", "value": subject(decided(cell)[0]), "authority_ref": "file 8"}
        ),
    ).id
    swept(cell, START + 3 * DAY)

    legal_holds.release(asked(cell), first)
    swept(cell, START + 4 * DAY)
    between = events(cell)
    legal_holds.release(asked(cell), second)
    swept(cell, START + 5 * DAY)

    assert first != second
    assert len(between) == 1
    assert events(cell) == []


def test_a_hold_keeps_what_comes_in_under_it(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    held(cell, "conversation")
    cell.clock += DAY
    cell.post(2)
    cell.settle()

    swept(cell, START + 4 * DAY)

    assert len(events(cell)) == 2


def test_a_hold_prolongs_no_delivery(cell: World) -> None:
    cell.connect(days=1)
    cell.receiver.answer = lambda _: (503, {})
    cell.post(1)
    cell.settle()
    held(cell, "conversation")

    cell.run(timedelta(hours=30), every=HOUR)
    cell.receiver.answer = lambda _: (204, {})
    cell.run(timedelta(hours=30), every=HOUR)

    assert cell.receiver.texts() == []
    assert len(events(cell)) == 1


def test_a_closed_tenant_is_not_erased_while_a_hold_stands(cell: World) -> None:
    cell.connect(days=2)
    cell.post(1)
    cell.settle()
    hold = held(cell, "conversation")
    row = cell.runtime.config.tenant(cell.tenant)  # closed by an operator who did not see the hold in time
    cell.runtime.config.replace_tenant(row.record.model_copy(update={"state": "closed"}), row.version)

    sweep.handle(cell.runtime)
    standing = cell.runtime.config.tenant(cell.tenant).record.state
    legal_holds.release(asked(cell), hold)
    for _ in range(2):  # first the content that the hold has kept
        turned(cell)
        cell.clock += HOUR
    turned(cell)

    assert standing == "closed"
    with pytest.raises(NotFound):
        cell.runtime.config.tenant(cell.tenant)
    assert [r for r in cell.rows("data") if "#walks" in r["pk"]["S"]] == []


def _kept_and_released(cell: Watched) -> None:
    """All that the sweep does to events and people, and all that the API does for it."""
    cell.connect(days=2)
    for chat in (1, 2):
        cell.post(chat, chat=chat)
    cell.settle()
    cell.acting("sweep", lambda: sweep.handle(cell.runtime))
    holds: list[str] = []
    cell.acting("api", lambda: holds.append(held(cell, "conversation")))
    event = decided(cell)[1]["event"]
    cell.acting("api", lambda: erase.erase(asked(cell), event, "unlawful"))
    for hours in range(2, 80, 6):
        cell.clock = START + hours * HOUR
        cell.acting("jobs", lambda: worker.handle(cell.runtime))
        cell.acting("sweep", lambda: sweep.handle(cell.runtime))
        expire(cell)
    cell.acting("api", lambda: legal_holds.release(asked(cell), holds[0]))
    for hours in range(80, 110, 6):
        cell.clock = START + hours * HOUR
        cell.acting("jobs", lambda: worker.handle(cell.runtime))
        cell.acting("sweep", lambda: sweep.handle(cell.runtime))
    assert (events(cell), people(cell)) == ([], set())


def test_every_call_of_a_sweep_is_allowed_by_its_role() -> None:
    with engines.moto() as engine:
        cell = Watched()
        cell.start(engine)
        try:
            _kept_and_released(cell)
        finally:
            cell.close()

    assert refused(cell) == []
    assert {role for role, *_ in cell.calls} >= {"api", "jobs", "sweep"}


def test_the_log_verifies_when_people_have_ended_and_holds_came_and_went(cell: World) -> None:
    cell.connect(days=2)
    for chat in (1, 2):
        cell.post(chat, chat=chat)
    cell.settle()
    hold = held(cell, "subject")
    swept(cell, START + 3 * DAY)
    legal_holds.release(asked(cell), hold)
    swept(cell, START + 4 * DAY)

    let_seal(cell)

    told = {(e["kind"], (e.get("object") or {}).get("kind")) for e in assert_whole(cell)}
    assert {("held", "hold"), ("released", "hold"), ("expired", None)} <= told
