"""Freshchat webhooks: one event a request, signed with Freshchat's RSA key.

Source: https://support.freshchat.com/support/solutions/articles/239404 (read 2026-11-22).
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
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply
from .fields import Json, id_, instant, integer, listing, mapping, optional_id, parse_json, text, word

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
    native = word(document.get("action"))
    if native in ACTIONS:
        yield ACTIONS[native](native, document, mapping(document.get("data")))
    else:
        yield Ignored(native, "not about a conversation")


def _sender(kind: Any, person: Any) -> Sender:
    role = word(kind)  # whoever is not the customer speaks for our account
    return Sender(id=id_(person), is_self=role != PERSON, is_bot=role in MACHINES)


# --- messages


def _message(native: str, document: Json, data: Json) -> Item:
    message = mapping(data.get("message"))
    if message.get("message_type") == PRIVATE:
        return Ignored(f"{native}.{PRIVATE}", "a note among agents, not a message of the conversation")
    parts = [mapping(part) for part in listing(message.get("message_parts"))]
    if not parts:
        parts = [_as_of_now(mapping(part)) for part in listing(message.get("msg_parts"))]
    own_id, created = id_(message.get("id")), message.get("created_time")
    said = (text(mapping(part.get("text")).get("content")) for part in parts)
    return Draft(
        kind=EventKind.MESSAGE,
        native_kind=native,
        dedupe_id=own_id,
        occurred_at=instant(created or document.get("action_time")),
        conversation=Conversation(id=id_(message.get("conversation_id"))),  # how many agents take part is not told
        sender=_sender(message.get("actor_type"), message.get("actor_id") or message.get("user_id")),
        message=Message(
            id=own_id,
            text="\n".join(filter(None, said)) or None,
            attachments=tuple(_attachments(parts)),
            reply_to=optional_id(mapping(message.get("replied_to_message")).get("id")),
        ),
        raw=message,
    )


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
                yield Attachment(type="unsupported")


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
    change, actor = mapping(data.get(key)), mapping(document.get("actor"))
    about = id_(mapping(change.get("conversation")).get("conversation_id"))
    return Draft(
        kind=EventKind.CONVERSATION_UPDATED,
        native_kind=native,
        dedupe_id=f"{native}:{about}:{id_(document.get('action_time'))}",
        occurred_at=instant(document.get("action_time")),
        conversation=Conversation(id=about),
        sender=_sender(actor.get("actor_type"), actor["actor_id"]) if actor.get("actor_id") else None,
        raw=change,
    )


ACTIONS: Mapping[str, Callable[[str, Json, Json], Item]] = {
    "message_create": _message,
    "conversation_assignment": partial(_changed, "assignment"),
    "conversation_resolution": partial(_changed, "resolve"),
    "conversation_reopen": partial(_changed, "reopen"),
}
"""From Freshchat's word for an action to its reader."""
