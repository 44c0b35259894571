"""An adversary with every right to a world's tables and bucket, and sealed logs to attack."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.core.log import leaf
from infra.deploy import tripwire
from tests.support.deployed import AUDIT
from tests.support.logs import (
    BUCKET,
    act,
    append,
    let_seal,
    objects,
)
from tests.support.world import REGION, World, world

TABLE = "waybill-test-audit-2026"


class Intruder:
    """An adversary with every right to the tables and the bucket, past all roles and policies."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.db = w.engine.make_client("dynamodb", REGION)
        self.s3 = w.engine.make_client("s3", REGION)
        self.changes: list[dict[str, Any]] = []

    def row(self, number: int, log: str = "2026") -> dict[str, Any]:
        """The n-th entry's row."""
        rows = [r for r in self.w.rows(f"audit-{log}") if "leaf" in r and r["pk"]["S"].startswith(self.w.tenant)]
        return sorted(rows, key=lambda r: r["sk"]["S"])[number]

    def seal_row(self, place: int) -> dict[str, Any]:
        rows = [r for r in self.w.rows("audit-2026") if r["pk"]["S"] == f"{self.w.tenant}#seal#2026"]
        return sorted(rows, key=lambda r: r["sk"]["S"])[place]

    def put(self, row: dict[str, Any]) -> None:
        """Write a row; the test keeps the table's stream record of it."""
        old = self.db.put_item(TableName=TABLE, Item=row, ReturnValues="ALL_OLD").get("Attributes")
        self.tell("MODIFY" if old else "INSERT", row, old)

    def delete(self, row: dict[str, Any]) -> None:
        self.db.delete_item(TableName=TABLE, Key={"pk": row["pk"], "sk": row["sk"]})
        self.tell("REMOVE", row, row)

    def tell(self, name: str, row: dict[str, Any], old: dict[str, Any] | None) -> None:
        change: dict[str, Any] = {"Keys": {"pk": row["pk"], "sk": row["sk"]}}
        change["SequenceNumber"] = f"{len(self.changes) + 1:021d}"
        if old is not None:  # a stream's record says bytes in base64
            change["OldImage"] = {
                n: {"B": base64.b64encode(v["B"]).decode()} if "B" in v else v for n, v in old.items()
            }
        source = f"{AUDIT[0].replace('eu1', 'test')}/stream/2026"
        self.changes.append({"eventName": name, "eventSourceARN": source, "dynamodb": change})

    def rewrite(self, row: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Return a row whose entry says something else, in every form right."""
        entry = json.loads(leaf.inflate(row["leaf"]["B"]))
        change(entry)
        return {**row, "leaf": {"B": leaf.deflate(leaf.canonical(entry))}}

    def replace(self, name: str, data: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=f"logs/{self.w.tenant}/2026/{name}", Body=data)

    def paged(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Give the tripwire the records that its mapping passes; return the keys that it names."""
        seen = [c for c in self.changes if c["eventName"] in ("MODIFY", "REMOVE")]
        monkeypatch.setenv("WAYBILL_EVIDENCE_BUCKET", BUCKET)
        monkeypatch.setattr(tripwire, "client", lambda: self.s3)
        tripwire.handler({"Records": seen}, None)
        return [c["dynamodb"]["Keys"]["sk"]["S"] for c in seen]


@contextmanager
def sealed_cell(entries: int = 6) -> Iterator[tuple[World, Intruder]]:
    """A log with two seals, and a fresh process."""
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(entries // 2)))
        let_seal(w)
        append(w, *(act(w, n) for n in range(entries // 2, entries)))
        let_seal(w)
        w.restart()
        yield w, Intruder(w)


@contextmanager
def waiting_cell() -> Iterator[tuple[World, Intruder]]:
    """Three entries that wait to be sealed."""
    with world() as w:
        w.connect()
        append(w, *(act(w, n) for n in range(3)))
        yield w, Intruder(w)


def more(w: World, number: int = 900) -> None:
    """Something new is written and sealed, if it can be."""
    append(w, act(w, number))
    w.seal_requests.again()
    let_seal(w)


def lie(entry: dict[str, Any]) -> None:
    entry["actor"]["id"] = "key_" + "1" * 26


def kept_copies(w: World) -> list[dict[str, Any]]:
    return [json.loads(data) for name, data in sorted(objects(w).items()) if name.startswith("tripwire/")]
