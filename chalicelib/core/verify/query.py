"""Does a selection hold what its query asks for? Part of the third stage of verifying a bundle."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..log.entry_types import Entry
from ..log.selection import Query, Selection
from .bundle import ENTRIES
from .form import BundleEvidence


@dataclass
class QueryCheck:
    """Take the entries of a selection, and compare them with its query. A full bundle has no query.

    A query touches an event where one of its entries matches. The selection holds every entry of the touched events, and
    the acts that match. An entry that is missing shows only where the query asks for all entries of the log.
    """

    evidence: BundleEvidence
    _touched: set[str] = field(default_factory=set)
    _others: list[tuple[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        query = self.evidence.manifest["query"]
        self._all = query == {}
        self._selection = Selection(Query.from_document(query)) if query is not None else None

    def take(self, entry: Entry) -> None:
        """Take an entry, in any order."""
        if self._selection is None:
            return
        if not self._selection.asks(entry):
            self._others.append((entry["id"], entry["event"]))
        elif entry["event"] is not None:
            self._touched.add(entry["event"])

    def finish(self, count: int) -> None:
        """Report the entries that no touched event explains, and a selection of everything that is not everything.

        Args:
            count: lines of the selection.
        """
        for id, event in self._others:
            if event not in self._touched:
                self.evidence.faults.add("query", id)
        if self._all and self.evidence.head is not None and count < self.evidence.head.size:
            self.evidence.faults.add("query", ENTRIES)
