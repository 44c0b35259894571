"""Every case in ``tests/fixtures/patterns``: a pattern, an event, and whether it matches or where it is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.errors import InvalidPattern
from chalicelib.core.pattern.compiler import Pattern
from chalicelib.core.pattern.index import RouteIndex
from chalicelib.core.pattern.operators import OPERATORS

FOLDER = Path(__file__).parents[1] / "fixtures" / "patterns"
_ALL: list[tuple[str, dict[str, Any]]] = [
    (f"{file.stem}: {case['name']}", case)
    for file in sorted(FOLDER.glob("*.json"))
    for case in json.loads(file.read_text(encoding="utf-8"))
]
CASES = [pytest.param(case, id=name) for name, case in _ALL]
GOOD = [pytest.param(case, id=name) for name, case in _ALL if isinstance(case["expect"], bool)]
BAD = [pytest.param(case, id=name) for name, case in _ALL if isinstance(case["expect"], dict)]


@pytest.mark.parametrize("case", GOOD)
def test_answers_as_documented_when_pattern_is_valid(case: dict[str, Any]) -> None:
    pattern = Pattern.compile(case["pattern"])

    alone = pattern.matches(case["event"])
    indexed = RouteIndex([("route", pattern)]).match(case["event"])
    explained = pattern.explain(case["event"])

    assert alone is case["expect"]
    assert indexed == (("route",) if case["expect"] else ())
    if "$or" not in json.dumps(case["pattern"]):
        assert all(item["matched"] for item in explained) is case["expect"]


@pytest.mark.parametrize("case", BAD)
def test_names_the_place_when_pattern_is_invalid(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidPattern) as caught:
        Pattern.compile(case["pattern"])

    assert caught.value.path == case["expect"]["error"]
    assert caught.value.reason


def test_every_operator_has_good_and_bad_cases_when_counted() -> None:
    def operators(case: Any) -> set[str]:
        text = json.dumps(case["pattern"])
        return {name for name in OPERATORS if f'"{name}": ' in text}

    for group in (GOOD, BAD):
        covered = set().union(*(operators(case.values[0]) for case in group))
        assert covered == set(OPERATORS)


def test_every_error_is_documented_when_cases_raise_it() -> None:
    documented = (FOLDER.parents[2] / "docs" / "patterns.md").read_text(encoding="utf-8")

    for _, case in (one for one in _ALL if isinstance(one[1]["expect"], dict)):
        with pytest.raises(InvalidPattern) as caught:
            Pattern.compile(case["pattern"])
        reason = caught.value.reason.partition(":" if "is no operator" in caught.value.reason else "\n")[0]
        assert f"| {reason.replace('empty suffix', 'empty prefix')} |" in documented


def test_every_example_compiles_when_read_from_the_documentation() -> None:
    documented = (FOLDER.parents[2] / "docs" / "patterns.md").read_text(encoding="utf-8")

    examples = re.findall(r"```json\n(.*?)```", documented, re.DOTALL)
    alternatives = [f'{{"a": [{cell}]}}' for cell in re.findall(r"^\| `(\{\".*?\})`[,; |]", documented, re.MULTILINE)]

    assert len(examples) >= 3
    assert len(alternatives) >= 10
    for text in examples + alternatives:
        assert Pattern.compile(json.loads(text.replace("\\*", "*")))
