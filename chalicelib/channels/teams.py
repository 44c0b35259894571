"""Microsoft Teams: activities of the Bot Framework under a signed token, and outgoing webhooks under an HMAC.

Source: https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication,
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#activity-object,
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/subscribe-to-conversation-events and
https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook (read 2026-12-01).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from ..core.errors import NotGenuine
from ..core.event.event import Conversation, Draft, EventConsent, EventKind, Member, Message, Sender
from . import base, jwt
from .base import ChannelCapabilities, Ignored, Inbound, KeyRequest, Line, Reply
from .fields import Json, compact, instant, items, mapping, occurrence, optional_id, parse_json, same, text, word
from .jwt import KeySet
from .people import other_ids
from .teams_content import content, fields

KIND = "teams"
ISSUERS = frozenset({"https://api.botframework.com"})
KEYS_URL = "https://login.botframework.com/v1/.well-known/keys"
HMAC_SCHEME = "hmac "

Item = Draft | Ignored


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    return value


class Secret(base.Secret):
    """A bot's app id, or an outgoing webhook's security token. ``jwks`` pins the Bot Framework's keys."""

    app_id: Line | None = Field(default=None, repr=False)
    jwks: KeySet | None = Field(default=None, repr=False)
    hmac_secret: Annotated[Line, AfterValidator(_base64)] | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Secret:
        if (self.app_id is None) == (self.hmac_secret is None):
            raise ValueError("give app_id, or hmac_secret of an outgoing webhook")
        return self


def keys_needed(request: Inbound, secret: Secret) -> KeyRequest | None:
    """Name the published keys that verification needs; None where the secret holds all."""
    if secret.hmac_secret is not None or secret.jwks is not None:
        return None
    return KeyRequest("jwks", KEYS_URL, jwt.key_name(request.headers))


