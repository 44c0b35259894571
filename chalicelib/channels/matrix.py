"""Matrix, as an application service of a homeserver: transactions of events, put under the hook's address.

A homeserver sends a transaction again until it is taken, and nothing after it; and what is in an event's content was
written by a stranger on another server. So each event is read by itself, and content that is not what its type promises
costs that content, never the transaction.

Source: https://spec.matrix.org/v1.18/application-service-api/ and /client-server-api/ (read 2026-12-01).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.errors import NotGenuine
from ..core.event.event import (
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    FormField,
    Member,
    Message,
    Sender,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    compact,
    integer,
    items,
    listing,
    mapping,
    millis,
    number,
    occurrence,
    optional_id,
    parse_json,
    same,
    text,
    word,
)
from .mail_html import plain_text

KIND = "matrix"
CAPABILITIES = ChannelCapabilities()
JSON = {"Content-Type": "application/json"}
SCHEME = "Bearer "
LEGACY_TOKEN = "access_token"  # the name of a parameter  # noqa: S105

# The address below the hook: of version 1, of its drafts, and of homeservers from before that.
_ENDPOINT = re.compile(r"/(transactions|users|rooms|thirdparty|ping)(?:/([^/?#]*))?[^?#]*(?:[?#]|\Z)")
_GEO = re.compile(r"geo:(-?\d{1,2}(?:\.\d{1,15})?),(-?\d{1,3}(?:\.\d{1,15})?)(?:[,;]|\Z)", re.ASCII)

Item = Draft | Ignored


class Secret(base.Secret):
    """The ``hs_token`` of the registration file."""

    hs_token: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Compare the bearer token; homeservers from before 1.4 of the specification have it in the address.

    Raises:
        NotGenuine: it is missing (401), or wrong (403), as the specification says.
    """
    header = request.headers.get("authorization")
    given = request.query.get(LEGACY_TOKEN) if header is None else header
    if given is None:
        raise NotGenuine("the token is missing")
    if not same(given, secret.hs_token if header is None else SCHEME + secret.hs_token):
        raise NotGenuine("the token is wrong", forbidden=True)


def _endpoint(request: Inbound) -> tuple[str, str]:
    found = _ENDPOINT.search(request.url)
    return (found[1], found[2] or "") if found else ("", "")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer a ping, and that a user, a room or anything else that is asked for is not ours."""
    endpoint, _ = _endpoint(request)
    if endpoint == "transactions" and request.method != "GET":
        return None
    if endpoint == "ping":
        return Reply(200, "{}", JSON)
    unknown = "M_NOT_FOUND" if endpoint in ("users", "rooms", "thirdparty") else "M_UNRECOGNIZED"
    return Reply(404, f'{{"errcode": "{unknown}"}}', JSON)


def acknowledge(request: Inbound) -> Reply:
    """Return an empty object: anything else and the transaction comes again."""
    return Reply(200, "{}", JSON)


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events of a transaction. ``event_id`` names one; what has none is named by the transaction."""
    transaction = parse_json(request.body)
    _, name = _endpoint(request)
    for index, event in enumerate(items(transaction.get("events") or None)):
        yield _event(event, occurrence(name or None, index))
    passing = transaction.get("ephemeral", transaction.get("de.sorunome.msc2409.ephemeral"))
    for index, event in enumerate(items(passing or None)):
        native = word(event.get("type"))
        if native in PASSING:
            yield from PASSING[native](native, event, occurrence(name or None, index))
        else:
            yield Ignored(native, "not about a conversation", raw=event)


def _event(event: Json, place_in_transaction: str) -> Item:
    native, unsigned = word(event.get("type")), mapping(event.get("unsigned"))
    content, author = mapping(event.get("content")), optional_id(event.get("sender"))
    gone = mapping(unsigned.get("redacted_because")) if "state_key" not in event else {}
    found = _redacted(event, gone) if gone else EVENTS.get(native, _unknown)(event, content)
    if isinstance(found, str):
        return Ignored(native, found, raw=event)
    own = "transaction_id" in unsigned  # only who sent an event is told its transaction
    place = Conversation(
        id=optional_id(event.get("room_id")), thread=found.get("thread"), successor=found.get("successor")
    )
    return Draft(
        kind=found["kind"],
        native_kind=native,
        dedupe_id=found.get("name") or occurrence(optional_id(event.get("event_id"))) or place_in_transaction,
        occurred_at=millis(event.get("origin_server_ts")),
        conversation=place,
        sender=Sender(id=author, is_bot=found.get("is_bot", False), is_self=own) if author else None,
        message=found.get("message"),
        members=found.get("members", ()),
        raw=event,
    )


Found = dict[str, Any]
"""What an event's content makes of it: fields of the draft; or, as a text, why it is ignored."""


# --- messages


