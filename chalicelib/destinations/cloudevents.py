"""CloudEvents 1.0: a delivery as the event formats of ``http`` write it. Pure.

Structured: attributes and data are one JSON object. Binary: the data are the body, each attribute is a header.

Sources: https://github.com/cloudevents/spec/blob/main/cloudevents/spec.md, …/formats/json-format.md and
…/bindings/http-protocol-binding.md (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core import times
from .base import Delivery

STRUCTURED_TYPE = "application/cloudevents+json; charset=utf-8"
DATA_TYPE = "application/json"
_PLAIN = frozenset(map(chr, range(0x21, 0x7F))) - {'"', "%"}


def attributes(delivery: Delivery) -> dict[str, str | bool]:
    """Return the context attributes of a delivery, those without a value left out.

    ``id`` is the delivery's, as in ``webhook-id``: a receiver may drop what has the ``source`` and ``id`` of what it has
    seen. It is the same at each attempt, and another where one event comes by two routes, which may differ in what they
    select, or by a replay, which somebody asked for. ``waybillevent`` is the event's, whatever brings it.
    """
    source = f"/waybill/{delivery.channel}" + (f"/{delivery.source_id}" if delivery.source_id else "")
    found: dict[str, str | bool | None] = {
        "specversion": "1.0",
        "id": delivery.delivery_id,
        "source": source,
        "type": f"waybill.{delivery.kind}",
        "time": times.text(delivery.occurred_at),
        "subject": delivery.conversation,
        "datacontenttype": DATA_TYPE,
        "waybillevent": delivery.event_id,
        "waybilltransfer": delivery.transfer_id,
        "waybilltest": delivery.test or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def structured(data: Any, delivery: Delivery) -> dict[str, Any]:
    """Return attributes and data as the JSON event format has them."""
    return {**attributes(delivery), "data": data}


def headers(delivery: Delivery) -> Mapping[str, str]:
    """Return the attributes as headers: all but ``datacontenttype``, which is ``Content-Type``."""
    found = attributes(delivery)
    del found["datacontenttype"]
    return {f"ce-{name}": _encoded("true" if value is True else str(value)) for name, value in found.items()}


def _encoded(value: str) -> str:
    """Percent-encode what a header's value may not hold: spaces, quotes, percent signs, all that is not visible ASCII."""
    return "".join(
        character if character in _PLAIN else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in value
    )
