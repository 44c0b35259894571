"""Content that a law demands to be kept for longer than the tenant says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core import times
from chalicelib.core.errors import RefusedByLaw
from chalicelib.core.tenant.legal_holds import HoldActive
from chalicelib.core.tenant.records import Retention
from chalicelib.flow.ask import read
from chalicelib.flow.jobs import replay
from chalicelib.flow.retention import erase, legal_holds
from tests.support.retained import (
    DAY,
    HOUR,
    abroad,
    asked,
    connected,
    events,
    held,
    people,
    subject,
    swept,
)
from tests.support.world import START

UNTIL = datetime(2027, 5, 19, 21, 0, tzinfo=UTC)
"""Midnight in Moscow, six months after ``START``'s day."""


def test_content_is_kept_as_long_as_the_law_demands_when_the_tenant_says_less() -> None:
    with abroad() as cell:
        entry = connected(cell)

        swept(cell, START + 20 * DAY)
        kept = len(events(cell))
        swept(cell, UNTIL - HOUR)
        still = len(events(cell))
        swept(cell, UNTIL + 2 * DAY)

        assert entry["expires_at"] == times.text(UNTIL)
        assert (kept, still) == (1, 1)
        assert events(cell) == []
        assert people(cell) == set()


def test_an_ordinary_tenant_of_the_same_country_keeps_as_long_as_it_says() -> None:
    with abroad() as cell:
        entry = connected(cell, tenant_class="general")

        assert entry["expires_at"] == times.text(START + 2 * DAY)


def test_a_transfer_that_waits_for_a_ground_expires_while_its_content_is_kept() -> None:
    with abroad() as cell:
        connected(cell)

        cell.run(timedelta(hours=74), every=HOUR)
        swept(cell, START + 10 * DAY)

        (end,) = cell.of_kind("expired")
        assert end["reason"] == "hold_expired"
        assert len(events(cell)) == 1


def test_content_is_sealed_until_the_minimum_is_over_when_its_erasure_is_asked_for() -> None:
    with abroad() as cell:
        entry = connected(cell, retention=Retention(default_days=365))
        event = entry["event"]

        refusals = []
        for call in (
            lambda: erase.erase(asked(cell), event, "subject_request"),
            lambda: erase.erase(asked(cell, 2), event, "unlawful"),
            lambda: read.content(asked(cell), event),
        ):
            with pytest.raises(RefusedByLaw) as refusal:
                call()
            refusals.append(refusal.value)
        sealed = events(cell)
        swept(cell, UNTIL + 2 * DAY)

        assert {(r.until, r.rules[0]["id"]) for r in refusals} == {(UNTIL, "RU.ORI.content")}
        assert "body" in sealed[0]
        assert events(cell) == []
        (act,) = cell.of_kind("restricted")
        assert (act["event"], act["reason"], act["subject"]) == (event, "subject_request", subject(entry))
        assert people(cell) == set()


def test_what_waits_ends_when_content_is_sealed() -> None:
    with abroad() as cell:
        entry = connected(cell)
        with pytest.raises(RefusedByLaw):
            erase.erase(asked(cell), entry["event"], "subject_request")

        cell.run(timedelta(hours=80), every=HOUR)

        (end,) = cell.of_kind("erased")
        assert end["object"] == {"kind": "transfer", "id": entry["routes"][0]["transfer"]}
        (transfer,) = read.transfers_of(asked(cell), read.row_of(asked(cell), entry["event"]))
        assert transfer.outcome == "erased"
        assert cell.receiver.requests == []


def test_a_replay_ends_when_content_is_sealed_before_it_is_decided() -> None:
    with abroad() as cell:
        entry = connected(cell)
        cell.run(timedelta(hours=74), every=HOUR)

        def sealed(name: str) -> None:
            """Erase the content as soon as the replay, which has read it, appends."""
            cell.failing = lambda name: None
            with pytest.raises(RefusedByLaw):
                erase.erase(asked(cell), entry["event"], "subject_request")

        cell.failing = lambda name: sealed(name) if name.startswith("before") else None
        new = replay.again(
            cell.runtime, cell.tenant, entry["routes"][0]["transfer"], ("key", "k"), cell.clock, "controller_request"
        )
        cell.run(timedelta(hours=80), every=HOUR)

        (end,) = cell.of_kind("erased")
        assert end["object"] == {"kind": "transfer", "id": new.id}
        transfers = read.transfers_of(asked(cell), read.row_of(asked(cell), entry["event"]))
        assert {t.id: t.outcome for t in transfers}[new.id] == "erased"


def test_a_hold_comes_before_a_minimum() -> None:
    with abroad() as cell:
        entry = connected(cell)
        with pytest.raises(RefusedByLaw):
            erase.erase(asked(cell), entry["event"], "subject_request")
        hold = held(cell, "conversation")

        with pytest.raises(HoldActive):
            erase.erase(asked(cell), entry["event"], "subject_request")
        swept(cell, UNTIL + 2 * DAY)
        kept = len(events(cell))
        legal_holds.release(asked(cell), hold)
        swept(cell, cell.clock + DAY)

        assert kept == 1
        assert events(cell) == []
