"""Tokens of every CRM kind: renewed once, remembered before use, and refused when they are spent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fixtures.destinations.crm import VENDORS, Vendor, answer
from tests.support.crm import Crash, Overtaken, Process, Rows, document, fault, send
from tests.support.races import tries


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.KIND)
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    with request.param().serving() as one:
        yield one


def test_expired_token_is_renewed_once_when_many_use_it(vendor: Vendor) -> None:
    rows = Rows()
    send(vendor, Process(rows), 0, app=True)
    assert vendor.renewals == 1
    vendor.access = "expired since"

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: tries(lambda: send(vendor, Process(rows), n, app=True)), range(1, 21)))

    assert vendor.renewals == 2
    assert len(vendor.messages) == 21 and len(vendor.contacts) == 1


def test_token_is_not_renewed_again_when_another_did_between_the_look_and_the_claim(vendor: Vendor) -> None:
    rows = Rows()

    other = document(sender={"id": "78", "phone": None}, conversation={"direct": False})

    def meanwhile() -> None:
        send(vendor, Process(rows), 1, app=True, event=other)

    send(vendor, Overtaken(rows, "tokens:", meanwhile), 2, app=True)

    assert vendor.renewals == 1 and len(vendor.messages) == 2


def test_new_pair_is_remembered_before_it_is_used(vendor: Vendor) -> None:
    rows = Rows()
    vendor.instead = lambda asked: None if vendor.is_renewal(asked) else answer(503)
    fault(vendor, Process(rows), app=True)

    vendor.instead = lambda asked: None
    send(vendor, Process(rows), app=True)

    assert vendor.renewals == 1


def test_credentials_are_refused_when_the_refresh_token_is_spent(vendor: Vendor) -> None:
    rows = Rows()
    vendor.refresh = "another"

    error = fault(vendor, Process(rows), app=True)

    assert (error.attempt_code, error.retryable) == ("credentials", False)
    assert rows.claims == {} and vendor.contacts == {}


def test_lost_pair_is_a_matter_for_the_tenant_when_refresh_tokens_are_good_for_one_use(vendor: Vendor) -> None:
    rows = Rows()
    with pytest.raises(Crash):
        send(vendor, Process(rows, loses_tokens=True), app=True)
    rows.now_s += 31

    if vendor.ROTATES:
        assert fault(vendor, Process(rows), app=True).attempt_code == "credentials"
    else:
        assert send(vendor, Process(rows), app=True) == "accepted"


def test_credentials_are_refused_when_a_renewed_token_does_not_work_either(vendor: Vendor) -> None:
    def refuses(asked: Any) -> Any:
        return None if vendor.is_renewal(asked) else answer(401, {"error": "expired_token"})

    vendor.instead = refuses

    assert fault(vendor, Process(Rows()), app=True).attempt_code == "credentials"
    assert vendor.renewals == 2
