"""The ids of one person that a platform gives beside the one that names them."""

from __future__ import annotations

from typing import Any

from ..core.event.event import AlternativeId
from .fields import optional_id, phone


def other_ids(own: str | None, *user_ids: Any, number: Any = None, username: Any = None) -> tuple[AlternativeId, ...]:
    """Return the other ids of a person, each once. Values that are no ids are left out.

    Args:
        own: the id that the event names the person by.
        user_ids: the platform's ids of the person's account.
        number: an international telephone number, with or without ``+``.
        username: a handle that no other field of the event has.
    """
    ids = dict.fromkeys(found for found in map(optional_id, user_ids) if found not in (None, own))
    found = [AlternativeId(kind="user_id", id=one) for one in ids]
    digits = phone(optional_id(number), international=True)
    if digits and digits.startswith("+") and digits != phone(own, international=True):
        found.append(AlternativeId(kind="phone", contact=digits))
    if handle := optional_id(username):
        found.append(AlternativeId(kind="username", id=handle))
    return tuple(found)
