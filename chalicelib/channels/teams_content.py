"""The content of a Teams message: its text, files and links, the messages it quotes or forwards, and what was filled in.

Teams writes a message as text and once more as HTML. Links, stickers, and the whole message of some clients are only in the
HTML.

Source: https://learn.microsoft.com/microsoftteams/platform/bots/build-conversational-capability,
https://learn.microsoft.com/graph/api/resources/chatmessageattachment and
https://github.com/microsoft/teams.py/pull/321 for quoted replies (read 2026-12-01).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.event.event import UNSUPPORTED, Attachment, AttachmentType, FormField, Quote
from .fields import Json, items, mapping, optional_id, text, word
from .forms import embedded, filled_in
from .mail_html import plain_text

HTML = "text/html"
DOWNLOAD = "application/vnd.microsoft.teams.file.download.info"
CARDS = ("application/vnd.microsoft.card.", "application/vnd.microsoft.teams.card.")
FORWARDED, QUOTED = "forwardedMessageReference", "messageReference"
MEDIA: Mapping[str, AttachmentType] = {"image": "image", "video": "video", "audio": "audio"}
LINKS = ("tabReference", "meetingReference")

# A tag ends at the next bracket: so no search begins twice at the same place.
_TAG = re.compile(r"<(a|img)\b([^<>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"\b([a-z]+)\s*=\s*\"([^\"]*)\"", re.IGNORECASE)
_QUOTE = re.compile(r"<blockquote\b([^<>]*)>", re.IGNORECASE)
_AUTHOR = re.compile(r"<strong\b([^<>]*)>([^<>]*)</strong>", re.IGNORECASE)
_OWN_IMAGE = "schema.skype.com/AMSImage"
_EMOJI = "schema.skype.com/Emoji"
_REPLY = "schema.skype.com/Reply"


def content(activity: Json) -> dict[str, Any]:
    """Return the text, attachments, quotes, ``reply_to`` and ``forwarded`` of a message, as fields of ``Message``."""
    given = items(activity.get("attachments"))
    document = "\n".join(filter(None, (text(one.get("content")) for one in given if _mime(one) == HTML)))
    own, shown = text(activity.get("text")), ""
    quotes, rest = _quotes(document)
    if own is None or not own.strip():
        shown = plain_text(_TAG.sub(_emoji, rest))
    quotes = [*map(_entity, _replies(activity)), *filter(None, map(_reference, given))] or quotes
    files, forwarded = tuple(_files(given)), any(_mime(one) == FORWARDED for one in given)
    return {
        "text": text(shown) or own,
        "attachments": (*files, *_links(rest, f"{own}\n{shown}", any(file.type == "image" for file in files))),
        "quotes": tuple(quotes),
        "reply_to": optional_id(activity.get("replyToId")) or (None if forwarded else quotes[0].id if quotes else None),
        "forwarded": forwarded,
    }


def _mime(item: Json) -> str:
    return text(item.get("contentType")) or ""


# --- HTML


def _attributes(tag: str) -> dict[str, str]:
    return {name.lower(): plain_text(value) for name, value in _ATTRIBUTE.findall(tag)}


def _emoji(found: re.Match[str]) -> str:
    about = _attributes(found[2])
    return about.get("alt", "") if _EMOJI in about.get("itemtype", "") else found[0]


def _links(document: str, shown: str, has_images: bool) -> Iterator[Attachment]:
    seen = set()
    for found in _TAG.finditer(document):
        about = _attributes(found[2])
        url, kind = about.get("href") or about.get("src") or "", about.get("itemtype", "")
        if not url.startswith(("https://", "http://")) or url in seen or url in shown or _EMOJI in kind:
            continue
        picture = found[1].lower() == "img"
        if picture and (has_images or _OWN_IMAGE in kind):
            continue  # an attachment has it
        seen.add(url)
        yield Attachment(
            type="image" if picture else "link", url=url, name=text(about.get("title")) or text(about.get("alt"))
        )


def _quotes(document: str) -> tuple[list[Quote], str]:
    """Return the quoted messages of HTML, and the HTML without them."""
    quotes, rest, at = [], [], 0
    while found := _QUOTE.search(document, at):
        end = document.find("</blockquote", found.end())
        if end < 0:
            break
        about = _attributes(found[1])
        if _REPLY in about.get("itemtype", ""):
            quotes.append(_quoted(about.get("itemid"), document[found.end() : end]))
            rest.append(document[at : found.start()])
        else:
            rest.append(document[at:end])
        at = end
    return quotes, "".join((*rest, document[at:]))


def _quoted(own_id: str | None, inner: str) -> Quote:
    author = _AUTHOR.search(inner)
    words = inner[: author.start()] + inner[author.end() :] if author else inner
    return Quote(
        id=optional_id(own_id),
        sender=optional_id(_attributes(author[1]).get("itemid")) if author else None,
        name=text(plain_text(author[2])) if author else None,
        text=text(plain_text(words)),
    )


# --- quoted and forwarded messages


def _replies(activity: Json) -> list[Json]:
    return [mapping(one.get("quotedReply")) for one in items(activity.get("entities")) if "quotedReply" in one]


def _entity(reply: Json) -> Quote:
    return Quote(
        id=optional_id(reply.get("messageId")),
        sender=optional_id(reply.get("senderId")),
        name=text(reply.get("senderName")),
        text=text(reply.get("preview")),
    )


def _reference(item: Json) -> Quote | None:
    if _mime(item) not in (FORWARDED, QUOTED):
        return None
    about = embedded(item.get("content"))
    author = mapping(about.get("originalMessageSender") or about.get("messageSender"))
    person = mapping(author.get("user") or author.get("application"))
    words = text(about.get("originalMessageContent")) or text(about.get("messagePreview"))
    return Quote(
        id=optional_id(about.get("originalMessageId") or about.get("messageId") or item.get("id")),
        sender=optional_id(person.get("id")),
        name=text(person.get("displayName")),
        text=text(plain_text(words)) if words else None,
    )


# --- files and cards


def _files(given: list[Json]) -> Iterator[Attachment]:
    for item in given:
        mime, inner = _mime(item), embedded(item.get("content"))
        name, url = text(item.get("name")), text(item.get("contentUrl"))
        if mime in (HTML, FORWARDED, QUOTED):
            continue  # the text once more with its markup, or another message
        if mime == DOWNLOAD:
            url = text(inner.get("downloadUrl")) or url
            yield Attachment(type="file", ref=optional_id(inner.get("uniqueId")), url=url, name=name)
        elif mime.startswith(CARDS):  # a card of another app
            words = "\n".join(_said(inner)) or None
            kind = word(mime.rpartition("/")[2])
            yield Attachment(type="unsupported", native_type=kind, url=url, mime=mime, name=name, caption=words)
        elif mime or url:
            usual: AttachmentType = "link" if mime in LINKS else MEDIA.get(mime.partition("/")[0], "file")
            yield Attachment(type=usual, url=url, mime=mime or None, name=name)
        else:
            yield UNSUPPORTED


def _said(card: Any) -> Iterator[str]:
    if isinstance(card, list):
        for one in card:
            yield from _said(one)
    elif isinstance(card, dict):
        yield from filter(None, (text(card.get(name)) for name in SHOWN))
        if "title" in card and (fact := text(card.get("value"))):
            yield fact
        for one in card.values():
            yield from _said(one)


SHOWN = ("title", "subtitle", "text")
"""The keys of a card whose values are shown."""


# --- what was filled in


def fields(value: Any) -> tuple[FormField, ...]:
    """Return the inputs of a card or a form, and the data of the button that submitted them."""
    form = embedded(value)
    action = mapping(form.get("action"))
    given = mapping(action.get("data") or form.get("data")) or (form if not action else {})
    verb = text(action.get("verb"))
    own = filled_in({name: one for name, one in given.items() if name != "msteams"})
    return (*own, FormField(name="verb", value=verb)) if verb else own
