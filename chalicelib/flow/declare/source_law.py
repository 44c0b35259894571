"""Ask the law about a source on its declarations, before its first event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from ...core.decide.plan import source_facts
from ...core.errors import RefusedByLaw
from ...core.event.event import DataClass
from ...core.explain.preflight import examine
from ...core.explain.remedies import remedy_of
from ...core.tenant.records import Source
from ..request import Request

ALL_CLASSES = sorted(c.value for c in DataClass)


@dataclass(frozen=True)
class SourceReadiness:
    """The paths of the facts and records that a source's events will wait for, and the obligations that it brings."""

    missing: list[str]
    obligations: list[dict[str, Any]]


def judge_source(request: Request, source: Source) -> SourceReadiness:
    """Ask the law whether a source may be received and stored on its declarations.

    Raises:
        RefusedByLaw: no record could make it lawful.
    """
    law = request.runtime.law
    configuration = request.runtime.config.snapshot(request.tenant.id).configuration
    configuration = replace(configuration, sources={**configuration.sources, source.id: source})
    missing: set[str] = set()
    obligations: dict[str, Mapping[str, Any]] = {}
    for op, messenger in product(("receive", "store"), source.messengers or (None,)):
        now = request.runtime.now()
        facts = source_facts(
            configuration,
            source,
            request.cell,
            op=op,
            classes=ALL_CLASSES,
            now=now,
            received_at=now,
            messenger=messenger,
        )
        found = examine(facts, request.runtime.decider.decide, law)
        if found.refused:
            raise RefusedByLaw(
                "the law does not let this cell receive or store the events of this source",
                found.refused,
                [g.path for g in found.gaps],
                remedy=remedy_of(found.filled, law, request.cell.country),
            )
        missing |= {g.path for g in found.gaps}
        obligations |= {str(o["rule"]): o for o in found.decision.obligations}
    return SourceReadiness(sorted(missing), law.obliged(obligations[rule] for rule in sorted(obligations)))
