"""DynamoDB's accounting: bytes of items and of their index entries, and the write request units of both. Pure.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html (read 2026-11-22).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNIT_BYTES = 1024
READ_BYTES = 4096
Item = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Index:
    """A secondary index: the attributes that an entry needs, and all that it holds."""

    name: str
    keys: tuple[str, ...]
    projected: tuple[str, ...]


def number_bytes(text: str) -> int:
    """Count a number: one byte for two significant digits, one more, and one for a sign."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return math.ceil(len(digits) / 2) + 1 + text.startswith("-")


def value_bytes(value: Mapping[str, Any]) -> int:
    """Count an attribute's value.

    Raises:
        ValueError: a type that no row of a cell has.
    """
    ((kind, inner),) = value.items()
    if kind == "S":
        return len(inner.encode())
    if kind == "B":
        return len(inner)
    if kind == "N":
        return number_bytes(inner)
    if kind in ("BOOL", "NULL"):
        return 1
    raise ValueError(f"an attribute of type {kind}")


def item_bytes(item: Item, names: Iterable[str] | None = None) -> int:
    """Count an item, or those of its attributes that are named: names and values."""
    wanted = item if names is None else [name for name in names if name in item]
    return sum(len(name.encode()) + value_bytes(item[name]) for name in wanted)


def write_units(size_bytes: int) -> int:
    """Return the request units of one standard write; a refused one costs the same."""
    return max(1, math.ceil(size_bytes / UNIT_BYTES))


def indexes_of(table: Mapping[str, Any]) -> tuple[Index, ...]:
    """Read the indexes of a ``create_table`` request.

    Raises:
        ValueError: a projection other than of keys, which this does not count.
    """
    base = tuple(key["AttributeName"] for key in table["KeySchema"])
    found = []
    for index in table.get("GlobalSecondaryIndexes", ()):
        if index["Projection"]["ProjectionType"] != "KEYS_ONLY":
            raise ValueError("only keys-only indexes are counted")
        keys = tuple(key["AttributeName"] for key in index["KeySchema"])
        found.append(Index(index["IndexName"], keys, tuple(dict.fromkeys((*base, *keys)))))
    return tuple(found)


def insert_units(item: Item, indexes: Iterable[Index]) -> dict[str, int]:
    """Return the units of inserting an item: its own under ``""``, and each index entry's under the index's name."""
    units = {"": write_units(item_bytes(item))}
    for index in indexes:
        if all(key in item for key in index.keys):
            units[index.name] = write_units(item_bytes(item, index.projected))
    return units


ROW_BYTES = 100
"""What DynamoDB adds to each stored item and index entry.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html (read 2026-11-30).
"""


def stored_bytes(item: Item, indexes: Iterable[Index]) -> int:
    """Return the bytes that are billed as storage for an item and its index entries."""
    found = item_bytes(item) + ROW_BYTES
    for index in indexes:
        if all(key in item for key in index.keys):
            found += item_bytes(item, index.projected) + ROW_BYTES
    return found
