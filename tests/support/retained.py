"""A world whose events come to their end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.tenant.legal_holds import LegalHoldSettings
from chalicelib.flow.jobs import worker
from chalicelib.flow.request import Request
from chalicelib.flow.retention import legal_holds, sweep
from infra.cell import engines
from tests.support.planted import nothing_planted_in_a_log
from tests.support.world import CLASSES, World, world

HOUR = timedelta(hours=1)


DAY = timedelta(days=1)


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made


class Abroad(World):
    """A cell in a country whose law demands that some content is kept."""

    def restart(self) -> None:
        super().restart()
        self.runtime.settings = replace(self.runtime.settings, country="RU")


@contextmanager
def abroad() -> Iterator[Abroad]:
    with engines.moto() as engine:
        made = Abroad()
        made.start(engine)
        try:
            yield made
            nothing_planted_in_a_log(engine.make_client("dynamodb", "eu-central-1"), (b"Canary",))
        finally:
            made.close()


def asked(cell: World, number: int = 1) -> Request:
    """A request of the tenant's key."""
    row, keys = cell.runtime.config.tenant(cell.tenant), cell.runtime.config.keys_of(cell.tenant)
    actor, name = ("key", "key_" + "0" * 26), ids.sortable("req", cell.clock, b"%011d" % number)
    seed = b"seed %d" % number
    return Request(cell.runtime, row.record, row.version, keys, actor, None, cell.clock, name, seed)


def swept(cell: World, until: datetime) -> None:
    """Advance time; in its last day the cell sweeps, secures and frees held content, and loses rows to TTL."""
    for hours in range(24, -1, -4):
        cell.clock = max(cell.clock, until - hours * HOUR)
        turned(cell)


def turned(cell: World) -> None:
    """Do now what the cell's clocks do each hour."""
    sweep.handle(cell.runtime)
    worker.handle(cell.runtime)
    expire(cell)


def expire(cell: World) -> None:
    """Delete the rows whose TTL has come, as the table does."""
    client = cell.engine.make_client("dynamodb", "eu-central-1")
    for row in cell.rows("data"):
        if "ttl" in row and int(row["ttl"]["N"]) <= cell.clock.timestamp():
            client.delete_item(TableName="waybill-test-data", Key={"pk": row["pk"], "sk": row["sk"]})


def events(cell: World) -> list[dict[str, Any]]:
    """The rows of people's messages, without the cell's own events to the tenant."""
    sent = {e["event"] for e in decided(cell)}
    return [row for row in cell.rows("data") if row["pk"]["S"].partition("#")[2] in sent]


def people(cell: World) -> set[str]:
    return {row["ref"]["S"] for row in cell.rows("people") if row.get("ref", {}).get("S", "").startswith("sub_")}


def decided(cell: World) -> list[dict[str, Any]]:
    """The decisions on what people sent, in order of time."""
    found = [e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "telegram" and e["cause"] == "received"]
    return sorted(found, key=lambda e: str(e["at"]))


def subject(entry: dict[str, Any]) -> str:
    ref: str = entry["receipt"]["subjects"][0]
    return ref


def held(cell: World, scope: str, number: int = 1, **value: str) -> str:
    entry = decided(cell)[0]["receipt"]
    name = {"conversation": entry["conversation"], "subject": entry["subjects"][0], "period": value}[scope]
    settings = {"scope": scope, "value": name, "authority_ref": "file 7"}
    return legal_holds.place(asked(cell, number), LegalHoldSettings.model_validate(settings)).id


def connected(cell: World, **changes: Any) -> dict[str, Any]:
    """A tenant that has to keep content for six months, and one event of it, in a cell that has swept before."""
    sweep.handle(cell.runtime)
    cell.connect(
        days=2,
        source={"subject_country": "RU"},
        recipient={"entity_country": "RU", "processing_countries": ("RU",), "classes": CLASSES},
    )
    row = cell.runtime.config.tenant(cell.tenant)
    controller = row.record.controller.model_copy(update={"country": "RU"})
    record = row.record.model_copy(update={"tenant_class": "ori", "controller": controller, **changes})
    cell.runtime.config.replace_tenant(record, row.version)
    cell.post(1)
    cell.settle()
    return decided(cell)[0]
