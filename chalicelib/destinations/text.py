"""An event as a text for people: who, where, what. Pure.

Only what is left of the event is told: a field that was redacted away is passed over, and nothing stands in for a name
that is not there, least of all an id. A person's handle or number is shown beside the name where it was left, in brackets,
and never in its place.

This is a rendering for people to read in a chat, not the event: what is longer than a platform takes is cut, with a mark
that says so. Whoever needs all of an event sends it to a kind that takes events.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .base import Delivery

CUT = "\n… (shortened)"
LINE_MAX = 200
"""How much of a name, a title or a file's name is shown, in code points."""

_WORDS: Mapping[str, str] = {
    "message": "wrote",
    "message_edited": "edited a message",
    "message_deleted": "deleted a message",
    "reaction": "reacted to a message",
    "postback": "pressed",
    "status": "a message changed its status",
    "typing": "is typing",
    "member_joined": "joined",
    "member_left": "left",
    "conversation_updated": "changed the conversation",
    "consent_changed": "changed their consent",
    "system": "something happened",
}
_CONSENT: Mapping[str, str] = {"given": "agrees to be written to", "withdrawn": "does not want to be written to"}
_REACTIONS: Mapping[str, str] = {"added": "added", "removed": "took back", "set": "reacts with"}
_CONTROL = frozenset({"Cc", "Cs"})


@dataclass(frozen=True, slots=True)
class TextLimit:
    """What a platform takes: at most ``limit`` of what ``size`` counts, once ``pieces`` has escaped a text.

    ``pieces`` yields the escaped text in parts that must not be cut.
    """

    limit: int
    size: Callable[[str], int]
    pieces: Callable[[str], Iterable[str]]


def utf16(text: str) -> int:
    """Return how many UTF-16 units a text has."""
    return len(text) + sum(ord(c) > 0xFFFF for c in text)


def plain(text: str) -> Iterable[str]:
    """Return the parts of a text that needs no escaping: its code points."""
    return text


def fitted(text: str, form: TextLimit) -> str:
    """Return a text as a platform takes it: escaped, and where it is too long cut, with a mark, between two parts."""
    parts = list(form.pieces(text))
    if form.size("".join(parts)) <= form.limit:
        return "".join(parts)
    room = form.limit - form.size(CUT)
    kept: list[str] = []
    for part in parts:
        room -= form.size(part)
        if room < 0:
            break
        kept.append(part)
    return "".join(kept) + CUT


def of_event(document: Mapping[str, Any], delivery: Delivery) -> str:
    """Return a whole event as text: a line that says who, where and when, then what; never empty."""
    conversation = _object(document, "conversation")
    title = _line(conversation.get("title"))
    head = [
        "Test: " if delivery.test else "",
        f"{_who(document, delivery.kind)} {_what(document, delivery.kind)}",
        f" in “{title}”" if title else "",
        f" on {_line(delivery.channel)}",
        f", {delivery.occurred_at:%Y-%m-%d %H:%M} UTC",
    ]
    body = said(document)
    return "".join(head) + (f":\n{body}" if body else "")


def said(document: Mapping[str, Any]) -> str:
    """Return what a message says, attachments in words; empty where nothing is left of it."""
    message = _object(document, "message")
    lines = [_clean(message.get("text"))]
    lines += [_attachment(item) for item in _objects(message, "attachments")]
    lines += [_field(item) for item in _objects(message, "fields")]
    lines += [_quote(item) for item in _objects(message, "quotes")]
    lines.append(_referral(_object(message, "referral")))
    return "\n".join(line for line in lines if line)


def _field(item: Mapping[str, Any]) -> str:
    name, value = _line(item.get("name")), _clean(item.get("value"))
    return f"{name}: {value}" if name and value else value


def _quote(item: Mapping[str, Any]) -> str:
    words, author = _clean(item.get("text")), _line(item.get("name"))
    if not words:
        return ""
    return (f"{author}:\n" if author else "") + "\n".join(f"> {line}" for line in words.split("\n"))


def _referral(item: Mapping[str, Any]) -> str:
    told = [_line(item.get(name)) for name in ("title", "text", "url")]
    shown = ", ".join(text for text in told if text)
    return f"[came from {_line(item.get('source')) or 'a link'}: {shown}]" if shown else ""


def _who(document: Mapping[str, Any], kind: str) -> str:
    sender = _object(document, "sender")
    members = _objects(document, "members")
    if members and kind in ("member_joined", "member_left"):
        return ", ".join(_person(member, "Somebody") for member in members[:10]) + (", …" if len(members) > 10 else "")
    if sender.get("is_self") is True:
        return _person(sender, "Our own account")
    if sender.get("is_bot") is True:
        return _person(sender, "A bot")
    return "The platform says:" if kind in ("status", "system") and not sender else _person(sender, "Somebody")


