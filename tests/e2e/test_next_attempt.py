"""A change of one fact changes the next attempt of a transfer on its way: parked after a failure, or held.

Each row of the tables is one fact. The assertions are always the same: the second decision rests on the rules named,
nothing was sent, and an auditor who repeats all decisions from the sealed log finds no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import law as laws
from chalicelib.core import ids
from chalicelib.core.law.bases import BasisKind
from chalicelib.core.law.decision import VERDICTS
from chalicelib.core.law.loader import load_law
from chalicelib.core.tenant.consents import ConsentSettings, WithdrawalSettings
from chalicelib.core.tenant.records import Basis, Contract, Retry
from chalicelib.core.tenant.switches import SwitchSettings
from chalicelib.flow.ask import decisions, read
from chalicelib.flow.declare import bases, consents, switches
from chalicelib.flow.seal_requests import notify_sealer
from tests.support.given_consents import request
from tests.support.logs import verified
from tests.support.world import CLASSES, World, world

DAY = timedelta(days=1)
UNTIL = "2026-11-21"
"""The day after that on which the world begins."""


@dataclass(frozen=True)
class Change:
    """One fact that changes while a delivery waits.

    Args:
        before: additional declarations, before anything is sent; ``then`` happens while it waits.
        rules: the rules of the second decision; ``verdict`` is its verdict.
    """

    verdict: str
    rules: list[str]
    then: Callable[[World], object]
    before: Callable[[World], object] = lambda cell: None
    declared: dict[str, Any] = field(default_factory=dict)


def basis(cell: World, kind: str, **more: Any) -> None:
    values = {"valid_from": "2026-01-01", "evidence": "sha256:" + "00" * 32, "created_at": cell.clock} | more
    made = Basis.model_validate({"id": ids.sortable("bas", cell.clock, b"certificate"), "kind": kind, **values})
    cell.runtime.config.insert(cell.tenant, made)


def must_hold_certificate(cell: World) -> None:
    row = cell.runtime.config.tenant(cell.tenant)
    required = row.record.model_copy(update={"requires": (BasisKind.CRYPTO_CERTIFICATE,)})
    cell.runtime.config.replace_tenant(required, row.version)
    basis(cell, "crypto-certificate", valid_until=UNTIL)


def without(cell: World, kind: str) -> None:
    (found,) = [r.record.id for r in cell.runtime.config.list(cell.tenant, "bas") if r.record.kind == kind]
    cell.runtime.config.delete(cell.tenant, found)


def consented(cell: World) -> None:
    """The one ground is the person's consent."""
    without(cell, "contract")
    cell.post(9, text="first", chat=100)
    cell.settle()
    (subject,) = next(e["receipt"]["subjects"] for e in cell.of_kind("decided") if e["receipt"]["channel"] != "waybill")
    settings = {
        "subject": subject, "recipient": cell.recipient, "purposes": ("message_routing", "customer_support"),
        "classes": CLASSES, "countries": ("DE",), "given_at": cell.clock - DAY, "method": "web_form",
        "notice_sha256": "ab" * 32, "separate_document": True,
    }  # fmt: skip
    consents.give(request(cell), ConsentSettings.model_validate(settings))


def consent_withdrawn(cell: World) -> None:
    (given,) = cell.runtime.consents.list(cell.tenant, "", 2)
    consents.withdraw(request(cell), given.id, WithdrawalSettings(method="message"))


def basis_withdrawn(cell: World) -> None:
    (found,) = [r.record.id for r in cell.runtime.config.list(cell.tenant, "bas") if r.record.kind == "instruction"]
    bases.withdraw_basis(request(cell), found)


def a_day_passes(cell: World) -> None:
    cell.clock += DAY


def moved_abroad(cell: World) -> None:
    cell.change(cell.recipient, entity_country="US", processing_countries=("US",))


def switched_off(cell: World) -> None:
    switches.throw(request(cell), SwitchSettings(scope="country", value="DE", reason="under review"))


BOUNDARY = f"""
[[rule]]
id = "ANY.from-tomorrow"
title = "An act of tomorrow"
title_ru = "Завтрашний закон"
ref = "an act of tomorrow, art. 1"
effective_from = {UNTIL}
effective_to = "open"
source = "written for this test"
checked_on = 2026-11-20
confidence = "verified"
settled = true
kind = "forbid"
when = {{delivers = true}}
effect = "deny"
"""


def an_act_of_tomorrow(cell: World) -> None:
    """The law has a rule that is in force from tomorrow on."""
    texts = laws.texts()
    cell.runtime.law = load_law({**texts, "any.toml": texts["any.toml"] + BOUNDARY})


