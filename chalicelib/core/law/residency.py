"""Decide by law whether data may be received, stored, sent or read: ``decide(facts, law)``.

All laws that apply are evaluated, and the strictest effect wins: deny, hold, redact, allow. Nothing is allowed by omission:
an unknown fact, an unknown country or a missing record is a hold that names the missing path. Pure: ``facts.now`` is the
clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from .. import encoders, times
from . import facts as reading
from .bases import BasisDocuments, RecipientDocument
from .clocks import ONE_DAY
from .decision import Decision, Finding
from .judgement import Case
from .loader import Law
from .raised import FACTS

__all__ = ["Decider", "Decision", "decide", "judged", "refuse"]


def refuse(law: Law, error: str, document: object = None) -> Decision:
    """Return the decision on malformed facts: deny, naming the problems."""
    id = document.get("id") if isinstance(document, dict) else None
    return Decision(
        decision="deny",
        findings=(Finding(FACTS, "deny", code="malformed-facts"),),
        rules_version=law.version,
        rules_hash=law.hash,
        error=error,
        id=id if isinstance(id, str) else None,
        facts=document,
    )


def decide(facts: object, law: Law, *, strict: bool = False) -> Decision:
    """Decide facts (JSON-able, ``docs/law/README.md``) by every law that applies. Never raises on facts.

    Args:
        strict: hold a transfer that would rest on a permit of unsure standing.
    """
    return judged(facts, law, strict)[0]


def judged(facts: object, law: Law, strict: bool = False) -> tuple[Decision, Case | None]:
    """Decide, and return the case as well; None where there is none since these are no facts."""
    read, problems = reading.read(facts)
    if read is None:
        return refuse(law, "; ".join(problems), facts), None
    wanted = read.values.get("rules_version")
    if wanted is not None and wanted != law.version:
        return refuse(law, f"rules_version: the rules here are {law.version}", facts), None
    case = Case(read, law, strict)
    case.judge()
    return case.decision(facts), case


class Decider:
    """Decide with answers kept for equal facts, the least lately used going first.

    An answer holds while every civil day of the law stays the same and no record is withdrawn meanwhile; ``id``, the
    instant of ``now`` within that time, and that of ``first_write`` do not matter to it. It equals a fresh one.
    """

    def __init__(self, law: Law, size: int = 4096) -> None:
        self.law = law
        self._size = size
        self._kept: OrderedDict[tuple[_Lasting, bool], tuple[datetime, datetime, Decision]] = OrderedDict()
        self._zones = tuple({f.calendar.zone: f.calendar for f in (law.any, *law.files)}.values())

    def decide(self, facts: object, *, strict: bool = False) -> Decision:
        """Judge facts like ``decide``."""
        known = _timeless(facts)
        if known is None or not isinstance(facts, dict):
            return decide(facts, self.law, strict=strict)
        lasting, now = known
        key = (lasting, strict)
        kept = self._kept.get(key)
        if kept is not None and kept[0] <= now < kept[1]:
            self._kept.move_to_end(key)
            return kept[2].answering(facts)
        decision = decide(facts, self.law, strict=strict)
        edges = list(self._edges(facts, now))
        self._kept[key] = (
            max(edge for edge in edges if edge <= now),
            min(edge for edge in edges if edge > now),
            # The first caller's facts are not kept alive by the answer.
            decision.answering({}),
        )
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return decision

    def _edges(self, facts: dict[str, Any], now: datetime) -> Iterator[datetime]:
        """Yield the instants at which the answer may change: every law's midnights around now, and withdrawals."""
        for calendar in self._zones:
            day = calendar.day(now)
            yield calendar.midnight(day)
            yield calendar.midnight(day + ONE_DAY)
        for record in facts.get("bases") or ():
            if isinstance(record, dict) and record.get("withdrawn_at") is not None:
                try:
                    yield times.instant(record["withdrawn_at"])
                except (ValueError, OverflowError):
                    continue  # malformed facts are denied whenever they are asked


_WITH_TEXT = (("bases", BasisDocuments), ("recipient", RecipientDocument))
"""The facts whose text is made once, where they are of these types."""
_Lasting = tuple[str, str | None, str | None]
"""Facts without what does not matter to their answer, as text; those of ``_WITH_TEXT`` by themselves, where they have one."""


def _timeless(facts: object) -> tuple[_Lasting, datetime] | None:
    """Return the cacheable part of facts, and now; None for facts that are evaluated each time."""
    if not isinstance(facts, dict) or facts.get("held_since") is not None:
        return None
    id = facts.get("id")
    if not (id is None or (isinstance(id, str) and id.isascii() and 0 < len(id) <= 128)):
        return None
    first_write = facts.get("first_write")
    lasting = {key: value for key, value in facts.items() if key not in ("id", "now")}
    try:
        now = times.instant(facts.get("now"))
        if isinstance(first_write, dict) and first_write.get("at") is not None:
            times.instant(first_write["at"])
            lasting["first_write"] = {**first_write, "at": True}
        texts = {name: part.text for name, kind in _WITH_TEXT if isinstance(part := lasting.get(name), kind)}
        for name in texts:
            del lasting[name]
        # One caller builds facts in one order; another order would only miss the cache.
        return (encoders.escaped(lasting), texts.get("bases"), texts.get("recipient")), now
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