def _message(event: Json, content: Json) -> Found | str:
    relation = mapping(content.get("m.relates_to"))
    kind = word(relation.get("rel_type"))
    if kind == "m.replace":
        new = mapping(content.get("m.new_content")) or content
        about = _about(optional_id(relation.get("event_id")), new)
        edited = about.model_copy(update={"edited_at": millis(event.get("origin_server_ts"))})
        return {"kind": EventKind.MESSAGE_EDITED, "message": edited}
    if word(content.get("msgtype")).startswith("m.key.verification"):
        return "a device is verified"
    threaded = kind == "m.thread"
    # In threads clients name the last message as replied to for those that know no threads.
    falling_back = threaded and relation.get("is_falling_back") is True
    reply = None if falling_back else optional_id(mapping(relation.get("m.in_reply_to")).get("event_id"))
    return {
        "kind": EventKind.MESSAGE,
        "thread": optional_id(relation.get("event_id")) if threaded else None,
        "message": _about(optional_id(event.get("event_id")), content).model_copy(update={"reply_to": reply}),
        "is_bot": content.get("msgtype") == "m.notice",
    }


def _about(own_id: str | None, content: Json) -> Message:
    kind, body = word(content.get("msgtype")), text(content.get("body"))
    if kind in FILES:
        name = text(content.get("filename")) or body
        file = _file(FILES[kind], name, content)
        return Message(id=own_id, text=body if body != name else None, attachments=(file,))
    if kind == "m.location":
        return Message(id=own_id, text=body, attachments=(_location(content),))
    # The body of an unknown type is its text. A gallery has its files in a list.
    files = (one for one in items(content.get("itemtypes")) if word(one.get("itemtype")) in FILES)
    found = tuple(
        _file(FILES[one["itemtype"]], text(one.get("filename")) or text(one.get("body")), one) for one in files
    )
    return Message(
        id=own_id, text=body or text(plain_text(text(content.get("formatted_body")) or "")), attachments=found
    )


FILES: Mapping[str, AttachmentType] = {"m.image": "image", "m.video": "video", "m.audio": "audio", "m.file": "file"}


def _file(kind: AttachmentType, name: str | None, content: Json) -> Attachment:
    about, length_ms = mapping(content.get("info")), number(mapping(content.get("info")).get("duration"))
    spoken = kind == "audio" and ("org.matrix.msc3245.voice" in content or "m.voice" in content)
    return Attachment(
        type="voice" if spoken else kind,
        # In an encrypted room the handle is beside the file's key.
        ref=text(content.get("url")) or text(mapping(content.get("file")).get("url")),
        mime=text(about.get("mimetype")),
        name=name,
        size_bytes=integer(about.get("size")),
        duration_s=None if length_ms is None or length_ms < 0 else length_ms / 1000,
    )


def _location(content: Json) -> Attachment:
    found = _GEO.match(text(content.get("geo_uri")) or "")
    if found is None:
        return Attachment(type="unsupported")
    return Attachment(type="location", latitude=float(found[1]), longitude=float(found[2]))


def _sticker(event: Json, content: Json) -> Found:
    file = _file("sticker", text(content.get("body")), content)
    return {"kind": EventKind.MESSAGE, "message": Message(id=optional_id(event.get("event_id")), attachments=(file,))}


def _encrypted(event: Json, content: Json) -> Found | str:
    found = _message(event, {"m.relates_to": content.get("m.relates_to")})
    if isinstance(found, dict):
        update = {"attachments": (Attachment(type="unsupported", native_type="m.room.encrypted"),)}
        found["message"] = found["message"].model_copy(update=update)
    return found


def _poll(event: Json, content: Json) -> Found:
    names = ("m.poll", "m.poll.start", "org.matrix.msc3381.poll.start")
    start = next((mapping(content[name]) for name in names if name in content), {})
    answers = tuple(filter(None, map(_words, items(start.get("answers")))))
    poll = Attachment(type="poll", name=_words(mapping(start.get("question"))), options=answers)
    return {"kind": EventKind.MESSAGE, "message": Message(id=optional_id(event.get("event_id")), attachments=(poll,))}


def _words(content: Json) -> str | None:
    """Return the text of an extensible event, or of a part of one."""
    stable = next((text(part.get("body")) for part in items(content.get("m.text"))), None)
    return text(content.get("body")) or text(content.get("org.matrix.msc1767.text")) or stable


def _vote(event: Json, content: Json) -> Found:
    given = mapping(content.get("org.matrix.msc3381.poll.response")).get("answers") or content.get("m.selections")
    answers, poll = listing(given), optional_id(mapping(content.get("m.relates_to")).get("event_id"))
    fields = tuple(FormField(name="answer", value=text(one)) for one in answers)
    return {"kind": EventKind.POSTBACK, "message": Message(id=poll, payload=compact(answers), fields=fields)}


def _reaction(event: Json, content: Json) -> Found:
    relation = mapping(content.get("m.relates_to"))
    about, emoji = optional_id(relation.get("event_id")), optional_id(relation.get("key"))
    if emoji is None:
        return {"kind": EventKind.SYSTEM}
    return {"kind": EventKind.REACTION, "message": Message(id=about, emoji=(emoji,), emoji_action="added")}


