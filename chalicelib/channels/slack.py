"""Slack: Events API, interactivity and slash commands at one address, signed with a time.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack, /apis/events-api,
/reference/events/message and /interactivity/handling-user-interaction (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, AttachmentType, Draft, EventKind, Member, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    clean,
    hmac_sha256,
    id_,
    integer,
    listing,
    mapping,
    number,
    optional_id,
    parse_form,
    parse_json,
    same,
    seconds,
    text,
    word,
)
from .slack_interactive import INTERACTIONS, command, conversation

KIND = "slack"
CAPABILITIES = ChannelCapabilities(answer_within_s=3, unsubscribes_after_h=1)
"""An app that answers less than 5 % of the events of 60 minutes is disabled.

Source: https://api.slack.com/events/app_rate_limited (read 2026-11-30).
"""
SIGNATURE, TIMESTAMP = "x-slack-signature", "x-slack-request-timestamp"
VERSION = "v0"
TOLERANCE_S = 300

Item = Draft | Ignored


class Secret(base.Secret):
    """The app's signing secret."""

    signing_secret: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over version, time and raw bytes, and that the time is not more than 5 minutes off.

    Raises:
        NotGenuine: the signature is missing or wrong, or the request is stale.
    """
    stamp = request.headers.get(TIMESTAMP, "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        raise NotGenuine("the time of the request is missing or wrong")
    signed = hmac_sha256(secret.signing_secret, f"{VERSION}:{stamp}:".encode(), request.body)
    if not same(request.headers.get(SIGNATURE), f"{VERSION}={signed}"):
        raise NotGenuine("the signature is missing or wrong")
    if abs(request.now.timestamp() - int(stamp)) > TOLERANCE_S:
        raise NotGenuine("the request is stale")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Answer ``url_verification`` with its challenge as plain text. It is signed like every request."""
    if b'"url_verification"' in request.body:
        document = parse_json(request.body)
        if document.get("type") == "url_verification":
            return Reply(200, clean(id_(document.get("challenge"))), {"Content-Type": "text/plain; charset=utf-8"})
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200: text in the answer to a command or a form would be shown to the person."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events of a callback, an interaction or a command."""
    if request.body.lstrip()[:1] == b"{":
        document = parse_json(request.body)
        native = word(document.get("type"))
        if native == "event_callback":
            yield _event(document)
        else:
            yield Ignored(native, "not about a conversation")
        return
    form = parse_form(request.body)
    if "payload" in form:
        document = parse_json(form["payload"])
        native = word(document.get("type"))
        if native in INTERACTIONS:
            yield from INTERACTIONS[native](native, document)
        else:
            yield Ignored(native, "an interaction that is not known")
    elif "command" in form:
        yield command(form)
    elif "ssl_check" in form:
        yield Ignored("ssl_check", "a probe of the address")
    else:
        raise MalformedPayload("neither an event nor an interaction nor a command")


# --- events


def _event(envelope: Json) -> Item:
    event = mapping(envelope.get("event"))
    native = word(event.get("type"))
    if native not in EVENTS:
        return Ignored(native, "not about a conversation")
    return EVENTS[native](native, envelope, event)


def _draft(kind: EventKind, native: str, envelope: Json, channel: Any, **rest: Any) -> Draft:
    event = mapping(envelope.get("event"))
    stamp = event.get("event_ts") or event.get("ts") or envelope.get("event_time")
    thread, title = rest.pop("thread", None), rest.pop("title", None)
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=id_(envelope.get("event_id")),
        occurred_at=seconds(stamp),
        conversation=conversation(channel, event.get("channel_type"), thread, title),
        raw=event,
        **rest,
    )


def _message(native: str, envelope: Json, event: Json) -> Item:
    subtype = text(event.get("subtype"))
    if subtype is None:
        return _posted(EventKind.MESSAGE, native, envelope, event)
    native = f"{native}.{word(subtype)}"
    if subtype not in SUBTYPES:
        return Ignored(native, "a type of message that is not known")
    return SUBTYPES[subtype](native, envelope, event)


def _posted(kind: EventKind, native: str, envelope: Json, event: Json) -> Item:
    return _draft(
        kind,
        native,
        envelope,
        event.get("channel"),
        thread=event.get("thread_ts"),
        sender=_sender(event, envelope),
        message=_about(event, id_(event.get("ts"))),
    )


def _about(message: Json, own_id: str, edited_at: datetime | None = None) -> Message:
    files = tuple(_file(mapping(file)) for file in listing(message.get("files")))
    return Message(id=own_id, text=text(message.get("text")), attachments=files, edited_at=edited_at)


def _sender(message: Json, envelope: Json) -> Sender | None:
    user, bot = optional_id(message.get("user")), optional_id(message.get("bot_id"))
    if user is None and bot is None:
        return None
    profile = mapping(message.get("bot_profile")) or mapping(message.get("user_profile"))
    app = message.get("app_id") or profile.get("app_id")
    ours = [mapping(a).get("user_id") for a in listing(envelope.get("authorizations")) if mapping(a).get("is_bot")]
    return Sender(
        id=user or bot,
        name=text(profile.get("real_name")) or text(profile.get("name")),
        username=text(message.get("username")),
        is_bot=bot is not None,
        is_self=user in ours if user else app is not None and app == envelope.get("api_app_id"),
    )


