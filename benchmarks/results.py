"""A measured figure, and how figures are laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Sense = Literal["max", "min"]
HEADS = ("name", "value", "unit", "budget", "floor", "verdict")


@dataclass(frozen=True)
class Result:
    """One row. ``sense`` says whether the budget is the most or the least that the value may be."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    floor: float | None = None
    sense: Sense = "max"

    @property
    def kept(self) -> bool | None:
        """Whether the budget is kept; None if there is none."""
        if self.budget is None:
            return None
        return self.value <= self.budget if self.sense == "max" else self.value >= self.budget

    def document(self) -> dict[str, Any]:
        """Return the row as ``out.json`` has it."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "budget": self.budget,
            "sense": self.sense,
            "floor": self.floor,
        }


def from_document(row: Mapping[str, Any]) -> Result:
    """Read a row as ``document`` writes it."""
    return Result(row["name"], row["value"], row["unit"], row["budget"], row["floor"], row["sense"])


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


VERDICTS = {True: "kept", False: "OVER", None: ""}


def cells(result: Result) -> tuple[str, ...]:
    """Return the row's cells as text."""
    sign = "" if result.budget is None else "≤ " if result.sense == "max" else "≥ "
    return (
        result.name,
        _figure(result.value),
        result.unit,
        sign + _figure(result.budget),
        _figure(result.floor),
        VERDICTS[result.kept],
    )


def table(results: Sequence[Result]) -> str:
    """Lay rows out, aligned."""
    rows = [HEADS, *map(cells, results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    right = {1, 3, 4}
    return "\n".join(
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
