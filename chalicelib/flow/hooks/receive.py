"""Receive: check a webhook, and answer its platform once its events are durable at home.

1 size and type → 2 source → 3 rate and budget → 4 keys, verify, handshake, normalise → 5 seal → 6 inbox → 7 answer.
Until 6 nothing is kept; a crash before 7 makes the platform post again, and the same events get the same ids.
Events off the record skip 5 and 6, and are sent to their destinations before 7 (``off_record``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...channels import CHANNELS
from ...channels.base import BODY_MAX_BYTES, Channel, Ignored, Inbound, ReceivedRequest, Reply, receive
from ...core import ids, times
from ...core.envelope import NONCE_BYTES, encrypt
from ...core.errors import TooLarge, Unavailable, problem
from ...core.event.event import Draft
from ...observe import about, also_about, count, error
from ...runtime import Runtime
from ...store.queues import OutgoingMessage, body
from ...store.source_cache import SourceContext
from .. import source_counts, throttle
from . import platform_keys, rejections
from .choice import chosen
from .packing import pack_event
from .platform_keys import PublishedKeys

CONTENT_TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/xml",
    "text/",
    "application/octet-stream",
)
SMALL_BYTES = 16 * 1024
"""A smaller body counts for nothing: it costs little to verify, and most genuine webhooks are smaller."""
REFILL_S = 60.0
BURST_S = 2 * REFILL_S
"""A source's budget of unverified bodies: its channel's largest body in a minute, and at most twice that at once."""
GROUPS_WITHOUT_CONVERSATION = 64
JSON_PROBLEM = "application/problem+json"


def refuse(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer with a problem document."""
    return Reply(status, json.dumps(problem(status, code, detail)), {"content-type": JSON_PROBLEM, **(headers or {})})


def _inadmissible(request: Inbound) -> Reply | None:
    if request.method not in ("GET", "HEAD", "POST", "PUT"):
        return refuse(405, "method_not_allowed", "webhooks are posted", {"allow": "GET, HEAD, POST, PUT"})
    if len(request.body) > BODY_MAX_BYTES:
        return refuse(413, "too_large", "a webhook's body is at most 1 MiB, an e-mail's 4.4 MB")
    content_type = request.headers.get("content-type", "").strip().lower()
    kind = content_type.partition(";")[0].strip()
    if kind and not (kind.startswith(CONTENT_TYPES) or kind.endswith(("+json", "+xml"))):
        return refuse(415, "unsupported_type", "send JSON, a form, XML, text or bytes")
    return None


def handle(runtime: Runtime, source: str, request: Inbound) -> Reply:
    """Receive one webhook. Never raises; a fault of ours is answered 503, so that the platform posts again."""
    with about(source=source):
        try:
            return _handle(runtime, source, request)
        except Exception as fault:  # noqa: BLE001  (the door's edge: every fault is logged and answered)
            error("receive_failed", fault)
        return refuse(503, "unavailable", "not taken; post it again", {"retry-after": "5"})


def _handle(runtime: Runtime, source: str, request: Inbound) -> Reply:
    refusal = _inadmissible(request)  # 1
    door = runtime.source_cache.of(source) if ids.is_id(source, "src") else None  # 2
    if door is None or door.source.channel not in CHANNELS:
        return refusal or refuse(404, "not_found", "there is no such source: check the hook's address")
    also_about(tenant=door.tenant)
    if refusal is not None:
        return _noted(runtime, door, request, "refused", refusal)
    if not throttle.admit(runtime, source, runtime.settings.source_rate_per_s):  # 3
        limited = refuse(429, "too_many_requests", "too many webhooks for this source", {"retry-after": "1"})
        return _noted(runtime, door, request, "throttled", limited)
    channel = CHANNELS[door.source.channel]
    if len(request.body) > channel.CAPABILITIES.body_limit_bytes:
        large = refuse(413, "too_large", "a webhook's body is at most 1 MiB, an e-mail's 4.4 MB")
        return _noted(runtime, door, request, "refused", large)
    budget, wanted = f"unverified#{source}", len(request.body)
    rate_per_s = channel.CAPABILITIES.body_limit_bytes / REFILL_S
    if wanted > SMALL_BYTES and not throttle.admit(runtime, budget, rate_per_s, wanted, BURST_S):  # 3
        limited = refuse(429, "too_many_requests", "too many large webhooks without proof", {"retry-after": "60"})
        return _noted(runtime, door, request, "throttled", limited)
    published = platform_keys.of(runtime)
    received = _judged(published, channel, request, door)  # 4
    if received.verdict == "rejected":
        fresh = runtime.source_cache.fresher(source)  # its secret may be new
        if fresh is not None and fresh.secrets != door.secrets:
            door, received = fresh, _judged(published, channel, request, fresh)
    received = chosen(door.source, received)
    if received.verified and wanted > SMALL_BYTES:
        throttle.give_back(runtime, budget, wanted)
    if received.verdict == "handshake":
        published.confirm(channel, request)
    count("webhooks", channel=door.source.channel, verdict=received.verdict)
    if received.verdict != "accepted":  # route counts events, so that the way of a genuine one takes no call more
        source_counts.note(runtime, door.tenant, door.source.id, {received.verdict: 1})
    if received.verdict in ("rejected", "malformed"):
        refusal = refuse(received.reply.status, received.code or "malformed_payload", received.detail)
        return _noted(runtime, door, request, received.verdict, refusal)
    if received.verdict == "ignored":
        rejections.note(runtime, door, request, "ignored", "no_event", _why(received.ignored))
    if received.drafts:
        try:
            _keep(runtime, door, received.drafts, request.now)
        except TooLarge:
            large = refuse(413, "too_large", "an event of this webhook is larger than this cell keeps")
            return _noted(runtime, door, request, "refused", large)
        except Unavailable as fault:
            error("not_taken", fault)
            return refuse(503, "unavailable", "not taken; post it again", {"retry-after": "5"})
    return received.reply  # 7


