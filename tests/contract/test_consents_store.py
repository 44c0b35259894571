"""The store of consents, on every engine: a person's consents are the union of all writes, and a withdrawal stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from chalicelib.core.tenant.consents import Consent, Withdrawal
from chalicelib.store.consents import ConsentStore
from tests.support.engines import Engine
from tests.support.stores import NOW, new_id, table


@pytest.fixture
def consents(engine: Engine) -> ConsentStore:
    return ConsentStore(table(engine, "config"))


def consent() -> Consent:
    return Consent(
        id=new_id("cns"), created_at=NOW, subject=new_id("sub"), recipient=new_id("rcp"), purposes=("customer_support",),
        classes=("content",), countries=("DE",), given_at=NOW, method="app", notice_sha256="0" * 64,
        separate_document=True,
    )  # fmt: skip


def withdrawal(of: Consent) -> Withdrawal:
    return Withdrawal(id=new_id("wdr"), withdraws=of.id, at=NOW + timedelta(days=1), method="app")


def test_withdrawal_stays_when_a_slow_writer_merges_the_consent_as_it_was(consents: ConsentStore) -> None:
    tenant, one = new_id("tnt"), consent()
    person = f"{tenant}#person"
    stored, new = consents.insert_row(tenant, person, one)
    assert new
    withdrawn = consents.withdraw(tenant, one, withdrawal(one))
    assert withdrawn.withdrawal is not None

    consents.merge(person, [stored])

    assert consents.of_person(person) == (withdrawn,)
    assert consents.insert(tenant, person, one) == withdrawn


def test_all_consents_of_a_person_count_when_they_are_given_at_once(consents: ConsentStore) -> None:
    tenant, given = new_id("tnt"), [consent() for _ in range(4)]
    person = f"{tenant}#person"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: consents.insert(tenant, person, one), given))

    assert {one.id for one in consents.of_person(person)} == {one.id for one in given}
    assert list(consents.list(tenant, "", 10)) == sorted(given, key=lambda one: one.id)
