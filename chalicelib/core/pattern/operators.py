"""The test of one field of a pattern: its alternatives, parsed once.

An alternative is a scalar (equality) or an object with one operator. Every operator is one function from its operand to
an ``Alternative``; ``OPERATORS`` is the table, and a word outside it is an error.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html (2026-11-22),
https://github.com/aws/event-ruler (2026-11-22). Where the two differ from the table in ``docs/patterns.md``, that table
rules: numbers of any size compare exactly, and a string that looks like an address equals only itself.
"""

from __future__ import annotations

import ipaddress
import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from ..errors import InvalidPattern

MAX_STARS: Final = 5
MAX_ADDRESS_LENGTH: Final = 45  # the longest text of an IPv6 address
WORK_OF_AN_ADDRESS: Final = 16  # reading one takes so many times as long as another test

NUMBER: Final = (int, float, Decimal)

Test = Callable[[Any], bool]


class Anchor(NamedTuple):
    """The common property of all values that an alternative accepts, by which the index finds it.

    ``equal``: it is this value (as ``exact_key``); ``fold``: it is this text in folded case; ``head`` and ``tail``: it
    begins or ends so.
    """

    kind: Literal["equal", "fold", "head", "tail"]
    key: Any


class Alternative(NamedTuple):
    """One alternative: a test of a present value, or None for the absence of the field. ``work``: steps of one test."""

    test: Test | None
    anchor: Anchor | None = None
    work: int = 1


@dataclass(frozen=True, slots=True)
class FieldMatcher:
    """The alternatives of one field.

    ``anchors`` is None where an alternative accepts values that have nothing in common; ``work``: steps of testing a value.
    """

    wanted: list[Any]
    strings: frozenset[str]
    numbers: frozenset[Any]
    constants: tuple[bool | None, ...]
    tests: tuple[Test, ...]
    absent: bool
    anchors: tuple[Anchor, ...] | None
    work: int

    def accepts(self, value: Any) -> bool:
        """Say whether a scalar of an event satisfies one of the alternatives."""
        if type(value) is str:
            if value in self.strings:
                return True
        elif value is None or value is True or value is False:
            # By identity: in Python True equals 1, in JSON it does not.
            for constant in self.constants:
                if constant is value:
                    return True
        elif value in self.numbers:
            return True
        return any(test(value) for test in self.tests)


def place_of(place: str, step: str | int) -> str:
    """Extend a JSON path: ``$.a``, ``$.a[0]``; a key that would be ambiguous is quoted, ``$["a.b"]``."""
    if isinstance(step, int):
        return f"{place}[{step}]"
    if re.search(r'[.\[\]"\\\s\x00-\x1f]', step) or not step:
        return f"{place}[{json.dumps(step)}]"
    return f"{place}.{step}"


def fold(text: str) -> str:
    """Fold case character by character, so that no text changes its length and prefixes stay prefixes.

    Source: https://docs.oracle.com/javase/8/docs/api/java/lang/String.html#equalsIgnoreCase-java.lang.String-
    (2026-11-22): upper case, then lower case, of each character, in every language.
    """
    return text.lower() if text.isascii() else "".join(map(_fold, text))


def _fold(character: str) -> str:
    upper = character.upper()
    lower = (upper if len(upper) == 1 else character).lower()
    return lower if len(lower) == 1 else character


def exact_key(value: Any) -> Any:
    """Return a key that is equal for exactly those scalars that are equal in JSON."""
    if type(value) is str:
        return value
    if value is None or isinstance(value, bool):
        return (value,)
    return (None, value)


def _is_number(value: object) -> bool:
    return isinstance(value, NUMBER) and not isinstance(value, bool)


