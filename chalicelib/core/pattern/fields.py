"""The fields of an event as a pattern sees them: leaves under joined paths, and which of them go together.

A leaf is a scalar. Its path is the keys above it joined by dots; arrays add nothing to a path. What arrays do add is a
``Within``: which element of which array holds the leaf. Two leaves go together unless they lie in different elements of
one array. A scalar that is itself an element lies in no element, as in EventBridge, so ``["x", "y"]`` holds both.

Source: https://github.com/aws/event-ruler#json-array-matching (2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

MAX_ARRAYS: Final = 16
"""Arrays of several elements, one in the other, that are looked into; what lies deeper is not there for a pattern."""

MAX_WORK: Final = 4_000_000
"""Steps of work on the arrays and long texts of one event, for all patterns together: about a second. Only an event made to
be hard needs as many."""
WORK_OF_A_PLACE: Final = 4
LONG_TEXT: Final = 1024
"""Characters that are tested in about a step."""

Within = tuple[tuple[int, int], ...]
"""The arrays a leaf lies in and the position in each, outermost first. Arrays of one element cannot divide, and are left
out."""

Found = Mapping[str, list[tuple[Any, Within]]]
"""The leaves of an event under their paths."""


class Step:
    """A node of the tree of wanted paths. ``path`` is set where a wanted path ends."""

    __slots__ = ("children", "path")

    def __init__(self) -> None:
        self.children: dict[str, Step] = {}
        self.path: str | None = None

    def below(self, dotted: str) -> Step | None:
        """Follow a key of an event that has dots in it."""
        step = self
        for name in dotted.split("."):
            child = step.children.get(name)
            if child is None:
                return None
            step = child
        return step


def steps(paths: Iterable[str]) -> Step:
    """Build the tree of wanted paths."""
    root = Step()
    for path in paths:
        step = root
        for name in path.split("."):
            step = step.children.setdefault(name, Step())
        step.path = path
    return root


def find(document: Mapping[str, Any], root: Step) -> Found:
    """Return the leaves of an event under the wanted paths; a path without a leaf is not in the answer.

    The time follows the part of the event that the wanted paths reach, not their number.
    """
    found: dict[str, list[tuple[Any, Within]]] = {}
    arrays = 0
    pending: list[tuple[Any, Step, Within]] = [(document, root, ())]
    while pending:  # an explicit stack: an event may be nested deeper than Python's
        node, step, within = pending.pop()
        if type(node) is list:
            divides = len(node) > 1
            arrays += 1
            for position, value in enumerate(node):
                if type(value) is dict or type(value) is list:
                    if not divides:
                        pending.append((value, step, within))
                    elif len(within) < MAX_ARRAYS:
                        pending.append((value, step, (*within, (arrays, position))))
                elif step.path is not None:
                    found.setdefault(step.path, []).append((value, within))
            continue
        children = step.children
        for key, value in node.items():
            child = children.get(key)
            if child is None:
                if "." not in key:
                    continue
                child = step.below(key)
                if child is None:
                    continue
            if type(value) is dict:
                if child.children:
                    pending.append((value, child, within))
            elif type(value) is list:
                pending.append((value, child, within))
            elif child.path is not None:
                found.setdefault(child.path, []).append((value, within))
    return found


class ArrayClaim(NamedTuple):
    """The claim of one field on the arrays.

    ``options``: the places of its matching leaves; one must go together with all other claims. ``leaves``: for a field that
    may be absent, the places of all its leaves: it is absent if none of them goes together with the chosen options.
    """

    options: list[Within]
    leaves: list[Within] | None = None


class WorkBudget:
    """The work that may still be done on an event. ``refused``: how often that was not enough to decide something."""

    __slots__ = ("left", "refused", "sizes")

    def __init__(self) -> None:
        self.left = MAX_WORK
        self.refused = 0
        self.sizes: dict[str, int] = {}

    def takes(self, steps: int) -> bool:
        """Take steps from the budget if it has as many; return whether it had."""
        if steps > self.left:
            self.refused += 1
            return False
        self.left -= steps
        return True

    def tests(self, path: str, values: list[tuple[Any, Within]], work: int) -> bool:
        """Take the steps of testing all leaves of a path, of which each takes ``work``, and more if it is long."""
        size = self.sizes.get(path)
        if size is None:
            size = len(values) + sum(len(value) for value, _ in values if type(value) is str) // LONG_TEXT
            self.sizes[path] = size
        return self.takes(size * work)


def go_together(claims: list[ArrayClaim], effort: WorkBudget) -> bool:
    """Say whether one option of each claim can be chosen without taking two elements of one array.

    Claims are first divided into groups that share no array, then each group is divided by the elements of an array. So
    the time follows the number of leaves, except where one path can be reached through several arrays (keys with dots).
    A search that takes more than is left ends with no: what cannot be decided in time is not sent anywhere.
    """
    pending: list[Iterator[list[ArrayClaim]]] = [iter([claims])]
    while pending:
        choice = next(pending[-1], None)
        if choice is None:
            pending.pop()
            continue
        if not effort.takes(WORK_OF_A_PLACE * sum(len(c.options) + len(c.leaves or ()) for c in choice)):
            return False
        state = _open(choice)
        if state is None:
            continue
        groups = _groups(state)
        if len(groups) > 1:
            # Each group has fewer claims than all, so this recursion is no deeper than a pattern has fields.
            for group in groups:
                if not go_together(group, effort):
                    break
            else:
                return True
        elif not state:
            return True
        else:
            pending.append(_divide(state))
    return False


def _open(claims: list[ArrayClaim]) -> list[ArrayClaim] | None:
    """Drop the claims that hold for every choice; None if one can no longer hold."""
    leaves_matter = any(claim.leaves for claim in claims)
    state = []
    for claim in claims:
        options, leaves = claim
        if leaves is not None and not leaves:
            continue
        if leaves is not None and () in leaves:
            leaves = None  # one of its leaves lies outside all arrays: it cannot be absent
        if leaves is None and not options:
            return None
        if leaves is None and () in options and not (leaves_matter and any(options)):
            continue
        state.append(ArrayClaim(options, leaves))
    return state


def _groups(claims: list[ArrayClaim]) -> list[list[ArrayClaim]]:
    groups: list[tuple[set[int], list[ArrayClaim]]] = []
    for claim in claims:
        arrays = {array for within in (*claim.options, *(claim.leaves or ())) for array, _ in within}
        members = [claim]
        apart = []
        for group in groups:
            if arrays.isdisjoint(group[0]):
                apart.append(group)
            else:
                arrays |= group[0]
                members = group[1] + members
        groups = [*apart, (arrays, members)]
    return [members for _, members in groups]


def _divide(claims: list[ArrayClaim]) -> Iterator[list[ArrayClaim]]:
    """Choose in every possible way; one of the answers can hold exactly if the claims can."""
    must = [claim for claim in claims if claim.leaves is None]
    if not must:
        # Only fields that may be absent, none of them absent yet: one has to take a leaf of its own.
        for claim in claims:
            others = [other for other in claims if other is not claim]
            for option in dict.fromkeys(claim.options):
                yield _choose(others, option)
        return
    first = must[0]
    array = first.options[0][0][0] if first.options[0] else None
    if array is None or any(all(a != array for a, _ in within) for claim in must for within in claim.options):
        others = [claim for claim in claims if claim is not first]
        for option in dict.fromkeys(first.options):
            yield _choose(others, option)
        return
    # All options lie in this array: only an element that has one for each claim will do.
    positions = set.intersection(*({dict(within)[array] for within in claim.options} for claim in must))
    divided: dict[int, list[ArrayClaim]] = {position: [] for position in positions}
    for claim in claims:
        options = _by_position(claim.options, array, positions)
        leaves = None if claim.leaves is None else _by_position(claim.leaves, array, positions)
        for position in positions:
            divided[position].append(ArrayClaim(options[position], None if leaves is None else leaves[position]))
    yield from divided.values()


def _by_position(places: list[Within], array: int, positions: set[int]) -> dict[int, list[Within]]:
    """Divide places by their element of an array; a place outside the array goes with every element."""
    divided: dict[int, list[Within]] = {position: [] for position in positions}
    for within in places:
        position = dict(within).get(array)
        if position is None:
            for chosen in divided.values():
                chosen.append(within)
        elif position in divided:
            divided[position].append(tuple(pair for pair in within if pair[0] != array))
    return divided


def _choose(claims: list[ArrayClaim], option: Within) -> list[ArrayClaim]:
    """Keep the places that go together with a chosen option."""
    chosen = dict(option)

    def kept(places: list[Within]) -> list[Within]:
        return [
            tuple(pair for pair in within if pair[0] not in chosen)
            for within in places
            if all(chosen.get(array, position) == position for array, position in within)
        ]

    return [ArrayClaim(kept(c.options), None if c.leaves is None else kept(c.leaves)) for c in claims]
