"""The form of a stored record: its row, with a version and encrypted secrets, and how it is read and written.

The release before this one and the release after it share the rows. So a reader ignores fields that it does not know, a
writer leaves out defaults, and a changed record keeps the unknown fields of the stored one (``docs/decisions/releases.md``).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from ..core import encoders
from ..core.errors import Misconfigured
from ..core.tenant.dates import STORED
from ..core.tenant.rates import EXACT_RATE, read_form, stored_form
from ..core.tenant.records import ApiKey, Basis, Destination, Recipient, Record, Route, Source
from ..core.tenant.switches import Switch, unreadable_switch
from ..core.tenant.unknown_fields import with_unknown
from .items import Item

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
LOOKUP_S = 10
"""How long a process uses what it has read of a source, and a configuration without a look at its version."""


@dataclass(frozen=True)
class RecordRow:
    """A stored record: its value, its version and its sealed secrets."""

    record: Any
    version: int
    sealed: bytes | None = field(default=None, repr=False)


def parse(model: type[BaseModel], text: str) -> Any:
    """Read a stored record, without the fields that its model does not know.

    Raises:
        Misconfigured: it is not of its model; the record's values are not shown.
    """
    if EXACT_RATE in text and issubclass(model, Destination):
        with contextlib.suppress(ValueError):
            text = encoders.plain(read_form(json.loads(text)))
    try:
        return model.model_validate_json(text, context=STORED, extra="ignore")
    except ValidationError as error:
        raise Misconfigured(f"a stored {model.__name__} cannot be read: {error.error_count()} faults") from error


def written(record: BaseModel, before: str | None = None) -> str:
    """Return the text that stores a record: without defaults, and with the unknown fields of the text that it replaces.

    Args:
        before: the stored text of the same record; None for a new one. Nothing is kept of a text that cannot be read.
    """
    new = _stored(record, exclude_defaults=True)
    old = readable(type(record), before) if before is not None else None
    if before is not None and old is not None:
        whole, known = _stored(record), _stored(old)
        new = with_unknown(new, whole, json.loads(before), known)
    return encoders.plain(new)


def _stored(record: BaseModel, *, exclude_defaults: bool = False) -> dict[str, Any]:
    values = record.model_dump(mode="json", by_alias=True, exclude_defaults=exclude_defaults)
    return stored_form(values) if isinstance(record, Destination) else values


def sealing_context(region: str, tenant: str, record_id: str) -> str:
    """What binds sealed secrets to their record."""
    return f"{region}/{tenant}/{record_id}"


def readable(model: type[BaseModel], text: str) -> Any:
    """Read a stored record; None where it is not of its model. A record of another version counts as absent."""
    try:
        return parse(model, text)
    except Misconfigured:
        return None


@dataclass
class StoredRecords:
    """The readable records of a tenant by kind and id, the ids of those that are ``lost``, sealed secrets and shared notices."""

    of: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in RECORDS})
    lost: set[str] = field(default_factory=set)
    sealed: dict[str, bytes] = field(default_factory=dict, repr=False)
    notices: set[str] = field(default_factory=set)


def collect(rows: Iterable[Item]) -> StoredRecords:
    """Read all rows of a tenant. One that cannot be read only ever makes decisions stricter.

    Absent records allow nothing. A basis whose withdrawal cannot be read is withdrawn. An unreadable switch stops everything.
    """
    found, withdrawn = StoredRecords(), dict[str, datetime | None]()
    for row in rows:
        kind, *rest = row["sk"].split("#")
        if kind == "notice":
            found.notices.add(rest[0])
        if kind not in RECORDS or kind == "key" or not rest:
            continue
        if rest[1:] == ["withdrawal"]:
            end = readable(Basis, row["doc"])
            withdrawn[rest[0]] = end.withdrawn_at if end is not None else None
        elif len(rest) == 1:
            record = readable(RECORDS[kind], row["doc"])
            if record is None:
                found.lost.add(rest[0])
                continue
            found.of[kind][rest[0]] = record
            if row.get("sealed"):
                found.sealed[rest[0]] = row["sealed"]
    for basis, at in withdrawn.items():
        if basis in found.of["bas"] and at is not None:
            found.of["bas"][basis] = found.of["bas"][basis].model_copy(update={"withdrawn_at": at})
        elif basis in found.of["bas"]:
            del found.of["bas"][basis]
            found.lost.add(basis)
    for id in found.lost:
        if id[:3] == "swi":
            found.of["swi"][id] = unreadable_switch(id)
    return found
