"""The abuse-protection handshake: ask a destination whether it wants our deliveries before there are any.

Consent is two headers of the answer to an OPTIONS request, never its status: many servers answer OPTIONS without having
been asked anything that they understand. Pure: ``http`` sends the question.

Source: https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md section 4 (read 2026-11-22).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..core.errors import Invalid

ORIGIN = "WebHook-Request-Origin"
"""Asks, and goes with every delivery to a destination that agreed."""
ANY = "*"
PER_MINUTE = 60


def refused(reason: str) -> Invalid:
    """Return the refusal of a destination that did not agree."""
    text = f"the destination did not agree to deliveries: {reason}"
    return Invalid(text, [{"loc": "body.config.handshake", "code": "handshake", "msg": text}])


def question(origin: str, rate_limit_per_s: float | None) -> dict[str, str]:
    """Return the headers that ask a destination to take deliveries from ``origin``.

    Args:
        rate_limit_per_s: as declared of the destination; asked for where there is one.
    """
    asked = {ORIGIN: origin}
    if rate_limit_per_s is not None:
        asked["WebHook-Request-Rate"] = str(math.ceil(rate_limit_per_s * PER_MINUTE))
    return asked


def check_answer(headers: Mapping[str, str], origin: str, rate_limit_per_s: float | None) -> None:
    """Refuse an answer that does not agree to all that may be sent.

    Args:
        headers: the answer's, with lower-case names.

    Raises:
        Invalid: it does not agree, or agrees to fewer requests than may be made; the text says what would do.
    """
    allowed = headers.get("webhook-allowed-origin", "").strip()
    if allowed != ANY and allowed.lower() != origin.lower():
        raise refused(f"answer OPTIONS with WebHook-Allowed-Origin: {origin} (or {ANY})")
    _check_rate(headers.get("webhook-allowed-rate", "").strip(), rate_limit_per_s)


def _check_rate(allowed: str, rate_limit_per_s: float | None) -> None:
    if allowed == ANY or (not allowed and rate_limit_per_s is None):
        return
    if not (allowed.isascii() and allowed.isdigit() and len(allowed) < 10) or int(allowed) == 0:
        raise refused(f"answer OPTIONS with WebHook-Allowed-Rate: a number of requests a minute (or {ANY})")
    if rate_limit_per_s is None or rate_limit_per_s * PER_MINUTE > int(allowed):
        most = math.floor(int(allowed) * 100 / PER_MINUTE) / 100
        raise refused(f"it allows {int(allowed)} requests a minute: set rate_limit_per_s to at most {most:g}")
