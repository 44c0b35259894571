"""Try a destination: send an example of ours through its own form and its own connection, and say what came of it.

It is no transfer: no event, no person's data, nothing that a decision could be about. Hence it has no entry in the log,
which tells of acts on data and of changes; it changes nothing either, so that an answer of 410 disables nothing.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from ...core import times
from ...core.delivery import retry
from ...core.errors import DeliveryError
from ...core.event.event import Conversation, Event, EventKind, Message
from ...core.ids import derived
from ...destinations import of_kind
from ..clients import clients_of
from ..rendering import delivery_of, render
from ..request import Request
from .connect import config_of

TEXT = "This is a test of Waybill. It carries nobody's data."
NATIVE_KIND = "waybill.test"
_STATUS = re.compile(r"http_(\d{3})\Z")


def example(event_id: str, tenant_id: str, now: datetime) -> dict[str, Any]:
    """Return the example event: of kind ``system``, of channel ``waybill``, and marked with ``test`` in its first level."""
    event = Event(
        id=event_id,
        tenant=tenant_id,
        channel="waybill",
        kind=EventKind.SYSTEM,
        native_kind=NATIVE_KIND,
        dedupe_id=event_id,
        occurred_at=now,
        received_at=now,
        conversation=Conversation(),
        message=Message(text=TEXT),
    )
    return {**event.document(), "test": True}


def attempt(request: Request, destination_id: str) -> dict[str, Any]:
    """Send the example to a destination once, whether it is enabled or not, and return what came of it.

    What the destination answered is its owner's to see, cut at 4 KiB. It is in this answer and nowhere else.

    Raises:
        NotFound: there is no such destination.
    """
    row = request.runtime.config.get(request.tenant.id, destination_id)
    now = request.runtime.now()
    document = example(request.new_id("evt"), request.tenant.id, now)
    clients = clients_of(request.runtime, request.tenant.id, request.keys, row.record)
    status, response, detail = None, b"", None
    started = request.runtime.monotonic()
    try:
        delivery = delivery_of(
            row.record,
            config_of(request, row),
            document,
            now,
            delivery_id=request.new_id("dlv"),
            transfer_id=request.new_id("trf"),
            event_id=document["id"],
            tenant_id=request.tenant.id,
            conversation=derived("cnv", "test", destination_id),  # the same each time: a CRM gets one contact of it
            test=True,
        )
        request = render(row.record, None, document, delivery)
        receipt = of_kind(row.record.kind).send(request, clients)
        code, status, response = receipt.code, receipt.status, receipt.response
    except DeliveryError as fault:
        code, response = fault.attempt_code, fault.response or b""
        detail = fault.detail if fault.detail != code else None
    named = _STATUS.match(code)
    return {
        "outcome": retry.CODES[code].value,
        "code": code,
        "status": int(named[1]) if status is None and named else status,
        "took_ms": int((request.runtime.monotonic() - started) * 1000),
        "response": response.decode("utf-8", "replace"),
        "detail": detail,
        "at": times.text(now),
    }
