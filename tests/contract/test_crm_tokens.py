"""Tokens of every CRM kind: renewed once, remembered before use, and refused when they are spent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.destinations.tokens import CLAIM_S
from tests.fixtures.destinations.crm import CLIENT, VENDORS, Vendor, answer
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

    assert (error.attempt_code, error.retryable) == ("credentials", True)  # it waits until the tenant mends it
    assert rows.claims == {} and vendor.contacts == {}


def test_lost_pair_is_a_matter_for_the_tenant_when_refresh_tokens_are_good_for_one_use(vendor: Vendor) -> None:
    rows = Rows()
    with pytest.raises(Crash):
        send(vendor, Process(rows, loses_tokens=True), app=True)
    rows.now_s += CLAIM_S + 1

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


OWN_NAME = f"tokens:{CLIENT['client_id']}:{CLIENT['refresh_token']}"
"""Where the release before remembers a destination's pair."""


def test_destinations_of_one_integration_share_its_pair_in_a_race_of_many_lanes(vendor: Vendor) -> None:
    destinations, tenant = [Rows(), Rows()], Rows()
    send(vendor, Process(destinations[0]), 0, app=True, integrations=Process(tenant))
    vendor.access = "expired since"

    def deliver(number: int) -> str:
        own, shared = Process(destinations[number % 2]), Process(tenant)
        return send(vendor, own, number, app=True, integrations=shared)

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(lambda n: tries(lambda: deliver(n)), range(1, 25)))

    assert vendor.renewals == 2
    assert len(vendor.messages) == 25


def test_pair_is_kept_when_the_token_endpoint_is_slower_than_an_attempt(vendor: Vendor) -> None:
    rows = Rows()

    def slow(asked: Any) -> Any:
        if vendor.is_renewal(asked):
            time.sleep(0.7)

    vendor.instead = slow

    error = fault(vendor, Process(rows), app=True, total_s=0.4)
    assert (error.attempt_code, error.retryable) == ("contended", True)
    assert send(vendor, Process(rows), app=True) == "accepted"
    assert vendor.renewals == 1


def test_lost_answer_of_a_renewal_is_survived_where_the_vendor_allows_it(vendor: Vendor) -> None:
    rows = Rows()
    send(vendor, Process(rows), 0, app=True)
    vendor.access = "expired since"
    vendor.lost = vendor.is_renewal
    assert fault(vendor, Process(rows), 1, app=True).attempt_code == "broken"
    vendor.lost = lambda asked: False

    if vendor.ROTATES:  # the old pair was used up by the renewal whose answer was lost
        assert fault(vendor, Process(rows), 2, app=True).attempt_code == "credentials"
    else:
        assert send(vendor, Process(rows), 2, app=True) == "accepted"
    assert not [name for name in rows.claims if name.startswith("tokens:")]


def test_renewal_is_tried_again_with_the_old_pair_when_it_was_not_taken(vendor: Vendor) -> None:
    rows = Rows()
    vendor.instead = lambda asked: answer(503) if vendor.is_renewal(asked) else None
    assert fault(vendor, Process(rows), app=True).attempt_code == "unavailable"

    vendor.instead = lambda asked: None

    assert send(vendor, Process(rows), app=True) == "accepted"


def test_pair_of_the_release_before_is_used_and_shared(vendor: Vendor) -> None:
    vendor.renew({**CLIENT, "grant_type": "refresh_token"})
    own, tenant = Rows(), Rows()
    own.values[OWN_NAME] = (json.dumps([vendor.access, vendor.refresh]), 1e9)

    send(vendor, Process(own), 1, app=True, integrations=Process(tenant))
    send(vendor, Process(Rows()), 2, app=True, integrations=Process(tenant))

    assert vendor.renewals == 1 and len(vendor.messages) == 2


def test_release_before_finds_the_latest_pair_after_a_rollback(vendor: Vendor) -> None:
    own, tenant = Rows(), Rows()
    send(vendor, Process(own), 1, app=True, integrations=Process(tenant))
    vendor.access = "expired since"
    send(vendor, Process(own), 2, app=True, integrations=Process(tenant))

    assert json.loads(own.values[OWN_NAME][0]) == [vendor.access, vendor.refresh]


def test_pair_that_the_release_before_has_renewed_meanwhile_is_used(vendor: Vendor) -> None:
    own, tenant = Rows(), Rows()
    send(vendor, Process(own), 1, app=True, integrations=Process(tenant))
    vendor.renew({**CLIENT, "refresh_token": vendor.refresh, "grant_type": "refresh_token"})
    own.values[OWN_NAME] = (json.dumps([vendor.access, vendor.refresh]), 1e9)

    send(vendor, Process(own), 2, app=True, integrations=Process(tenant))
    vendor.access = "expired since"
    send(vendor, Process(Rows()), 3, app=True, integrations=Process(tenant))

    # HubSpot's refresh token stays, so that the pair of the release before looks like ours.
    assert vendor.renewals == (3 if vendor.ROTATES else 4) and len(vendor.messages) == 3


def test_pair_is_never_shown_to_another_account(vendor: Vendor) -> None:
    tenant = Rows()
    send(vendor, Process(Rows()), 1, app=True, integrations=Process(tenant))

    with type(vendor)().serving() as other:
        other.access, other.refresh = "o-t-h-e-r", CLIENT["refresh_token"]
        send(other, Process(Rows()), 2, app=True, integrations=Process(tenant))

        assert (vendor.renewals, other.renewals) == (1, 1)
        assert len(other.messages) == 1
