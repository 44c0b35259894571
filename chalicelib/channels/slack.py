"""Slack: Events API, interactivity and slash commands at one address, signed with a time.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack, /apis/events-api,
/reference/events, /reference/events/message and /interactivity/handling-user-interaction (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import Attachment, Conversation, Draft, EventKind, Member, Message, Sender
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import (
    Json,
    clean,
    hmac_sha256,
    items,
    mapping,
    occurrence,
    optional_id,
    parse_form,
    parse_json,
    same,
    seconds,
    text,
    word,
)
from .forms import embedded
from .slack_content import content, is_preview
from .slack_interactive import INTERACTIONS, UNRECORDED, command, conversation, unknown, without_credentials

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
    """Answer ``url_verification`` with its challenge as plain text. It is signed like every request.

    Raises:
        MalformedPayload: it has no challenge.
    """
    if b'"url_verification"' in request.body:
        document = parse_json(request.body)
        if document.get("type") == "url_verification":
            asked = text(document.get("challenge"))
            if asked is None:
                raise MalformedPayload("the handshake has no challenge")
            return Reply(200, clean(asked), {"Content-Type": "text/plain; charset=utf-8"})
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200: text in the answer to a command or a form would be shown to the person."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the events of a callback, an interaction or a command."""
    if request.body.lstrip()[:1] == b"{":
        document = parse_json(request.body)
        native = word(document.get("type"))
        if native == "event_callback" or "event" in document:
            yield _event(document)
        else:
            yield Ignored(native, "not about a conversation", raw=without_credentials(document))
        return
    form = parse_form(request.body)
    if "payload" in form:
        document = embedded(form["payload"])
        native = word(document.get("type"))
        if native in UNRECORDED:
            yield Ignored(native, UNRECORDED[native], raw=without_credentials(document))
        else:
            yield from INTERACTIONS.get(native, unknown)(native, document)
    elif "command" in form or "trigger_id" in form:
        yield command(form)
    elif "ssl_check" in form:
        yield Ignored("ssl_check", "a probe of the address")
    else:
        yield Ignored("unknown", "neither an event nor an interaction nor a command", raw=without_credentials(form))


# --- events


def _event(envelope: Json) -> Item:
    event = without_credentials(mapping(envelope.get("event")))
    native = word(event.get("type"))
    if native in EVENTS:
        return EVENTS[native](native, envelope, event)
    place = _place(event)
    if native in IGNORED or place is None:
        return Ignored(native, IGNORED.get(native, "not about a conversation"), raw=event)
    about = {**mapping(event.get("assistant_thread")), **event}
    sender = _sender(about, envelope)
    return _draft(EventKind.SYSTEM, native, envelope, event, place, thread=about.get("thread_ts"), sender=sender)


def _place(event: Json) -> Any:
    assistant, channel = mapping(event.get("assistant_thread")), event.get("channel")
    found = channel.get("id") if isinstance(channel, dict) else channel
    return optional_id(found or event.get("channel_id") or assistant.get("channel_id"))


def _draft(kind: EventKind, native: str, envelope: Json, event: Json, place: Any, **rest: Any) -> Draft:
    stamp = event.get("event_ts") or event.get("ts") or envelope.get("event_time")
    where = conversation(place, event.get("channel_type"), rest.pop("thread", None), rest.pop("title", None))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(optional_id(envelope.get("event_id"))),
        occurred_at=seconds(stamp),
        conversation=rest.pop("conversation", where),
        raw=event,
        **rest,
    )


def _message(native: str, envelope: Json, event: Json) -> Item:
    subtype = text(event.get("subtype"))
    if subtype is None:
        return _posted(native, envelope, event)
    native = f"{native}.{word(subtype)}"
    return SUBTYPES.get(subtype, _unknown)(native, envelope, event)


def _unknown(native: str, envelope: Json, event: Json) -> Item:
    return _posted(native, envelope, event, Attachment(type="unsupported", native_type=word(event.get("subtype"))))


def _posted(native: str, envelope: Json, event: Json, *unsupported: Attachment) -> Item:
    about = _about(event, optional_id(event.get("ts")), unsupported=unsupported)
    return _draft(
        EventKind.MESSAGE,
        native,
        envelope,
        event,
        event.get("channel"),
        thread=event.get("thread_ts"),
        sender=_sender(event, envelope),
        message=about,
    )


def _about(
    message: Json, own_id: str | None, edited_at: datetime | None = None, unsupported: tuple[Attachment, ...] = ()
) -> Message:
    found = content(message)
    attachments = (*found.pop("attachments"), *unsupported)
    return Message(id=own_id, attachments=attachments, edited_at=edited_at, **found)


def _sender(message: Json, envelope: Json) -> Sender | None:
    user, bot = optional_id(message.get("user") or message.get("user_id")), optional_id(message.get("bot_id"))
    username, webhook = text(message.get("username")), message.get("subtype") == "bot_message"
    if user is None and bot is None and username is None:
        return None
    profile = mapping(message.get("bot_profile")) or mapping(message.get("user_profile"))
    app = message.get("app_id") or profile.get("app_id")
    ours = [one.get("user_id") for one in items(envelope.get("authorizations")) if one.get("is_bot")]
    return Sender(
        id=user or bot,
        name=text(profile.get("real_name")) or text(profile.get("name")),
        username=username,
        is_bot=bot is not None or webhook,
        is_self=user in ours if user else app is not None and app == envelope.get("api_app_id"),
    )


