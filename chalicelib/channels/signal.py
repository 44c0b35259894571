"""Signal, through signal-cli-rest-api in JSON-RPC mode. It proves nothing and never repeats: the address is the secret.

Source: https://github.com/bbernhard/signal-cli-rest-api (RECEIVE_WEBHOOK_URL), and for what it passes on
https://github.com/AsamK/signal-cli/blob/master/man/signal-cli-jsonrpc.5.adoc and src/main/java/org/asamk/signal/json
(read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.event.event import (
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    Message,
    Quote,
    Sender,
    Status,
)
from .base import ChannelCapabilities, Ignored, Inbound, Reply, UrlTokenSecret, verify_url_token
from .fields import (
    Json,
    compact,
    integer,
    items,
    joined,
    listing,
    mapping,
    millis,
    occurrence,
    optional_id,
    parse_json,
    phone,
    text,
    word,
)
from .people import other_ids

KIND = "signal"
CAPABILITIES = ChannelCapabilities(url_token=True)
Secret = UrlTokenSecret
verify = verify_url_token
GROUP_CHANGED = "UPDATE"
TYPES: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}

Item = Draft | Ignored


def challenge(request: Inbound, secret: UrlTokenSecret) -> Reply | None:
    """Return None: there is no handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200. Nobody reads it."""
    return Reply()


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield what the envelope holds. Sender, device and time name it; receipts also the message that they are about."""
    call = parse_json(request.body)
    if call.get("method", "receive") != "receive":
        yield Ignored(word(call.get("method")), "not something received", call)
        return
    parameters = mapping(call.get("params", call))
    envelope = mapping(mapping(parameters.get("result", parameters)).get("envelope"))
    native = next((name for name in CONTENTS if envelope.get(name) is not None), None)
    if native is not None:
        yield from CONTENTS[native](native, envelope, mapping(envelope[native]))
        return
    kinds = [word(name) for name in envelope if name.endswith("Message")]
    fault = mapping(parameters.get("exception"))
    if fault and not kinds and _person(envelope, "source"):  # something came that the account could not decrypt
        yield _draft(EventKind.SYSTEM, f"exception.{word(fault.get('type'))}", envelope)
    else:
        yield Ignored((kinds or ["unknown"])[0], "not about a conversation", envelope)


def _person(holder: Json, name: str) -> str | None:
    # People who hide their number have none, and contacts of old have no UUID.
    return optional_id(holder.get(f"{name}Uuid")) or optional_id(holder.get(f"{name}Number") or holder.get(name))


def _draft(
    kind: EventKind, native: str, envelope: Json, *, to: Json | None = None, suffix: str = "", **rest: Any
) -> Draft:
    author, other = _person(envelope, "source"), _person(to, "destination") if to else None
    group: Json = rest.pop("group", {})
    chat = optional_id(group.get("groupId"))
    device, stamp = integer(envelope.get("sourceDevice")) or 0, optional_id(envelope.get("timestamp"))
    others = other_ids(other, number=to.get("destinationNumber")) if to and other and chat is None else ()
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=occurrence(author, device, stamp) + suffix if author and stamp else "",
        occurred_at=millis(envelope.get("timestamp")),
        conversation=Conversation(
            id=chat or other or author, direct=chat is None, title=text(group.get("groupName")), alt_ids=others
        ),
        sender=Sender(
            id=author,
            name=text(envelope.get("sourceName")),
            phone=phone(envelope.get("sourceNumber")),
            is_self=rest.pop("is_self", False),
            alt_ids=other_ids(author, number=envelope.get("sourceNumber")),
        ),
        raw=envelope,
        **rest,
    )


# --- what people write


