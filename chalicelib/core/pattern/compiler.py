"""Event patterns: which events a route selects, in the pattern language of Amazon EventBridge.

Compiling checks a pattern against every rule of ``docs/patterns.md`` and expands its ``$or``. The result is a list of
branches, each a list of fields that all have to match. Matching is then one walk over the event, a test for each field and,
only where arrays of objects are involved, a search for elements that go together.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html (2026-11-22),
https://github.com/aws/event-ruler (2026-11-22) for questions that the guide leaves open:

- the same path twice in one object, be it by equal keys or by dots: the last wins;
- ``anything-but`` needs a present field, and on an array one element that differs;
- ``exists`` looks at leaves only, and ``exists: false`` beside other fields at the array elements they chose.

One departure: a path named outside and inside ``$or`` has to match both, where event-ruler drops the first. Dropping a
condition would send events to destinations that the pattern excludes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product
from typing import Any, Final, NamedTuple

from ..errors import InvalidPattern
from .fields import LONG_TEXT, ArrayClaim, Found, Step, WorkBudget, find, go_together, steps
from .operators import FieldMatcher, parse_leaf, place_of

MAX_BYTES: Final = 4096
MAX_DEPTH: Final = 16
MAX_LEAVES: Final = 300

OR: Final = "$or"
RESERVED_IN_OR: Final = frozenset(
    """
    exactly prefix suffix equals-ignore-case wildcard anything-but numeric cidr exists = < <= > >= regex not-wildcard
    not-equals-ignore-case date-after date-on-or-after date-before date-on-or-before in-date-range ip-address-in-range
    ip-address-not-in-range
    """.split()
)
"""Keys that no object inside ``$or`` may have, at any depth.

Source: RESERVED_FIELD_NAMES_IN_OR_RELATIONSHIP in https://github.com/aws/event-ruler (2026-11-22).
"""


class PatternField(NamedTuple):
    """One field of a pattern: its path in events, its place in the pattern, and the values it accepts."""

    path: str
    place: str
    leaf: FieldMatcher


Branch = tuple[PatternField, ...]
"""Fields that all have to match."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. It matches an event if one of its branches does."""

    branches: tuple[Branch, ...]
    _steps: Step

    @classmethod
    def compile(cls, document: object) -> Pattern:
        """Check a pattern and prepare it for matching.

        Args:
            document: the pattern as JSON values; it MUST NOT be changed afterwards.

        Raises:
            InvalidPattern: it breaks a rule; ``path`` is the JSON path of the place (``$.message.text[0].prefix``),
                ``$`` for the pattern as a whole.
        """
        if not isinstance(document, Mapping):
            raise InvalidPattern("$", "a pattern is an object")
        scope = _Scope.read(document, "$", None, 1, in_or=False)
        if scope.size()[1] > MAX_LEAVES:
            raise InvalidPattern("$", f"more than {MAX_LEAVES} fields after $or is expanded")
        if _length(document) > MAX_BYTES:
            raise InvalidPattern("$", f"longer than {MAX_BYTES} bytes")
        branches = tuple(scope.branches())
        return cls(branches, steps(field.path for branch in branches for field in branch))

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Say whether an event, as JSON values, matches."""
        found, effort = find(document, self._steps), WorkBudget()
        return any(holds(branch, found, effort) for branch in self.branches)

    def may_match(self, known: Mapping[str, Any]) -> bool:
        """Say whether an event of which these fields are known, by path, can match; nothing is known of the others."""
        return any(
            all(leaf.accepts(known[path]) for path, _place, leaf in branch if path in known) for branch in self.branches
        )

    def explain(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return for each field of the pattern whether it matches, for a person who asks why an event did not.

        Each item is ``{"path", "matched"}``, and ``wanted`` (the pattern's own words) where it did not match. Where the
        fields of a branch match one by one, but only in different elements of an array, a last item has the path ``$``
        and ``wanted: {"same_element": [paths]}``. The answer holds no value of the event.
        """
        found, effort = find(document, self._steps), WorkBudget()
        holding = [branch for branch in self.branches if holds(branch, found, effort)]
        # Of a branch that holds each field does, though alone it might not: an absence counts in the chosen elements.
        matched = {field.place for field in chain.from_iterable(holding)}
        answer: dict[str, dict[str, Any]] = {}
        for field in chain.from_iterable(self.branches):
            if field.place in matched or holds((field,), found, effort):
                answer[field.place] = {"path": field.place, "matched": True}
            else:
                answer[field.place] = {"path": field.place, "matched": False, "wanted": field.leaf.wanted}
        apart = [
            {"path": "$", "matched": False, "wanted": {"same_element": [field.place for field in branch]}}
            for branch in self.branches
            if not holding and all(answer[field.place]["matched"] for field in branch)
        ]
        return [*answer.values(), *apart]


