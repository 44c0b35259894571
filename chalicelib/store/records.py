"""The form of a stored record: its model by prefix, its row with version and sealed secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from ..core.errors import Misconfigured
from ..core.tenant.dates import STORED
from ..core.tenant.records import ApiKey, Basis, Destination, Recipient, Record, Route, Source
from ..core.tenant.switches import Switch

RECORDS: Mapping[str, type[Record]] = {
    "src": Source,
    "rcp": Recipient,
    "dst": Destination,
    "rte": Route,
    "bas": Basis,
    "key": ApiKey,
    "swi": Switch,
}
"""The kind of record stored under each prefix."""


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
