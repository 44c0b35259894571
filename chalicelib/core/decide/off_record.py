"""Whether the law lets a conversation be off the record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..event.event import DataClass
from ..tenant.configuration import Configuration
from ..tenant.records import Source
from .plan import Cell, Decide, source_facts

_CLASSES = sorted(c.value for c in DataClass)


def forbidden_by(
    configuration: Configuration, source: Source, cell: Cell, decide: Decide, now: datetime
) -> list[Mapping[str, str]]:
    """Return the rules that forbid it: they refuse to receive off the record an event that they let be stored.

    An empty result means that the law allows it.

    Args:
        source: of the conversation.
    """

    def refusals(off_record: bool) -> dict[str, Mapping[str, str]]:
        facts = source_facts(
            configuration,
            source,
            cell,
            op="store",
            classes=_CLASSES,
            now=now,
            received_at=now,
            off_record=off_record,
        )
        decision = decide(facts)
        return {rule["id"]: rule for rule in decision.selected_rules()} if decision.verdict == "refused" else {}

    off = refusals(off_record=True)
    if not off:
        return []
    on = refusals(off_record=False)
    return [rule for id, rule in off.items() if id not in on]
