"""What a refused tenant can do, by the code of the rule that refuses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..law.decision import Decision
from ..law.loader import Law

_PLACES = ("first_write.country", "store.country")
_REMEDIES: Mapping[str, str] = {
    "localisation": "this cell is in {cell}; start one in {country}: `waybill local --country {country}`",
    "ori-store": "this cell is in {cell}; start one in {country}: `waybill local --country {country}`",
    "foreign-messenger": "use a messenger of the country, or text messages",
    "no-instruction": 'declare the instruction: POST /v1/bases {"kind": "instruction"}',
    "otr-forbidden": "keep the conversation on the record",
}


def remedy_of(decision: Decision, law: Law, cell: str) -> str | None:
    """Return what lifts a refusal, in one sentence; None where nothing general does.

    Args:
        cell: the country of the cell.
    """
    remedies: dict[str, None] = {}
    for finding in decision.findings:
        text = _REMEDIES.get(finding.code or "") if finding.effect == "deny" else None
        if text is not None:
            remedies[text.format(cell=cell, country=_home(law.rows.get(finding.provision.id, {})))] = None
    return "; ".join(remedies) or None


def _home(row: Mapping[str, Any]) -> str:
    required = row.get("require", {})
    return next((str(required[place]) for place in _PLACES if isinstance(required.get(place), str)), "that country")
