"""Many patterns at once: the event's own values name the few patterns that can match it.

Each branch of each pattern is filed once, under the one field that names the fewest branches:

1. a field whose alternatives all have an anchor (equal to, begins with, ends with) is filed under those anchors;
2. else any field that has to be present, under its path;
3. a branch that needs only absent fields is tried for every event.

So a branch is tried only if the event holds the value it is filed under, and the time follows the matches, not the number
of patterns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from .compiler import Branch, Pattern, PatternField, holds
from .fields import Found, WorkBudget, find, steps
from .operators import Anchor, exact_key, fold

Key = TypeVar("Key", bound=Hashable)


class Entry(NamedTuple):
    """A branch of the pattern at a position."""

    position: int
    branch: Branch


class _PrefixIndex:
    """Entries by the beginning of a text, found by trying the lengths there are."""

    __slots__ = ("by_text", "lengths")

    def __init__(self) -> None:
        self.by_text: dict[str, list[Entry]] = {}
        self.lengths: tuple[int, ...] = ()

    def add(self, text: str, entry: Entry) -> None:
        if text not in self.by_text:
            self.by_text[text] = []
            self.lengths = tuple(sorted({*self.lengths, len(text)}))
        self.by_text[text].append(entry)

    def of(self, text: str) -> Iterator[list[Entry]]:
        for length in self.lengths:
            if length > len(text):
                return
            found = self.by_text.get(text[:length])
            if found is not None:
                yield found


_NONE: list[Entry] = []


class _PathIndex:
    """The entries filed under one path."""

    __slots__ = ("equal", "fold", "head", "present", "tail")

    def __init__(self) -> None:
        self.equal: dict[Any, list[Entry]] = {}
        self.fold: dict[str, list[Entry]] = {}
        self.head = _PrefixIndex()
        self.tail = _PrefixIndex()
        self.present: list[Entry] = []

    def add(self, anchor: Anchor, entry: Entry) -> None:
        if anchor.kind == "equal":
            self.equal.setdefault(anchor.key, []).append(entry)
        elif anchor.kind == "fold":
            self.fold.setdefault(anchor.key, []).append(entry)
        else:
            (self.head if anchor.kind == "head" else self.tail).add(anchor.key, entry)

    def of(self, value: Any) -> Iterator[list[Entry]]:
        yield self.present
        yield self.equal.get(exact_key(value), _NONE)
        if type(value) is str:
            if self.fold:
                yield self.fold.get(fold(value), _NONE)
            if self.head.lengths:
                yield from self.head.of(value)
            if self.tail.lengths:
                yield from self.tail.of(value[-self.tail.lengths[-1] :][::-1])


class RouteIndex(Generic[Key]):
    """Patterns under their keys, built once for a version of the configuration and never changed.

    ``match`` answers in the order in which the patterns were given.
    """

    def __init__(self, items: Iterable[tuple[Key, Pattern]]) -> None:
        given = list(items)
        self._keys = tuple(key for key, _ in given)
        entries = [
            Entry(position, branch) for position, (_, pattern) in enumerate(given) for branch in pattern.branches
        ]
        named = Counter(
            (field.path, anchor) for _, branch in entries for field in branch for anchor in field.leaf.anchors or ()
        )
        self._steps = steps(field.path for _, branch in entries for field in branch)
        self._by_path: dict[str, _PathIndex] = {}
        self._always: list[Entry] = []
        for entry in entries:
            self._file(entry, named)

    def _file(self, entry: Entry, named: Mapping[tuple[str, Anchor], int]) -> None:
        def names(field: PatternField) -> int:
            return sum(named[field.path, anchor] for anchor in field.leaf.anchors or ())

        present = [field for field in entry.branch if not field.leaf.absent]
        anchored = [field for field in present if field.leaf.anchors is not None]
        if anchored:
            field = min(anchored, key=names)
            postings = self._by_path.setdefault(field.path, _PathIndex())
            for anchor in dict.fromkeys(field.leaf.anchors or ()):
                postings.add(anchor, entry)
        elif present:
            self._by_path.setdefault(present[0].path, _PathIndex()).present.append(entry)
        else:
            self._always.append(entry)

    def candidates(self, document: Mapping[str, Any]) -> list[Entry]:
        """Return the branches that ``match`` looks at for an event, each once."""
        return self._candidates(find(document, self._steps))

    def _candidates(self, found: Found) -> list[Entry]:
        reached = {id(entry): entry for entry in self._always}
        for path, values in found.items():
            postings = self._by_path.get(path)
            if postings is not None:
                # Each list once: ten thousand values may lead to the same ten thousand entries.
                lists = {id(some): some for value, _ in values for some in postings.of(value)}
                for some in lists.values():
                    for entry in some:
                        reached[id(entry)] = entry
        return list(reached.values())

    def match(self, document: Mapping[str, Any], effort: WorkBudget | None = None) -> tuple[Key, ...]:
        """Return the keys of all patterns that match an event, in the order in which they were given.

        Args:
            effort: the budget of the event; afterwards it says whether it sufficed for all patterns.
        """
        found, effort = find(document, self._steps), effort or WorkBudget()
        matched = {entry.position for entry in self._candidates(found) if holds(entry.branch, found, effort)}
        return tuple(self._keys[position] for position in sorted(matched))
