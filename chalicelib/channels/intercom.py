"""Intercom webhooks: one notification a request, signed with the application's client secret.

Sources (read 2026-12-01):
Source: https://developers.intercom.com/docs/webhooks/setting-up-webhooks,
https://developers.intercom.com/docs/webhooks/webhook-notifications,
https://developers.intercom.com/docs/references/2.17/webhooks/webhook-models and
https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/models/conversation_source.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..core.errors import NotGenuine
from ..core.event.event import (
    AlternativeId,
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    FormField,
    Message,
    Sender,
)
from ..core.event.messengers import messenger_named
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, integer, items, mapping, occurrence, optional_id, parse_json, same, seconds, text, word
from .mail_html import plain_text

KIND = "intercom"
CAPABILITIES = ChannelCapabilities(answer_within_s=5, unsubscribes_after_h=7 * 24)
HEADER = "x-hub-signature"
OURS = frozenset({"admin", "bot", "team"})
"""The types of an author who speaks for our account."""
NOTES = frozenset({"note", "note_and_reopen"})
"""The types of a part that only agents see."""
MESSENGERS: Mapping[str, str] = {"conversation": "web", "phone_call": "voice"}
"""From Intercom's word for where a conversation began, where it is another word."""
TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}
"""From the first half of a media type; every other one is a file."""
_HTML = re.compile(r"\s*<[a-zA-Z]")

Item = Draft | Ignored


class Secret(base.Secret):
    """The client secret of the application in Intercom's Developer Hub."""

    client_secret: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Check the HMAC-SHA1 over the raw body. The HEAD request that tries the address is not signed and holds nothing.

    Raises:
        NotGenuine: the signature is missing or wrong.
    """
    if _is_probe(request):
        return
    expected = "sha1=" + hmac.digest(secret.client_secret.encode(), request.body, "sha1").hex()
    if not same(request.headers.get(HEADER), expected):
        raise NotGenuine("the signature is missing or wrong")


def _is_probe(request: Inbound) -> bool:
    return request.method == "HEAD" and not request.body


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer the HEAD request with which Intercom tries the address."""
    return Reply() if _is_probe(request) else None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


