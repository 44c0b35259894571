"""Where a destination is joins where its recipient says it processes; it never takes the place of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.decide.plan import recipient_of, route_facts
from chalicelib.core.tenant.configuration import Configuration
from chalicelib.core.tenant.records import Controller, Destination, Recipient, Retention, Route, Tenant

AT = datetime(2026, 3, 1, tzinfo=UTC)


def configuration(place: tuple[str, ...], declared: tuple[str, ...] | None) -> Configuration:
    recipients = {}
    if declared is not None:
        recipients["rcp_1"] = Recipient(
            id="rcp_1", created_at=AT, legal_name="CRM", contact="dpo@crm.example", entity_country="DE", role="processor",
            processing_countries=declared,
        )  # fmt: skip
    return Configuration(
        tenant=Tenant(
            id="tnt_1", name="Nord", edition="enterprise", tenant_class="general", created_at=AT,
            controller=Controller(legal_name="Nord GmbH", country="DE", contact="privacy@nord.example"),
            retention=Retention(default_days=30),
        ),
        version=1,
        recipients=recipients,
        destinations={
            "dst_1": Destination(
                id="dst_1", created_at=AT, name="queue", kind="sqs", recipient="rcp_1", place=place, external_id="wbx_1"
            )
        },
    )  # fmt: skip


ROUTE = Route(
    id="rte_1", created_at=AT, name="queue", pattern={"kind": ["message"]}, destination="dst_1", purpose="customer_support"
)  # fmt: skip


def by_facts(found: Configuration) -> Any:
    return route_facts({}, found, ROUTE)["recipient"]["processing_countries"]


def by_entry(found: Configuration) -> Any:
    recipient = recipient_of(found, found.destinations["dst_1"])
    return recipient["processing"] if recipient else []


def by_document(found: Configuration) -> Any:
    return found.document["destinations"][0]["recipient"]["processing"]


@pytest.mark.parametrize(
    ("place", "declared", "processing"),
    [
        (("US",), ("DE",), ["DE", "US"]),
        (("DE",), ("DE",), ["DE"]),
        ((), ("FR", "DE"), ["DE", "FR"]),
        (("US",), (), ["US"]),
        ((), (), []),
    ],
)
@pytest.mark.parametrize("told", [by_facts, by_entry, by_document])
def test_processing_is_declared_countries_and_place_together_wherever_it_is_told(
    told: Callable[[Configuration], Any], place: tuple[str, ...], declared: tuple[str, ...], processing: list[str]
) -> None:
    assert told(configuration(place, declared)) == processing


def test_place_is_told_when_nobody_has_declared_the_recipient() -> None:
    found = configuration(("US",), None)

    assert by_facts(found) == by_document(found) == ["US"]
    assert recipient_of(found, found.destinations["dst_1"]) is None


def test_hash_changes_when_the_place_does_and_not_when_the_external_id_does() -> None:
    here, there = configuration(("DE",), ("DE",)), configuration(("US",), ("DE",))
    renamed = configuration(("DE",), ("DE",))
    destination = renamed.destinations["dst_1"].model_copy(update={"external_id": "wbx_2"})

    same = Configuration(renamed.tenant, 1, recipients=renamed.recipients, destinations={"dst_1": destination})

    assert here.hash != there.hash
    assert here.hash == same.hash