def _person(person: Mapping[str, Any], nameless: str) -> str:
    """Return how a person is called: the name if it is left, and beside it the handle and the number."""
    handle, phone = _line(person.get("username")), _line(person.get("phone"))
    beside = [f"@{handle.removeprefix('@')}" if handle else "", phone]
    shown = ", ".join(text for text in beside if text)
    return (_line(person.get("name")) or nameless) + (f" ({shown})" if shown else "")


def _what(document: Mapping[str, Any], kind: str) -> str:
    message = _object(document, "message")
    word = _WORDS.get(kind, _WORDS["system"])
    if kind == "reaction":
        emoji = " ".join(_line(e) for e in _list(message, "emoji")[:20] if isinstance(e, str))
        if message.get("emoji_action") == "set" and not emoji:
            return "took back all reactions to a message"
        return f"{_REACTIONS.get(str(message.get('emoji_action')), 'reacted with')} {emoji}" if emoji else word
    if kind == "status":
        status, error = _line(message.get("status")), _object(message, "error")
        reason = _line(error.get("title")) or _line(error.get("code"))
        return (f"a message is {status}" if status else word) + (f" ({reason})" if reason else "")
    if kind == "consent_changed":
        return _CONSENT.get(str(_object(document, "consent").get("state")), word)
    if kind == "system":
        native = _line(document.get("native_kind"))
        return f"{word} ({native})" if native else word
    forwarded = " (forwarded)" if message.get("forwarded") is True else ""
    answer = " in answer to a message" if message.get("reply_to") is not None and kind == "message" else ""
    return word + forwarded + answer


def _attachment(item: Mapping[str, Any]) -> str:
    kind = _line(item.get("type")) or "unsupported"
    place = ", ".join(f"{item[k]:.6f}" for k in ("latitude", "longitude") if _number(item.get(k)))
    phones = [_line(phone) for phone in _list(item, "phones")] or [_line(item.get("phone"))]
    told = [
        _line(item.get("name")),
        place,
        _line(item.get("address")),
        *phones,
        *(_line(mail) for mail in _list(item, "emails")),
        _line(item.get("url")),
    ]
    if _number(item.get("duration_s")):
        told.append(f"{item['duration_s']:.0f} s")
    if _number(item.get("size_bytes")):
        told.append(f"{item['size_bytes']:.0f} bytes")
    native = _line(item.get("native_type"))
    unread = f"attachment of a kind that cannot be shown{f' ({native})' if native else ''}"
    name = unread if kind == "unsupported" else kind
    shown = ", ".join(text for text in told if text)
    lines = [_clean(item.get("caption")), *(f"- {_line(option)}" for option in _list(item, "options"))]
    return "\n".join([f"[{name}{': ' + shown if shown else ''}]", *(line for line in lines if line)])


def _clean(value: object) -> str:
    """Return a text without control characters and half surrogate pairs, which platforms refuse; newlines stay."""
    if not isinstance(value, str):
        return ""
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c if c in "\n\t" or unicodedata.category(c) not in _CONTROL else "\ufffd" for c in text)
    return "".join(kept).strip()


def _line(value: object) -> str:
    """Return a text on one line: a name must not be able to look like the next line of ours."""
    line = " ".join(_clean(value).split())
    return line if len(line) <= LINE_MAX else line[: LINE_MAX - 1] + "…"


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(holder: Mapping[str, Any], name: str) -> list[Any]:
    value = holder.get(name)
    return list(value) if isinstance(value, list | tuple) else []


def _objects(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [item for item in _list(holder, name) if isinstance(item, Mapping)]


_SLACK: Mapping[str, str] = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def slack(text: str) -> Iterator[str]:
    """Escape for Slack: with these three nothing in a text is a link, a mention or ``<!channel>``.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping (read 2026-11-22).
    """
    return (_SLACK.get(c, c) for c in text)


# An address is left as it is: Discord finds it before any mark-up, and a backslash in it would break it.
_DISCORD_TOKEN = re.compile(
    r"(?P<url>https?://[A-Za-z0-9._~:/?#@!$&'+,;=%-]+)"
    r"|(?P<mark>[\\*_~`|<>#\[\]@])"
    r"|(?P<list>(?<![^\n])[ ]*(?:[0-9]+(?=[.])|(?=[-+])))"
    r"|.",
    re.DOTALL,
)


def discord(text: str) -> Iterator[str]:
    """Escape for Discord: no mark-up, heading, list, quotation, masked link or mention is left of a text.

    Source: https://support.discord.com/hc/en-us/articles/210298617 (read 2026-11-22).
    """
    for token in _DISCORD_TOKEN.finditer(text):
        if token["mark"]:
            yield "\\" + token["mark"]
        elif token["list"] is not None:
            yield token["list"] + "\\"
        else:
            yield token[0]
