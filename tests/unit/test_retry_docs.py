"""The page of attempt codes says what the table says."""

from __future__ import annotations

import pathlib
import re

from chalicelib.core.retry import CODES

PAGE = pathlib.Path(__file__).parents[2] / "docs/destinations/attempt-codes.md"


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
