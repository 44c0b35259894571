"""What lists over time share: the window that a request asks for, and a filter over the steps of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..core.errors import Invalid
from ..flow.pagination import Filter, ListItem
from .endpoint import ApiCall


def time_filter(call: ApiCall, **more: Any) -> Filter:
    """Return the filter that the query's ``after`` and ``before`` make, with ``more`` fields.

    Raises:
        Invalid: ``before`` is not later than ``after``.
    """
    after: datetime | None = call.query.after
    before: datetime | None = call.query.before
    if after is not None and before is not None and before <= after:
        text = "before must be later than after"
        raise Invalid(text, [{"loc": "query.before", "code": "not_after", "msg": text}])
    return Filter(after=after, before=before, **more)


def filtered(steps: Iterable[ListItem], keep: Callable[[Any], bool], show: Callable[[Any], Any]) -> Iterator[ListItem]:
    """Show the items that ``keep`` accepts. The other steps stay, without an item: they still count as work."""
    for step in steps:
        kept = step.item is not None and keep(step.item)
        yield replace(step, item=show(step.item) if kept else None)
