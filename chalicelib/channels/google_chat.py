"""Google Chat apps: interaction events under a signed token, of Chat's own form and of Workspace add-ons.

Source: https://developers.google.com/workspace/chat/verify-requests-from-chat,
https://developers.google.com/workspace/chat/api/reference/rest/v1/Event and
https://developers.google.com/workspace/add-ons/concepts/event-objects#chat-event-object (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from ..core.errors import NotGenuine
from ..core.event.event import AlternativeId, Conversation, Draft, EventKind, Member, Message, Sender
from . import base, jwt
from .base import ChannelCapabilities, Ignored, Inbound, KeyRequest, Line, Reply, SecretText
from .fields import Json, compact, instant, mapping, occurrence, optional_id, parse_json, same, text, word
from .google_chat_content import content, fields
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
    """Yield the event. A message's name, the kind, space and time, or all of a press names the occurrence."""
    document = parse_json(request.body)
    event = _unfolded(document) if "chat" in document else document
    event = {"raw": {name: value for name, value in document.items() if name not in CREDENTIALS}, **event}
    native = word(event.get("type"))
    if native in TYPES:
        yield TYPES[native](native, event)
    elif native in IGNORED or not (mapping(event.get("space")) or mapping(event.get("user"))):
        yield Ignored(native, IGNORED.get(native, "not about a conversation"), raw=event["raw"])
    else:
        yield _draft(EventKind.SYSTEM, native, event, sender=_person(mapping(event.get("user"))))


CREDENTIALS = frozenset({"token", "authorizationEventObject", "configCompleteRedirectUrl"})
"""Their holder can act for the person or the platform."""


def _unfolded(add_on: Json) -> Json:
    """Write an add-on's event as Chat itself would."""
    chat = mapping(add_on.get("chat"))
    name = next((name for name in chat if name in PAYLOADS), None) or next(
        (name for name in chat if name.endswith("Payload")), None
    )
    about = {name: chat.get(name) for name in ("eventTime", "user")}
    return {
        **about,
        "common": add_on.get("commonEventObject"),
        **mapping(chat.get(name or "")),
        "type": PAYLOADS.get(name or "", name),
    }


PAYLOADS: Mapping[str, str] = {
    "messagePayload": "MESSAGE",
    "addedToSpacePayload": "ADDED_TO_SPACE",
    "removedFromSpacePayload": "REMOVED_FROM_SPACE",
    "buttonClickedPayload": "CARD_CLICKED",
    "appCommandPayload": "APP_COMMAND",
    "widgetUpdatedPayload": "WIDGET_UPDATED",
}
"""From an add-on's word for an event to Chat's own."""


def _draft(kind: EventKind, native: str, event: Json, name: str = "", **rest: Any) -> Draft:
    message = mapping(event.get("message"))
    space = mapping(event.get("space")) or mapping(message.get("space"))
    thread = mapping(message.get("thread")) or mapping(event.get("thread"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=name,
        occurred_at=instant(event.get("eventTime") or message.get("createTime")),
        conversation=Conversation(
            id=optional_id(space.get("name")),
            direct=_is_direct(space),
            thread=optional_id(thread.get("name")),
            title=text(space.get("displayName")),
        ),
        raw=event["raw"],
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
    own_id, name, address = optional_id(user.get("name")), text(user.get("displayName")), text(user.get("email"))
    if not (own_id or name or address):
        return None
    alt_ids = (AlternativeId(kind="email", contact=address),) if address else ()
    return Sender(id=own_id, name=name, is_bot=user.get("type") == "BOT", alt_ids=alt_ids)


def _message(native: str, event: Json) -> Item:
    message = mapping(event.get("message"))
    name, command = optional_id(message.get("name")), mapping(message.get("slashCommand"))
    about = Message(id=name, payload=optional_id(command.get("commandId")), **content(message))
    kind = EventKind.POSTBACK if command else EventKind.MESSAGE
    sender = _person(mapping(message.get("sender"))) or _person(mapping(event.get("user")))
    native = f"{native}.slashCommand" if command else native
    return _draft(kind, native, event, occurrence(name), sender=sender, message=about)


def _added(native: str, event: Json) -> Item:
    # Added by a mention: the message that mentions the app comes with it and nowhere else.
    message = mapping(event.get("message"))
    about = Message(id=optional_id(message.get("name")), **content(message)) if message else None
    return _moved(EventKind.MEMBER_JOINED, native, event, message=about)


def _removed(native: str, event: Json) -> Item:
    return _moved(EventKind.MEMBER_LEFT, native, event)


def _moved(kind: EventKind, native: str, event: Json, **rest: Any) -> Item:
    person = _person(mapping(event.get("user")))
    space, message = mapping(event.get("space")), mapping(event.get("message"))
    # In a direct conversation the person came or went; in a space the app did, and Chat does not name it.
    direct = person is not None and _is_direct(space)
    members = (Member(id=person.id, name=person.name, alt_ids=person.alt_ids),) if person and direct else ()
    where, stamp = optional_id(space.get("name")), optional_id(event.get("eventTime") or message.get("createTime"))
    name = occurrence(native, where, stamp) if where and stamp else ""
    return _draft(kind, native, event, name, sender=person, members=members, **rest)


def _pressed(native: str, event: Json) -> Item:
    action, message = mapping(event.get("action")), mapping(event.get("message"))
    common = mapping(event.get("common")) or mapping(event.get("commonEventObject"))
    method = text(action.get("actionMethodName")) or text(common.get("invokedFunction"))
    parameters = action.get("parameters") or common.get("parameters")
    given = parameters or common.get("formInputs")
    about = Message(
        id=optional_id(message.get("name")),
        payload=method if not given else compact({"action": method, "parameters": given}),
        fields=fields(parameters, common.get("formInputs")),
    )
    return _draft(EventKind.POSTBACK, native, event, sender=_person(mapping(event.get("user"))), message=about)


def _command(native: str, event: Json) -> Item:
    message = mapping(event.get("message"))
    name = optional_id(message.get("name"))
    command = optional_id(mapping(event.get("appCommandMetadata")).get("appCommandId"))
    about = Message(id=name, payload=command, **content(message))
    sender = _person(mapping(event.get("user"))) or _person(mapping(message.get("sender")))
    return _draft(EventKind.POSTBACK, native, event, occurrence(name), sender=sender, message=about)


TYPES: Mapping[str, Any] = {
    "MESSAGE": _message,
    "ADDED_TO_SPACE": _added,
    "REMOVED_FROM_SPACE": _removed,
    "CARD_CLICKED": _pressed,
    "SUBMIT_FORM": _pressed,
    "APP_COMMAND": _command,
}
"""From Chat's word for an event to its reader. Any other event of a space or a person is ``system``."""

IGNORED: Mapping[str, str] = {
    "WIDGET_UPDATED": "a menu asks for its options while a person types",
    "APP_HOME": "a person looks at the app's own page",
}
"""Events that are ignored, and why."""


CAPABILITIES = ChannelCapabilities(keys_needed=keys_needed)
