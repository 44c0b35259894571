"""A check for schemathesis: no body or parameter that fits its schema is refused for its form.

A refusal for what no schema can say stays allowed: two fields that contradict each other, or a cursor of another list.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

OF_FORM = frozenset(
    {
        "bool_type", "date_type", "datetime_type", "dict_type", "enum", "extra_forbidden", "float_type", "greater_than",
        "greater_than_equal", "less_than", "less_than_equal", "list_type", "literal_error", "missing",
        "model_type", "string_pattern_mismatch", "string_too_long", "string_too_short", "string_type", "too_long",
        "too_short", "tuple_type", "unknown_channel", "unknown_kind",
    }
)  # fmt: skip
"""Codes of faults that a schema can rule out. To JSON Schema 10.0 is an integer as well, and to a strict reader it is none."""

STORED = {"/v1/sources/{id}/secret": "body.secret.", "/v1/destinations/{id}": "body.config."}
"""Fields whose form depends on a stored word, the channel or the kind, by the path that takes them."""


def _of_form(fault: dict[str, Any]) -> bool:
    # Ours of the same code say what one kind of record needs.
    return fault["code"] in OF_FORM and (fault["code"] != "missing" or fault["msg"] == "Field required")


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """Send JSON lines as they are."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.check
def schema_is_not_looser(context: Any, response: Any, case: Any) -> None:
    """Refuse an answer 422 for the form of a request that fits its schema."""
    if response.status_code == 422 and case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE:
        stored = STORED.get(case.operation.path)
        faults = [f for f in response.json().get("errors", ()) if stored is None or not f["loc"].startswith(stored)]
        found = [fault for fault in faults if _of_form(fault)]
        assert not found, f"the schema allows what the API refuses: {found}"
