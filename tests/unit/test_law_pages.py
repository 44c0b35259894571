"""The pages of the law: every condition of a rule is readable, and lines are short."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.law.pages import demand, pages

FILED = {"basis": {"kind": "notification-filed"}}
WRITTEN = {"basis": {"kind": "consent", "written": True}}


def rule(kind: str, **more: Any) -> str:
    return "\n".join(demand({"kind": kind, **more}))


def test_one_condition_is_one_sentence() -> None:
    assert rule("permit", when={"transfer": True}) == (
        "A transfer is permitted if data goes to a country outside this law."
    )


def test_several_conditions_are_a_list() -> None:
    assert rule("forbid", effect="hold", when={"personal": True, "op": ["store", "cache"]}) == (
        "The transfer is held if all of these hold:\n\n- the data sent is personal data\n- `op` is `store` or `cache`"
    )


def test_alternatives_stand_below_their_condition_when_they_are_several() -> None:
    assert rule("permit", when={"transfer": True, "any_of": [FILED, {**WRITTEN, "personal": False}]}) == (
        "A transfer is permitted if all of these hold:\n\n"
        "- data goes to a country outside this law\n"
        "- at least one of these holds:\n"
        "  - there is a valid `notification-filed` record\n"
        "  - there is a valid `consent` record whose `written` is yes, and the data sent is not personal data"
    )


def test_a_lone_exception_is_a_denial() -> None:
    assert rule("oblige", code="file", within="P30D", when={"none_of": [FILED]}) == (
        "The duty `file` arises within P30D if there is no valid `notification-filed` record."
    )


@pytest.mark.parametrize(
    ("otherwise", "end"), [("deny", "refused."), ("hold", "held until then.")]
)  # fmt: skip
def test_a_requirement_says_what_follows_without_it(otherwise: str, end: str) -> None:
    assert rule("require", when={"personal": True}, require=FILED, **{"else": otherwise}) == (
        "The rule applies if the data sent is personal data.\n\n"
        "This is required: there is a valid `notification-filed` record.\n"
        f"Otherwise the transfer is {end}"
    )


def test_a_requirement_that_nothing_meets_is_a_consequence() -> None:
    assert rule("require", when={"us_person": True}, require={"never": True}, **{"else": "deny"}) == (
        "The transfer is refused if the person is a US person."
    )


def test_a_duty_to_keep_names_its_time() -> None:
    assert rule("retain", min="P6M") == "The data must be kept for P6M in every case."


def test_prose_of_every_page_has_short_lines() -> None:
    lines = [line for page in pages().values() for line in page.split("\n") if not line.startswith("|")]

    assert max(map(len, lines)) <= 120
