"""The names, numbers and addresses of a contact card (vCard), which several platforms send as a text.

Source: https://www.rfc-editor.org/rfc/rfc6350#section-6 (read 2026-12-01).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .fields import phone, text

MAX_VALUES = 50
"""Numbers or addresses of one card. A genuine one has a handful."""

# A property may be in a group ("item1.TEL") and have parameters ("TEL;TYPE=cell").
_PROPERTY = re.compile(
    r"^(?:[\w-]{1,64}\.)?(TEL|EMAIL|FN)(?:;[^:\r\n]{0,256})?:([^\r\n]+)", re.MULTILINE | re.IGNORECASE
)
_SCHEME = re.compile(r"(?:tel|mailto):", re.IGNORECASE)


class ContactCard(NamedTuple):
    """What a card says. Numbers are E.164 where they are international."""

    name: str | None = None
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


def read_card(value: Any) -> ContactCard:
    """Read a card. Anything else is an empty one."""
    names: list[str] = []
    phones: list[str] = []
    emails: list[str] = []
    for found in _PROPERTY.finditer(text(value) or ""):
        word, content = found[1].upper(), found[2].strip()
        if word == "FN":
            names.append(content)
        elif word == "TEL":
            phones.append(phone(_SCHEME.sub("", content, count=1), international=True) or "")
        else:
            emails.append(_SCHEME.sub("", content, count=1))
    return ContactCard(next(filter(None, names), None), _some(phones), _some(emails))


def _some(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))[:MAX_VALUES]
