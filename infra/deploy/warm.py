"""The warm throughput of audit tables, from ``warm.toml``: what the table of a new year takes in its first second.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html (read 2026-11-30)
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("warm.toml")
AUDIT_TABLE: Final = "AuditTable"

Document = dict[str, Any]


def warmed(resources: dict[str, Document], cell: str, file: Path = FILE) -> dict[str, Document]:
    """Return resources whose audit tables and their indexes have the throughput that the file names for their year.

    Raises:
        ValueError: the file names a value that is no whole number.
    """
    years = tomllib.loads(file.read_text("utf-8")).get(cell, {})
    wanted = {f"{AUDIT_TABLE}{year}": _throughput(values) for year, values in years.items()}
    return {name: _with(resource, wanted[name]) if name in wanted else resource for name, resource in resources.items()}


def _throughput(values: Document) -> Document:
    reads, writes = values["reads_per_s"], values["writes_per_s"]
    if not (isinstance(reads, int) and isinstance(writes, int)):
        raise ValueError("reads_per_s and writes_per_s are whole numbers")
    return {"ReadUnitsPerSecond": reads, "WriteUnitsPerSecond": writes}


def _with(resource: Document, throughput: Document) -> Document:
    properties = resource["Properties"]
    indexes = [{**index, "WarmThroughput": throughput} for index in properties["GlobalSecondaryIndexes"]]
    return {**resource, "Properties": {**properties, "WarmThroughput": throughput, "GlobalSecondaryIndexes": indexes}}
