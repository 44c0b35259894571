"""Large contents on their way: from the door through the inbox to the event's row, each under a key of its own.

1 hooks puts the object, and sends its key in the message → 2 route reads it → 3 copies it under the name of a stored event →
4 stores the row, which has the key under the person's → 5 deletes the object that arrived. A crash leaves an object whose
key is nowhere; the sweep deletes it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..core.envelope import NONCE_BYTES, TenantKeys, content_key, decrypt, encrypt
from ..core.errors import TooLarge, WaybillError
from ..runtime import Runtime
from ..store import contents
from ..store.event_rows import EventKey, EventRow, LargeContent, sealed_object_key

if TYPE_CHECKING:  # for an annotation only
    from .routed import RoutedEvent

KEY_BYTES = 32
RANDOM_BYTES = 8


def put_arriving(
    runtime: Runtime, tenant: str, keys: TenantKeys, event: str, packed: bytes, now: datetime
) -> dict[str, str]:
    """Put the whole content of an event, and return what its inbox message says about it.

    Raises:
        TooLarge: the cell has no bucket for large contents.
        Unavailable: the bucket does not answer; nothing may be sent.
    """
    if not runtime.settings.contents_bucket:
        raise TooLarge("this cell keeps no large events")
    context, own = f"{runtime.settings.region}/{event}", runtime.random(KEY_BYTES)
    name = contents.arriving(tenant, event, runtime.random(RANDOM_BYTES), now + contents.ARRIVES_FOR)
    place = f"{runtime.settings.region}/{tenant}/{event}"
    runtime.contents.put(name, encrypt(content_key(own), runtime.random(NONCE_BYTES), packed, place))
    sealed = encrypt(keys.queue, runtime.random(NONCE_BYTES), own, f"{context}/object")
    return {"object": name, "object_key": base64.b64encode(sealed).decode()}


def read_arriving(runtime: Runtime, keys: TenantKeys, order: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the key of the object that an inbox message names, and the whole content, packed.

    Raises:
        Unavailable: the bucket does not answer.
        Misconfigured: the message or the object was altered.
    """
    context = f"{runtime.settings.region}/{order['event']}/object"
    own = decrypt(keys.queue, base64.b64decode(order["object_key"]), context)
    place = f"{runtime.settings.region}/{order['tenant']}/{order['event']}"
    return own, decrypt(content_key(own), runtime.contents.get(order["object"]), place)


def keep(
    runtime: Runtime, work: RoutedEvent, key: EventKey, data_key: bytes, sealed: bytes, expires_at: datetime
) -> LargeContent:
    """Copy an object that arrived under the name of a stored event, and return what the event's row says about it.

    Args:
        key: the row's.
        data_key: that of the event's person.
        sealed: the content that the row holds.
        expires_at: the end of the event's life.

    Raises:
        Unavailable: the bucket does not answer.
    """
    assert work.object_key is not None and work.message.body is not None
    arrived = str(work.message.body["object"])
    name = contents.stored(key, arrived, expires_at)
    runtime.contents.copy(arrived, name)
    region, nonce = runtime.settings.region, runtime.random(NONCE_BYTES)
    return LargeContent(name, sealed_object_key(region, key, work.object_key, data_key, sealed, nonce))


def settle(runtime: Runtime, works: Iterable[RoutedEvent]) -> dict[str, BaseException]:
    """Delete the objects of events that were routed, except those of their stored rows. Return the faults, by message."""
    failed: dict[str, BaseException] = {}
    for work in works:
        if work.object_key is None or work.message.body is None:
            continue
        try:
            _settle(runtime, work.row, work.message.body["object"])
        except WaybillError as fault:  # a later run of the message deletes them, else the sweep
            failed[work.message.id] = fault
    return failed


def _settle(runtime: Runtime, row: EventRow | None, arrived: str) -> None:
    if row is not None and row.large is not None:
        there = runtime.data.event(row.key.tenant, row.key.event, runtime.now())
        if there is None or not there.keeps(row.large.name):
            runtime.contents.delete(row.large.name)  # the event was stored or erased before
    runtime.contents.delete(arrived)


def parked(runtime: Runtime, letter: Mapping[str, Any], ends: datetime) -> Mapping[str, Any]:
    """Keep the object of an inbox message for as long as its dead letter, and return the letter that names it.

    Raises:
        Unavailable: the bucket does not answer.
    """
    random = letter["object"].rpartition("/")[2]
    name = contents.arriving(letter["tenant"], letter["event"], bytes.fromhex(random), ends + contents.ARRIVES_FOR)
    if name != letter["object"]:
        runtime.contents.copy(letter["object"], name)
    return {**letter, "object": name}
