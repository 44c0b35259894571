"""A rollback in the rehearsal: the next release writes data, then the first one goes on with them.

The next release is the package with a few lines changed: records have one more field, and messages are of version 2.
"""

from __future__ import annotations

import dataclasses
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import boto3

from ..demo import journey
from ..demo.gateway import Gateway, JourneyError
from .package import Package

FIELD: Final = "of_later"
CHANGES: Final[Mapping[str, tuple[str, str]]] = {
    "chalicelib/store/records.py": ("encoders.plain(new)", f'encoders.plain({{**new, "{FIELD}": {{"a": 1}}}})'),
    "chalicelib/flow/hooks/receive.py": ('"v": 1,', f'"v": 2, "{FIELD}": 1,'),
    "chalicelib/core/delivery/task.py": ('= {"v": 1}', f'= {{"v": 2, "{FIELD}": 1}}'),
    "chalicelib/flow/delivery/pump.py": ('{"v": 1, "wake"', '{"v": 2, "wake"'),
}
"""What the next release changes: a text of each file, and its replacement."""


def later(made: Package, out: Path) -> Package:
    """Make the next release's package from this one's.

    Raises:
        ValueError: a file does not have the text to change once.
    """
    archive = out / "later.zip"
    with zipfile.ZipFile(made.archive) as old, zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            path = Path(entry.filename)
            if path.suffix == ".pyc" and f"{path.parent.parent}/{path.name.split('.')[0]}.py" in CHANGES:
                continue  # byte code of the text before: Python would not compare them
            content = old.read(entry)
            if entry.filename in CHANGES:
                before, after = CHANGES[entry.filename]
                if content.count(before.encode()) != 1:
                    raise ValueError(f"{entry.filename} does not have {before} once")
                content = content.replace(before.encode(), after.encode())
            new.writestr(entry, content)
    return dataclasses.replace(made, archive=archive)


def run(
    made: list[journey.Made],
    hooks: Gateway,
    say: journey.Say,
    timeout_s: float,
    deploy: Callable[[bool], None],
    table: Any,
) -> None:
    """Deploy the next release, let it work, and go back; each release's data are read by the other.

    Args:
        deploy: deploys the next release, or the first one where it gets False.
        table: the cell's ``config`` table.

    Raises:
        JourneyError: a transfer did not end as expected, or a record lost a field.
    """
    for is_later in (True, False):
        say("The next release is deployed" if is_later else "The first release is deployed again")
        deploy(is_later)
        for each in made:
            for route in each.tenant.all("/v1/routes"):
                each.tenant("PATCH", f"/v1/routes/{route['id']}", {"name": f"{route['name']} again"})
        if not (kept := _later_rows(table)):
            raise JourneyError("no route has the next release's field" if is_later else "a changed route lost a field")
        now = int(time.time())
        for each in made:
            journey.post(hooks, each, now, say)
        lines = [line for each in made for line in journey.rows(each, timeout_s)]
        # A row that expects a hold may differ: the journey has declared clauses meanwhile.
        if not all(line.as_expected for line in lines if line.recipient.decision in ("allowed", "redacted")):
            raise JourneyError("after a change of the release a transfer did not end as the law and the routes say")
        say(f"  {len(lines)} transfers ended as before; {kept} routes have the next release's field")


def _later_rows(table: Any) -> int:
    return sum(
        FIELD in str(item.get("doc", ""))
        for item in table.scan(ConsistentRead=True)["Items"]
        if item["sk"][:4] == "rte#"
    )


def config_table(endpoint: str, region: str, cell: str) -> Any:
    """Return the emulator's ``config`` table."""
    return boto3.resource("dynamodb", region, endpoint_url=endpoint).Table(f"waybill-{cell}-config")
