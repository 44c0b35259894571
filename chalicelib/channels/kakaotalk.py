"""KakaoTalk channel chatbots, as a skill server: one event a request. Kakao proves nothing: the address is the secret.

Source: https://kakaobusiness.gitbook.io/main/tool/chatbot/skill_guide/answer_json_format and
/ai_chatbot_callback_guide (read 2026-11-22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from ..core.errors import MalformedPayload
from ..core.event.event import Attachment, AttachmentType, Conversation, Draft, EventKind, Message, Sender
from .base import ChannelCapabilities, Ignored, Inbound, Reply, UrlTokenSecret, verify_url_token
from .fields import Json, clean, compact, id_, mapping, parse_json, text, word

KIND = "kakaotalk"
CAPABILITIES = ChannelCapabilities(answer_within_s=5, url_token=True)
Secret = UrlTokenSecret
verify = verify_url_token
JSON = {"Content-Type": "application/json"}
TYPED = "TEXT_INPUT"
PRESSED = ("_MESSAGE", "_BLOCK")  # CARD_BUTTON, LIST_ITEM, LISTMENU and QUICKREPLY_BUTTON, each in both ways
MEDIA: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}

Item = Draft | Ignored


def challenge(request: Inbound, secret: UrlTokenSecret) -> Reply | None:
    """Return None: a skill is saved without a handshake."""
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return a skill response without output: the block's own answer is shown, or what is posted to the callback."""
    callback = mapping(parse_json(request.body).get("userRequest")).get("callbackUrl")
    if isinstance(callback, str) and callback:
        return Reply(200, '{"version": "2.0", "useCallback": true}', JSON)
    return Reply(200, '{"version": "2.0", "data": {}}', JSON)


def normalise(request: Inbound) -> Iterator[Item]:
    """Yield the utterance. Kakao gives neither an id nor a time: the body's hash names it."""
    payload = parse_json(request.body)
    user_request = mapping(payload.get("userRequest"))
    if not user_request:
        raise MalformedPayload("not the payload of a skill")
    native = word(mapping(mapping(payload.get("flow")).get("trigger")).get("type") or TYPED)
    parameters = mapping(user_request.get("params"))
    if parameters.get("ignoreMe") == "true":
        yield Ignored(native, "a try from the chatbot's console")
        return
    person = id_(mapping(user_request.get("user")).get("id"))
    pressed = native.endswith(PRESSED)
    extra = mapping(mapping(payload.get("action")).get("clientExtra"))
    attachments = tuple(_media(mapping(parameters.get("media"))))
    utterance = text(user_request.get("utterance"))
    named = hashlib.sha256(request.body).hexdigest()
    yield Draft(
        kind=EventKind.POSTBACK if pressed else EventKind.MESSAGE,
        native_kind=native,
        dedupe_id=named,
        conversation=Conversation(id=person, direct=True),
        sender=Sender(id=person),
        message=Message(
            id=named,
            # What was uploaded is "said" as its address.
            text=None if attachments and utterance == attachments[0].url else utterance,
            attachments=attachments,
            payload=clean(compact(extra)) if extra else None,
        ),
        raw=payload,
    )


def _media(media: Json) -> Iterator[Attachment]:
    if media:
        yield Attachment(type=MEDIA.get(word(media.get("type")), "file"), url=text(media.get("url")))
