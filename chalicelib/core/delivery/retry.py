"""The outcome of an attempt, and when the next one is due.

``CODES`` is the closed list of attempt codes: the audit log, the API and ``docs/destinations/attempt-codes.md`` know no
others, and a destination's own words are never among them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType


class Outcome(StrEnum):
    """How an attempt ended. Only ``failed`` is ever followed by another attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"


DEFAULT_DELAYS_S: tuple[int, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""The waits between the ten attempts of a delivery, about three days in all."""

RETRY_AFTER_MAX_S = 86_400.0
JITTER = 0.2
GONE = "http_410"

REFUSING_STATUSES = frozenset({400, 413, 414, 415, 422, 431, 501})
"""The statuses that refuse this request for its content or form, so that a repeat would not help.

Every other status is about the receiver at that moment, such as a 404 of a proxy while the receiver is redeployed.
"""
UNAVAILABLE_STATUSES = frozenset({408, 425, 429})
"""The 4xx statuses that ask for patience and refuse nothing."""
TOO_LARGE = frozenset({"too_large", "http_413"})
"""The codes of a destination that takes no request of this size. A link to the content may still be taken."""
LOST_ACCESS = frozenset({"credentials", "denied", "not_found"})
"""The codes of a service that no longer lets us in. Its deliveries wait until the tenant mends the destination.

Attempts with these codes use up nothing of the retry schedule.
"""
ATTEMPTS_MAX = 100
"""A delivery is given up after so many attempts, also where none of them used up the schedule."""
LOST_ACCESS_WAIT_S = 1800
"""The longest wait after such an attempt. The breaker waits longer; this bounds the delay once access is back."""


_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z", re.ASCII)


def http_code(status: int) -> str:
    """Return the attempt code of an HTTP answer: ``http_503``, ``redirect`` for any 3xx, ``protocol`` below 200, above 599."""
    if 300 <= status <= 399:
        return "redirect"
    return f"http_{status}" if 200 <= status <= 599 else "protocol"


def _http_outcome(status: int) -> Outcome:
    if status <= 299:
        return Outcome.DELIVERED
    return Outcome.REJECTED if status in REFUSING_STATUSES else Outcome.FAILED


CODES: Mapping[str, Outcome] = MappingProxyType(
    {
        "timeout": Outcome.FAILED,
        "dns": Outcome.FAILED,
        "connect": Outcome.FAILED,
        "tls": Outcome.FAILED,
        "broken": Outcome.FAILED,
        "protocol": Outcome.FAILED,
        "redirect": Outcome.FAILED,
        "forbidden_address": Outcome.FAILED,
        "render": Outcome.REJECTED,
        "no_destination": Outcome.REJECTED,
        "accepted": Outcome.DELIVERED,
        "throttled": Outcome.FAILED,
        "unavailable": Outcome.FAILED,
        "contended": Outcome.FAILED,
        "denied": Outcome.FAILED,
        "credentials": Outcome.FAILED,
        "not_found": Outcome.FAILED,
        "too_large": Outcome.REJECTED,
        "invalid": Outcome.REJECTED,
        "dead_letter": Outcome.GAVE_UP,
        "off_record": Outcome.GAVE_UP,
        "lost": Outcome.GAVE_UP,
        **{http_code(s): _http_outcome(s) for s in (*range(200, 300), *range(400, 600))},
    }
)
"""Every attempt code, and the outcome of an attempt that ends with it."""


THROTTLED = frozenset({"throttled", "http_429"})
"""The codes of a destination that asks for less. It rests, and then gets fewer deliveries."""
UNCOUNTED = THROTTLED | {"contended"}
"""Codes of attempts that other deliveries were in the way of. They use up no attempt of the schedule."""


def is_refusal(code: str) -> bool:
    """Say whether an attempt ended by a refusal: the destination, or our own rules on it, did not accept the event."""
    if CODES[code] is Outcome.REJECTED or code in LOST_ACCESS or code in ("redirect", "forbidden_address"):
        return True
    return code.startswith("http_4") and int(code.removeprefix("http_")) not in UNAVAILABLE_STATUSES


def outcome_of(code: str, made: int, delays_s: Sequence[int], counted: int | None = None) -> Outcome:
    """Return the outcome of the latest attempt: that of its code, or ``gave_up`` where the schedule is used up.

    Args:
        made: attempts made so far, this one included.
        delays_s: the destination's waits; one more attempt than waits is made.
        counted: how many of them use up the schedule. Without it, all of them do, and nothing waits for access.

    Raises:
        KeyError: the code is not one of ``CODES``.
    """
    outcome = CODES[code]
    if outcome is not Outcome.FAILED:
        return outcome
    if counted is not None and code in LOST_ACCESS:
        return Outcome.FAILED if made < ATTEMPTS_MAX else Outcome.GAVE_UP
    return Outcome.GAVE_UP if (made if counted is None else counted) > len(delays_s) else outcome


def next_attempt(
    made: int,
    delays_s: Sequence[int],
    outcome: Outcome,
    now: datetime,
    key: str,
    retry_after_s: float | None = None,
    *,
    counted: int | None = None,
    lost_access: bool = False,
) -> datetime | None:
    """Return when the next attempt is due, or None where there is none.

    The wait is the schedule's, 20 % more or less, and never shorter than the destination's ``Retry-After`` (up to 24 h).
    The same delivery and attempt always give the same wait: a second run of a step changes nothing.

    Args:
        made: attempts made so far, at least 1.
        key: the delivery's id; it decides the deviation.
        retry_after_s: the wait that the destination asked for.
        counted: how many of them use up the schedule; all of them unless given.
        lost_access: the latest attempt has a code of ``LOST_ACCESS``. Another one follows, also after the schedule's end.
    """
    counted = made if counted is None else counted
    if outcome is not Outcome.FAILED or (counted > len(delays_s) and not lost_access):
        return None
    if lost_access:
        place = min(made, len(delays_s)) - 1
        wait_s: float = min(delays_s[place], LOST_ACCESS_WAIT_S) if delays_s else LOST_ACCESS_WAIT_S
    else:
        wait_s = delays_s[counted - 1]
    draw = int.from_bytes(hashlib.sha256(f"retry\n{key}\n{made}".encode()).digest()[:8], "big") / 2**64
    wait_s *= 1 + JITTER * (2 * draw - 1)
    if retry_after_s is not None:
        wait_s = max(wait_s, min(retry_after_s, RETRY_AFTER_MAX_S))
    return now + timedelta(milliseconds=round(wait_s * 1000))


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After`` header as seconds from now, at least 0; None where it is absent or unreadable.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 (read 2026-11-22): whole seconds, or an HTTP-date. Some
    servers write a fraction of a second.
    """
    text = (value or "").strip()
    if _SECONDS.match(text):
        whole, point, fraction = text.partition(".")
        # Ten digits are three hundred years; longer digit strings need no exact value.
        return float(f"{whole[:10]}{point}{fraction[:6]}")
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:  # "-0000" in RFC 5322; an HTTP-date is always in UTC
        at = at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0.0)
