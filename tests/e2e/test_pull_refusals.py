"""Pull links that give nothing: refused by law, over, gone, forged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.tenant.consents import ConsentSettings, WithdrawalSettings
from chalicelib.core.tenant.records import Basis
from chalicelib.flow.declare import consents
from chalicelib.flow.retention import sweep
from chalicelib.runtime import install
from chalicelib.store.restriction import Restriction
from tests.support.given_consents import NOTICE, request
from tests.support.pulls import RESTRICTED, TEXT, US, link, pull, told, views
from tests.support.switches import throw
from tests.support.world import CLASSES, World, world


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made
    install(None)


def test_a_link_is_refused_by_law_and_good_again_when_the_basis_is_there(cell: World) -> None:
    url = told(cell, recipient=US)

    refused = pull(cell, url)
    for kind in ("scc", "transfer-impact-assessment"):
        basis = Basis(
            id=ids.derived("bas", kind), kind=kind, law="EU" if kind == "scc" else None, recipient=cell.recipient,
            valid_from="2026-01-01", evidence="sha256:" + "00" * 32, signed_on="2026-01-01", unmodified=True,
            created_at=cell.clock,
        )  # fmt: skip
        cell.runtime.config.insert(cell.tenant, basis)
    allowed = pull(cell, url)

    assert (refused.status, refused.json["code"]) == (451, "refused_by_law")
    assert [r["id"] for r in refused.json["rules"]] == ["EU.44"]
    assert refused.json["missing"] == [f"basis:EU.44:{cell.recipient}"]
    assert TEXT not in refused.text
    assert allowed.status == 200, allowed.text
    assert len(views(cell)) == 1


def test_a_link_is_refused_when_a_switch_is_thrown_and_good_again_without_it(cell: World) -> None:
    url = told(cell)
    switch = throw(cell, "recipient", cell.recipient)

    refused = pull(cell, url)
    cell.runtime.config.delete(cell.tenant, switch.id)

    assert (refused.status, [r["id"] for r in refused.json["rules"]]) == (451, ["TENANT.switch"])
    assert "canary reason" not in refused.text
    assert pull(cell, url).status == 200


def test_a_link_is_refused_when_the_consent_that_it_rests_on_is_withdrawn(cell: World) -> None:
    cell.connect(route=RESTRICTED)
    for row in list(cell.runtime.config.list(cell.tenant, "bas")):
        if row.record.kind == "contract":
            cell.runtime.config.delete(cell.tenant, row.record.id)
    cell.post(1)
    cell.settle()
    settings = ConsentSettings.model_validate(
        {
            "subject": next(s for e in cell.of_kind("decided") for s in e["receipt"]["subjects"]), "recipient": cell.recipient,
            "purposes": ("message_routing", "customer_support"), "classes": CLASSES, "countries": ("DE",),
            "given_at": cell.clock - timedelta(days=1), "method": "web_form", "notice_sha256": NOTICE,
            "separate_document": True,
        }
    )  # fmt: skip
    given = consents.give(request(cell), settings)
    cell.run(timedelta(minutes=3))
    url = link(cell)
    withdrawn = consents.withdraw(request(cell), given.id, WithdrawalSettings(method="message"))
    cell.clock += timedelta(minutes=1)

    refused = pull(cell, url)
    consents.give(request(cell), settings)

    assert withdrawn.withdrawal is not None
    assert (refused.status, refused.json["missing"]) == (451, ["basis:ANY.processing-ground"])
    assert pull(cell, url).status == 200


def test_a_link_is_over_when_its_hours_are(cell: World) -> None:
    url = told(cell, route={**RESTRICTED, "pull_hours": 2})

    cell.clock += timedelta(minutes=119)
    in_time = told_again(cell)
    cell.clock += timedelta(minutes=1)

    over = pull(cell, url)
    assert (over.status, over.json["code"]) == (410, "link_expired")
    assert pull(cell, in_time).status == 200


def told_again(cell: World) -> str:
    cell.post(2)
    cell.settle()
    return link(cell)


def _erased(cell: World) -> None:
    row = cell.runtime.data.event(cell.tenant, cell.of_kind("decided")[0]["event"], cell.clock)
    assert row is not None
    cell.runtime.data.erase_content(row.key)


def _sealed(cell: World) -> None:
    row = cell.runtime.data.event(cell.tenant, cell.of_kind("decided")[0]["event"], cell.clock)
    assert row is not None
    rule = {"id": "IN.8.logs", "verdict": "refused", "ref": "DPDP Rules r. 6"}
    assert cell.runtime.lifetimes.restrict(
        row, Restriction(cell.clock + timedelta(days=365), "subject_request", (rule,))
    )


def _expired(cell: World) -> None:
    cell.clock += timedelta(days=1)


def _without_route(cell: World) -> None:
    cell.runtime.config.delete(cell.tenant, cell.route)


def _replicating(cell: World) -> None:
    cell.change(cell.route, mode="replicate", pull_hours=None)


def _of_another_recipient(cell: World) -> None:
    cell.change(cell.destination, recipient=ids.derived("rcp", "another"))


def _disabled(cell: World) -> None:
    cell.change(cell.destination, enabled=False)


@pytest.mark.parametrize(
    "end", [_erased, _sealed, _expired, _without_route, _replicating, _of_another_recipient, _disabled]
)
def test_a_link_leads_nowhere_when_what_it_led_to_is_gone(cell: World, end: Any) -> None:
    url = told(cell, days=1, route={**RESTRICTED, "pull_hours": 72})

    end(cell)

    gone = pull(cell, url)
    assert (gone.status, gone.json["code"]) == (410, "gone")
    assert views(cell) == []


def test_a_link_is_as_good_as_before_when_its_destination_is_enabled_again(cell: World) -> None:
    url = told(cell)
    _disabled(cell)
    while_disabled = pull(cell, url)
    cell.change(cell.destination, enabled=True)

    assert (while_disabled.status, pull(cell, url).status) == (410, 200)


def test_nobody_learns_whose_a_link_was_when_it_is_forged_another_tenants_or_a_closed_ones(cell: World) -> None:
    url = told(cell)
    first, row = cell.tenant, cell.runtime.config.tenant(cell.tenant)
    base, _, token = url.partition("/pull/")
    cell.connect(route=RESTRICTED)
    another = cell.tenant.removeprefix("tnt_") + token[26:]
    unknown = "0" * 26 + token[26:]
    swapped = token[:26] + "z" * 26 + token[52:]
    altered = token[:-1] + ("1" if token[-1] == "0" else "0")

    answers = [pull(cell, f"{base}/pull/{text}") for text in (another, unknown, swapped, altered, "x", "%00")]
    closed = row.record.model_copy(update={"state": "closed"})
    cell.runtime.config.replace_tenant(closed, row.version)
    answers.append(pull(cell, url))
    sweep.handle(cell.runtime)
    cell.runtime.config._snapshots.clear()
    answers.append(pull(cell, url))

    assert {(a.status, a.text) for a in answers} == {(404, answers[0].text)}
    assert first not in answers[0].text
