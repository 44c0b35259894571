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
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import (
    UNSUPPORTED,
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventConsent,
    EventKind,
    Member,
    Message,
    Referral,
    Sender,
    StatusError,
)
from . import base
from .base import ChannelCapabilities, Ignored, Inbound, Reply, SecretText
from .fields import Json, clean, compact, mapping, number, occurrence, optional_id, same, seconds, text, word
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
    """Yield the event. ``MsgId`` names a message; person, time, event and key name an event."""
    push = parse_xml(request.body)
    kind = word(push.get("MsgType"))
    native = word(push.get("Event"))
    if kind != "event" and "Event" not in push:
        if push.get("MsgType") or push.get("FromUserName"):
            yield _message(kind, push)
        else:
            yield Ignored(kind, "not about a conversation", raw=push)
    elif native in EVENTS:
        yield EVENTS[native](f"event.{native}", push)
    elif native not in IGNORED and push.get("FromUserName"):
        yield _draft(EventKind.SYSTEM, f"event.{native}", push, message=_key_of(push))
    else:
        yield Ignored(f"event.{native}", IGNORED.get(native, "not about a conversation"), raw=push)


def _draft(kind: EventKind, native: str, push: Json, dedupe_id: str | None = None, **rest: Any) -> Draft:
    person = optional_id(push.get("FromUserName"))
    return Draft(
        kind=kind,
        native_kind=native,
        dedupe_id=_occurrence(person, push) if dedupe_id is None else dedupe_id,
        occurred_at=seconds(push.get("CreateTime")),
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person) if person else None,
        raw=push,
        **rest,
    )


ONCE = frozenset({"subscribe", "unsubscribe", "VIEW", "view"})
"""Events that a person cannot cause twice in a second. They keep the name that the platform advises: person and time."""


def _occurrence(person: str | None, push: Json) -> str:
    """Name an event. A position is reported every five seconds, and a menu can be pressed within the same second."""
    at, event, key = optional_id(push.get("CreateTime")), text(push.get("Event")), text(push.get("EventKey"))
    if person is None or at is None:
        return ""
    return occurrence(person, at) if event in ONCE else occurrence(person, at, event, key)


def _key_of(push: Json) -> Message | None:
    key = text(push.get("EventKey"))
    return Message(payload=key) if key else None


# --- messages


def _message(kind: str, push: Json) -> Item:
    sid, known = optional_id(push.get("MsgId")), kind in TYPES
    article = optional_id(push.get("MsgDataId"))  # of the article under which the person wrote
    about = Message(
        id=sid,
        text=text(push.get("Content")),
        attachments=TYPES[kind](push) if known else (Attachment(type="unsupported", native_type=kind),),
        payload=optional_id(push.get("bizmsgmenuid")),  # what a message's own menu was answered with
        referral=Referral(source="article", id=article) if article else None,
    )
    if kind == "text" and about.text is None:
        about = about.model_copy(update={"attachments": (UNSUPPORTED,)})
    return _draft(EventKind.POSTBACK if about.payload else EventKind.MESSAGE, kind, push, sid or "", message=about)


def _nothing(push: Json) -> tuple[Attachment, ...]:
    return ()


def _media(kind: AttachmentType, push: Json) -> tuple[Attachment, ...]:
    picture = _address(push.get("PicUrl"))
    # The platform's own transcript is no text of the person.
    caption = text(push.get("Recognition"))
    return (Attachment(type=kind, ref=optional_id(push.get("MediaId")), url=picture, caption=caption),)


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


def _page(push: Json) -> tuple[Attachment, ...]:
    return (Attachment(type="link", ref=optional_id(push.get("PagePath")), name=text(push.get("Title"))),)


TYPES: Mapping[str, Callable[[Json], tuple[Attachment, ...]]] = {
    "text": _nothing,
    "image": partial(_media, "image"),
    "voice": partial(_media, "voice"),
    "video": partial(_media, "video"),
    "shortvideo": partial(_media, "video"),
    "file": partial(_media, "file"),
    "location": _location,
    "link": _link,
    "miniprogrampage": _page,
}
"""From the platform's word for a message to what is attached to it."""


# --- events


def _members(push: Json) -> tuple[Member, ...]:
    person = optional_id(push.get("FromUserName"))
    return (Member(id=person),) if person else ()


def _subscribed(native: str, push: Json) -> Item:
    # The key is that of the QR code that led here.
    given = EventConsent(state="given")
    return _draft(EventKind.MEMBER_JOINED, native, push, members=_members(push), message=_key_of(push), consent=given)


def _unsubscribed(native: str, push: Json) -> Item:
    withdrawn = EventConsent(state="withdrawn")
    return _draft(EventKind.MEMBER_LEFT, native, push, members=_members(push), consent=withdrawn)


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
    return _status(native, push, push.get("MsgID"), text(push.get("Status")), "success")


def _subscription_sent(native: str, push: Json) -> Item:
    sent = mapping(mapping(push.get("SubscribeMsgSentEvent")).get("List"))
    return _status(native, push, sent.get("MsgID"), text(sent.get("ErrorStatus")), "success")


def _status(native: str, push: Json, about: Any, result: str | None, success: str) -> Item:
    sid, failed = optional_id(about), result != success
    status: Literal["failed", "delivered"] | None = None if result is None else "failed" if failed else "delivered"
    error = StatusError(title=result) if failed and result else None
    message = Message(id=sid, status=status, error=error)
    return _draft(EventKind.STATUS, native, push, occurrence(sid, status), message=message)


def _subscriptions(native: str, push: Json) -> Item:
    inner = next((push[name] for name in push if name.startswith("SubscribeMsg")), None)
    choice = mapping(mapping(inner).get("List"))
    state = CHOICES.get(text(choice.get("SubscribeStatusString")) or "")
    return _draft(
        EventKind.POSTBACK,
        native,
        push,
        message=Message(payload=compact(inner) if inner else None),
        consent=EventConsent(state=state, topic=text(choice.get("TemplateId"))) if state else None,
    )


CHOICES: Mapping[str, Literal["given", "withdrawn"]] = {"accept": "given", "reject": "withdrawn"}


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
    "subscribe_msg_sent_event": _subscription_sent,
    "template_card_event": _pressed,
    "taskcard_click": _pressed,
}
"""From the platform's word for an event to its reader; WeCom writes menus in lower case."""
IGNORED: Mapping[str, str] = {
    **dict.fromkeys(("MASSSENDJOBFINISH", "PUBLISHJOBFINISH", "batch_job_result"), "a job of the account ended"),
    **dict.fromkeys(
        (
            *("qualification_verify_success", "qualification_verify_fail", "naming_verify_success"),
            *("naming_verify_fail", "annual_renew", "verify_expired", "poi_check_notify"),
            *("card_pass_check", "card_not_pass_check", "weapp_audit_success", "weapp_audit_fail"),
        ),
        "the platform judged the account",
    ),
    **dict.fromkeys(("change_contact", "share_agent_change", "share_chain_change"), "administration of the company"),
}
"""Why events that are about no conversation are left out."""


CAPABILITIES = ChannelCapabilities(answer_within_s=5, opened=opened, secret_defaults={"plain": False})
