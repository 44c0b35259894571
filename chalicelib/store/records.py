"""The form of a stored record: its row, with a version and encrypted secrets, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from ..core.errors import Misconfigured
from ..core.tenant.dates import STORED

LOOKUP_S = 10
"""How long a process uses what it has read of a source, and a configuration without a look at its version."""


@dataclass(frozen=True)
class RecordRow:
    """A stored record: its value, its version and its sealed secrets."""

    record: Any
    version: int
    sealed: bytes | None = field(default=None, repr=False)


def parse(model: type[BaseModel], text: str) -> Any:
    """Read a stored record.

    Raises:
        Misconfigured: it is not of its model; the record's values are not shown.
    """
    try:
        return model.model_validate_json(text, context=STORED)
    except ValidationError as error:
        raise Misconfigured(f"a stored {model.__name__} cannot be read: {error.error_count()} faults") from error


def sealing_context(region: str, tenant: str, record_id: str) -> str:
    """What binds sealed secrets to their record."""
    return f"{region}/{tenant}/{record_id}"
