"""Patterns, beyond the tables of cases: bounds, places, explanations, and the work of a match."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.core.errors import InvalidPattern
from chalicelib.core.pattern import fields
from chalicelib.core.pattern.compiler import MAX_BYTES, MAX_DEPTH, MAX_LEAVES, RESERVED_IN_OR, Pattern
from chalicelib.core.pattern.operators import OPERATORS, FieldMatcher, fold


def error(document: object) -> InvalidPattern:
    with pytest.raises(InvalidPattern) as caught:
        Pattern.compile(document)
    return caught.value


def nested(depth: int, inside: Any) -> dict[str, Any]:
    """An object in which ``depth`` keys lead to ``inside``."""
    for _ in range(depth):
        inside = {"k": inside}
    result: dict[str, Any] = inside
    return result


def offers(*counts: int) -> dict[str, Any]:
    """A pattern of ``$or`` groups, beside one another, of so many offers of one field each."""
    return {f"g{g}": {"$or": [{f"f{n}": [1]} for n in range(count)]} for g, count in enumerate(counts)}


def test_compiles_when_pattern_has_exactly_the_longest_length() -> None:
    spare = MAX_BYTES - len('{"a":[""]}')

    assert Pattern.compile({"a": ["x" * spare]}).matches({"a": "x" * spare})
    assert error({"a": ["x" * (spare + 1)]}).path == "$"


def test_counts_bytes_of_utf8_when_text_is_not_ascii() -> None:
    spare = (MAX_BYTES - len('{"a":[""]}')) // 4

    assert Pattern.compile({"a": ["😀" * spare]})
    assert error({"a": ["😀" * (spare + 1)]}).path == "$"


def test_compiles_when_pattern_has_exactly_the_greatest_depth() -> None:
    assert Pattern.compile(nested(MAX_DEPTH, ["x"])).matches(nested(MAX_DEPTH, "x"))

    fault = error(nested(MAX_DEPTH + 1, ["x"]))
    assert fault.path == "$" + ".k" * MAX_DEPTH
    assert "nested" in fault.reason


def test_compiles_when_expansion_has_exactly_the_most_leaves() -> None:
    groups = offers(10, 15)  # 150 branches of two fields

    assert len(Pattern.compile(groups).branches) * 2 == MAX_LEAVES
    assert error({**groups, "more": [1]}).path == "$"


def test_refuses_before_expanding_when_expansion_would_be_astronomic() -> None:
    assert "$or" in error(offers(*[2] * 60)).reason


def test_refuses_when_key_is_no_string() -> None:
    assert error({"a": {1: ["x"]}}).path == "$.a"
    assert error({"a": [{1: "x"}]}).path == "$.a[0]"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_refuses_when_number_is_not_json(number: float) -> None:
    assert error({"a": [number]}).path == "$.a[0]"
    assert error({"a": [{"anything-but": [1, number]}]}).path == "$.a[0].anything-but[1]"
    assert error({"a": [{"numeric": ["<", number]}]}).path == "$.a[0].numeric[1]"


def test_refuses_when_integer_is_longer_than_python_writes() -> None:
    assert error({"a": [10**5000]}).path == "$"


def test_error_tells_place_and_reason_but_no_value_when_raised() -> None:
    fault = error({"a": [{"anything-but": ["secret-word", 1]}]})

    assert fault.errors == [{"loc": fault.path, "code": "invalid_pattern", "msg": fault.reason}]
    assert "secret-word" not in str(fault)


@pytest.mark.parametrize("key", sorted(OPERATORS))
def test_every_operator_is_reserved_when_inside_or(key: str) -> None:
    assert key in RESERVED_IN_OR


def test_takes_later_of_equal_keys_when_read_from_json() -> None:
    pattern = Pattern.compile(json.loads('{"a": ["x"], "a": ["y"]}'))

    assert pattern.matches({"a": "y"})
    assert not pattern.matches({"a": "x"})


def test_fold_keeps_length_when_full_folding_would_not() -> None:
    every = "".join(map(chr, range(0x3000)))

    assert len(fold(every)) == len(every)
    assert fold(fold(every)) == fold(every)


def test_explains_each_field_when_some_do_not_match() -> None:
    pattern = Pattern.compile({"kind": ["message"], "message": {"text": [{"prefix": "/start"}, None]}})

    explained = pattern.explain({"kind": "message", "message": {"text": "a private word"}})

    assert explained == [
        {"path": "$.kind", "matched": True},
        {"path": "$.message.text", "matched": False, "wanted": [{"prefix": "/start"}, None]},
    ]


def test_explains_that_elements_differ_when_fields_match_one_by_one() -> None:
    pattern = Pattern.compile({"items": {"k": ["a"], "v": [2]}})

    explained = pattern.explain({"items": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]})

    assert [item["matched"] for item in explained] == [True, True, False]
    assert explained[-1] == {"path": "$", "matched": False, "wanted": {"same_element": ["$.items.k", "$.items.v"]}}


def test_explains_offers_apart_when_one_of_them_holds() -> None:
    pattern = Pattern.compile({"$or": [{"a": ["x"]}, {"b": ["y"]}]})

    assert pattern.explain({"b": "y"}) == [
        {"path": "$.$or[0].a", "matched": False, "wanted": ["x"]},
        {"path": "$.$or[1].b", "matched": True},
    ]


def wrapped(value: Any, times: int) -> Any:
    for _ in range(times):
        value = [value]
    return value


def test_matches_when_event_is_nested_deeper_than_the_interpreter() -> None:
    deep = wrapped("x", 20_000)

    assert Pattern.compile({"a": ["x"]}).matches({"a": deep})
    assert Pattern.compile({"a": ["x"], "b": {"k": [{"exists": False}]}}).matches({"a": "x", "b": nested(20_000, deep)})


def in_arrays(depth: int, element: Any) -> dict[str, Any]:
    """An event whose array holds an array, and so on, beside elements that have one field each."""
    for _ in range(depth):
        element = [element, {"a": 1}, {"b": 2}]
    return {"l": element}


def test_finds_common_element_when_it_lies_in_as_many_arrays_as_are_looked_into() -> None:
    pattern = Pattern.compile({"l": {"a": [1], "b": [2]}})

    assert pattern.matches(in_arrays(fields.MAX_ARRAYS, {"a": 1, "b": 2}))
    assert not pattern.matches(in_arrays(fields.MAX_ARRAYS, {"a": 1}))
    assert not pattern.matches(in_arrays(fields.MAX_ARRAYS + 1, {"a": 1, "b": 2}))


def test_gives_up_without_a_match_when_search_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = Pattern.compile({"l": {"a": [1], "b": [1]}})
    event = {"l": [*[{"a": 1}, {"b": 1}] * 500, {"a": 1, "b": 1}]}

    assert pattern.matches(event)

    monkeypatch.setattr(fields, "MAX_WORK", 4000)
    assert not pattern.matches(event)


@pytest.mark.parametrize(
    ("alternatives", "value"),
    [
        ([{"wildcard": "*b*"}], ["x"] * 500),
        ([{"cidr": "10.0.0.0/8"}], ["1.1.1.1"] * 60),
        ([{"anything-but": {"prefix": ["x", "y", "z"]}}], ["x"] * 300),
        ([{"wildcard": "*b*"}], "x" * fields.LONG_TEXT * 500),
    ],
)
def test_branches_share_what_may_be_done_when_an_event_is_hard(
    monkeypatch: pytest.MonkeyPatch, alternatives: list[Any], value: Any
) -> None:
    hard = [{"a": alternatives}] * 50
    pattern = Pattern.compile({"$or": [*hard, {"kind": ["message"]}]})
    tests = 0

    def counted(leaf: FieldMatcher, one: Any) -> bool:
        nonlocal tests
        tests += 1 + len(one) // fields.LONG_TEXT
        return accepts(leaf, one)

    accepts = FieldMatcher.accepts
    monkeypatch.setattr(FieldMatcher, "accepts", counted)
    monkeypatch.setattr(fields, "MAX_WORK", 3000)

    assert not pattern.matches({"a": value})
    assert 0 < tests <= 3000

    # What needs little is decided all the same.
    assert pattern.matches({"a": value, "kind": "message"})


class Work:
    """Counts the places that the search for common elements divides."""

    def __init__(self) -> None:
        self.places = 0

    def __call__(self, claims: list[fields.ArrayClaim]) -> Iterator[list[fields.ArrayClaim]]:
        self.places += sum(len(claim.options) + len(claim.leaves or ()) for claim in claims)
        return self.divide(claims)

    divide = staticmethod(fields._divide)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    counted = Work()
    monkeypatch.setattr(fields, "_divide", counted)
    yield counted


def test_search_is_linear_when_no_element_has_all_fields(work: Work) -> None:
    pattern = Pattern.compile({"l": {"a": [1], "b": [1], "c": [1]}})

    def places(count: int) -> int:
        work.places = 0
        elements = [{k: 1 for k in "abc" if k != "abc"[n % 3]} for n in range(count)]
        assert not pattern.matches({"l": elements})
        return work.places

    assert 0 < places(3000) <= 11 * places(300)


def test_search_adds_up_when_arrays_are_independent(work: Work) -> None:
    paths = {f"l{n}": {"a": [1], "b": [1]} for n in range(12)}
    pattern = Pattern.compile({**paths, "last": {"a": [1], "b": [1]}})
    lists = {name: [{"a": 1, "b": 1}] * 50 for name in paths}

    assert not pattern.matches({**lists, "last": [{"a": 1}, {"b": 1}]})

    assert work.places < 12 * 50 * 10


def test_wildcard_is_linear_when_text_is_hostile() -> None:
    # A matcher that backtracks needs more steps here than there are seconds in a year.
    pattern = Pattern.compile({"a": [{"wildcard": "*a*a*a*b*"}]})

    assert not pattern.matches({"a": "a" * 200_000})
    assert pattern.matches({"a": "a" * 200_000 + "b"})
