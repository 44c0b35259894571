"""The outcome of an attempt, and when the next one is due.

``CODES`` is the closed list of attempt codes: the audit log, the API and ``docs/destinations/attempt-codes.md`` know no
others, and a destination's own words are never among them.
"""

from __future__ import annotations

import hashlib
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

_RETRIED_STATUSES = frozenset({408, 425, 429})


def http_code(status: int) -> str:
    """Return the attempt code of an HTTP answer: ``http_503``, ``redirect`` for any 3xx, ``protocol`` below 200, above 599."""
    if 300 <= status <= 399:
        return "redirect"
    return f"http_{status}" if 200 <= status <= 599 else "protocol"


def _http_outcome(status: int) -> Outcome:
    if status <= 299:
        return Outcome.DELIVERED
    return Outcome.FAILED if status >= 500 or status in _RETRIED_STATUSES else Outcome.REJECTED


CODES: Mapping[str, Outcome] = MappingProxyType(
    {
        "timeout": Outcome.FAILED,
        "dns": Outcome.FAILED,
        "connect": Outcome.FAILED,
        "tls": Outcome.FAILED,
        "broken": Outcome.FAILED,
        "protocol": Outcome.FAILED,
        "redirect": Outcome.REJECTED,
        "forbidden_address": Outcome.REJECTED,
        "render": Outcome.REJECTED,
        "no_destination": Outcome.REJECTED,
        "accepted": Outcome.DELIVERED,
        "throttled": Outcome.FAILED,
        "unavailable": Outcome.FAILED,
        "contended": Outcome.FAILED,
        "denied": Outcome.REJECTED,
        "credentials": Outcome.REJECTED,
        "not_found": Outcome.REJECTED,
        "too_large": Outcome.REJECTED,
        "invalid": Outcome.REJECTED,
        "dead_letter": Outcome.GAVE_UP,
        "off_record": Outcome.GAVE_UP,
        "lost": Outcome.GAVE_UP,
        **{http_code(s): _http_outcome(s) for s in (*range(200, 300), *range(400, 600))},
    }
)
"""Every attempt code, and the outcome of an attempt that ends with it."""


UNCOUNTED = frozenset({"throttled", "contended"})
"""Codes of attempts that other deliveries were in the way of. They use up no attempt of the schedule."""


def outcome_of(code: str, made: int, delays_s: Sequence[int]) -> Outcome:
    """Return the outcome of the latest attempt: that of its code, or ``gave_up`` where the schedule is used up.

    Args:
        made: attempts made so far, this one included.
        delays_s: the destination's waits; one more attempt than waits is made.

    Raises:
        KeyError: the code is not one of ``CODES``.
    """
    outcome = CODES[code]
    return Outcome.GAVE_UP if outcome is Outcome.FAILED and made > len(delays_s) else outcome


def next_attempt(
    made: int,
    delays_s: Sequence[int],
    outcome: Outcome,
    now: datetime,
    key: str,
    retry_after_s: float | None = None,
) -> datetime | None:
    """Return when the next attempt is due, or None where there is none.

    The wait is the schedule's, 20 % more or less, and never shorter than the destination's ``Retry-After`` (up to 24 h).
    The same delivery and attempt always give the same wait: a second run of a step changes nothing.

    Args:
        made: attempts made so far, at least 1.
        key: the delivery's id; it decides the deviation.
        retry_after_s: the wait that the destination asked for.
    """
    if outcome is not Outcome.FAILED or made > len(delays_s):
        return None
    draw = int.from_bytes(hashlib.sha256(f"retry\n{key}\n{made}".encode()).digest()[:8], "big") / 2**64
    wait_s = delays_s[made - 1] * (1 + JITTER * (2 * draw - 1))
    if retry_after_s is not None:
        wait_s = max(wait_s, min(retry_after_s, RETRY_AFTER_MAX_S))
    return now + timedelta(milliseconds=round(wait_s * 1000))


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After`` header as seconds from now, at least 0; None where it is absent or unreadable.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 (read 2026-11-22): whole seconds, or an HTTP-date.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])  # three hundred years; longer digit strings need no exact value
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:  # "-0000" in RFC 5322; an HTTP-date is always in UTC
        at = at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0.0)
