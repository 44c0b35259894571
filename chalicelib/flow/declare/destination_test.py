"""Test a destination: send an example event through its own format and connection, and return the result.

A test is no transfer: it holds no person's data, so there is nothing to decide. It has no entry in the log, which records
acts on data and changes. It changes nothing either: an answer of 410 disables nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ...core import times
from ...core.delivery import retry
from ...core.errors import DeliveryError
from ...core.event.event import Conversation, Event, EventKind, Message
from ...core.ids import derived
from ...destinations import of_kind
from ...destinations.base import secrets_in
from ..clients import clients_of
from ..pacing import limits_of
from ..rendering import delivery_of, render
from ..request import Request
from .connect import config_of

TEXT = "This is a test of Waybill. It carries nobody's data."
NATIVE_KIND = "waybill.test"
BLOTTED = "[secret]"
_NOTES = {
    "answer_late": "the rest of the answer did not arrive in time; the status counts",
    "answer_cut": "the answer was cut after its status; the status counts",
    "answer_invalid": "the answer cannot be read after its status; the status counts",
}
"""What was wrong with the answer of a destination that took the delivery."""
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
    """Send the example to a destination once, enabled or not, and return the result.

    The result shows the destination's answer to its owner, cut at 4 KiB. The answer is kept nowhere else. A secret of the
    configuration that the answer repeats is blotted out: its owner may not read it.

    Raises:
        NotFound: there is no such destination.
    """
    row = request.runtime.config.get(request.tenant.id, destination_id)
    now = request.runtime.now()
    document = example(request.new_id("evt"), request.tenant.id, now)
    status, response, detail = None, b"", None
    secrets: list[str] = []
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
        secrets = [secret.get_secret_value() for secret in secrets_in(delivery.config).values()]
        limits = limits_of(request.tenant.id, request.keys, row.record.kind, delivery.config)
        clients = clients_of(request.runtime, request.tenant.id, request.keys, row.record, limits)
        rendered = render(row.record, None, document, delivery)
        receipt = of_kind(row.record.kind).send(rendered, clients)
        code, status, response = receipt.code, receipt.status, receipt.response
        detail = _NOTES.get(receipt.note or "")
    except DeliveryError as fault:
        code, response = fault.attempt_code, fault.response or b""
        detail = fault.detail if fault.detail != code else None
    named = _STATUS.match(code)
    return {
        "outcome": retry.CODES[code].value,
        "code": code,
        "status": int(named[1]) if status is None and named else status,
        "took_ms": int((request.runtime.monotonic() - started) * 1000),
        "response": _without(secrets, response.decode("utf-8", "replace")),
        "detail": detail,
        "at": times.text(now),
    }


def _without(secrets: Iterable[str], answer: str) -> str:
    for secret in secrets:
        for spelled in (secret, json.dumps(secret)[1:-1]):
            answer = answer.replace(spelled, BLOTTED)
    return answer