def _changed(native: str, envelope: Json, event: Json) -> Item:
    new, old = mapping(event.get("message")), mapping(event.get("previous_message"))
    own_id = optional_id(new.get("ts") or old.get("ts"))
    if new.get("subtype") == "tombstone":  # the first message of a thread was deleted
        return _gone(native, envelope, event, old, own_id)
    if old and _written(new) == _written(old):
        return Ignored(native, "a preview was unfolded, nothing was edited", raw=event)
    stamp = mapping(new.get("edited")).get("ts")
    return _draft(
        EventKind.MESSAGE_EDITED,
        native,
        envelope,
        event,
        event.get("channel"),
        thread=new.get("thread_ts"),
        sender=_sender(new, envelope),
        message=_about(new, own_id, None if stamp is None else seconds(stamp)),
    )


def _written(message: Json) -> list[Any]:
    # A person's words get no cards, only previews.
    by_app = any(message.get(name) for name in ("bot_id", "app_id")) or not message.get("text")
    cards = [card for card in items(message.get("attachments")) if by_app and not is_preview(card)]
    return [*(message.get(name) for name in ("text", "files", "edited", "blocks")), cards]


def _deleted(native: str, envelope: Json, event: Json) -> Item:
    old = mapping(event.get("previous_message"))
    return _gone(native, envelope, event, old, optional_id(event.get("deleted_ts") or old.get("ts")))


def _gone(native: str, envelope: Json, event: Json, old: Json, own_id: str | None) -> Item:
    return _draft(
        EventKind.MESSAGE_DELETED,
        native,
        envelope,
        event,
        event.get("channel"),
        thread=old.get("thread_ts"),
        sender=_sender(old, envelope),
        message=Message(id=own_id),
    )


def _moved(kind: EventKind, native: str, envelope: Json, event: Json) -> Item:
    person = optional_id(event.get("user"))
    actor = optional_id(event.get("inviter")) or person
    return _draft(
        kind,
        native,
        envelope,
        event,
        event.get("channel"),
        sender=Sender(id=actor) if actor else None,
        members=(Member(id=person),) if person else (),
    )


def _updated(native: str, envelope: Json, event: Json) -> Item:
    channel = mapping(event.get("channel"))  # a renamed channel is described, not only named
    return _draft(
        EventKind.CONVERSATION_UPDATED,
        native,
        envelope,
        event,
        _place(event),
        title=channel.get("name") or event.get("name"),
        sender=_sender(event, envelope),
    )


def _renumbered(native: str, envelope: Json, event: Json) -> Item:
    old, new = optional_id(event.get("old_channel_id")), optional_id(event.get("new_channel_id"))
    where = Conversation(id=old or new, direct=False, successor=new if old else None)
    return _draft(EventKind.CONVERSATION_UPDATED, native, envelope, event, None, conversation=where)


def _reaction(added: bool, native: str, envelope: Json, event: Json) -> Item:
    item = mapping(event.get("item"))
    if item.get("type", "message") != "message":
        return Ignored(native, "a reaction to something else than a message", raw=event)
    emoji = optional_id(event.get("reaction"))
    about = Message(
        id=optional_id(item.get("ts")),
        emoji=(emoji,) if added and emoji else (),
        emoji_action="added" if added else "removed",
        payload=None if added else emoji,  # which one was taken back; others of the same person may remain
    )
    sender = _sender(event, envelope)
    return _draft(EventKind.REACTION, native, envelope, event, item.get("channel"), sender=sender, message=about)


def _repeated(native: str, envelope: Json, event: Json) -> Item:
    return Ignored(native, "a thread grew; its new message comes by itself", raw=event)


SUBTYPES: Mapping[str, Callable[[str, Json, Json], Item]] = {
    **dict.fromkeys(
        (
            *("file_share", "thread_broadcast", "bot_message", "me_message", "assistant_app_thread", "message_share"),
            *("file_comment", "file_mention", "reply_broadcast", "slackbot_response"),
        ),
        _posted,
    ),
    "message_replied": _repeated,
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
    "app_mention": _posted,
    "member_joined_channel": partial(_moved, EventKind.MEMBER_JOINED),
    "member_left_channel": partial(_moved, EventKind.MEMBER_LEFT),
    "reaction_added": partial(_reaction, True),
    "reaction_removed": partial(_reaction, False),
    **dict.fromkeys(
        (
            *(f"{kind}_{what}" for kind in ("channel", "group") for what in ("rename", "archive", "unarchive")),
            *(f"{kind}_deleted" for kind in ("channel", "group")),
            *("pin_added", "pin_removed"),
        ),
        _updated,
    ),
    "channel_id_changed": _renumbered,
}
"""From the platform's word for an event to its reader. Any other event with a channel is ``system``."""

IGNORED: Mapping[str, str] = {
    "app_home_opened": "a person looks at the app's own page",
    **dict.fromkeys(("link_shared", "file_shared"), "the message that has it comes by itself"),
    "function_executed": "a step of a workflow, not of a conversation",
}
"""Events that are ignored although they name a channel or a person. What names no channel is ignored as well."""
