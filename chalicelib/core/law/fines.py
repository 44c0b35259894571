"""The table of fines, ``fines.toml``, which rules name by its ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rules import CONFIDENCES

FINES = "fines.toml"
_FINE = frozenset(
    {"id", "breach", "from", "min", "max", "currency", "pct_turnover", "floor", "cap", "bands", "confidence"}
)


def fine_ids(table: Mapping[str, Any], faults: list[str]) -> frozenset[str]:
    """Return the ids of the table, and report every fault."""
    rows = table.get("fine", [])
    ids: set[str] = set()
    for number, row in enumerate(rows if isinstance(rows, list) else [None], 1):
        id = row.get("id") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(id, str) or not isinstance(row.get("breach"), str):
            faults.append(f"{FINES}: fine {number}: needs id and breach")
        elif row.get("confidence") not in CONFIDENCES or not set(row) <= _FINE:
            faults.append(f"{FINES}: {id}: needs a known confidence, and has only known keys")
        elif id in ids:
            faults.append(f"{FINES}: {id}: duplicate id")
        else:
            ids.add(id)
    return frozenset(ids)