def _data(native: str, envelope: Json, data: Json, **rest: Any) -> Iterator[Item]:
    rest["group"] = mapping(data.get("groupInfo"))
    for name, read in PARTS.items():
        if data.get(name) is not None:
            kind, message = read(mapping(data[name]))
            yield _draft(kind, f"{native}.{name}", envelope, message=message, **rest)
            return
    message = _written(data)
    unknown = [name for name, value in data.items() if name not in FRAME and value not in (None, False, [], {})]
    if unknown and message.is_empty:
        found = (Attachment(type="unsupported", native_type=word(unknown[0])),)
        message = message.model_copy(update={"attachments": found})
    if not message.is_empty:
        yield _draft(EventKind.MESSAGE, native, envelope, message=message, **rest)
    elif rest["group"].get("type") == GROUP_CHANGED or data.get("isExpirationUpdate") is True:
        yield _draft(EventKind.CONVERSATION_UPDATED, f"{native}.update", envelope, **rest)
    else:
        yield Ignored(native, "a message without content, as Signal sends with a new profile", envelope)


FRAME = frozenset(
    {
        *("timestamp", "message", "expiresInSeconds", "isExpirationUpdate", "viewOnce", "groupInfo", "attachments"),
        *(
            "contacts",
            "sticker",
            "quote",
            "mentions",
            "previews",
            "textStyles",
            "storyContext",
            "pollCreate",
            "payment",
        ),
        *("profileKey", "isProfileKeyUpdate", "isEndSession", "endSession", "hasProfileKey", "isRecipientUpdate"),
        *("destination", "destinationNumber", "destinationUuid", "expirationStartTimestamp"),
    }
)
"""Fields that are read, or that hold nothing a person said."""


def _written(data: Json) -> Message:
    return Message(
        id=optional_id(data.get("timestamp")),
        text=text(data.get("message")),
        attachments=tuple(_attachments(data)),
        reply_to=optional_id(mapping(data.get("quote")).get("id")),
        quotes=tuple(_quotes(data)),
    )


def _quotes(data: Json) -> Iterator[Quote]:
    quote, story = mapping(data.get("quote")), mapping(data.get("storyContext"))
    if quote:
        yield Quote(id=optional_id(quote.get("id")), sender=_person(quote, "author"), text=text(quote.get("text")))
    if story:
        yield Quote(id=optional_id(story.get("sentTimestamp")), sender=_person(story, "author"))


def _attachments(data: Json) -> Iterator[Attachment]:
    for file in items(data.get("attachments")):
        mime = text(file.get("contentType"))
        yield Attachment(
            type=TYPES.get((mime or "").partition("/")[0], "file"),
            ref=optional_id(file.get("id")),
            mime=mime,
            name=text(file.get("filename")),
            size_bytes=integer(file.get("size")),
            caption=text(file.get("caption")),
        )
    sticker = mapping(data.get("sticker"))
    if sticker:
        parts = optional_id(sticker.get("packId")), optional_id(sticker.get("stickerId"))
        yield Attachment(type="sticker", ref="/".join(filter(None, parts)) or None)
    for card in items(data.get("contacts")):
        name = mapping(card.get("name"))
        phones = tuple(filter(None, (phone(one.get("value")) for one in items(card.get("phone")))))
        yield Attachment(
            type="contact",
            name=joined(name.get("given"), name.get("family")) or text(card.get("organization")),
            phone=next(iter(phones), None),
            phones=phones,
            emails=tuple(filter(None, (text(one.get("value")) for one in items(card.get("email"))))),
        )
    poll = mapping(data.get("pollCreate"))
    if poll:
        answers = (text(mapping(one).get("text")) or text(one) for one in listing(poll.get("options")))
        yield Attachment(type="poll", name=text(poll.get("question")), options=tuple(filter(None, answers)))
    if data.get("payment") is not None:
        yield Attachment(type="unsupported", native_type="payment")


def _target(about: Json) -> str | None:
    return optional_id(about.get("targetSentTimestamp"))


