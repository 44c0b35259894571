"""Signal, through signal-cli-rest-api in JSON-RPC mode. It proves nothing and never repeats: the address is the secret.

Source: https://github.com/bbernhard/signal-cli-rest-api (RECEIVE_WEBHOOK_URL), and for what it passes on
https://github.com/AsamK/signal-cli/blob/master/man/signal-cli-jsonrpc.5.adoc and src/main/java/org/asamk/signal/json
(read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.errors import MalformedPayload
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender, Status
from .base import ChannelCapabilities, Ignored, Inbound, Reply, UrlTokenSecret, verify_url_token
from .fields import (
    Json,
    compact,
    id_,
    integer,
    joined,
    listing,
    mapping,
    millis,
    optional_id,
    parse_json,
    phone,
    text,
    word,
)

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
        yield Ignored(word(call.get("method")), "not something received")
        return
    parameters = mapping(call.get("params", call))
    envelope = mapping(mapping(parameters.get("result", parameters)).get("envelope"))
    if not envelope:
        raise MalformedPayload("an envelope is missing")
    native = next((name for name in CONTENTS if envelope.get(name) is not None), None)
    if native is None:
        kinds = [word(name) for name in envelope if name.endswith("Message")]
        yield Ignored((kinds or ["unknown"])[0], "not about a conversation")
        return
    yield from CONTENTS[native](native, envelope, mapping(envelope[native]))


def _person(holder: Json, name: str) -> str | None:
    # People who hide their number have none, and contacts of old have no UUID.
    return optional_id(holder.get(f"{name}Uuid")) or optional_id(holder.get(f"{name}Number") or holder.get(name))


def _draft(
    kind: EventKind, native: str, envelope: Json, *, to: str | None = None, suffix: str = "", **rest: Any
) -> Draft:
    author = id_(_person(envelope, "source"))
    group: Json = rest.pop("group", {})
    chat = optional_id(group.get("groupId"))
    device, stamp = integer(envelope.get("sourceDevice")) or 0, id_(envelope.get("timestamp"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=f"{author}:{device}:{stamp}{suffix}",
        occurred_at=millis(envelope.get("timestamp")),
        conversation=Conversation(id=chat or to or author, direct=chat is None, title=text(group.get("groupName"))),
        sender=Sender(
            id=author,
            name=text(envelope.get("sourceName")),
            phone=phone(envelope.get("sourceNumber")),
            is_self=rest.pop("is_self", False),
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
    if message.text is None and not message.attachments:
        if rest["group"].get("type") == GROUP_CHANGED or data.get("isExpirationUpdate") is True:
            yield _draft(EventKind.CONVERSATION_UPDATED, f"{native}.update", envelope, **rest)
        else:
            yield Ignored(native, "a message without content that is known")
        return
    yield _draft(EventKind.MESSAGE, native, envelope, message=message, **rest)


def _written(data: Json) -> Message:
    quote = mapping(data.get("quote"))
    return Message(
        id=id_(data.get("timestamp")),
        text=text(data.get("message")),
        attachments=tuple(_attachments(data)),
        reply_to=optional_id(quote.get("id")),
    )


def _attachments(data: Json) -> Iterator[Attachment]:
    for file in map(mapping, listing(data.get("attachments"))):
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
        yield Attachment(type="sticker", ref=f"{id_(sticker.get('packId'))}/{id_(sticker.get('stickerId'))}")
    for card in map(mapping, listing(data.get("contacts"))):
        name, numbers = mapping(card.get("name")), [mapping(one) for one in listing(card.get("phone"))]
        yield Attachment(
            type="contact",
            name=joined(name.get("given"), name.get("family")) or text(card.get("organization")),
            phone=phone(numbers[0].get("value")) if numbers else None,
        )
    poll = mapping(data.get("pollCreate"))
    if poll:
        yield Attachment(type="poll", name=text(poll.get("question")))
    if data.get("payment") is not None:
        yield Attachment(type="unsupported")


def _target(about: Json) -> str:
    return id_(about.get("targetSentTimestamp"))


def _reaction(about: Json) -> tuple[EventKind, Message]:
    emoji, removed = id_(about.get("emoji")), about.get("isRemove") is True
    message = Message(
        id=_target(about),
        emoji=() if removed else (emoji,),  # a person has one reaction to a message
        emoji_action="set",
    )
    return EventKind.REACTION, message


def _deleted(about: Json) -> tuple[EventKind, Message]:
    return EventKind.MESSAGE_DELETED, Message(id=id_(about.get("timestamp") or about.get("targetSentTimestamp")))


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
        yield Ignored(native, "between devices of the account itself")
        return
    to = _person(sent, "destination")
    if sent.get("editMessage") is not None:
        yield from _edit(f"{native}.editMessage", envelope, mapping(sent["editMessage"]), to=to, is_self=True)
    else:
        yield from _data(f"{native}.sentMessage", envelope, sent, to=to, is_self=True)


# --- what they do


def _receipt(native: str, envelope: Json, receipt: Json) -> Iterator[Item]:
    flag = next((flag for flag in RECEIPTS if receipt.get(flag) is True), None)
    if flag is None:
        yield Ignored(native, "a receipt of a kind that is not known")
        return
    for stamp in listing(receipt.get("timestamps")):
        message = Message(id=id_(stamp), status=RECEIPTS[flag])
        one = {**envelope, native: {**receipt, "timestamps": [stamp]}}
        yield _draft(EventKind.STATUS, f"{native}.{flag}", one, suffix=f":{message.id}", message=message)


RECEIPTS: Mapping[str, Status] = {"isDelivery": "delivered", "isRead": "read", "isViewed": "read"}


def _typing(native: str, envelope: Json, typing: Json) -> Iterator[Item]:
    if typing.get("action") == "STARTED":
        yield _draft(EventKind.TYPING, native, envelope, group=typing)
    else:
        yield Ignored(native, "no longer typing")


CONTENTS: Mapping[str, Callable[[str, Json, Json], Iterator[Item]]] = {
    "dataMessage": _data,
    "editMessage": _edit,
    "syncMessage": _sync,
    "receiptMessage": _receipt,
    "typingMessage": _typing,
}
"""From the platform's word for an envelope's content to its reader. Calls and stories are ignored."""
