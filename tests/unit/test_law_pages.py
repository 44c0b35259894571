"""The pages of the law: every condition of a rule is readable, and lines are short."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chalicelib.law import installed
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


def test_every_rule_has_a_heading_in_plain_words_and_a_line_of_russian() -> None:
    law, heads = installed(), "".join(pages().values())
    rules = [rule for file in (law.any, *law.files) for rule in (*file.permits, *file.rules)]

    without = [
        rule.id
        for rule in rules
        if f"### {rule.id}: {rule.title}\n\n*{rule.title_ru}*\n" not in heads
        or not re.search("[a-z]{2,} [a-z]", rule.title)
        or not re.search("[а-я]{2,} [а-я]", rule.title_ru)
    ]

    assert rules and without == []


def test_every_page_links_its_texts_and_names_its_source_once() -> None:
    for name, page in pages().items():
        (texts,) = re.findall(r"^\| Texts \| (.+) \|$", page, re.MULTILINE)
        (source,) = re.findall(r"^\| Source \| (.+) \|$", page, re.MULTILINE)
        assert re.fullmatch(r"\[[^]]+\]\(https?://[^\s)]+\)(, \[[^]]+\]\(https?://[^\s)]+\))*", texts), name
        assert f"Source: {source}. Checked" not in " ".join(page.split()), name
        bare = re.sub(r"<https?://[^>]+>|\(https?://[^)]+\)", "", page)
        assert "://" not in bare, name
