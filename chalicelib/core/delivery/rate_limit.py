"""A token bucket: how many requests a caller may make at once, and how many a second from then on. Pure.

A bucket fills at the rate. It never holds more than ``burst_s`` seconds of the rate, two by default.
"""

from __future__ import annotations

from typing import NamedTuple

BURST_S = 2.0
"""How many seconds of the rate a full bucket holds."""


class TokenBucket(NamedTuple):
    """The tokens that a bucket held at a moment.

    Args:
        tokens: may be a fraction.
        at_s: the moment, in seconds of a monotonic clock.
    """

    tokens: float
    at_s: float


def full(rate_per_s: float, now_s: float, burst_s: float = BURST_S) -> TokenBucket:
    """Return the bucket of a caller that has made no request yet."""
    return TokenBucket(burst_s * rate_per_s, now_s)


def take(
    bucket: TokenBucket, rate_per_s: float, now_s: float, wanted: float = 1, burst_s: float = BURST_S
) -> TokenBucket | None:
    """Return the bucket without the wanted tokens, or None where it does not hold as many.

    A clock that goes back adds no tokens. The next ones come when it has passed the latest moment that was read.
    """
    at_s = max(bucket.at_s, now_s)
    tokens = min(burst_s * rate_per_s, bucket.tokens + (at_s - bucket.at_s) * rate_per_s)
    return TokenBucket(tokens - wanted, at_s) if tokens >= wanted else None