def verify(request: Inbound, secret: Secret) -> None:
    """Check the token and that it is about this activity; of an outgoing webhook the HMAC of the body.

    Raises:
        NotGenuine: the proof is missing or wrong.
    """
    if secret.hmac_secret is not None:
        _verify_hmac(request, secret.hmac_secret)
        return
    token = jwt.bearer(request.headers)
    claims, key = jwt.rs256(token, secret.jwks, issuers=ISSUERS, audience=secret.app_id or "", now=request.now)
    # The token does not cover the body: it names only the service that an answer would go to.
    activity = parse_json(request.body)
    if not same(claims.get("serviceurl"), _text(activity.get("serviceUrl"))):
        raise NotGenuine("the token is for another service address")
    if key.endorsements is not None and activity.get("channelId") not in key.endorsements:
        raise NotGenuine("the token's key is not for this channel")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _verify_hmac(request: Inbound, secret: str) -> None:
    given = request.headers.get("authorization", "")
    expected = base64.b64encode(hmac.digest(base64.b64decode(secret), request.body, "sha256")).decode()
    if given[: len(HMAC_SCHEME)].lower() != HMAC_SCHEME or not same(given[len(HMAC_SCHEME) :].strip(), expected):
        raise NotGenuine("the signature is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return None: Teams asks nothing before it sends."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200: an outgoing webhook's answer would be shown in the channel."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the activity's events. Its ``id`` names the occurrence; of a change to a message that, the kind and the time."""
    activity = parse_json(request.body)
    native = word(activity.get("type"))
    if native in TYPES:
        yield from TYPES[native](native, activity)
    elif native in IGNORED or not (mapping(activity.get("conversation")) or mapping(activity.get("from"))):
        yield Ignored(native, IGNORED.get(native, "not about a conversation"), raw=activity)
    else:
        yield _draft(EventKind.SYSTEM, native, activity)


def _draft(kind: EventKind, native: str, activity: Json, *suffix: str | None, **rest: Any) -> Draft:
    conversation = mapping(activity.get("conversation"))
    where, _, thread = (optional_id(conversation.get("id")) or "").partition(";messageid=")
    data = mapping(activity.get("channelData"))
    title = text(conversation.get("name")) or text(mapping(data.get("channel")).get("name"))
    own_id = optional_id(activity.get("id"))  # typing and installations have none
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(own_id, *suffix) if None not in suffix else "",
        occurred_at=instant(activity.get("timestamp")),
        conversation=Conversation(
            id=where or None,
            direct=_direct(conversation),
            thread=thread or None,
            title=title or text(mapping(data.get("team")).get("name")),
        ),
        sender=_sender(activity),
        raw=activity,
        **rest,
    )


def _direct(conversation: Json) -> bool | None:
    scope, group = conversation.get("conversationType"), conversation.get("isGroup")
    return scope == "personal" if isinstance(scope, str) else None if group is None else group is not True


def _sender(activity: Json) -> Sender | None:
    person = mapping(activity.get("from"))
    own_id, name = optional_id(person.get("id")), text(person.get("name"))
    alt_ids = other_ids(own_id, person.get("aadObjectId"))
    if not (own_id or name or alt_ids):
        return None
    return Sender(
        id=own_id,
        name=name,
        is_bot=person.get("role") == "bot" or (own_id or "")[:3] == "28:",
        is_self=own_id is not None and own_id == optional_id(mapping(activity.get("recipient")).get("id")),
        alt_ids=alt_ids,
    )


# --- messages


def _message(native: str, activity: Json) -> Iterator[Item]:
    value, about = activity.get("value"), Message(id=optional_id(activity.get("id")), **content(activity))
    if value is None:
        yield _draft(EventKind.MESSAGE, native, activity, message=about)
    else:  # a pressed button of a card
        pressed = {"payload": _payload(value), "fields": fields(value)}
        yield _draft(EventKind.POSTBACK, f"{native}.value", activity, message=about.model_copy(update=pressed))


def _payload(value: Any) -> str | None:
    return text(value if isinstance(value, str) else compact(value))


def _update(native: str, activity: Json) -> Iterator[Item]:
    change, stamp = word(mapping(activity.get("channelData")).get("eventType")), optional_id(activity.get("timestamp"))
    edited_at = instant(activity.get("timestamp"))
    about = Message(id=optional_id(activity.get("id")), edited_at=edited_at, **content(activity))
    # Restored and edited messages alike: their text now is this. The id is the message's, so the time is the occurrence.
    yield _draft(EventKind.MESSAGE_EDITED, f"{native}.{change}", activity, "edited", stamp, message=about)


def _delete(native: str, activity: Json) -> Iterator[Item]:
    stamp = optional_id(activity.get("timestamp"))
    about = Message(id=optional_id(activity.get("id")))
    yield _draft(EventKind.MESSAGE_DELETED, native, activity, "deleted", stamp, message=about)


# --- the other activities


def _reactions(native: str, activity: Json) -> Iterator[Item]:
    about = optional_id(activity.get("replyToId"))
    added, removed = _words(activity.get("reactionsAdded")), _words(activity.get("reactionsRemoved"))
    if added:
        message = Message(id=about, emoji=added, emoji_action="added")
        yield _draft(EventKind.REACTION, f"{native}.reactionsAdded", activity, message=message)
    if removed:
        # Which ones were taken back is the payload; others of the same person may remain. One activity has one id:
        # only where it adds and removes at once are there two occurrences of it.
        message = Message(id=about, emoji_action="removed", payload=" ".join(removed))
        suffix = ("removed",) if added else ()
        yield _draft(EventKind.REACTION, f"{native}.reactionsRemoved", activity, *suffix, message=message)
    if not added and not removed:
        yield _draft(EventKind.SYSTEM, native, activity)


def _words(reactions: Any) -> tuple[str, ...]:
    return tuple(filter(None, (optional_id(one.get("type")) for one in items(reactions))))


def _members(people: Any) -> tuple[Member, ...]:
    found = [(optional_id(one.get("id")), one) for one in items(people)]
    return tuple(
        Member(id=own_id, name=text(one.get("name")), alt_ids=other_ids(own_id, one.get("aadObjectId")))
        for own_id, one in found
        if own_id or text(one.get("name"))
    )


def _conversation(native: str, activity: Json) -> Iterator[Item]:
    added, removed = _members(activity.get("membersAdded")), _members(activity.get("membersRemoved"))
    change = word(mapping(activity.get("channelData")).get("eventType"))
    native = native if change == "unknown" else f"{native}.{change}"
    if added:
        yield _draft(EventKind.MEMBER_JOINED, native, activity, members=added)
    if removed:
        suffix = ("removed",) if added else ()
        yield _draft(EventKind.MEMBER_LEFT, native, activity, *suffix, members=removed)
    if not added and not removed:
        yield _draft(EventKind.SYSTEM, native, activity)


def _installation(native: str, activity: Json) -> Iterator[Item]:
    action = word(activity.get("action"))
    kind = INSTALLATIONS.get(action, EventKind.SYSTEM)
    members = _members(activity.get("recipient")) if kind is not EventKind.SYSTEM else ()
    # A person who removes the bot from their own chat gets no further message.
    ends = kind is EventKind.MEMBER_LEFT and _direct(mapping(activity.get("conversation"))) is True
    consent = EventConsent(state="withdrawn") if ends else None
    yield _draft(kind, f"{native}.{action}", activity, members=members, consent=consent)


INSTALLATIONS: Mapping[str, EventKind] = {"add": EventKind.MEMBER_JOINED, "remove": EventKind.MEMBER_LEFT}
"""Installing and removing the bot moves it; an upgrade does not."""


def _press(native: str, activity: Json) -> Iterator[Item]:
    value, name = activity.get("value"), text(activity.get("name"))
    message = Message(
        id=optional_id(activity.get("replyToId")),
        payload=name if value is None else _payload(value),
        fields=fields(value),
    )
    yield _draft(EventKind.POSTBACK, f"{native}.{word((name or '').replace('/', '.'))}", activity, message=message)


def _event(native: str, activity: Json) -> Iterator[Item]:
    name = text(activity.get("name")) or ""
    if name == READ_RECEIPT:
        last = optional_id(mapping(activity.get("value")).get("lastReadMessageId"))
        yield _draft(EventKind.STATUS, f"{native}.readReceipt", activity, message=Message(id=last, status="read"))
    else:  # such as the start of a meeting
        yield _draft(EventKind.SYSTEM, f"{native}.{word(name.replace('/', '.'))}", activity)


READ_RECEIPT = "application/vnd.microsoft.readReceipt"


def _plain(kind: EventKind, native: str, activity: Json) -> Iterator[Item]:
    yield _draft(kind, native, activity)


TYPES: Mapping[str, Callable[[str, Json], Iterator[Item]]] = {
    "message": _message,
    "messageUpdate": _update,
    "messageDelete": _delete,
    "messageReaction": _reactions,
    "conversationUpdate": _conversation,
    "installationUpdate": _installation,
    "invoke": _press,
    "event": _event,
    "typing": partial(_plain, EventKind.TYPING),
    "endOfConversation": partial(_plain, EventKind.SYSTEM),
}
"""From an activity's type to its reader. Any other type with a conversation or a sender is ``system``."""

IGNORED: Mapping[str, str] = {
    "trace": "a message for the developer of the bot",
    "invokeResponse": "an answer to the bot, of no person",
}
"""Types that are ignored, and why."""


CAPABILITIES = ChannelCapabilities(keys_needed=keys_needed)
