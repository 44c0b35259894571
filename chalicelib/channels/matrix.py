"""Matrix, as an application service of a homeserver: transactions of events, put under the hook's address.

A homeserver sends a transaction again until it is taken, and nothing after it; and what is in an event's content was
written by a stranger on another server. So content that is not what its type promises makes that event ignored, never
the transaction malformed.

Source: https://spec.matrix.org/v1.18/application-service-api/ and /client-server-api/ (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Member, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, compact, id_, integer, listing, mapping, millis, optional_id, parse_json, same, text, word

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
    for event in map(mapping, listing(transaction.get("events"))):
        yield _event(event)
    _, name = _endpoint(request)
    passing = transaction.get("ephemeral", transaction.get("de.sorunome.msc2409.ephemeral"))
    for index, event in enumerate(map(mapping, listing(passing))):
        native = word(event.get("type"))
        if native not in PASSING:
            yield Ignored(native, "not about a conversation")
            continue
        try:
            yield from list(PASSING[native](native, event, f"{id_(name)}:{index}"))
        except MalformedPayload:
            yield Ignored(native, "not what its type promises")


def _event(event: Json) -> Item:
    native, own_id = word(event.get("type")), id_(event.get("event_id"))
    place, author = id_(event.get("room_id")), id_(event.get("sender"))
    if native not in EVENTS:
        return Ignored(native, "not about a conversation")
    try:
        found = EVENTS[native](event, mapping(event.get("content")))
        if isinstance(found, str):
            return Ignored(native, found)
        at = millis(event.get("origin_server_ts"))
    except MalformedPayload:
        return Ignored(native, "not what its type promises")
    unsigned: Any = event.get("unsigned")
    own = isinstance(unsigned, dict) and "transaction_id" in unsigned  # only who sent an event is told its transaction
    return Draft(
        kind=found["kind"],
        native_kind=native,
        dedupe_id=own_id,
        occurred_at=at,
        conversation=Conversation(id=place, thread=found.get("thread")),
        sender=Sender(id=author, is_bot=found.get("is_bot", False), is_self=own),
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
        about = _about(id_(relation.get("event_id")), new)
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
        "thread": id_(relation.get("event_id")) if threaded else None,
        "message": _about(id_(event.get("event_id")), content).model_copy(update={"reply_to": reply}),
        "is_bot": content.get("msgtype") == "m.notice",
    }


def _about(own_id: str, content: Json) -> Message:
    kind, body = word(content.get("msgtype")), text(content.get("body"))
    if kind in FILES:
        name = text(content.get("filename")) or body
        file = _file(FILES[kind], name, content)
        return Message(id=own_id, text=body if body != name else None, attachments=(file,))
    if kind == "m.location":
        return Message(id=own_id, text=body, attachments=(_location(content),))
    return Message(id=own_id, text=body)  # of a type that is not known, the body is what is to be shown


FILES: Mapping[str, AttachmentType] = {"m.image": "image", "m.video": "video", "m.audio": "audio", "m.file": "file"}


def _file(kind: AttachmentType, name: str | None, content: Json) -> Attachment:
    about, length_ms = mapping(content.get("info")), integer(mapping(content.get("info")).get("duration"))
    spoken = kind == "audio" and ("org.matrix.msc3245.voice" in content or "m.voice" in content)
    return Attachment(
        type="voice" if spoken else kind,
        # In an encrypted room the handle is beside the file's key.
        ref=text(content.get("url")) or text(mapping(content.get("file")).get("url")),
        mime=text(about.get("mimetype")),
        name=name,
        size_bytes=integer(about.get("size")),
        duration_s=None if length_ms is None else length_ms / 1000,
    )


def _location(content: Json) -> Attachment:
    found = _GEO.match(text(content.get("geo_uri")) or "")
    if found is None:
        return Attachment(type="unsupported")
    return Attachment(type="location", latitude=float(found[1]), longitude=float(found[2]))


def _sticker(event: Json, content: Json) -> Found:
    file = _file("sticker", text(content.get("body")), content)
    return {"kind": EventKind.MESSAGE, "message": Message(id=id_(event.get("event_id")), attachments=(file,))}


def _encrypted(event: Json, content: Json) -> Found | str:
    found = _message(event, {"m.relates_to": content.get("m.relates_to")})
    if isinstance(found, dict):
        update = {"attachments": (Attachment(type="unsupported"),)}
        found["message"] = found["message"].model_copy(update=update)
    return found


def _poll(event: Json, content: Json) -> Found:
    names = ("m.poll", "m.poll.start", "org.matrix.msc3381.poll.start")
    start = next((mapping(content[name]) for name in names if name in content), {})
    question = mapping(start.get("question"))
    stable = [mapping(part).get("body") for part in listing(question.get("m.text"))]
    title = text(question.get("body") or question.get("org.matrix.msc1767.text") or (stable or [None])[0])
    poll = Attachment(type="poll", name=title)
    return {"kind": EventKind.MESSAGE, "message": Message(id=id_(event.get("event_id")), attachments=(poll,))}


def _vote(event: Json, content: Json) -> Found:
    answers = mapping(content.get("org.matrix.msc3381.poll.response")).get("answers") or content.get("m.selections")
    poll = id_(mapping(content.get("m.relates_to")).get("event_id"))
    return {"kind": EventKind.POSTBACK, "message": Message(id=poll, payload=compact(listing(answers)))}


def _reaction(event: Json, content: Json) -> Found:
    relation = mapping(content.get("m.relates_to"))
    about = Message(id=id_(relation.get("event_id")), emoji=(id_(relation.get("key")),), emoji_action="added")
    return {"kind": EventKind.REACTION, "message": about}


def _redaction(event: Json, content: Json) -> Found:
    # Version 11 of rooms moved the id into the content.
    return {
        "kind": EventKind.MESSAGE_DELETED,
        "message": Message(id=id_(content.get("redacts") or event.get("redacts"))),
    }


# --- people


def _member(event: Json, content: Json) -> Found | str:
    now, before = word(content.get("membership")), word(_previous(event).get("membership"))
    if now not in MEMBERSHIPS or now == before or (now != "join" and before in NOT_IN):
        return "nobody came or went"  # a profile was changed, somebody invited, an invitation declined
    person = Member(id=id_(event.get("state_key")), name=text(content.get("displayname")))
    return {"kind": MEMBERSHIPS[now], "members": (person,)}


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
}
"""From the platform's word for an event to its reader. Names, topics and other state of rooms are ignored."""


