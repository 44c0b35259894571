"""What a list is narrowed to, and the steps that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Listed:
    """A step of a list: where it is, what to show (None for what a filter leaves out), and what it cost to look at."""

    position: str
    item: Any = None
    cost: int = 1


@dataclass(frozen=True)
class Filter:
    """What a list of events or transfers is narrowed to; ``after`` inclusive, ``before`` exclusive."""

    after: datetime | None = None
    before: datetime | None = None
    conversation: str | None = None
    source: str | None = None
    kind: str | None = None
