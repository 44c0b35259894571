"""Patterns agree with a slow and obvious matcher, and keep the laws that the language promises.

The matcher here shares no code with the real one: it tries every combination of leaves, reads wildcards as regular
expressions, numbers as fractions and addresses as integers.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.core.errors import InvalidPattern
from chalicelib.core.pattern.compiler import Pattern
from chalicelib.core.pattern.index import RouteIndex

# --- the obvious matcher ---------------------------------------------------------------------------------------------

Place = dict[int, int]


def leaves(event: Any) -> list[tuple[str, Any, Place]]:
    found: list[tuple[str, Any, Place]] = []
    numbers = itertools.count()

    def walk(node: Any, path: tuple[str, ...], place: Place) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, (*path, key), place)
        elif isinstance(node, list):
            number = next(numbers)
            for position, value in enumerate(node):
                inside = isinstance(value, dict | list)
                walk(value, path, {**place, number: position} if inside else place)
        else:
            found.append((".".join(path), node, place))

    walk(event, (), {})
    return found


def agree(one: Place, other: Place) -> bool:
    return all(other.get(array, position) == position for array, position in one.items())


def same(wanted: Any, value: Any) -> bool:
    kinds = [
        "bool" if isinstance(v, bool) else "number" if isinstance(v, int | float) else str(type(v))
        for v in (wanted, value)
    ]
    if kinds == ["number", "number"]:
        return Fraction(wanted) == Fraction(value)
    return kinds[0] == kinds[1] and bool(wanted == value)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def in_network(cidr: str, value: str) -> bool:
    base, bits = cidr.split("/")
    try:
        low, given_ = ipaddress.ip_address(base), ipaddress.ip_address(value)
    except ValueError:
        return False
    shift = low.max_prefixlen - int(bits)
    return low.version == given_.version and int(low) >> shift == int(given_) >> shift


def takes(alternative: Any, value: Any) -> bool:
    if not isinstance(alternative, dict):
        return same(alternative, value)
    ((name, operand),) = alternative.items()
    if name == "exists":
        return bool(operand)
    if name == "anything-but":
        if isinstance(operand, dict):
            ((inner, texts),) = operand.items()
            return not any(takes({inner: text}, value) for text in (texts if isinstance(texts, list) else [texts]))
        return not any(same(excluded, value) for excluded in (operand if isinstance(operand, list) else [operand]))
    if name == "numeric":
        compare = {"=": "__eq__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
        pairs = zip(operand[::2], operand[1::2], strict=True)
        return number(value) and all(getattr(Fraction(value), compare[o])(Fraction(n)) for o, n in pairs)
    if not isinstance(value, str):
        return False
    if isinstance(operand, dict):
        return takes({name: operand["equals-ignore-case"].lower()}, value.lower())
    if name == "wildcard":
        tokens = re.findall(r"\\.|.", operand, re.DOTALL)
        return (
            re.fullmatch("".join(".*" if t == "*" else re.escape(t[-1]) for t in tokens), value, re.DOTALL) is not None
        )
    tests_of: dict[str, Callable[[], bool]] = {
        "prefix": lambda: value[: len(operand)] == operand,
        "suffix": lambda: value.endswith(operand),
        "equals-ignore-case": lambda: value.lower() == operand.lower(),
        "cidr": lambda: in_network(operand, value),
    }
    return bool(tests_of[name]())


def expand(node: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[list[tuple[str, list[Any]]]]:
    """All ways to satisfy an object: each a list of fields."""
    fields: dict[str, list[Any]] = {}
    groups: list[list[list[tuple[str, list[Any]]]]] = []

    def read(inner: dict[str, Any], at: tuple[str, ...]) -> None:
        for key, value in inner.items():
            if key == "$or":
                groups.append([branch for offer in value for branch in expand(offer, at)])
            elif isinstance(value, dict):
                read(value, (*at, key))
            else:
                fields[".".join((*at, key))] = value

    read(node, prefix)
    return [[*fields.items(), *itertools.chain(*chosen)] for chosen in itertools.product(*groups)]


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    found = leaves(event)

    def choices(path: str, alternatives: list[Any]) -> Iterator[Place | str]:
        yield from (place for p, v, place in found if p == path and any(takes(a, v) for a in alternatives))
        if {"exists": False} in alternatives:
            yield path

    for branch in expand(pattern):
        for chosen in itertools.product(*(list(choices(*field)) for field in branch)):
            places = [c for c in chosen if isinstance(c, dict)]
            absent = [c for c in chosen if isinstance(c, str)]
            together = all(agree(a, b) for a, b in itertools.combinations(places, 2))
            if together and not any(p in absent and all(agree(place, c) for c in places) for p, _, place in found):
                return True
    return False


# --- patterns and events, from so few words that they often meet ------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", "a.b", "b.c"])
TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "aB", "ba", "abba", "a*b", "a\\b", "10.0.0.1", "10.9.0.1", "11.0.0.1", "::1"]
)
NUMBERS = st.sampled_from([0, 1, 1.0, -1, 2, 2.5, 2**53, 2**53 + 1, float(2**53), 10**30])
SCALARS = st.one_of(TEXTS, NUMBERS, st.sampled_from([True, False, None]))

WILDCARDS = st.lists(st.sampled_from(["a", "b", "A", "\\*", "\\\\", "*"]), max_size=5).map(
    lambda parts: re.sub(r"(?<!\\)((?:\\\\)*)\*\*+", r"\1*", "".join(parts))
)
LEVELS = st.sampled_from([("=", 1), ("<", 1), ("<=", 1.0), (">", 2**53), (">=", 2**53 + 1), (">", -1)])
RANGES = st.tuples(st.sampled_from([">", ">="]), st.sampled_from([-1, 0, 1]), st.sampled_from(["<", "<="]), st.just(2))
NESTED = st.one_of(
    st.tuples(st.sampled_from(["prefix", "suffix"]), TEXTS.filter(bool)),
    st.tuples(st.just("equals-ignore-case"), TEXTS),
    st.tuples(st.just("wildcard"), WILDCARDS),
)
SIMPLE = st.one_of(
    st.tuples(st.sampled_from(["prefix", "suffix", "equals-ignore-case"]), TEXTS),
    st.tuples(st.sampled_from(["prefix", "suffix"]), TEXTS.map(lambda t: {"equals-ignore-case": t})),
    st.tuples(st.just("wildcard"), WILDCARDS),
    st.tuples(st.just("numeric"), st.one_of(LEVELS, RANGES).map(list)),
    st.tuples(st.just("cidr"), st.sampled_from(["10.0.0.0/8", "10.0.0.1/32", "::/0", "0.0.0.0/0"])),
    st.tuples(st.just("exists"), st.booleans()),
    st.tuples(
        st.just("anything-but"),
        st.one_of(
            TEXTS,
            NUMBERS,
            st.lists(TEXTS, min_size=1, max_size=2),
            st.lists(NUMBERS, min_size=1, max_size=2),
            NESTED.map(lambda pair: {pair[0]: pair[1]}),
            NESTED.map(lambda pair: {pair[0]: [pair[1], pair[1]]}),
        ),
    ),
)
ALTERNATIVES = st.lists(st.one_of(SCALARS, SIMPLE.map(lambda pair: {pair[0]: pair[1]})), min_size=1, max_size=2)


def with_or(objects: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    offers = st.lists(objects, min_size=2, max_size=2).map(lambda both: {"$or": both})
    return st.one_of(objects, objects, st.builds(lambda one, two: {**one, **two}, objects, offers), offers)


FIELDS = st.dictionaries(KEYS, ALTERNATIVES, min_size=1, max_size=3)
PATTERNS = with_or(
    st.one_of(FIELDS, st.dictionaries(KEYS, st.one_of(ALTERNATIVES, with_or(FIELDS)), min_size=1, max_size=2))
)
ELEMENTS = st.dictionaries(KEYS, SCALARS, max_size=3)
VALUES = st.one_of(
    SCALARS,
    ELEMENTS,
    st.lists(st.one_of(SCALARS, ELEMENTS, ELEMENTS, st.lists(ELEMENTS, max_size=2)), max_size=3),
    st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(ELEMENTS, max_size=3)), max_size=2),
)
EVENTS = st.dictionaries(KEYS, VALUES, max_size=3)


BITS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from([0, 1]), min_size=1, max_size=3)
TREES = st.recursive(
    BITS,
    lambda inner: st.builds(lambda own, lists: {**own, **lists}, BITS, st.dictionaries(
        st.sampled_from(["l", "m", "l.m"]), st.lists(inner, min_size=1, max_size=3), min_size=1, max_size=2
    )),
    max_leaves=5,
)  # fmt: skip


@functools.lru_cache(None, typed=True)  # making a strategy takes longer than drawing from it; 1, 1.0 and True differ
def about(value: Any) -> st.SearchStrategy[list[Any]]:
    """Alternatives that are likely to be about this value: it, what excludes it, and what takes part of it."""
    likely: list[st.SearchStrategy[Any]] = [
        st.just(value),
        SIMPLE.map(lambda pair: {pair[0]: pair[1]}),
        st.booleans().map(lambda there: {"exists": there}),
    ]
    if isinstance(value, str):
        likely += [
            st.sampled_from(["prefix", "suffix"]).map(lambda name: {name: value[:1]}),
            st.sampled_from(["prefix", "suffix"]).map(lambda name: {name: {"equals-ignore-case": value.upper()}}),
            WILDCARDS.map(lambda text: {"wildcard": text}),
            st.lists(TEXTS, max_size=1).map(lambda more: {"anything-but": [value, *more]}),
            NESTED.map(lambda pair: {"anything-but": {pair[0]: pair[1]}}),
        ]
    elif number(value):
        likely += [
            st.lists(NUMBERS, max_size=1).map(lambda more: {"anything-but": [*more, value]}),
            st.sampled_from(["=", "<", "<=", ">", ">="]).map(lambda name: {"numeric": [name, value]}),
        ]
    return st.lists(st.one_of(likely), min_size=1, max_size=2)


def within_bounds(pattern: dict[str, Any]) -> bool:
    """Whether a generated pattern is within the bounds of size; any other refusal is a fault of this test."""
    try:
        Pattern.compile(pattern)
    except InvalidPattern as refusal:
        assert "more than" in refusal.reason
        return False
    return True


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A pattern within the bounds of size and an event, most often a pattern that is about leaves of the event."""
    event = draw(st.one_of(EVENTS, TREES, TREES))
    found = leaves(event)
    if not found or draw(st.integers(0, 5)) == 0:
        return draw(PATTERNS.filter(within_bounds)), event
    objects = []
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        chosen = draw(st.lists(st.sampled_from(found), min_size=1, max_size=4))
        objects.append({path: draw(about(value)) for path, value, _ in chosen})
    pattern = objects[0] if len(objects) == 1 else {"$or": objects}
    assume(within_bounds(pattern))
    return pattern, event


