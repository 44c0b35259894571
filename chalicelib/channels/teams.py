"""Microsoft Teams: activities of the Bot Framework under a signed token, and outgoing webhooks under an HMAC.

Source: https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication,
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#activity-object,
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/subscribe-to-conversation-events and
https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook (read 2026-11-22).
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
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Member, Message, Sender
from . import base, jwt
from .base import ChannelCapabilities, Ignored, Inbound, KeyRequest, Line, Reply
from .fields import Json, compact, id_, instant, listing, mapping, optional_id, parse_json, same, text, word
from .jwt import KeySet

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
    """Yield the activity's events. Its ``id`` names the occurrence; of a change to a message that and the kind."""
    activity = parse_json(request.body)
    native = word(activity.get("type"))
    if native in TYPES:
        yield from TYPES[native](native, activity)
    else:
        yield Ignored(native, "not about a conversation")


def _draft(kind: EventKind, native: str, activity: Json, suffix: str = "", **rest: Any) -> Draft:
    conversation = mapping(activity.get("conversation"))
    whole = id_(conversation.get("id"))
    where, _, thread = whole.partition(";messageid=")
    scope, group = conversation.get("conversationType"), conversation.get("isGroup")
    direct = scope == "personal" if isinstance(scope, str) else None if group is None else group is not True
    data = mapping(activity.get("channelData"))
    title = text(conversation.get("name")) or text(mapping(data.get("channel")).get("name"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=_name(activity, where) + suffix,
        occurred_at=instant(activity.get("timestamp")),
        conversation=Conversation(
            id=where, direct=direct, thread=thread or None, title=title or text(mapping(data.get("team")).get("name"))
        ),
        sender=rest.pop("sender", None) or _sender(activity),
        raw=activity,
        **rest,
    )


def _name(activity: Json, conversation: str) -> str:
    # Some activities (typing, installations) have no id: where and when they happened is all there is.
    found = optional_id(activity.get("id"))
    return found or f"{conversation}:{word(activity.get('type'))}:{id_(activity.get('timestamp'))}"


def _sender(activity: Json) -> Sender | None:
    person = mapping(activity.get("from"))
    if not person:
        return None
    found = id_(person.get("id"))
    own = found == optional_id(mapping(activity.get("recipient")).get("id"))
    return Sender(
        id=found, name=text(person.get("name")), is_bot=person.get("role") == "bot" or found[:3] == "28:", is_self=own
    )


# --- messages


def _message(native: str, activity: Json) -> Iterator[Item]:
    value, found = activity.get("value"), _body(activity)
    if value is None:
        yield _draft(EventKind.MESSAGE, native, activity, message=Message(**found))
    else:  # a pressed button of a card
        payload = value if isinstance(value, str) else compact(value)
        yield _draft(EventKind.POSTBACK, f"{native}.value", activity, message=Message(**found, payload=payload or None))


def _body(activity: Json) -> dict[str, Any]:
    return {
        "id": optional_id(activity.get("id")),
        "text": text(activity.get("text")),
        "attachments": tuple(_attachments(activity)),
        "reply_to": optional_id(activity.get("replyToId")),
    }


def _update(native: str, activity: Json) -> Iterator[Item]:
    change = word(mapping(activity.get("channelData")).get("eventType"))
    about = Message(**_body(activity), edited_at=instant(activity.get("timestamp")))
    # Restored and edited messages alike: their text now is this. The id is the message's, so the time is the occurrence.
    stamp = id_(activity.get("timestamp"))
    yield _draft(EventKind.MESSAGE_EDITED, f"{native}.{change}", activity, f":edited:{stamp}", message=about)


def _delete(native: str, activity: Json) -> Iterator[Item]:
    about = Message(id=id_(activity.get("id")))
    yield _draft(
        EventKind.MESSAGE_DELETED, native, activity, f":deleted:{id_(activity.get('timestamp'))}", message=about
    )


def _attachments(activity: Json) -> Iterator[Attachment]:
    for item in map(mapping, listing(activity.get("attachments"))):
        mime = text(item.get("contentType")) or ""
        if mime == "text/html":
            continue  # the text once more, with its markup
        content = item.get("content") if isinstance(item.get("content"), dict) else {}
        name, url = text(item.get("name")), text(item.get("contentUrl"))
        if mime == DOWNLOAD:
            url = text(mapping(content).get("downloadUrl")) or url
            yield Attachment(type="file", ref=optional_id(mapping(content).get("uniqueId")), url=url, name=name)
        else:
            yield Attachment(type=_media(mime), url=url, mime=mime or None, name=name)


DOWNLOAD = "application/vnd.microsoft.teams.file.download.info"
MEDIA: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}


