"""KakaoTalk channel chatbots, as a skill server: one event a request. Kakao proves nothing: the address is the secret.

Source: https://kakaobusiness.gitbook.io/main/tool/chatbot/skill_guide/answer_json_format and
/ai_chatbot_callback_guide (read 2026-11-22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from ..core import times
from ..core.event.event import (
    AlternativeId,
    Attachment,
    AttachmentType,
    Conversation,
    Draft,
    EventKind,
    FormField,
    Message,
    Sender,
)
from .base import ChannelCapabilities, Ignored, Inbound, Reply, UrlTokenSecret, verify_url_token
from .fields import Json, clean, compact, mapping, optional_id, parse_json, text, word

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
    """Yield the utterance. Kakao gives neither an id nor a time, and sends nothing twice.

    So the body and the time of receipt name it: a second "yes" is another event.
    """
    payload = parse_json(request.body)
    user_request = mapping(payload.get("userRequest"))
    native = word(mapping(mapping(payload.get("flow")).get("trigger")).get("type") or TYPED)
    parameters = mapping(user_request.get("params"))
    if parameters.get("ignoreMe") == "true":
        yield Ignored(f"{native}.test", "a try from the chatbot's console", raw=payload)
        return
    sender, action = _person(mapping(user_request.get("user"))), mapping(payload.get("action"))
    pressed = native.endswith(PRESSED)
    extra = mapping(action.get("clientExtra"))
    attachments = tuple(_media(mapping(parameters.get("media"))))
    utterance = text(user_request.get("utterance"))
    named = hashlib.sha256(request.body + times.text(request.now).encode()).hexdigest()
    yield Draft(
        kind=EventKind.POSTBACK if pressed else EventKind.MESSAGE,
        native_kind=native,
        dedupe_id=named,
        conversation=Conversation(id=sender.id if sender else None, direct=True),
        sender=sender,
        message=Message(
            id=named,
            # What was uploaded is "said" as its address.
            text=None if attachments and utterance == attachments[0].url else utterance,
            attachments=attachments,
            payload=clean(compact(extra)) if extra else None,
            fields=tuple(_filled(mapping(action.get("params")))),
        ),
        raw=payload,
    )


def _person(user: Json) -> Sender | None:
    own_id, keys = optional_id(user.get("id")), mapping(user.get("properties"))
    # The person's key for the channel, and where the channel is linked to an app, for that.
    others = (optional_id(keys.get(name)) for name in ("plusfriendUserKey", "appUserId"))
    alt_ids = tuple(AlternativeId(kind="user_id", id=other) for other in others if other and other != own_id)
    return None if own_id is None and not alt_ids else Sender(id=own_id, alt_ids=alt_ids)


def _filled(parameters: Json) -> Iterator[FormField]:
    """Yield what the block recognised in the words, or asked for."""
    for name, value in parameters.items():
        said = clean(compact(value)) if isinstance(value, dict | list) and value else text(value)
        if said:
            yield FormField(name=name, value=said)


def _media(media: Json) -> Iterator[Attachment]:
    if media:
        yield Attachment(type=MEDIA.get(word(media.get("type")), "file"), url=text(media.get("url")))