# --- what passes


def _typing(native: str, event: Json, name: str) -> Iterator[Item]:
    place = Conversation(id=id_(event.get("room_id")))
    people = [id_(one) for one in listing(mapping(event.get("content")).get("user_ids"))]
    if not people:
        yield Ignored(native, "nobody types any more")
    for person in people:
        yield Draft(
            kind=EventKind.TYPING,
            native_kind=native,
            dedupe_id=f"{name}:{person}",
            conversation=place,
            sender=Sender(id=person),
            raw={**event, "content": {"user_ids": [person]}},
        )


def _receipts(native: str, event: Json, name: str) -> Iterator[Item]:
    place = Conversation(id=id_(event.get("room_id")))
    for about, kinds in mapping(event.get("content")).items():
        for person, receipt in mapping(mapping(kinds).get("m.read")).items():
            stamp = mapping(receipt).get("ts")
            yield Draft(
                kind=EventKind.STATUS,
                native_kind=native,
                dedupe_id=f"{id_(about)}:read:{id_(person)}",
                occurred_at=millis(stamp),
                conversation=place,
                sender=Sender(id=person),
                message=Message(id=about, status="read"),
                raw={**event, "content": {about: {"m.read": {person: receipt}}}},
            )


PASSING: Mapping[str, Callable[[str, Json, str], Iterator[Item]]] = {"m.typing": _typing, "m.receipt": _receipts}
"""Ephemeral events: who types, and how far people have read. Presence is ignored."""