# --- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(pairs())
def test_matches_as_the_obvious_matcher_does_when_pattern_is_valid(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    pattern, event = pair

    assert Pattern.compile(pattern).matches(event) is matches(pattern, event)


@settings(max_examples=300)
@given(pairs(), st.data())
def test_may_match_whatever_matches_when_only_some_fields_are_known(
    pair: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    pattern, event = pair
    compiled, found = Pattern.compile(pattern), leaves(event)
    paths = [path for path, _, _ in found]
    told = [path for path in dict.fromkeys(paths) if paths.count(path) == 1]
    some = data.draw(st.sets(st.sampled_from(told))) if told else set()

    known = {path: value for path, value, _ in found if path in some}

    assert compiled.may_match({})
    assert compiled.may_match(known) or not compiled.matches(event)


@settings(max_examples=150)
@given(st.lists(pairs(), min_size=1, max_size=8))
def test_index_answers_as_trying_every_pattern_does_when_routes_are_many(
    drawn: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    patterns, event = [pattern for pattern, _ in drawn], drawn[0][1]
    compiled = [(position, Pattern.compile(pattern)) for position, pattern in enumerate(patterns)]

    matched = RouteIndex(compiled).match(event)

    assert matched == tuple(position for position, pattern in compiled if pattern.matches(event))


@settings(max_examples=150)
@given(FIELDS, EVENTS, ALTERNATIVES, st.integers(0, 2))
def test_still_matches_when_an_alternative_is_added(
    pattern: dict[str, Any], event: dict[str, Any], more: list[Any], which: int
) -> None:
    key = list(pattern)[which % len(pattern)]
    wider = {**pattern, key: [*pattern[key], *more]}

    before, after = Pattern.compile(pattern).matches(event), Pattern.compile(wider).matches(event)

    assert after or not before


@settings(max_examples=150)
@given(pairs(), PATTERNS.filter(within_bounds))
def test_still_matches_when_an_offer_is_added(
    pair: tuple[dict[str, Any], dict[str, Any]], other: dict[str, Any]
) -> None:
    pattern, event = pair
    assume(within_bounds({"$or": [pattern, other]}))
    either = Pattern.compile({"$or": [pattern, other]}).matches(event)

    assert either is (Pattern.compile(pattern).matches(event) or Pattern.compile(other).matches(event))


@given(st.one_of(st.lists(TEXTS, min_size=1, max_size=3), st.lists(NUMBERS, min_size=1, max_size=3)), SCALARS)
def test_exclusion_is_the_complement_when_field_is_a_present_scalar(values: list[Any], value: Any) -> None:
    listed, excluded = Pattern.compile({"a": values}), Pattern.compile({"a": [{"anything-but": values}]})

    assert listed.matches({"a": value}) is not excluded.matches({"a": value})
    assert not excluded.matches({})


def reversed_keys(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: reversed_keys(node[key]) for key in reversed(node)}
    return [reversed_keys(item) for item in node] if isinstance(node, list) else node


def paths(node: dict[str, Any], prefix: str = "") -> list[str]:
    """Every path of a pattern, with repetitions."""
    listed = []
    for key, value in node.items():
        if key == "$or":
            listed += [path for offer in value for path in paths(offer, prefix)]
        else:
            listed += paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return listed


@settings(max_examples=150)
@given(pairs())
def test_answers_alike_when_keys_stand_in_another_order(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    pattern, event = pair
    assume(len(set(paths(pattern))) == len(paths(pattern)))  # else the order decides, as documented

    turned = Pattern.compile(reversed_keys(pattern)).matches(reversed_keys(event))

    assert turned is Pattern.compile(pattern).matches(event)


@settings(max_examples=150)
@given(pairs())
def test_explanation_agrees_with_the_answer_when_asked_why(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    pattern, event = pair
    compiled = Pattern.compile(pattern)

    explained = compiled.explain(event)

    failed = {item["path"] for item in explained if not item["matched"]}
    branches = [{field.place for field in branch} for branch in compiled.branches]
    if compiled.matches(event):
        assert any(not branch & failed for branch in branches)
        assert "$" not in failed
    else:
        assert all(branch & failed for branch in branches) or "$" in failed
    assert all(("wanted" in item) is not item["matched"] for item in explained)


@settings(max_examples=100)
@given(pairs())
def test_answers_alike_when_pattern_and_event_went_through_json(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    pattern, event = pair
    read = json.loads(json.dumps([pattern, event]))

    assert Pattern.compile(read[0]).matches(read[1]) is Pattern.compile(pattern).matches(event)
