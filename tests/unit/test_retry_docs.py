"""Pages about retries agree with the code: the attempt codes, and the schedule."""

from __future__ import annotations

import json
import pathlib
import re
from datetime import UTC, datetime

import pytest

from chalicelib.core.delivery.retry import CODES, DEFAULT_DELAYS_S, JITTER, RETRY_AFTER_MAX_S, Outcome, next_attempt

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGE = DOCS / "destinations/attempt-codes.md"


def rows() -> dict[str, str]:
    return dict(re.findall(r"^\| `([a-z0-9_]+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE))


def test_page_has_every_code_with_its_outcome_when_it_is_read() -> None:
    documented = rows()

    for code, outcome in CODES.items():
        family = re.sub(r"^(http_\d)\d\d$", r"\1xx", code)
        assert documented.get(code, documented.get(family)) == outcome, code


def test_page_has_no_code_that_does_not_exist_when_it_is_read() -> None:
    families = {re.sub(r"^(http_\d)\d\d$", r"\1xx", code) for code in CODES}

    assert rows().keys() <= CODES.keys() | families


# The schedule


def wait(seconds: int) -> str:
    """Return a wait as the pages write it: in the largest unit that divides it."""
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds % size == 0)
    return f"{seconds // size} {unit}"


def schedule() -> str:
    *first, last = map(wait, DEFAULT_DELAYS_S)
    return f"{', '.join(first)} and {last}"


NUMBERS = {3: "three", 4: "four", 8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve"}


def said(page: str) -> str:
    """Return a page with each run of white space as one space."""
    return " ".join((DOCS / page).read_text("utf-8").split())


@pytest.mark.parametrize("page", ["delivery.md", "destinations/README.md", "life-of-an-event.md"])
def test_page_has_the_waits_of_the_schedule_when_it_is_read(page: str) -> None:
    assert schedule() in said(page)
    assert f"up to {JITTER:.0%} shorter or longer".replace("%", " %") in said(page)


@pytest.mark.parametrize("page", ["delivery.md", "destinations/README.md"])
def test_page_has_the_number_of_attempts_their_span_and_the_longest_retry_after(page: str) -> None:
    days = round(sum(DEFAULT_DELAYS_S) / 86_400)

    assert f"{NUMBERS[len(DEFAULT_DELAYS_S) + 1]} attempts in about {NUMBERS[days]} days" in said(page)
    assert wait(int(RETRY_AFTER_MAX_S)) in said(page).split("`Retry-After`")[1][:160]


def test_page_has_the_number_of_attempts_of_its_example_when_it_is_read() -> None:
    example = re.search(r'"retry": \{"delays_s": (\[[\d, ]+\])\}` makes (\w+) attempts', said("delivery.md"))
    assert example is not None
    delays = json.loads(example[1])
    now = datetime(2026, 3, 1, tzinfo=UTC)

    made = 1
    while next_attempt(made, delays, Outcome.FAILED, now, "dlv_1") is not None:
        made += 1

    assert NUMBERS[made] == example[2]
