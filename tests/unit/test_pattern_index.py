"""The index looks at possible matches and at little else, for any number of routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.core.pattern import fields
from chalicelib.core.pattern.compiler import Pattern
from chalicelib.core.pattern.index import RouteIndex

EVENT = {
    "channel": "telegram",
    "kind": "message",
    "conversation": {"id": "c-7"},
    "sender": {"id": "u-7", "username": "Seven"},
    "message": {"text": "/seven eight nine", "size": 7},
}

# A form of pattern: the seventh of a thousand matches the event, the others do not.
FORMS: dict[str, Any] = {
    "equal text": lambda n: {"kind": ["message"], "conversation": {"id": [f"c-{n}"]}},
    "equal number": lambda n: {"kind": ["message"], "message": {"size": [n]}},
    "numeric =": lambda n: {"message": {"size": [{"numeric": ["=", n]}]}},
    "several equal texts": lambda n: {"channel": ["telegram"], "sender": {"id": [f"u-{n}", f"v-{n}"]}},
    "prefix": lambda n: {"message": {"text": [{"prefix": "/seven" if n == 7 else f"/command{n} "}]}},
    "suffix": lambda n: {"message": {"text": [{"suffix": "nine" if n == 7 else f" number {n}"}]}},
    "any case": lambda n: {"sender": {"username": [{"equals-ignore-case": "SEVEN" if n == 7 else f"USER{n}"}]}},
    "wildcard": lambda n: {"message": {"text": [{"wildcard": "/seven*n*" if n == 7 else f"/command{n}*x*"}]}},
    "wildcard with a star first": lambda n: {"message": {"text": [{"wildcard": "*nine" if n == 7 else f"*-{n}"}]}},
    "or": lambda n: {"$or": [{"conversation": {"id": [f"c-{n}"]}}, {"sender": {"id": [f"w-{n}"]}}]},
    "beside what cannot be filed": lambda n: {
        "kind": [{"anything-but": "status"}],
        "message": {"size": [{"numeric": [">", 0]}]},
        "sender": {"id": [f"u-{n}"]},
    },
    "a field of its own": lambda n: {"sender": {"id" if n == 7 else f"field{n}": [{"anything-but": "x"}]}},
}


@pytest.mark.parametrize("form", FORMS)
def test_looks_at_one_branch_when_one_of_a_thousand_routes_matches(form: str) -> None:
    index = RouteIndex((n, Pattern.compile(FORMS[form](n))) for n in range(1000))

    assert index.match(EVENT) == (7,)
    assert len(index.candidates(EVENT)) == 1


def test_looks_no_further_when_routes_grow_a_hundredfold() -> None:
    def looked_at(count: int) -> int:
        forms = list(FORMS.values())
        patterns = (Pattern.compile(forms[n % len(forms)](7 if n < 12 else n + 100)) for n in range(count))
        index = RouteIndex(enumerate(patterns))
        assert index.match(EVENT) == tuple(range(12))
        return len(index.candidates(EVENT))

    assert looked_at(10_000) == looked_at(100) == 12


def test_answers_in_the_given_order_when_several_match() -> None:
    given = ["z", "a", "m", "b"]
    wanted = ({"kind": ["message"]}, {"channel": ["telegram"]}, {"x": [{"exists": False}]}, {"kind": [{"suffix": "e"}]})

    index = RouteIndex(zip(given, map(Pattern.compile, wanted), strict=True))

    assert index.match(EVENT) == ("z", "a", "m", "b")
    assert index.match({}) == ("m",)


def test_answers_a_key_once_when_several_branches_match() -> None:
    pattern = Pattern.compile({"$or": [{"kind": ["message"]}, {"channel": ["telegram"]}, {"x": [{"exists": False}]}]})

    assert RouteIndex([("only", pattern)]).match(EVENT) == ("only",)


def test_tells_true_from_one_when_both_are_filed() -> None:
    index = RouteIndex((repr(value), Pattern.compile({"a": [value]})) for value in (True, 1, "1", None, False, 0))

    assert index.match({"a": True}) == ("True",)
    assert index.match({"a": 1.0}) == ("1",)
    assert index.match({"a": [None, 0]}) == ("None", "0")


def test_matches_nothing_when_there_are_no_routes() -> None:
    assert RouteIndex([]).match(EVENT) == ()


def test_routes_share_what_may_be_done_when_an_event_is_hard(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = [Pattern.compile({"a": [{"anything-but": f"y{n}"}]}) for n in range(10)]
    index = RouteIndex(enumerate([*patterns, Pattern.compile({"kind": ["message"]})]))
    event = {"a": ["x", "z"] * 200, "kind": "message"}

    enough = fields.WorkBudget()
    assert (index.match(event, enough), enough.refused) == (tuple(range(11)), 0)

    monkeypatch.setattr(fields, "MAX_WORK", 5000)  # enough for two of the ten
    effort = fields.WorkBudget()
    assert (index.match(event, effort), effort.refused) == ((0, 1, 10), 8)


@pytest.mark.parametrize("leaf", ["x", {"prefix": "x"}, {"suffix": "x"}, {"equals-ignore-case": "X"}, {"exists": True}])
def test_looks_at_each_route_once_when_many_values_lead_to_it(leaf: Any) -> None:
    class Counted(list[Any]):
        looks = 0

        def __iter__(self) -> Iterator[Any]:
            Counted.looks += 1
            return super().__iter__()

    index = RouteIndex([("one", Pattern.compile({"a": [leaf]}))])
    postings = index._by_path["a"]
    postings.present = Counted(postings.present)
    for table in (postings.equal, postings.fold, postings.head.by_text, postings.tail.by_text):
        table.update({key: Counted(entries) for key, entries in table.items()})

    assert index.match({"a": ["x", "x", "x"] * 100}) == ("one",)
    assert Counted.looks <= 2
