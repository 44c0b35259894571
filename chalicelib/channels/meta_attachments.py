"""The attachments of Messenger and Instagram.

Source: https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/messages
and /documentation/business-messaging/instagram-messaging/changelog (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.event.event import UNSUPPORTED, Attachment, AttachmentType
from .fields import Json, items, mapping, number, optional_id, text, word


def attachments_of(message: Json) -> Iterator[Attachment]:
    """Yield the attachments of a message. Each card of a template is one."""
    if message.get("is_unsupported") is True:
        yield UNSUPPORTED
    for item in items(message.get("attachments")):
        kind, payload = word(item.get("type")), mapping(item.get("payload"))
        if kind == "template":
            yield from _template(item, payload)
        else:
            yield _attachment(kind, item, payload)


def _attachment(kind: str, item: Json, payload: Json) -> Attachment:
    sticker, point = optional_id(payload.get("sticker_id")), mapping(payload.get("coordinates"))
    known = "sticker" if sticker else ATTACHMENTS.get(kind, "unsupported")  # a sticker comes as an image
    return Attachment(
        type=known,
        native_type=kind if known == "unsupported" else None,
        ref=sticker
        or optional_id(payload.get("reel_video_id"))
        or optional_id(payload.get("ig_post_media_id"))
        or optional_id(payload.get("attachment_id")),
        url=text(payload.get("url")) or text(item.get("url")),
        name=text(payload.get("title")) or text(item.get("title")),
        latitude=number(point.get("lat")) if kind == "location" else None,
        longitude=number(point.get("long")) if kind == "location" else None,
        # The payload of an old fallback is a text.
        caption=text(item.get("payload")) or text(item.get("subtitle")),
    )


ATTACHMENTS: Mapping[str, AttachmentType] = {
    "image": "image",
    "animated_image": "image",
    "video": "video",
    "audio": "audio",
    "file": "file",
    "location": "location",
    "sticker": "sticker",
    "like_heart": "sticker",
    "fallback": "link",
    "share": "link",
    "media_share": "link",
    "post": "link",
    "ig_post": "link",
    "reel": "link",
    "ig_reel": "link",
    "story_mention": "link",
    "ig_story": "link",
}
"""Media that vanish are ``unsupported``."""


# --- templates


def _template(item: Json, payload: Json) -> Iterator[Attachment]:
    native = text(payload.get("template_type"))
    product = mapping(payload.get("product"))
    cards = items(product.get("elements")) or items(payload.get("elements"))
    for card in cards:
        yield Attachment(
            type="link",
            ref=optional_id(card.get("retailer_id")) or optional_id(card.get("id")),
            url=text(card.get("item_url")) or text(card.get("url")) or text(card.get("image_url")),
            name=text(card.get("title")),
            caption=text(card.get("subtitle")),
            options=_buttons(card),
        )
    words, buttons = text(payload.get("text")), _buttons(payload)
    if not cards or words or buttons:
        yield Attachment(
            type="unsupported",
            native_type=f"template.{word(native)}" if native else "template",
            name=text(item.get("title")) or text(payload.get("title")),
            caption=words,
            options=buttons,
        )


def _buttons(holder: Json) -> tuple[str, ...]:
    return tuple(filter(None, (text(button.get("title")) for button in items(holder.get("buttons")))))
