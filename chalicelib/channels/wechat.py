"""WeChat official accounts, and WeCom apps: signed, often encrypted XML, one message or event a request.

Source: https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/Access_Overview.html,
https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_standard_messages.html,
https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html and
https://developers.weixin.qq.com/doc/offiaccount/Custom_Menus/Custom_Menu_Push_Events.html (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    Member,
    Message,
    Sender,
    StatusError,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, clean, compact, id_, mapping, number, optional_id, same, seconds, text, word
from .wechat_crypto import decoded_key, decrypt, signature
from .xml import parse_xml

KIND = "wechat"
WINDOW_S = 600  # ours: in plain mode the signature covers no more than the time, and would be good for ever
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}

Item = Draft | Ignored


def _key(value: str) -> str:
    decoded_key(value)
    return value


class Secret(base.Secret):
    """The token and key that were typed into the console, and the account's own id (WeCom: the corp id)."""

    token: SecretText
    encoding_aes_key: Annotated[SecretText, AfterValidator(_key)]
    app_id: SecretText
    plain: bool | None = None
    """The console says plain mode, whose signature covers the time alone. A new source is in secure mode unless its tenant
    says so. A secret that was stored without this field takes both modes."""


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature: in the secure mode over the encrypted content, whose app must be ours; else over the time.

    In the secure mode the platform sends the signature over the time too. It proves the handshake alone, which holds nothing.

    Raises:
        NotGenuine: it is missing, wrong or old.
        MalformedPayload: genuine, but not what the platform encrypts.
    """
    query = request.query
    stamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    sealed = "msg_signature" in query
    if not sealed and query.get("encrypt_type", "raw") != "raw":
        raise NotGenuine("the signature of the encrypted content is missing")
    if secret.plain is False and not (sealed or _is_handshake(request)):
        raise NotGenuine("the content is not encrypted")
    encrypted = _encrypted(request) if sealed else ""
    signed = (secret.token, stamp, nonce, encrypted)[: 4 if sealed else 3]
    if not same(query.get("msg_signature" if sealed else "signature"), signature(*signed)):
        raise NotGenuine("the signature is missing or wrong")
    if not re.fullmatch(r"[0-9]{1,11}", stamp) or abs(request.now.timestamp() - int(stamp)) > WINDOW_S:
        raise NotGenuine("the request was signed at another time")
    if sealed and decrypt(secret.encoding_aes_key, encrypted)[1] != secret.app_id:
        raise NotGenuine("the content is another app's")


def _is_handshake(request: Inbound) -> bool:
    return request.method == "GET" and "echostr" in request.query


def _encrypted(request: Inbound) -> str:
    if request.method == "GET":
        return request.query.get("echostr", "")
    try:
        found = parse_xml(request.body).get("Encrypt")
    except MalformedPayload:
        found = None
    if not isinstance(found, str) or not found:
        raise NotGenuine("there is no encrypted content")
    return found


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return ``echostr``, decrypted where it is encrypted."""
    if not _is_handshake(request):
        return None
    echo = request.query["echostr"]
    if "msg_signature" in request.query:
        echo = decrypt(secret.encoding_aes_key, echo)[0].decode("utf-8", "replace")
    return Reply(200, clean(echo), PLAIN)


def opened(request: Inbound, secret: Secret) -> Inbound:
    """Return a verified request with its content decrypted.

    Raises:
        MalformedPayload: it is not what the platform encrypts.
    """
    if "msg_signature" not in request.query:
        return request
    return replace(request, body=decrypt(secret.encoding_aes_key, _encrypted(request))[0])


def acknowledge(request: Inbound) -> Reply:
    """Return ``success``: after anything else the person is told that the account is out of order."""
    return Reply(200, "success", PLAIN)


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the event. ``MsgId`` names a message, person and time an event: the platform's own advice."""
    push = parse_xml(request.body)
    kind = word(push.get("MsgType"))
    if kind == "event":
        native = word(push.get("Event"))
        if native in EVENTS:
            yield EVENTS[native](f"event.{native}", push)
        else:
            yield Ignored(f"event.{native}", "not about a conversation")
    elif kind in TYPES:
        yield _message(kind, push)
    else:
        yield Ignored(kind, "a type of message that is not known")