class _NotificationPayload(NamedTuple):
    topic: str
    own_id: str | None
    document: Json
    item: Json


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events. A part's id names its message, the notification's id everything else."""
    document = parse_json(request.body)
    item = mapping(mapping(document.get("data")).get("item"))
    notification = _NotificationPayload(word(document.get("topic")), optional_id(document.get("id")), document, item)
    topic = notification.topic
    if topic in TOPICS:
        yield from TOPICS[topic](notification)
    elif topic.startswith(("conversation.", "conversation_part.")):
        yield from _changed(notification)
    elif topic.startswith("ticket."):
        yield _about(notification, EventKind.SYSTEM, optional_id(mapping(item.get("ticket")).get("id")))
    else:
        yield Ignored(topic, "not about a conversation", raw=item)


# --- messages


def _parts(item: Json) -> list[Json]:
    if item.get("type") == "conversation_part":
        return [item]
    return items(mapping(item.get("conversation_parts")).get("conversation_parts"))


def _begun(notification: _NotificationPayload) -> Iterator[Item]:
    item = notification.item
    own_id = optional_id(item.get("id"))
    source = mapping(item.get("source")) or mapping(item.get("conversation_message"))
    yield _message(notification, source, occurrence(own_id, "source"), item.get("created_at"))
    yield from _said(notification)


def _replied(notification: _NotificationPayload) -> Iterator[Item]:
    said = list(_said(notification))
    yield from said or [_message(notification, {}, "", None)]


def _said(notification: _NotificationPayload) -> Iterator[Item]:
    for part in _parts(notification.item):
        kind = word(part.get("part_type"))
        if kind in NOTES:
            yield Ignored(f"{notification.topic}.{kind}", "a note among agents", raw=part)
        elif part.get("body") or part.get("attachments") or kind in ("comment", "unknown"):
            yield _message(notification, part, occurrence(optional_id(part.get("id"))), part.get("created_at"))


def _message(notification: _NotificationPayload, part: Json, dedupe_id: str, created_at: Any) -> Draft:
    body = text(part.get("body"))
    is_html = body is not None and _HTML.match(body) is not None
    chosen = mapping(part.get("metadata")).get("quick_reply_option_uuid")
    return Draft(
        kind=EventKind.MESSAGE,
        native_kind=notification.topic,
        dedupe_id=dedupe_id,
        messenger=_messenger(notification.item),
        occurred_at=seconds(created_at) or seconds(notification.document.get("created_at")),
        conversation=_conversation(notification.item),
        sender=_sender(mapping(part.get("author"))),
        message=Message(
            id=optional_id(part.get("id")),
            text=(plain_text(body) or None) if is_html and body else body,
            payload=text(chosen),
            attachments=(
                *(_pictures(body) if is_html and body else ()),
                *map(_attachment, items(part.get("attachments"))),
            ),
        ),
        raw=part or notification.item,
    )


def _conversation(item: Json) -> Conversation:
    about = item.get("conversation_id") if item.get("type") == "conversation_part" else item.get("id")
    subject = text(mapping(item.get("source")).get("subject")) or text(item.get("title"))
    title = plain_text(subject) if subject and _HTML.match(subject) else subject
    return Conversation(id=optional_id(about), title=title or None)


def _messenger(item: Json) -> str | None:
    name = text(mapping(item.get("source")).get("type"))
    return None if name is None else MESSENGERS.get(name) or messenger_named(name)


def _sender(author: Json) -> Sender | None:
    own_id, role, address = optional_id(author.get("id")), word(author.get("type")), text(author.get("email"))
    if own_id is None and role == "unknown":
        return None
    is_self = role in OURS
    return Sender(
        id=own_id,
        name=text(author.get("name")),
        is_self=is_self,
        is_bot=role == "bot",
        alt_ids=(AlternativeId(kind="email", contact=address),) if address and not is_self else (),
    )


def _pictures(body: str) -> Iterator[Attachment]:
    for piece in body.split("<img")[1:]:
        source = piece.partition(">")[0].partition('src="')[2].partition('"')[0]
        if source:
            yield Attachment(type="image", url=source)


def _attachment(file: Json) -> Attachment:
    mime, address = text(file.get("content_type")), text(file.get("url"))
    if address is None and text(file.get("name")) is None:
        return Attachment(type="unsupported", native_type=word(file.get("type")))
    return Attachment(
        type=TYPES.get((mime or "").partition("/")[0], "file"),
        url=address,
        mime=mime,
        name=text(file.get("name")),
        size_bytes=integer(file.get("filesize")),
    )


# --- conversations and persons


def _about(notification: _NotificationPayload, kind: EventKind, conversation: str | None = None) -> Draft:
    item = notification.item
    return Draft(
        kind=kind,
        native_kind=notification.topic,
        dedupe_id=occurrence(notification.own_id),
        messenger=_messenger(item),
        occurred_at=seconds(notification.document.get("created_at")),
        conversation=Conversation(id=conversation) if conversation else _conversation(item),
        raw=item,
    )


def _changed(notification: _NotificationPayload) -> Iterator[Item]:
    # A teammate can write and close, assign or snooze in one step.
    yield from _said(notification)
    yield _about(notification, EventKind.CONVERSATION_UPDATED)


def _noted(notification: _NotificationPayload) -> Iterator[Item]:
    yield Ignored(notification.topic, "a note among agents", raw=notification.item)


def _redacted(notification: _NotificationPayload) -> Iterator[Item]:
    for part in _parts(notification.item) or [{}]:
        own_id = optional_id(part.get("id"))
        yield _about(notification, EventKind.MESSAGE_DELETED).model_copy(
            update={
                "dedupe_id": occurrence(own_id, "deleted"),
                "sender": _sender(mapping(part.get("author"))),
                "message": Message(id=own_id),
                "raw": part or notification.item,
            }
        )


def _rated(notification: _NotificationPayload) -> Iterator[Item]:
    rating = mapping(notification.item.get("conversation_rating"))
    person = mapping(rating.get("contact")) or mapping(rating.get("customer"))
    given = text(rating.get("rating"))
    message = Message(
        text=text(rating.get("remark")),
        payload=given,
        fields=(FormField(name="rating", value=given),) if given else (),
    )
    draft = _about(notification, EventKind.POSTBACK)
    yield draft.model_copy(update={"sender": _sender(person), "message": message})


def _consented(state: str, notification: _NotificationPayload) -> Iterator[Item]:
    item = notification.item
    person = mapping(item.get("contact")) or item
    topic = mapping(item.get("subscription_type")) or mapping(item.get("subscription_types"))
    consent = EventConsent.model_validate({"state": state, "topic": optional_id(topic.get("id"))})
    update = {"conversation": Conversation(), "sender": _sender(person), "consent": consent}
    yield _about(notification, EventKind.CONSENT_CHANGED).model_copy(update=update)


TOPICS: Mapping[str, Callable[[_NotificationPayload], Iterator[Item]]] = {
    "conversation.user.created": _begun,
    "conversation.admin.single.created": _begun,
    "conversation.user.replied": _replied,
    "conversation.admin.replied": _replied,
    "conversation.admin.single.reply": _replied,
    "conversation.operator.replied": _replied,
    "conversation.admin.noted": _noted,
    "conversation.rating.added": _rated,
    "conversation_part.redacted": _redacted,
    "contact.unsubscribed": partial(_consented, "withdrawn"),
    "contact.subscribed": partial(_consented, "given"),
    "user.unsubscribed": partial(_consented, "withdrawn"),
    "ticket.note.created": _noted,
}
"""From Intercom's topic to its reader."""
