"""Token buckets: how much a caller may ask at once, and how fast after that."""

from __future__ import annotations

from chalicelib.core.delivery.rate_limit import TokenBucket, full, take

RATE_PER_S = 5
BURST = 2 * RATE_PER_S
NIGHT_S = 8 * 3600.0


def taken(bucket: TokenBucket, now_s: float) -> tuple[int, TokenBucket]:
    """Take all tokens that there are. Return how many, and the bucket without them."""
    count = 0
    while (left := take(bucket, RATE_PER_S, now_s)) is not None:
        bucket, count = left, count + 1
    return count, bucket


def test_burst_is_two_seconds_of_the_rate_when_a_caller_is_new() -> None:
    assert taken(full(RATE_PER_S, 100.0), 100.0)[0] == BURST


def test_burst_is_no_larger_when_a_night_has_passed_without_a_request() -> None:
    _, empty = taken(full(RATE_PER_S, 100.0), 100.0)

    assert taken(full(RATE_PER_S, 100.0), 100.0 + NIGHT_S)[0] == BURST
    assert taken(empty, 100.0 + NIGHT_S)[0] == BURST


def test_bucket_fills_at_the_rate_when_it_is_empty() -> None:
    _, empty = taken(full(RATE_PER_S, 100.0), 100.0)

    assert taken(empty, 100.0)[0] == 0
    assert taken(empty, 100.19)[0] == 0
    assert taken(empty, 100.25)[0] == 1
    assert taken(empty, 101.0)[0] == RATE_PER_S


def test_fractions_of_a_token_are_kept_when_a_caller_asks_often() -> None:
    _, bucket = taken(full(RATE_PER_S, 100.0), 100.0)
    count = 0

    for step in range(1, 41):
        more, bucket = taken(bucket, 100.0 + step / 8)
        count += more

    assert count == 5 * RATE_PER_S


def test_bucket_gets_nothing_when_the_clock_goes_back() -> None:
    _, empty = taken(full(RATE_PER_S, 100.0), 100.0)

    assert taken(empty, 40.0)[0] == 0
    one_left = TokenBucket(1.0, 100.0)
    count, earlier = taken(one_left, 40.0)
    assert count == 1
    assert taken(earlier, 100.0)[0] == 0
    assert taken(earlier, 101.0)[0] == RATE_PER_S


def test_bucket_holds_no_more_than_a_new_rate_allows_when_the_rate_becomes_lower() -> None:
    assert take(TokenBucket(100.0, 100.0), 3, 100.0) == TokenBucket(5.0, 100.0)