def _draft(kind: EventKind, native: str, push: Json, dedupe_id: str | None = None, **rest: Any) -> Draft:
    person = id_(push.get("FromUserName"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=dedupe_id or f"{person}:{id_(push.get('CreateTime'))}",
        occurred_at=seconds(push.get("CreateTime")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person),
        raw=push,
        **rest,
    )


# --- messages


def _message(kind: str, push: Json) -> Item:
    sid = id_(push.get("MsgId"))
    about = Message(
        id=sid,
        text=text(push.get("Content")) if kind == "text" else None,
        attachments=TYPES[kind](push),
        payload=optional_id(push.get("bizmsgmenuid")),  # what a message's own menu was answered with
    )
    return _draft(EventKind.POSTBACK if about.payload else EventKind.MESSAGE, kind, push, sid, message=about)


def _nothing(push: Json) -> tuple[Attachment, ...]:
    return ()


def _media(kind: AttachmentType, push: Json) -> tuple[Attachment, ...]:
    picture = _address(push.get("PicUrl"))
    # The platform's own transcript is no text of the person.
    caption = text(push.get("Recognition"))
    return (Attachment(type=kind, ref=id_(push.get("MediaId")), url=picture, caption=caption),)


def _address(value: Any) -> str | None:
    found = text(value)
    return found if found and found.startswith(("http://", "https://")) else None


def _location(push: Json) -> tuple[Attachment, ...]:
    latitude, longitude = number(push.get("Location_X")), number(push.get("Location_Y"))
    return (Attachment(type="location", latitude=latitude, longitude=longitude, address=text(push.get("Label"))),)


def _link(push: Json) -> tuple[Attachment, ...]:
    url, given = _address(push.get("Url")), text(push.get("Url"))
    title, caption = text(push.get("Title")), text(push.get("Description"))
    return (Attachment(type="link", url=url, ref=None if url else given, name=title, caption=caption),)


TYPES: Mapping[str, Callable[[Json], tuple[Attachment, ...]]] = {
    "text": _nothing,
    "image": partial(_media, "image"),
    "voice": partial(_media, "voice"),
    "video": partial(_media, "video"),
    "shortvideo": partial(_media, "video"),
    "file": partial(_media, "file"),
    "location": _location,
    "link": _link,
}
"""From the platform's word for a message to what is attached to it."""


# --- events


def _subscribed(native: str, push: Json) -> Item:
    scene = text(push.get("EventKey"))  # of the QR code that led here
    message = Message(payload=scene) if scene else None
    member = Member(id=id_(push.get("FromUserName")))
    return _draft(EventKind.MEMBER_JOINED, native, push, members=(member,), message=message)


def _unsubscribed(native: str, push: Json) -> Item:
    return _draft(EventKind.MEMBER_LEFT, native, push, members=(Member(id=id_(push.get("FromUserName"))),))


def _pressed(native: str, push: Json) -> Item:
    return _draft(EventKind.POSTBACK, native, push, message=Message(payload=text(push.get("EventKey"))))


def _scanned(native: str, push: Json) -> Item:
    scanned, key = mapping(push.get("ScanCodeInfo")), text(push.get("EventKey"))
    return _draft(EventKind.POSTBACK, native, push, message=Message(text=text(scanned.get("ScanResult")), payload=key))


def _chose_place(native: str, push: Json) -> Item:
    place = _location(mapping(push.get("SendLocationInfo")))
    message = Message(payload=text(push.get("EventKey")), attachments=place)
    return _draft(EventKind.POSTBACK, native, push, message=message)


def _position(native: str, push: Json) -> Item:
    # Told by the phone, not said by the person.
    latitude, longitude = number(push.get("Latitude")), number(push.get("Longitude"))
    found = Attachment(type="location", latitude=latitude, longitude=longitude)
    return _draft(EventKind.SYSTEM, native, push, message=Message(attachments=(found,)))


def _sent(native: str, push: Json) -> Item:
    sid, result = id_(push.get("MsgID")), text(push.get("Status"))
    if result is None:
        raise MalformedPayload("a status is missing")
    failed = result != "success"
    error = StatusError(title=result) if failed else None
    message = Message(id=sid, status="failed" if failed else "delivered", error=error)
    return _draft(EventKind.STATUS, native, push, f"{sid}:{'failed' if failed else 'delivered'}", message=message)


def _subscriptions(native: str, push: Json) -> Item:
    inner = next((push[name] for name in push if name.startswith("SubscribeMsg")), None)
    return _draft(EventKind.POSTBACK, native, push, message=Message(payload=compact(inner) if inner else None))


EVENTS: Mapping[str, Callable[[str, Json], Item]] = {
    "subscribe": _subscribed,
    "unsubscribe": _unsubscribed,
    "SCAN": _pressed,
    "CLICK": _pressed,
    "click": _pressed,
    "VIEW": _pressed,
    "view": _pressed,
    "view_miniprogram": _pressed,
    "scancode_push": _scanned,
    "scancode_waitmsg": _scanned,
    "pic_sysphoto": _pressed,
    "pic_photo_or_album": _pressed,
    "pic_weixin": _pressed,
    "location_select": _chose_place,
    "LOCATION": _position,
    "TEMPLATESENDJOBFINISH": _sent,
    "subscribe_msg_popup_event": _subscriptions,
    "subscribe_msg_change_event": _subscriptions,
}
"""From the platform's word for an event to its reader; WeCom writes menus in lower case. Jobs, cards and shops are ignored."""


CAPABILITIES = ChannelCapabilities(answer_within_s=5, opened=opened, secret_defaults={"plain": False})