CHANGES: dict[str, Change] = {
    "a certificate expires": Change("held", ["ANY.evidence"], a_day_passes, must_hold_certificate),
    "a consent is withdrawn": Change("held", ["ANY.basis"], consent_withdrawn, consented),
    "a contract ends": Change(
        "held", ["ANY.contract"], a_day_passes,
        declared={"contract": Contract(id="dpa", sha256="00" * 32, valid_from="2026-01-01", valid_until=UNTIL)},
    ),
    "a basis is withdrawn": Change("held", ["ANY.instruction"], basis_withdrawn),
    "a law comes into force": Change("refused", ["ANY.from-tomorrow"], a_day_passes, an_act_of_tomorrow),
    "the recipient moves abroad": Change("held", ["EU.44"], moved_abroad),
    "a switch is thrown": Change("refused", ["TENANT.switch"], switched_off),
}  # fmt: skip
"""The changes; those that refuse also change held transfers."""


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made


def connect(cell: World, change: Change, **recipient: Any) -> None:
    retry = {"retry": Retry(delays_s=(5, 3600, 3600))}
    cell.connect(recipient={**change.declared, **recipient}, destination=retry)
    change.before(cell)


def newest(cell: World) -> dict[str, Any]:
    return max(cell.of_kind("decided"), key=lambda e: (str(e["at"]), e["cause"] != "received"))


def asked(cell: World) -> dict[str, Any]:
    """The API's forecast for the newest event's next attempt."""
    route = cell.runtime.config.get(cell.tenant, cell.route).record
    return decisions.explain_route(request(cell), read.content(request(cell), newest(cell)["event"]), route)


def assert_follows(cell: World, change: Change, cause: str, told: dict[str, Any]) -> None:
    """The decision in force is the change's and was foretold, and the log follows from law, configuration and facts."""
    last = newest(cell)
    assert (VERDICTS[told["decision"]], told["deciding"]) == (change.verdict, change.rules)
    assert (
        {"switch": told["switch"]}.items() <= last["facts"].items()
        if "switch" in told
        else "switch" not in last["facts"]
    )
    assert (last["cause"], last["routes"][0]["decision"]) == (cause, change.verdict)
    assert [r["id"] for r in last["routes"][0]["rules"]] == change.rules
    cell.clock += timedelta(minutes=10)
    notify_sealer(cell.runtime)
    cell.seal()
    report = verified(cell)
    assert (report.code, report.faults) == (0, ())
    assert report.told["decisions"]["not_redecided"] == {}


@pytest.mark.parametrize("name", CHANGES)
def test_the_next_attempt_is_not_made_when_one_fact_has_changed(cell: World, name: str) -> None:
    change = CHANGES[name]
    connect(cell, change)
    cell.receiver.answer = lambda _: (503, {})
    cell.post(1)
    cell.run(timedelta(minutes=2))
    tried = len(cell.of_kind("attempted"))
    assert tried >= 2
    cell.receiver.answer = lambda _: (204, {})

    change.then(cell)
    told = asked(cell)
    cell.run(timedelta(hours=2), every=timedelta(minutes=5))

    assert cell.receiver.texts() == []
    assert len(cell.of_kind("attempted")) == tried
    assert_follows(cell, change, "rechecked", told)


@pytest.mark.parametrize("name", [n for n, c in CHANGES.items() if c.verdict == "refused"])
def test_what_is_held_is_refused_when_one_fact_has_changed(cell: World, name: str) -> None:
    change = CHANGES[name]
    connect(cell, change, onward=None)
    cell.post(1)
    cell.run(timedelta(minutes=2))
    assert [e["routes"][0]["decision"] for e in cell.of_kind("decided")] == ["held"]

    change.then(cell)
    told = asked(cell)
    cell.run(timedelta(hours=2), every=timedelta(minutes=5))

    assert cell.receiver.requests == []
    assert cell.of_kind("attempted") == []
    assert [row for row in cell.rows("data") if row["pk"]["S"].startswith("lane#")] == []
    assert_follows(cell, change, "rechecked", told)


def test_the_attempt_is_made_when_nothing_has_changed(cell: World) -> None:
    connect(cell, Change("allowed", [], lambda _: None))
    cell.receiver.answer = lambda _: (503, {})
    cell.post(1)
    cell.run(timedelta(minutes=2))
    cell.receiver.answer = lambda _: (204, {})

    told = asked(cell)
    cell.run(timedelta(hours=2), every=timedelta(minutes=5))

    assert cell.receiver.texts() == ["m1"]
    assert told["decision"] == "allow"