def _redaction(event: Json, content: Json) -> Found:
    # Version 11 of rooms moved the id into the content.
    about = optional_id(content.get("redacts")) or optional_id(event.get("redacts"))
    if about is None:
        return {"kind": EventKind.SYSTEM}
    return {"kind": EventKind.MESSAGE_DELETED, "message": Message(id=about)}


def _redacted(event: Json, because: Json) -> Found:
    # The event comes after its redaction, and has no content any more. The redaction comes by itself too: one occurrence.
    own_id = optional_id(event.get("event_id"))
    name = occurrence(optional_id(because.get("event_id"))) or occurrence(own_id, "redacted")
    return {"kind": EventKind.MESSAGE_DELETED, "message": Message(id=own_id), "name": name}


def _unknown(event: Json, content: Json) -> Found | str:
    native = word(event.get("type"))
    if "state_key" in event or native.startswith(UNSAID):
        return "a setting of the room, or of devices"
    words = _words(content)
    if words is None:
        return {"kind": EventKind.SYSTEM}
    unsupported = Attachment(type="unsupported", native_type=native)
    about = Message(id=optional_id(event.get("event_id")), text=words, attachments=(unsupported,))
    return {"kind": EventKind.MESSAGE, "message": about}


UNSAID = ("m.key.", "m.room_key", "m.dummy", "m.secret.", "m.call.candidates")
"""The beginnings of types by which devices talk to each other."""


def _ended(event: Json, content: Json) -> Found:
    poll = optional_id(mapping(content.get("m.relates_to")).get("event_id"))
    return {"kind": EventKind.SYSTEM, "message": Message(id=poll, text=_words(content))}


def _replaced(event: Json, content: Json) -> Found:
    return {"kind": EventKind.CONVERSATION_UPDATED, "successor": optional_id(content.get("replacement_room"))}


# --- people


def _member(event: Json, content: Json) -> Found | str:
    now, before = word(content.get("membership")), word(_previous(event).get("membership"))
    if now not in MEMBERSHIPS or now == before or (now != "join" and before in NOT_IN):
        return "nobody came or went"  # a profile was changed, somebody invited, an invitation declined
    person = optional_id(event.get("state_key"))
    if person is None:
        return {"kind": EventKind.SYSTEM}
    return {"kind": MEMBERSHIPS[now], "members": (Member(id=person, name=text(content.get("displayname"))),)}


def _previous(event: Json) -> Json:
    unsigned = mapping(event.get("unsigned"))
    return mapping(unsigned.get("prev_content") or event.get("prev_content"))


MEMBERSHIPS: Mapping[str, EventKind] = {
    "join": EventKind.MEMBER_JOINED,
    "leave": EventKind.MEMBER_LEFT,
    "ban": EventKind.MEMBER_LEFT,
}
NOT_IN = frozenset({"invite", "knock", "leave", "ban"})

EVENTS: Mapping[str, Callable[[Json, Json], Found | str]] = {
    "m.room.message": _message,
    "m.room.encrypted": _encrypted,
    "m.sticker": _sticker,
    "m.reaction": _reaction,
    "m.room.redaction": _redaction,
    "m.room.member": _member,
    **dict.fromkeys(("m.poll.start", "org.matrix.msc3381.poll.start"), _poll),
    **dict.fromkeys(("m.poll.response", "org.matrix.msc3381.poll.response"), _vote),
    **dict.fromkeys(("m.poll.end", "org.matrix.msc3381.poll.end"), _ended),
    "m.room.tombstone": _replaced,
}
"""From the platform's word for an event to its reader. Names, topics and other state of rooms are ignored."""


# --- what passes


def _typing(native: str, event: Json, name: str) -> Iterator[Item]:
    place = optional_id(event.get("room_id"))
    people = [one for one in map(optional_id, listing(mapping(event.get("content")).get("user_ids"))) if one]
    if not people:
        yield Ignored(native, "nobody types any more", raw=event)
    for person in people:
        yield Draft(
            kind=EventKind.TYPING,
            native_kind=native,
            dedupe_id=occurrence(name or None, person),
            conversation=Conversation(id=place),
            sender=Sender(id=person),
            raw={**event, "content": {"user_ids": [person]}},
        )


def _receipts(native: str, event: Json, name: str) -> Iterator[Item]:
    place = Conversation(id=optional_id(event.get("room_id")))
    for about, kinds in mapping(event.get("content")).items():
        for person, receipt in mapping(mapping(kinds).get("m.read")).items():
            if optional_id(person) is None:
                continue
            yield Draft(
                kind=EventKind.STATUS,
                native_kind=native,
                dedupe_id=occurrence(optional_id(about), "read", person),
                occurred_at=millis(mapping(receipt).get("ts")),
                conversation=place,
                sender=Sender(id=person),
                message=Message(id=optional_id(about), status="read"),
                raw={**event, "content": {about: {"m.read": {person: receipt}}}},
            )


PASSING: Mapping[str, Callable[[str, Json, str], Iterator[Item]]] = {"m.typing": _typing, "m.receipt": _receipts}
"""Ephemeral events: who types, and how far people have read. Presence is ignored."""
