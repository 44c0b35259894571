"""Refuse a caller that makes more requests than its rate allows: a key, a source, or the pulls of a tenant."""

from __future__ import annotations

from ..core.delivery import rate_limit
from ..runtime import Runtime

TOKEN_BUCKETS_MAX = 10_000
"""Past this number all are forgotten, which gives each caller a full bucket: memory stays bounded."""


def admit(
    runtime: Runtime, caller: str, rate_per_s: float, wanted: float = 1, burst_s: float = rate_limit.BURST_S
) -> bool:
    """Take tokens of a caller's bucket. Return False where it holds too few. Other processes have their own buckets."""
    now_s = runtime.monotonic()
    bucket = runtime.token_buckets.get(caller) or rate_limit.full(rate_per_s, now_s, burst_s)
    left = rate_limit.take(bucket, rate_per_s, now_s, wanted, burst_s)
    if left is None:
        return False
    if len(runtime.token_buckets) > TOKEN_BUCKETS_MAX:
        runtime.token_buckets.clear()
    runtime.token_buckets[caller] = left
    return True


def give_back(runtime: Runtime, caller: str, tokens: float) -> None:
    """Put tokens back that were taken but are not used up."""
    bucket = runtime.token_buckets.get(caller)
    if bucket is not None:
        runtime.token_buckets[caller] = bucket._replace(tokens=bucket.tokens + tokens)
