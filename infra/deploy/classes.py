"""The class of audit tables: what DynamoDB asks for storage and for requests.

A table keeps the class that it has. A deployment could not change it, because the table's lock forbids ``UpdateTable``.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.tableclasses.html (read 2026-11-30)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from .template import stages

Document = dict[str, Any]

STANDARD: Final = "STANDARD"
INFREQUENT: Final = "STANDARD_INFREQUENT_ACCESS"


def table_class(stage: str) -> str:
    """Read the class of a stage's new audit tables: ``audit_table_class``, or the standard class.

    Raises:
        ValueError: DynamoDB has no such class.
    """
    found = str(stages()[stage].get("audit_table_class", STANDARD))
    if found not in (STANDARD, INFREQUENT):
        raise ValueError(f"audit_table_class of stage {stage} is {STANDARD} or {INFREQUENT}, not {found!r}")
    return found


def classed(template: Document, wanted: str, class_of: Callable[[str], str | None]) -> Document:
    """Return a template whose audit tables have the class that they have, or the wanted one if they do not exist.

    Args:
        class_of: returns the class of a table by its name; None if there is no such table.
    """
    made: Document = json.loads(json.dumps(template))
    for resource in made["Resources"].values():
        properties = resource.get("Properties", {})
        if re.search(r"-audit-\d{4}$", str(properties.get("TableName", ""))):
            found = class_of(str(properties["TableName"])) or wanted
            if found != STANDARD:  # the release before names no class
                properties["TableClass"] = found
    return made
