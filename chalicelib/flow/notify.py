"""Publish an operational event to a tenant: an event like any other, which the tenant's routes deliver.

An operational event causes no other: problems of its delivery are published with the next ordinary event. So one cause
goes through deliver → inbox → route → outbox → deliver once. Lambda stops a function at the seventeenth invocation by one
cause.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html (read 2026-11-22).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ..core import ids, times
from ..core.envelope import NONCE_BYTES, encrypt, pack
from ..core.event.event import OPERATIONAL, Conversation, Draft, EventKind, complete
from ..core.tenant import operational
from ..observe import count
from ..runtime import Runtime
from ..store.queues import OutgoingMessage, body


def notify(
    runtime: Runtime,
    tenant: str,
    type: str,
    data: Mapping[str, Any],
    once: str,
    about: str | None = None,
    *,
    wanted: bool = False,
) -> None:
    """Queue an operational event, as ``receive`` does with a webhook's. Publishing the same twice publishes it once.

    Args:
        type: the event's ``native_kind``, such as ``destination.opened``.
        data: the content, without anything about a person; the event's ``raw``.
        once: identifies this occurrence among all others.
        about: the id of the record that it is about; events about one record stay in order.
        wanted: only where a route of the tenant takes it.

    Raises:
        NotFound: the tenant is closed.
        Unavailable: it is not sent; publishing it again does no harm.
    """
    snapshot = runtime.config.snapshot(tenant, fresh=False)
    keys = snapshot.keys
    source, now = operational.source_id(tenant), runtime.now()
    event = ids.event_id(keys.ids, source, f"{type}\n{once}")
    # Without a time of its own, an event's entries are filed under the minute in which it was first seen, however often it
    # is told.
    draft = Draft(
        kind=EventKind.SYSTEM,
        native_kind=type,
        dedupe_id=event,
        conversation=Conversation(id=about, direct=False),
        raw=dict(data),
    )
    whole = complete(draft, channel=OPERATIONAL, received_at=now, id=event, tenant=tenant, source=source, keep_raw=True)
    document = whole.document()
    if wanted and not snapshot.configuration.index.match(document):
        return
    sealed = encrypt(keys.queue, runtime.random(NONCE_BYTES), pack(document), f"{runtime.settings.region}/{event}")
    values = {
        "v": 1,
        "tenant": tenant,
        "source": source,
        "event": event,
        "received_at": times.text(now),
        "sealed": base64.b64encode(sealed).decode(),
    }
    group = ids.keyed("cnv", keys.people, source, about or type)
    runtime.inbox.send([OutgoingMessage(body(values), group, event)])
    count("operational_events", type=type)