def _file(file: Json) -> Attachment:
    mime = text(file.get("mimetype"))
    if text(file.get("mode")) in ("tombstone", "hidden_by_limit"):
        return Attachment(type="unsupported", ref=optional_id(file.get("id")))
    length_ms = number(file.get("duration_ms"))
    kind = MIME_TYPES.get((mime or "").partition("/")[0], "file")
    return Attachment(
        type="voice" if file.get("subtype") == "slack_audio" else kind,
        ref=id_(file.get("id")),
        url=text(file.get("url_private")),  # opened with the app's token, which is not part of it
        mime=mime,
        name=text(file.get("name")) or text(file.get("title")),
        size_bytes=integer(file.get("size")),
        duration_s=None if length_ms is None else length_ms / 1000,
    )


MIME_TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}


def _changed(native: str, envelope: Json, event: Json) -> Item:
    new, old = mapping(event.get("message")), mapping(event.get("previous_message"))
    own_id = id_(new.get("ts") or old.get("ts"))
    if new.get("subtype") == "tombstone":  # the first message of a thread was deleted
        return _gone(native, envelope, event, old, own_id)
    if old and all(new.get(name) == old.get(name) for name in ("text", "files", "edited")):
        return Ignored(native, "a preview was unfolded, nothing was edited")
    stamp = mapping(new.get("edited")).get("ts")
    return _draft(
        EventKind.MESSAGE_EDITED,
        native,
        envelope,
        event.get("channel"),
        thread=new.get("thread_ts"),
        sender=_sender(new, envelope),
        message=_about(new, own_id, None if stamp is None else seconds(stamp)),
    )


def _deleted(native: str, envelope: Json, event: Json) -> Item:
    return _gone(native, envelope, event, mapping(event.get("previous_message")), id_(event.get("deleted_ts")))


def _gone(native: str, envelope: Json, event: Json, old: Json, own_id: str) -> Item:
    return _draft(
        EventKind.MESSAGE_DELETED,
        native,
        envelope,
        event.get("channel"),
        thread=old.get("thread_ts"),
        sender=_sender(old, envelope),
        message=Message(id=own_id),
    )


def _moved(kind: EventKind, native: str, envelope: Json, event: Json) -> Item:
    person = id_(event.get("user"))
    inviter = optional_id(event.get("inviter"))
    member = (Member(id=person),)
    return _draft(kind, native, envelope, event.get("channel"), sender=Sender(id=inviter or person), members=member)


def _updated(native: str, envelope: Json, event: Json) -> Item:
    channel: Any = event.get("channel")
    name: Any = event.get("name")
    if isinstance(channel, dict):  # a renamed channel is described, not only named
        channel, name = channel.get("id"), channel.get("name")
    return _draft(
        EventKind.CONVERSATION_UPDATED,
        native,
        envelope,
        id_(channel),
        title=name,
        sender=_sender(event, envelope),
    )


def _reaction(added: bool, native: str, envelope: Json, event: Json) -> Item:
    item = mapping(event.get("item"))
    if item.get("type") != "message":
        return Ignored(native, "a reaction to something else than a message")
    emoji = id_(event.get("reaction"))
    about = Message(
        id=id_(item.get("ts")),
        emoji=(emoji,) if added else (),
        emoji_action="added" if added else "removed",
        payload=None if added else emoji,  # which one was taken back; others of the same person may remain
    )
    return _draft(
        EventKind.REACTION, native, envelope, item.get("channel"), sender=_sender(event, envelope), message=about
    )


SUBTYPES: Mapping[str, Callable[[str, Json, Json], Item]] = {
    **dict.fromkeys(
        ("file_share", "thread_broadcast", "bot_message", "me_message", "assistant_app_thread"),
        partial(_posted, EventKind.MESSAGE),
    ),
    "message_changed": _changed,
    "message_deleted": _deleted,
    **dict.fromkeys(("channel_join", "group_join"), partial(_moved, EventKind.MEMBER_JOINED)),
    **dict.fromkeys(("channel_leave", "group_leave"), partial(_moved, EventKind.MEMBER_LEFT)),
    **dict.fromkeys(
        (
            *(f"{kind}_{what}" for kind in ("channel", "group") for what in ("topic", "purpose", "name")),
            *(f"{kind}_{what}" for kind in ("channel", "group") for what in ("archive", "unarchive")),
            "channel_posting_permissions",
            "channel_convert_to_private",
            "pinned_item",
            "unpinned_item",
        ),
        _updated,
    ),
}

EVENTS: Mapping[str, Callable[[str, Json, Json], Item]] = {
    "message": _message,
    "app_mention": partial(_posted, EventKind.MESSAGE),
    "member_joined_channel": partial(_moved, EventKind.MEMBER_JOINED),
    "member_left_channel": partial(_moved, EventKind.MEMBER_LEFT),
    "reaction_added": partial(_reaction, True),
    "reaction_removed": partial(_reaction, False),
    **dict.fromkeys(
        (
            *(f"{kind}_{what}" for kind in ("channel", "group") for what in ("rename", "archive", "unarchive")),
            *(f"{kind}_deleted" for kind in ("channel", "group")),
        ),
        _updated,
    ),
}
"""From the platform's word for an event to its reader. What is not about a conversation is ignored."""
