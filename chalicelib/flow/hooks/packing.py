"""Give an event of a webhook its id and pack its document, for the inbox and for conversations off the record."""

from __future__ import annotations

from datetime import datetime

from ...channels import CHANNELS
from ...core import ids
from ...core.envelope import pack
from ...core.errors import TooLarge
from ...core.event.event import Draft, complete
from ...store.source_cache import SourceContext

EVENT_LIMIT_BYTES = 200_000
RAW_DROPPED = {"dropped": "the event was over 200 KB"}
"""Stands in the place of the platform's own object where the event is too large with it."""


def pack_event(door: SourceContext, draft: Draft, now: datetime) -> tuple[str, bytes]:
    """Return an event's id and its packed document.

    Raises:
        TooLarge: the event is over the limit even without the platform's own object.
    """
    event = ids.event_id(door.keys.ids, door.source.id, draft.dedupe_id)
    keeps_raw = door.source.keep_raw or CHANNELS[door.source.channel].CAPABILITIES.keeps_raw

    def document_of(draft: Draft) -> bytes:
        whole = complete(
            draft,
            channel=door.source.channel,
            received_at=now,
            id=event,
            tenant=door.tenant,
            source=door.source.id,
            keep_raw=keeps_raw,
        )
        return pack(whole.document(), limit=EVENT_LIMIT_BYTES)

    try:
        return event, document_of(draft)
    except TooLarge:
        if not keeps_raw:
            raise
        return event, document_of(draft.model_copy(update={"raw": RAW_DROPPED}))