def _reaction(about: Json) -> tuple[EventKind, Message]:
    emoji, removed = text(about.get("emoji")), about.get("isRemove") is True
    message = Message(
        id=_target(about),
        emoji=() if removed or emoji is None else (emoji,),  # a person has one reaction to a message
        emoji_action="set",
    )
    return EventKind.REACTION, message


def _deleted(about: Json) -> tuple[EventKind, Message]:
    return EventKind.MESSAGE_DELETED, Message(id=optional_id(about.get("timestamp")) or _target(about))


def _vote(about: Json) -> tuple[EventKind, Message]:
    return EventKind.POSTBACK, Message(id=_target(about), payload=compact(listing(about.get("optionIndexes"))))


def _updated(about: Json) -> tuple[EventKind, Message]:
    return EventKind.CONVERSATION_UPDATED, Message(id=_target(about))


PARTS: Mapping[str, Callable[[Json], tuple[EventKind, Message]]] = {
    "reaction": _reaction,
    "remoteDelete": _deleted,
    "adminDelete": _deleted,
    "pollVote": _vote,
    "pollTerminate": _updated,
    "pinMessage": _updated,
    "unpinMessage": _updated,
}
"""What a data message is instead of something written, and its reader."""


def _edit(native: str, envelope: Json, edit: Json, **rest: Any) -> Iterator[Item]:
    data = mapping(edit.get("dataMessage"))
    message = _written(data).model_copy(update={"id": _target(edit), "edited_at": millis(data.get("timestamp"))})
    yield _draft(
        EventKind.MESSAGE_EDITED, native, envelope, message=message, group=mapping(data.get("groupInfo")), **rest
    )


def _sync(native: str, envelope: Json, sync: Json) -> Iterator[Item]:
    sent = mapping(sync.get("sentMessage"))
    if not sent:
        yield Ignored(native, "between devices of the account itself", envelope)
        return
    if sent.get("editMessage") is not None:
        yield from _edit(f"{native}.editMessage", envelope, mapping(sent["editMessage"]), to=sent, is_self=True)
    else:
        yield from _data(f"{native}.sentMessage", envelope, sent, to=sent, is_self=True)


# --- what they do


def _receipt(native: str, envelope: Json, receipt: Json) -> Iterator[Item]:
    flag = next((flag for flag in RECEIPTS if receipt.get(flag) is True), None)
    kind, status = (EventKind.STATUS, RECEIPTS[flag]) if flag else (EventKind.SYSTEM, None)
    for stamp in listing(receipt.get("timestamps")) or [None]:
        about = optional_id(stamp)
        one = {**envelope, native: {**receipt, "timestamps": [stamp]}}
        message = Message(id=about, status=status)
        yield _draft(kind, f"{native}.{flag or 'unknown'}", one, suffix=f":{about}" if about else "", message=message)


RECEIPTS: Mapping[str, Status] = {"isDelivery": "delivered", "isRead": "read", "isViewed": "read"}


def _typing(native: str, envelope: Json, typing: Json) -> Iterator[Item]:
    if typing.get("action") == "STARTED":
        yield _draft(EventKind.TYPING, native, envelope, group=typing)
    else:
        yield Ignored(native, "no longer typing", envelope)


def _call(native: str, envelope: Json, call: Json) -> Iterator[Item]:
    part = next((name for name in CALLS if call.get(name) is not None), None)
    if part is None:
        yield Ignored(native, "how devices reach each other", envelope)
    else:
        yield _draft(EventKind.SYSTEM, f"{native}.{part}", envelope)


CALLS = ("offerMessage", "answerMessage", "busyMessage", "hangupMessage")


CONTENTS: Mapping[str, Callable[[str, Json, Json], Iterator[Item]]] = {
    "dataMessage": _data,
    "editMessage": _edit,
    "syncMessage": _sync,
    "receiptMessage": _receipt,
    "typingMessage": _typing,
    "callMessage": _call,
}
"""From the platform's word for an envelope's content to its reader. Stories are ignored."""