def holds(branch: Branch, found: Found, effort: WorkBudget) -> bool:
    """Return whether all fields of a branch match the leaves of an event.

    Args:
        effort: the steps left for this event; the answer is no where they do not suffice.
    """
    claims: list[ArrayClaim] | None = None
    for path, _place, leaf in branch:
        values = found.get(path)
        if values is None:
            if not leaf.absent:
                return False
        elif len(values) == 1 and not values[0][1]:  # outside all arrays: nothing to choose
            value = values[0][0]
            if type(value) is str and len(value) > LONG_TEXT and not effort.tests(path, values, leaf.work):
                return False
            if not leaf.accepts(value):
                return False
        elif not effort.tests(path, values, leaf.work):
            return False
        else:
            options = [within for value, within in values if leaf.accepts(value)]
            if not options and not leaf.absent:
                return False
            claims = claims or []
            claims.append(ArrayClaim(options, [within for _, within in values] if leaf.absent else None))
    return claims is None or go_together(claims, effort)


class _Scope(NamedTuple):
    """The fields of an object and of the objects in it, and beside them each ``$or`` with the scopes it offers."""

    fields: dict[str, PatternField]
    choices: list[list[_Scope]]

    @classmethod
    def read(cls, node: Mapping[Any, Any], place: str, prefix: str | None, depth: int, *, in_or: bool) -> _Scope:
        scope = cls({}, [])
        scope._read(node, place, prefix, depth, in_or=in_or)
        return scope

    def _read(self, node: Mapping[Any, Any], place: str, prefix: str | None, depth: int, *, in_or: bool) -> None:
        if depth > MAX_DEPTH:
            raise InvalidPattern(place, f"nested deeper than {MAX_DEPTH} objects")
        if not node:
            raise InvalidPattern(place, "an empty object matches nothing")
        for key, value in node.items():
            if not isinstance(key, str):
                raise InvalidPattern(place, "keys must be strings")
            here = place_of(place, key)
            path = key if prefix is None else f"{prefix}.{key}"
            if key == OR:
                self.choices.append(self._offers(value, here, prefix, depth))
            elif in_or and key in RESERVED_IN_OR:
                raise InvalidPattern(here, "is reserved and cannot be a field inside $or")
            elif isinstance(value, Mapping):
                self._read(value, here, path, depth + 1, in_or=in_or)
            elif isinstance(value, list):
                self.fields[path] = PatternField(path, here, parse_leaf(value, here))
            else:
                raise InvalidPattern(here, "must be an object or an array of alternatives")

    @classmethod
    def _offers(cls, value: object, place: str, prefix: str | None, depth: int) -> list[_Scope]:
        if not isinstance(value, list) or len(value) < 2:
            raise InvalidPattern(place, "must be an array of two or more objects")
        offers = []
        for position, node in enumerate(value):
            here = place_of(place, position)
            if not isinstance(node, Mapping):
                raise InvalidPattern(here, "must be an object")
            offers.append(cls.read(node, here, prefix, depth + 1, in_or=True))
        return offers

    def size(self) -> tuple[int, int]:
        """Count the branches and, over all of them, the fields, without making them."""
        branches, fields = 1, len(self.fields)
        for choice in self.choices:
            sizes = [offer.size() for offer in choice]
            more = sum(size[0] for size in sizes)
            fields = fields * more + branches * sum(size[1] for size in sizes)
            branches *= more
        return branches, fields

    def branches(self) -> Iterator[Branch]:
        own = tuple(self.fields.values())
        offered = [[branch for offer in choice for branch in offer.branches()] for choice in self.choices]
        for chosen in product(*offered):
            yield own + tuple(chain.from_iterable(chosen))


def _length(document: object) -> int:
    """Count the bytes of a document as compact JSON in UTF-8."""
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
    except ValueError:  # an integer with more digits than Python writes
        return MAX_BYTES + 1
    return len(text.encode("utf-8", "surrogatepass"))
