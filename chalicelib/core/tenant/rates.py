"""The rate limit of a destination, as a tenant sends it and as it is stored. Pure.

The earlier release knows whole rates only. So a stored record has the next whole number in ``rate_limit_per_s``, and the rate
itself in ``EXACT_RATE``, which counts as long as it belongs to that number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema

RATE = "rate_limit_per_s"
EXACT_RATE = "exact_rate_per_s"
RATE_MIN, RATE_MAX = 0.01, 1000


def _whole(per_s: float) -> int | float:
    return int(per_s) if per_s == int(per_s) else per_s


Rate = Annotated[
    float,
    Field(ge=RATE_MIN, le=RATE_MAX),
    AfterValidator(_whole),
    PlainSerializer(_whole),
    WithJsonSchema({"type": "number", "minimum": RATE_MIN, "maximum": RATE_MAX}),
]
"""How many a second; a whole number stays one in JSON."""


def read_form(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored values with the exact rate in place of the whole number, where it belongs to that number."""
    kept = {name: value for name, value in values.items() if name != EXACT_RATE}
    exact = values.get(EXACT_RATE)
    if isinstance(exact, float) and math.isfinite(exact) and math.ceil(exact) == values.get(RATE):
        kept[RATE] = exact
    return kept


def stored_form(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a record as they are stored: the next whole number in place of a rate, and the rate beside it."""
    exact = values.get(RATE)
    return {**values, RATE: math.ceil(exact), EXACT_RATE: exact} if isinstance(exact, float) else values