def _finite(value: Any, place: str) -> Any:
    if not _is_number(value):
        raise InvalidPattern(place, "must be a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidPattern(place, "is out of the range of numbers")
    return value


def _string(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidPattern(place, "must be a string")
    return value


def _only(node: Mapping[Any, Any], place: str, what: str) -> tuple[str, Any]:
    """Return the one key and value of an operator object."""
    if len(node) != 1:
        raise InvalidPattern(place, f"{what} has exactly one key")
    ((key, value),) = node.items()
    if not isinstance(key, str):
        raise InvalidPattern(place, "keys must be strings")
    return key, value


def _ignored_case(operand: object, place: str) -> str | None:
    """Return the folded text of ``{"equals-ignore-case": text}``, or None where the operand is no object."""
    if not isinstance(operand, Mapping):
        return None
    key, text = _only(operand, place, "an operator")
    if key != "equals-ignore-case":
        raise InvalidPattern(place_of(place, key), "only equals-ignore-case can stand here")
    return fold(_string(text, place_of(place, key)))


def _prefix(operand: object, place: str) -> Alternative:
    folded = _ignored_case(operand, place)
    if folded is not None:
        length, head = len(folded), folded
        return Alternative(lambda v: type(v) is str and fold(v[:length]) == head)
    text = _string(operand, place)
    return Alternative(lambda v: type(v) is str and v.startswith(text), Anchor("head", text) if text else None)


def _suffix(operand: object, place: str) -> Alternative:
    folded = _ignored_case(operand, place)
    if folded is not None:
        length, tail = len(folded), folded
        return Alternative(lambda v: type(v) is str and len(v) >= length and fold(v[len(v) - length :]) == tail)
    text = _string(operand, place)
    return Alternative(lambda v: type(v) is str and v.endswith(text), Anchor("tail", text[::-1]) if text else None)


def _equals_ignore_case(operand: object, place: str) -> Alternative:
    folded = fold(_string(operand, place))
    length = len(folded)
    return Alternative(lambda v: type(v) is str and len(v) == length and fold(v) == folded, Anchor("fold", folded))


def _literals(text: str, place: str) -> list[str]:
    """Split a wildcard at its stars; escaped characters stay literal."""
    parts = [""]
    starred = False
    characters = iter(text)
    for character in characters:
        if character == "*":
            if starred:
                raise InvalidPattern(place, "two * in a row")
            parts.append("")
        elif character == "\\":
            escaped = next(characters, None)
            if escaped not in ("*", "\\"):
                raise InvalidPattern(place, "a backslash can only stand before * or another backslash")
            parts[-1] += escaped
        else:
            parts[-1] += character
        starred = character == "*"
    if len(parts) - 1 > MAX_STARS:
        raise InvalidPattern(place, f"too complex: more than {MAX_STARS} *")
    return parts


def _wildcard(operand: object, place: str) -> Alternative:
    head, *middle = _literals(_string(operand, place), place)
    if not middle:
        return Alternative(lambda v: type(v) is str and v == head, Anchor("equal", head))
    tail = middle.pop()
    fixed = len(head) + len(tail)

    def test(value: Any) -> bool:
        # The first place of each literal is always as good as a later one: no backtracking, linear time.
        if type(value) is not str or len(value) < fixed or not value.startswith(head) or not value.endswith(tail):
            return False
        at, end = len(head), len(value) - len(tail)
        for literal in middle:
            at = value.find(literal, at, end)
            if at < 0:
                return False
            at += len(literal)
        return True

    return Alternative(test, Anchor("head", head) if head else Anchor("tail", tail[::-1]) if tail else None)


_EXCLUDABLE: Mapping[str, Callable[[object, str], Alternative]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
}


def _anything_but(operand: object, place: str) -> Alternative:
    if isinstance(operand, Mapping):
        return _anything_but_operator(operand, place)
    values = operand if isinstance(operand, list) else [operand]
    if not values:
        raise InvalidPattern(place, "must not be empty")
    if all(isinstance(value, str) for value in values):
        strings = frozenset(values)
        return Alternative(lambda v: type(v) is not str or v not in strings)
    if not all(_is_number(value) for value in values):
        raise InvalidPattern(place, "must be strings only or numbers only")
    for position, value in enumerate(values):
        _finite(value, place_of(place, position) if isinstance(operand, list) else place)
    numbers = frozenset(values)
    return Alternative(lambda v: not _is_number(v) or v not in numbers)


def _anything_but_operator(operand: Mapping[Any, Any], place: str) -> Alternative:
    key, texts = _only(operand, place, "an operator")
    place = place_of(place, key)
    parse = _EXCLUDABLE.get(key)
    if parse is None:
        raise InvalidPattern(place, f"anything-but excludes values or {', '.join(_EXCLUDABLE)}")
    listed = isinstance(texts, list)
    if listed and not texts:
        raise InvalidPattern(place, "must not be empty")
    tests: list[Test] = []
    for position, text in enumerate(texts if listed else [texts]):
        here = place_of(place, position) if listed else place
        if _string(text, here) == "" and key in ("prefix", "suffix"):
            raise InvalidPattern(here, f"an empty {key} would exclude every string")
        test = parse(text, here).test
        assert test is not None  # only the absence of a field has no test
        tests.append(test)
    # Every test accepts strings only, so other values are never excluded.
    return Alternative(lambda v: not any(test(v) for test in tests), work=len(tests))


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _numeric(operand: object, place: str) -> Alternative:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidPattern(place, "must be [operator, number] or [lower, number, upper, number]")
    for position in range(0, len(operand), 2):
        name = operand[position]
        if not isinstance(name, str) or name not in _COMPARE:
            raise InvalidPattern(place_of(place, position), f"must be one of {' '.join(_COMPARE)}")
        _finite(operand[position + 1], place_of(place, position + 1))
    name, low = operand[:2]
    above = _COMPARE[name]
    if len(operand) == 2:
        anchor = Anchor("equal", exact_key(low)) if name == "=" else None
        return Alternative(lambda v: _is_number(v) and above(v, low), anchor)
    other, high = operand[2:]
    if name not in (">", ">="):
        raise InvalidPattern(place_of(place, 0), "a range begins with > or >=")
    if other not in ("<", "<="):
        raise InvalidPattern(place_of(place, 2), "a range ends with < or <=")
    if low > high or (low == high and (name, other) != (">=", "<=")):
        raise InvalidPattern(place, "the bounds exclude each other")
    below = _COMPARE[other]
    return Alternative(lambda v: _is_number(v) and above(v, low) and below(v, high))


def _cidr(operand: object, place: str) -> Alternative:
    text = _string(operand, place)
    if not re.fullmatch(r"[0-9A-Fa-f:.]+/[0-9]{1,3}", text):
        raise InvalidPattern(place, "must be an address, a slash and a number of bits")
    try:
        network = ipaddress.ip_network(text, strict=False)  # bits beyond the mask do not matter
    except ValueError:
        raise InvalidPattern(place, "is no range of addresses") from None

    def test(value: Any) -> bool:
        if type(value) is not str or len(value) > MAX_ADDRESS_LENGTH or "%" in value:
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return Alternative(test, work=WORK_OF_AN_ADDRESS)


def _exists(operand: object, place: str) -> Alternative:
    if not isinstance(operand, bool):
        raise InvalidPattern(place, "must be true or false")
    return Alternative((lambda v: True) if operand else None)


OPERATORS: Mapping[str, Callable[[object, str], Alternative]] = {
    **_EXCLUDABLE,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
    "exists": _exists,
}
"""Every operator: from its operand and its place to an alternative. Raises ``InvalidPattern``."""


def parse_leaf(alternatives: list[Any], place: str) -> FieldMatcher:
    """Parse the alternatives of one field.

    Raises:
        InvalidPattern: an alternative breaks a rule, or there is none.
    """
    if not alternatives:
        raise InvalidPattern(place, "an empty array matches nothing")
    scalars: list[Any] = []
    parsed: list[Alternative] = []
    for position, item in enumerate(alternatives):
        here = place_of(place, position)
        if isinstance(item, Mapping):
            name, operand = _only(item, here, "an operator")
            parse = OPERATORS.get(name)
            if parse is None:
                raise InvalidPattern(place_of(here, name), f"is no operator: {', '.join(OPERATORS)}")
            parsed.append(parse(operand, place_of(here, name)))
        elif item is None or isinstance(item, str | bool):
            scalars.append(item)
        elif _is_number(item):
            scalars.append(_finite(item, here))
        else:
            raise InvalidPattern(here, "must be a string, a number, true, false, null or an operator")
    anchors = [*(Anchor("equal", exact_key(scalar)) for scalar in scalars), *(a.anchor for a in parsed)]
    return FieldMatcher(
        wanted=alternatives,
        strings=frozenset(s for s in scalars if isinstance(s, str)),
        numbers=frozenset(s for s in scalars if _is_number(s)),
        constants=tuple(s for s in scalars if s is None or isinstance(s, bool)),
        tests=tuple(a.test for a in parsed if a.test is not None),
        absent=any(a.test is None for a in parsed),
        anchors=tuple(a for a in anchors if a is not None) if None not in anchors else None,
        work=1 + sum(a.work for a in parsed),
    )
