"""Kinds that write texts for people: a text above the limit of the platform is cut with a mark, never silently."""

from __future__ import annotations

import json
import pathlib
import re

import pytest

from chalicelib.destinations import KINDS, of_kind, text
from chalicelib.flow.rendering import selects
from tests.support.crm import document
from tests.support.destination_kinds import delivery

PAGE = pathlib.Path(__file__).parents[2] / "docs/destinations/README.md"
WRITING = sorted(kind for kind in KINDS if not selects(kind))


@pytest.mark.parametrize("kind", WRITING)
def test_text_of_a_large_event_ends_in_the_mark(kind: str) -> None:
    event = document()
    event["message"]["text"] = "y" * 300_000

    body = of_kind(kind).render(event, delivery(kind)).body.decode()

    assert text.CUT.strip() in body or json.dumps(text.CUT.strip())[1:-1] in body
    assert len(body) < 300_000


def test_page_says_of_each_kind_what_happens_above_its_limit() -> None:
    section = PAGE.read_text("utf-8").partition("## Large events")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*?) ?\|$", section, re.M))

    assert set(rows) == set(KINDS)
    assert {kind for kind, above in rows.items() if "with a mark" in above} == set(WRITING)
    assert {kind for kind, above in rows.items() if above == "a link"} == set(KINDS) - set(WRITING) - {"s3"}
