"""A person who has written to a tenant, and a consent of theirs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from chalicelib.core import times
from tests.support.api_cell import ALL_CLASSES, Api


def person(tenant: Api) -> str:
    """Make a person write to the tenant, and return the person's ref."""
    tenant.connect()
    tenant.hook()
    entries = tenant.get("/v1/audit/entries", kind="decided").json["data"]
    (found,) = entries[-1]["entry"]["receipt"]["subjects"]
    return str(found)


def consent(tenant: Api, person: str, **changes: Any) -> dict[str, Any]:
    """Return the settings of a consent that allows the tenant's first flow."""
    return {
        "subject": person,
        "recipient": tenant.made["recipient"],
        "purposes": ["message_routing", "customer_support"],
        "classes": ALL_CLASSES,
        "countries": ["DE"],
        "given_at": times.text(tenant.clock.at - timedelta(days=1)),
        "method": "web_form",
        "notice_sha256": "cd" * 32,
        "separate_document": True,
        **changes,
    }
