"""Google Chat apps: interaction events under a signed token, of Chat's own form and of Workspace add-ons.

Source: https://developers.google.com/workspace/chat/verify-requests-from-chat,
https://developers.google.com/workspace/chat/api/reference/rest/v1/Event and
https://developers.google.com/workspace/add-ons/concepts/event-objects#chat-event-object (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Member, Message, Sender
from . import base, jwt
from .base import ChannelCapabilities, Ignored, Inbound, KeyRequest, Line, Reply, SecretText
from .fields import Json, compact, id_, instant, listing, mapping, optional_id, parse_json, same, text, word
from .jwt import KeySet

KIND = "google_chat"
CHAT = "chat@system.gserviceaccount.com"
CHAT_KEYS_URL = f"https://www.googleapis.com/service_accounts/v1/jwk/{CHAT}"
GOOGLE = frozenset({"https://accounts.google.com", "accounts.google.com"})
GOOGLE_KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"

Item = Draft | Ignored


class Secret(base.Secret):
    """What the app's tokens are for: the project number, or the endpoint's address as the console has it.

    ``service_account`` is the account that a Workspace add-on is called by; ``jwks`` pins Google's keys.
    """

    audience: SecretText
    service_account: Line | None = Field(default=None, repr=False)
    jwks: KeySet | None = Field(default=None, repr=False)

    @property
    def is_address(self) -> bool:
        """Say which tokens come: for an address ID tokens of Google, for a number tokens of Chat itself."""
        return self.audience.startswith("https://")


def keys_needed(request: Inbound, secret: Secret) -> KeyRequest | None:
    """Name the published keys that verification needs; None where the secret holds them."""
    if secret.jwks is not None:
        return None
    url = GOOGLE_KEYS_URL if secret.is_address else CHAT_KEYS_URL
    return KeyRequest("jwks", url, jwt.key_name(request.headers))


def verify(request: Inbound, secret: Secret) -> None:
    """Check the token: Chat's own for a project number, Google's for Chat's service account for an address.

    Raises:
        NotGenuine: it is missing or wrong. It does not cover the body.
    """
    issuers = GOOGLE if secret.is_address else frozenset({CHAT})
    token = jwt.bearer(request.headers)
    claims, _ = jwt.rs256(token, secret.jwks, issuers=issuers, audience=secret.audience, now=request.now)
    if secret.is_address and not (
        claims.get("email_verified") is True and same(claims.get("email"), secret.service_account or CHAT)
    ):
        raise NotGenuine("the token is another account's")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: Chat asks nothing before it sends."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty object: a text would be posted as the app's answer."""
    return Reply(200, "{}", {"Content-Type": "application/json"})


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. A message's name, or the kind, space and time, names the occurrence."""
    event = parse_json(request.body)
    if "chat" in event:
        event = _unfolded(event)
    native = word(event.get("type"))
    if native not in TYPES:
        yield Ignored(native, "not about a conversation")
        return
    yield TYPES[native](native, event)


def _unfolded(add_on: Json) -> Json:
    """Write an add-on's event as Chat itself would."""
    chat = mapping(add_on.get("chat"))
    for name, native in PAYLOADS.items():
        if name in chat:
            content = mapping(chat[name])
            return {"raw": add_on, "type": native, **{n: chat.get(n) for n in ("eventTime", "user")}, **content}
    return {"raw": add_on, "type": "unknown"}


PAYLOADS: Mapping[str, str] = {
    "messagePayload": "MESSAGE",
    "addedToSpacePayload": "ADDED_TO_SPACE",
    "removedFromSpacePayload": "REMOVED_FROM_SPACE",
    "buttonClickedPayload": "CARD_CLICKED",
    "appCommandPayload": "APP_COMMAND",
    "widgetUpdatedPayload": "WIDGET_UPDATED",
}
"""From an add-on's word for an event to Chat's own."""