def _media(mime: str) -> AttachmentType:
    if mime.startswith(("application/vnd.microsoft.card.", "application/vnd.microsoft.teams.card.")):
        return "unsupported"  # a card of another app
    return MEDIA.get(mime.partition("/")[0], "file")


# --- the other activities


def _reactions(native: str, activity: Json) -> Iterator[Item]:
    about = id_(activity.get("replyToId"))
    added, removed = _words(activity.get("reactionsAdded")), _words(activity.get("reactionsRemoved"))
    if added:
        message = Message(id=about, emoji=added, emoji_action="added")
        yield _draft(EventKind.REACTION, f"{native}.reactionsAdded", activity, message=message)
    if removed:
        # Which ones were taken back is the payload; others of the same person may remain. One activity has one id:
        # only where it adds and removes at once are there two occurrences of it.
        message = Message(id=about, emoji_action="removed", payload=" ".join(removed))
        suffix = ":removed" if added else ""
        yield _draft(EventKind.REACTION, f"{native}.reactionsRemoved", activity, suffix, message=message)


def _words(reactions: Any) -> tuple[str, ...]:
    return tuple(id_(mapping(one).get("type")) for one in listing(reactions))


def _members(people: Any) -> tuple[Member, ...]:
    found = [mapping(person) for person in listing(people)]
    return tuple(Member(id=id_(p.get("id")), name=text(p.get("name"))) for p in found)


def _conversation(native: str, activity: Json) -> Iterator[Item]:
    added, removed = _members(activity.get("membersAdded")), _members(activity.get("membersRemoved"))
    change = word(mapping(activity.get("channelData")).get("eventType"))
    native = native if change == "unknown" else f"{native}.{change}"
    if added:
        yield _draft(EventKind.MEMBER_JOINED, native, activity, members=added)
    if removed:
        yield _draft(EventKind.MEMBER_LEFT, native, activity, ":removed" if added else "", members=removed)
    if not added and not removed:
        yield _draft(EventKind.SYSTEM, native, activity)


def _installation(native: str, activity: Json) -> Iterator[Item]:
    action = word(activity.get("action"))
    bot = mapping(activity.get("recipient"))
    members = (Member(id=id_(bot.get("id")), name=text(bot.get("name"))),)
    kind = INSTALLATIONS.get(action, EventKind.SYSTEM)
    moved = kind is not EventKind.SYSTEM
    yield _draft(kind, f"{native}.{action}", activity, members=members if moved else ())


INSTALLATIONS: Mapping[str, EventKind] = {"add": EventKind.MEMBER_JOINED, "remove": EventKind.MEMBER_LEFT}
"""Installing and removing the bot moves it; an upgrade does not."""


def _press(native: str, activity: Json) -> Iterator[Item]:
    value = activity.get("value")
    name = text(activity.get("name"))
    payload = name if value is None else value if isinstance(value, str) else compact(value)
    message = Message(
        id=optional_id(activity.get("replyToId")),
        payload=payload or None,
    )
    yield _draft(EventKind.POSTBACK, f"{native}.{word((name or '').replace('/', '.'))}", activity, message=message)


def _event(native: str, activity: Json) -> Iterator[Item]:
    name = text(activity.get("name")) or ""
    if name != READ_RECEIPT:
        yield Ignored(f"{native}.{word(name.replace('/', '.'))}", "an event of the platform, not of a conversation")
        return
    last = id_(mapping(activity.get("value")).get("lastReadMessageId"))
    yield _draft(EventKind.STATUS, f"{native}.readReceipt", activity, message=Message(id=last, status="read"))


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
"""From an activity's type to its reader."""


CAPABILITIES = ChannelCapabilities(keys_needed=keys_needed)
