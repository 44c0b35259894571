"""Give an event of a webhook its id and pack its document, for the inbox and for conversations off the record."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from ...channels import CHANNELS
from ...core import ids
from ...core.envelope import pack
from ...core.errors import TooLarge
from ...core.event.event import Draft, complete
from ...core.tenant.records import Source
from ...store.source_cache import SourceContext

EVENT_LIMIT_BYTES = 200_000
"""The largest event, as JSON, that a message and a row hold whole."""
RAW_DROPPED = {"dropped": "the event was over 200 KB"}
"""Stands for the platform's own object in the shortened form of a large event."""
CUT = " […]"
"""The end of a text that is cut in the shortened form."""
TEXT_CHARACTERS = 2_000


class PackedEvent(NamedTuple):
    """An event's id and its packed document. ``whole`` is None where ``inline`` is whole; else ``inline`` is shortened."""

    id: str
    inline: bytes
    whole: bytes | None = None


def pack_event(door: SourceContext, draft: Draft, now: datetime) -> PackedEvent:
    """Give an event its id, and pack its document.

    Raises:
        TooLarge: the event is over ``CONTENT_LIMIT_BYTES``, or over ``EVENT_LIMIT_BYTES`` when shortened.
    """
    event = ids.event_id(door.keys.ids, door.source.id, draft.dedupe_id)
    document = complete(
        draft,
        channel=door.source.channel,
        received_at=now,
        id=event,
        tenant=door.tenant,
        source=door.source.id,
        keep_raw=_keeps_raw(door.source, draft, now),
    ).document()
    try:
        return PackedEvent(event, pack(document, limit=EVENT_LIMIT_BYTES))
    except TooLarge:
        return PackedEvent(event, pack(shortened(document), limit=EVENT_LIMIT_BYTES), pack(document))


def _keeps_raw(source: Source, draft: Draft, now: datetime) -> bool:
    if source.keep_raw or draft.is_raw or CHANNELS[source.channel].CAPABILITIES.keeps_raw:
        return True
    return draft.is_unread and source.debug_until is not None and now < source.debug_until


def shortened(document: dict[str, Any]) -> dict[str, Any]:
    """Return a large event without the platform's own object, and with its texts cut.

    It holds the same people and data classes, so a decision about it is the same. Lists of events show this form. The
    release before, which keeps no large content, delivers it.
    """
    short = {**document, "message": _cut(document["message"])}
    return short if "raw" not in document else {**short, "raw": RAW_DROPPED}


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cut(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cut(inner) for inner in value]
    return value[:TEXT_CHARACTERS] + CUT if isinstance(value, str) and len(value) > TEXT_CHARACTERS else value