def _draft(kind: EventKind, native: str, event: Json, name: str | None = None, **rest: Any) -> Draft:
    message = mapping(event.get("message"))
    space = mapping(event.get("space")) or mapping(message.get("space"))
    where = id_(space.get("name"))
    stamp = event.get("eventTime") or message.get("createTime")
    thread = mapping(message.get("thread")) or mapping(event.get("thread"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=name or f"{native}:{where}:{id_(stamp)}",
        occurred_at=instant(stamp),
        conversation=Conversation(
            id=where,
            direct=_is_direct(space),
            thread=optional_id(thread.get("name")),
            title=text(space.get("displayName")),
        ),
        raw=event.get("raw", event),
        **rest,
    )


def _is_direct(space: Json) -> bool | None:
    # "type" is the older word; there, group conversations without a name are rooms too.
    kind = space.get("spaceType") or space.get("type")
    if not isinstance(kind, str):
        return None
    if kind == "DM" and space.get("singleUserBotDm") is False:
        return None  # a conversation of people that the app was added to
    return kind in ("DIRECT_MESSAGE", "DM")


def _person(user: Json) -> Sender | None:
    if not user:
        return None
    return Sender(id=id_(user.get("name")), name=text(user.get("displayName")), is_bot=user.get("type") == "BOT")


def _message(native: str, event: Json) -> Item:
    message = mapping(event.get("message"))
    name = id_(message.get("name"))
    command = mapping(message.get("slashCommand"))
    quoted = mapping(message.get("quotedMessageMetadata"))
    about = Message(
        id=name,
        text=text(message.get("text")),
        attachments=tuple(_attachments(message)),
        reply_to=optional_id(quoted.get("name")),
        payload=optional_id(command.get("commandId")),
    )
    kind = EventKind.POSTBACK if command else EventKind.MESSAGE
    sender = _person(mapping(message.get("sender"))) or _person(mapping(event.get("user")))
    return _draft(kind, f"{native}.slashCommand" if command else native, event, name, sender=sender, message=about)


def _attachments(message: Json) -> Iterator[Attachment]:
    for item in map(mapping, listing(message.get("attachment"))):
        mime = text(item.get("contentType"))
        data, drive = mapping(item.get("attachmentDataRef")), mapping(item.get("driveDataRef"))
        yield Attachment(
            type=MEDIA.get((mime or "").partition("/")[0], "file"),
            ref=optional_id(data.get("resourceName")) or optional_id(drive.get("driveFileId")),
            mime=mime,
            name=text(item.get("contentName")),
        )  # "downloadUri" is for people who are signed in
    for item in map(mapping, listing(message.get("attachedGifs"))):
        yield Attachment(type="image", url=text(item.get("uri")))


MEDIA: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}


def _added(native: str, event: Json) -> Item:
    # Added by a mention: the message that mentions the app comes with it and nowhere else.
    message = mapping(event.get("message"))
    about = Message(id=id_(message.get("name")), text=text(message.get("text"))) if message else None
    return _moved(EventKind.MEMBER_JOINED, native, event, message=about)


def _removed(native: str, event: Json) -> Item:
    return _moved(EventKind.MEMBER_LEFT, native, event)


def _moved(kind: EventKind, native: str, event: Json, **rest: Any) -> Item:
    person = _person(mapping(event.get("user")))
    space = mapping(event.get("space"))
    # In a direct conversation the person came or went; in a space the app did, and Chat does not name it.
    members = (Member(id=person.id, name=person.name),) if person and _is_direct(space) else ()
    return _draft(kind, native, event, sender=person, members=members, **rest)


def _pressed(native: str, event: Json) -> Item:
    action, message = mapping(event.get("action")), mapping(event.get("message"))
    common = mapping(event.get("common")) or mapping(event.get("commonEventObject"))
    method = text(action.get("actionMethodName")) or text(common.get("invokedFunction"))
    given = action.get("parameters") or common.get("parameters") or common.get("formInputs")
    payload = method if not given else compact({"action": method, "parameters": given})
    about = Message(id=optional_id(message.get("name")), payload=payload)
    return _draft(EventKind.POSTBACK, native, event, sender=_person(mapping(event.get("user"))), message=about)


def _command(native: str, event: Json) -> Item:
    meta = mapping(event.get("appCommandMetadata"))
    message = mapping(event.get("message"))
    command = optional_id(meta.get("appCommandId"))
    if command is None:
        raise MalformedPayload("a command has no number")
    about = Message(
        id=optional_id(message.get("name")),
        text=text(message.get("text")),
        attachments=tuple(_attachments(message)),
        payload=command,
    )
    name = optional_id(message.get("name"))
    return _draft(EventKind.POSTBACK, native, event, name, sender=_person(mapping(event.get("user"))), message=about)


TYPES: Mapping[str, Any] = {
    "MESSAGE": _message,
    "ADDED_TO_SPACE": _added,
    "REMOVED_FROM_SPACE": _removed,
    "CARD_CLICKED": _pressed,
    "SUBMIT_FORM": _pressed,
    "APP_COMMAND": _command,
}
"""From Chat's word for an event to its reader. What a widget or the home page asks for is ignored."""


CAPABILITIES = ChannelCapabilities(keys_needed=keys_needed)