def _judged(published: PublishedKeys, channel: Channel, request: Inbound, door: SourceContext) -> ReceivedRequest:
    secrets = [channel.Secret.model_validate(s, extra="ignore") for s in _live(door.secrets, request.now)]
    return receive(channel, request, published.complete(channel, request, secrets))


def _why(ignored: Sequence[Ignored]) -> str:
    """Say in the platform's own word and ours why the first thing of a request is no event."""
    return f"{ignored[0].native_kind}: {ignored[0].reason}"[:200] if ignored else "the request holds no event"


def _noted(runtime: Runtime, door: SourceContext, request: Inbound, verdict: str, refusal: Reply) -> Reply:
    """Remember a refusal for its tenant, and return it."""
    told = json.loads(refusal.body)
    rejections.note(runtime, door, request, verdict, told["code"], told["detail"])
    return refusal


def _live(secrets: tuple[dict[str, Any], ...], now: datetime) -> Iterator[Any]:
    for entry in secrets:
        if entry.get("until") is None or times.parse(entry["until"]) > now:
            yield entry["secret"]


def _keep(runtime: Runtime, door: SourceContext, drafts: Sequence[Draft], now: datetime) -> None:
    started_s = runtime.monotonic()
    off = _off_record(runtime, door, drafts, now) if door.intervals else ()
    if not off:
        runtime.inbox.send(list(_messages(runtime, door, drafts, now)))  # 5, 6
        return
    from . import off_record  # loads the law and the destinations, which other webhooks do not need

    kept, unkept = off_record.split(runtime, door, drafts, off, now)
    if kept:
        runtime.inbox.send(list(_messages(runtime, door, kept, now)))  # 5, 6
    if unkept:
        off_record.take(runtime, unkept, started_s)


def _off_record(runtime: Runtime, door: SourceContext, drafts: Sequence[Draft], now: datetime) -> Collection[str]:
    """Return the conversations of these drafts that are off the record now."""
    # Start-up counts here, and few tenants have such conversations.
    from ...core.tenant.intervals import is_off_record
    from ...store.people import people_key

    named = {draft.conversation.id for draft in drafts if draft.conversation.id is not None}
    scope = (door.tenant, door.keys, "conversation", door.source.channel, door.source.id)
    places = {conversation: people_key(*scope, conversation) for conversation in named}
    intervals = runtime.off_record_intervals.of_many(places.values())
    at = times.parse(times.text(now))  # as the event says when it was received
    return {c for c, place in places.items() if is_off_record(intervals.get(place, ()), at)}


def _messages(
    runtime: Runtime, door: SourceContext, drafts: Sequence[Draft], now: datetime
) -> Iterator[OutgoingMessage]:
    for draft in drafts:
        event, content, whole = pack_event(door, draft, now)
        sealed = encrypt(door.keys.queue, runtime.random(NONCE_BYTES), content, f"{runtime.settings.region}/{event}")
        large = {} if whole is None else _put(runtime, door, event, whole, now)
        yield OutgoingMessage(
            body(
                {
                    "v": 1,
                    "tenant": door.tenant,
                    "source": door.source.id,
                    "event": event,
                    "received_at": times.text(now),
                    "sealed": base64.b64encode(sealed).decode(),
                    **large,
                }
            ),
            _group(door, draft, event),
            event,
        )


def _put(runtime: Runtime, door: SourceContext, event: str, whole: bytes, now: datetime) -> dict[str, str]:
    from .. import large_contents  # loads what few webhooks need

    return large_contents.put_arriving(runtime, door.tenant, door.keys, event, whole, now)


def _group(door: SourceContext, draft: Draft, event: str) -> str:
    """Keep a conversation's events in order; without one, spread over a fixed number of groups."""
    conversation = draft.conversation.id
    if conversation is None:
        conversation = f"\0{ids.decode(event[4:8]) % GROUPS_WITHOUT_CONVERSATION}"
    return ids.keyed("cnv", door.keys.people, door.source.id, conversation)
