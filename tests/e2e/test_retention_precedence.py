"""Legal hold, then the law's minimum, then a request to erase, then the tenant's retention: drawn cases against a slow reference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core import times
from chalicelib.core.errors import NotFound, RefusedByLaw
from chalicelib.core.tenant.legal_holds import HoldActive
from chalicelib.core.tenant.records import Retention
from chalicelib.flow.ask import read
from chalicelib.flow.retention import erase, expiry, hold_walks, legal_holds
from chalicelib.store.ttl import NET
from tests.support.retained import Abroad, abroad, asked, connected, events, expire, held
from tests.support.world import START

MINIMUM = 180.5
"""Days from ``START`` to the midnight at which the law's six months are over."""
MOMENTS = [0.5, 1.5, 2.6, 3.5, 5.5, 9.5, 100.5, 179.5, 182.5, 190.5]
"""When something may happen, in days; never within the day after a life's end, in which TTL may come."""


@dataclass(frozen=True)
class Case:
    """A tenant's retention, whether the law has a minimum for it, and the acts with their times."""

    days: int
    minimum: bool
    scope: str
    acts: tuple[tuple[float, str], ...]


ACTS = st.lists(st.tuples(st.sampled_from(MOMENTS), st.sampled_from(["erase", "hold", "release"])), max_size=5)
CASES = st.builds(
    Case,
    days=st.sampled_from([1, 2, 5, 150, 186]),
    minimum=st.booleans(),
    scope=st.sampled_from(["conversation", "subject", "period"]),
    acts=ACTS.map(lambda acts: tuple(sorted(acts))),
)


def reference(case: Case) -> list[str]:
    """The expected state of the content after each act, and in the end."""
    seen, end, holds, sealed, gone = list[str](), max(case.days, MINIMUM if case.minimum else 0), 0, False, False
    for at, act in (*case.acts, (200.0, "look")):
        gone = gone or (end <= at and holds == 0)
        alive = not gone and at < end
        if act == "hold":
            holds += alive
        elif act == "release":
            holds = max(0, holds - 1)
            gone = gone or (end <= at and holds == 0)
        elif act == "erase" and alive and holds == 0:
            if case.minimum and at < MINIMUM:
                sealed, end = True, MINIMUM
            else:
                gone = True
        seen.append("gone" if gone else "unseen" if end <= at else "sealed" if sealed else "open")
    return seen


def real(cell: Abroad, case: Case) -> list[str]:
    """The same of a cell."""
    cell.clock = START
    cell.restart()
    tenant_class = "ori" if case.minimum else "general"
    event = connected(cell, tenant_class=tenant_class, retention=Retention(default_days=case.days))["event"]
    seen, standing = list[str](), list[str]()
    period = {"after": times.text(START), "before": times.text(START + timedelta(hours=1))}
    for number, (at, act) in enumerate((*case.acts, (200.0, "look"))):
        cell.clock = START + timedelta(days=at)
        swept(cell)
        if act == "hold" and _looks(cell, event) in ("open", "sealed"):
            standing.append(held(cell, case.scope, number, **period))
        elif act == "release" and standing:
            legal_holds.release(asked(cell), standing.pop())
            swept(cell)
        elif act == "erase":
            with suppress(HoldActive, RefusedByLaw, NotFound):
                erase.erase(asked(cell, number), event, "subject_request")
        seen.append(_looks(cell, event))
    return seen


def swept(cell: Abroad) -> None:
    """Let a day pass at once for what ends content: the walks of holds, the sweep, and TTL."""
    hold_walks.work(cell.runtime, float("inf"))
    expiry.handle(cell.runtime, [cell.runtime.config.tenant(cell.tenant).record], lambda: 1.0)
    now, cell.clock = cell.clock, cell.clock + NET
    expire(cell)
    cell.clock = now


def _looks(cell: Abroad, event: str) -> str:
    if not any("body" in row for row in events(cell)):
        return "gone"
    try:
        read.content(asked(cell), event)
    except NotFound:
        return "unseen"
    except RefusedByLaw:
        return "sealed"
    return "open"


@pytest.fixture(scope="module")
def cell() -> Iterator[Abroad]:
    with abroad() as made:
        yield made


@settings(max_examples=8)
@given(case=CASES)
def test_what_is_stronger_wins_whatever_comes_in_which_order(cell: Abroad, case: Case) -> None:
    assert real(cell, case) == reference(case)
    cell.runtime.config.erase_tenant(cell.tenant)
