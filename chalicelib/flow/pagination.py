"""Lists: the filter of a list, and the steps that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ListItem:
    """A step of a list: its position, the item to show (None for one that a filter leaves out), and its cost."""

    position: str
    item: Any = None
    cost: int = 1


@dataclass(frozen=True)
class Filter:
    """The filter of a list of events or transfers; ``after`` inclusive, ``before`` exclusive."""

    after: datetime | None = None
    before: datetime | None = None
    conversation: str | None = None
    source: str | None = None
    kind: str | None = None
