"""Consents of a world's person, and the tenant's request that gives them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.tenant.consents import Consent, ConsentSettings
from chalicelib.flow.declare import consents
from chalicelib.flow.request import Request
from tests.support.world import CLASSES, World, world

NOTICE = "ab" * 32


@pytest.fixture
def cell() -> Iterator[World]:
    """A cell whose tenant has no ground of its own for processing."""
    with world() as made:
        made.connect()
        for row in list(made.runtime.config.list(made.tenant, "bas")):
            if row.record.kind == "contract":
                made.runtime.config.delete(made.tenant, row.record.id)
        yield made


def request(cell: World) -> Request:
    row, keys = cell.runtime.config.tenant(cell.tenant), cell.runtime.config.keys_of(cell.tenant)
    id = ids.sortable("req", cell.clock, cell.randomness.randbytes(11))
    seed = cell.randomness.randbytes(32)
    return Request(cell.runtime, row.record, row.version, keys, ("key", "key_" + "0" * 26), None, cell.clock, id, seed)


def subject(cell: World) -> str:
    (found,) = next(e for e in cell.of_kind("decided") if e["receipt"]["subjects"])["receipt"]["subjects"]
    return str(found)


def settings(cell: World, **changes: Any) -> ConsentSettings:
    values: dict[str, Any] = {
        "subject": subject(cell), "recipient": cell.recipient, "purposes": ("message_routing", "customer_support"),
        "classes": CLASSES, "countries": ("DE",), "given_at": cell.clock - timedelta(days=1), "method": "web_form",
        "notice_sha256": NOTICE, "separate_document": True,
    } | changes  # fmt: skip
    return ConsentSettings.model_validate(values)


def give(cell: World, **changes: Any) -> Consent:
    return consents.give(request(cell), settings(cell, **changes))
