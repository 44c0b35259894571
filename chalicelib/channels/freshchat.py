"""Freshchat webhooks: one event a request, signed with Freshchat's RSA key.

Source: https://support.freshchat.com/support/solutions/articles/239404 (read 2026-12-01).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Annotated, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import AfterValidator, Field, StringConstraints

from ..core.errors import NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Quote, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply
from .fields import Json, instant, integer, items, mapping, occurrence, optional_id, parse_json, text, word

KIND = "freshchat"
CAPABILITIES = ChannelCapabilities()
HEADER = "x-freshchat-signature"
MAX_KEY_CHARACTERS = 4096
PERSON = "user"
MACHINES = frozenset({"bot", "system"})
PRIVATE = "private"

Item = Draft | Ignored


@lru_cache(maxsize=64)
def _key(pem: str) -> RSAPublicKey:
    # Freshchat shows the key between lines that call it PKCS#1, and it is not: so the lines are not read.
    inner = "".join(line for line in pem.replace("-----", "\n").splitlines() if not line.endswith("KEY"))
    try:
        key = load_der_public_key(base64.b64decode("".join(inner.split()), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a public key") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def _checked(pem: str) -> str:
    _key(pem)
    return pem


class Secret(base.Secret):
    """The public key from Freshchat's webhook settings. It is no secret, and nothing else is needed."""

    public_key: Annotated[
        str,
        StringConstraints(min_length=1, max_length=MAX_KEY_CHARACTERS),
        AfterValidator(_checked),
        Field(repr=False),
    ]


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over the raw bytes.

    Raises:
        NotGenuine: it is missing or wrong.
    """
    try:
        signature = base64.b64decode(request.headers.get(HEADER, ""), validate=True)
        _key(secret.public_key).verify(signature, request.body, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):  # ValueError: not base64
        raise NotGenuine("the signature is missing or wrong") from None


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: a webhook is made without a handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. A message's id, or what happened to a conversation and when, names the occurrence."""
    document = parse_json(request.body)
    native, data = word(document.get("action")), mapping(document.get("data"))
    if native in ACTIONS:
        yield ACTIONS[native](native, document, data)
    elif (change := next((one for one in _changes(data) if _conversation(one)), None)) is not None:
        yield _draft(EventKind.SYSTEM, native, document, change)
    else:
        yield Ignored(native, "not about a conversation", raw=document)


def _changes(data: Json) -> Iterator[Json]:
    yield data
    yield from (mapping(one) for one in data.values())


def _conversation(change: Json) -> str | None:
    about = mapping(change.get("conversation"))
    found = about.get("conversation_id") or about.get("id") or change.get("conversation_id")
    return optional_id(found)


def _sender(kind: Any, person: Any, customer: Any = None) -> Sender | None:
    own_id = optional_id(person)
    if own_id is None:
        return None
    # Everyone but the customer speaks for our account.
    role = word(kind) if kind is not None else PERSON if customer is None or own_id == optional_id(customer) else ""
    return Sender(id=own_id, is_self=role != PERSON, is_bot=role in MACHINES)


# --- messages


def _message(native: str, document: Json, data: Json) -> Item:
    message = mapping(data.get("message"))
    if message.get("message_type") == PRIVATE:
        return Ignored(f"{native}.{PRIVATE}", "a note among agents, not a message of the conversation", raw=message)
    parts, answered = _parts(message), mapping(message.get("replied_to_message"))
    own_id, created = optional_id(message.get("id")), message.get("created_time")
    person, customer = message.get("actor_id") or message.get("user_id"), message.get("user_id")
    about = optional_id(answered.get("id"))
    said = _said(_parts(answered))
    return Draft(
        kind=EventKind.MESSAGE,
        native_kind=native,
        dedupe_id=occurrence(own_id),
        occurred_at=instant(created or document.get("action_time")),
        conversation=Conversation(
            id=optional_id(message.get("conversation_id"))
        ),  # how many agents take part is not told
        sender=_sender(message.get("actor_type"), person, customer),
        message=Message(
            id=own_id,
            text=_said(parts),
            attachments=tuple(_attachments(parts)),
            reply_to=about,
            quotes=(Quote(id=about, text=said),) if said else (),
        ),
        raw=message or document,
    )


def _parts(message: Json) -> list[Json]:
    return items(message.get("message_parts")) or [_as_of_now(part) for part in items(message.get("msg_parts"))]


def _said(parts: list[Json]) -> str | None:
    words = (text(mapping(part.get("text")).get("content")) or text(part.get("text")) for part in parts)
    return "\n".join(filter(None, words)) or None


def _as_of_now(part: Json) -> Json:
    # Older accounts name the type of a part beside its properties.
    kind, inner = word(part.get("part_type")), mapping(part.get("properties"))
    return {kind: {**inner, "content": inner.get("text")} if kind == "text" else inner}


def _attachments(parts: list[Json]) -> Iterator[Attachment]:
    for part in parts:
        for name, value in part.items():
            if name in PARTS:
                yield PARTS[name](mapping(value))
            elif name != "text":
                about = mapping(value)
                yield Attachment(
                    type="unsupported",
                    native_type=word(name),
                    name=text(about.get("label")) or text(about.get("title")),
                )


def _media(kind: AttachmentType, item: Json) -> Attachment:
    return Attachment(
        type=kind,
        ref=optional_id(item.get("file_hash")),
        url=text(item.get("url")),
        mime=text(item.get("content_type")),
        name=text(item.get("name")) or text(item.get("label")),
        size_bytes=integer(item.get("file_size_in_bytes")),
    )


PARTS: Mapping[str, Callable[[Json], Attachment]] = {
    "image": partial(_media, "image"),
    "video": partial(_media, "video"),
    "audio": partial(_media, "audio"),
    "file": partial(_media, "file"),
    "url_button": partial(_media, "link"),
}
"""From the name of a part of a message to its reader; buttons, carousels and the like are ``unsupported``."""


# --- conversations


def _changed(key: str, native: str, document: Json, data: Json) -> Item:
    return _draft(EventKind.CONVERSATION_UPDATED, native, document, mapping(data.get(key)))


def _draft(kind: EventKind, native: str, document: Json, change: Json) -> Draft:
    about, stamp = _conversation(change), optional_id(document.get("action_time"))
    actor = mapping(document.get("actor"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(native, about, stamp) if about and stamp else "",
        occurred_at=instant(document.get("action_time")),
        conversation=Conversation(id=about),
        sender=_sender(actor.get("actor_type"), actor.get("actor_id")),
        raw=change or document,
    )


ACTIONS: Mapping[str, Callable[[str, Json, Json], Item]] = {
    "message_create": _message,
    "conversation_assignment": partial(_changed, "assignment"),
    "conversation_resolution": partial(_changed, "resolve"),
    "conversation_reopen": partial(_changed, "reopen"),
}
"""From Freshchat's word for an action to its reader. Any other action on a conversation is ``system``."""
