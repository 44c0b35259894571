"""The cost of expiry: what the sweep does beyond TTL for events whose life is over, and how many people it ends.

The sweep runs over moto's tables in virtual time. The people of a slot have written once, or ten times. Their events are
deleted by TTL, which is no call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.core.envelope import TenantKeys
from chalicelib.core.tenant.records import Controller, Retention, Tenant
from chalicelib.flow.retention import sweep
from chalicelib.settings import Settings
from chalicelib.store.people import people_key
from chalicelib.store.person_ends import end_of
from infra.cell import engines, local
from simulation.tables import Tables

from . import units
from .results import Result
from .virtual import Virtual

CELL, REGION, TENANT = "bench", "eu-central-1", "tnt_" + "0" * 26
START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PEOPLE = 2_000
EVENTS_A_S = 1_000
HOUR_S = 3_600
CALLS_BUDGET = 2.0
MADE_AT_ONCE = 100


class _Deletions:
    """Counts the write units of deleted rows, and of the entries that are inserted for them."""

    def __init__(self, tables: Tables, created: Mapping[str, Mapping[str, Any]]) -> None:
        self._tables = tables
        self._indexes = {name: units.indexes_of(table) for name, table in created.items()}
        self.units: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    def batch_execute_statement(self, *, Statements: list[Mapping[str, Any]]) -> Any:  # noqa: N803
        for statement in Statements:
            verb, table = statement["Statement"].split(" ", 1)[0], statement["Statement"].split('"')[1]
            if verb == "DELETE":
                key = {"pk": statement["Parameters"][0]}
                row = self._tables.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
            else:
                from simulation.memory import inserted

                row = inserted(statement)[1]
            self.units[verb] += sum(units.insert_units(row, self._indexes[table]).values()) if row else 1
        return self._tables.batch_execute_statement(Statements=Statements)


def _settings() -> Settings:
    return Settings(cell=CELL, region=REGION, country="DE", insert="partiql")


def measure(people: int) -> tuple[int, float, int]:
    """End people who are due. Return the calls, the virtual seconds and the write units."""
    from infra.deploy import template

    with engines.moto() as engine:
        local.make_resources(engine, CELL, REGION, "DE")
        created = {t.create["TableName"]: t.create for t in template.tables(CELL, REGION, "DE")}
        tables = _Deletions(Tables(engine, REGION, lambda *_: None), created)
        virtual = Virtual(START)

        def make(service: str, region: str) -> Any:
            return tables if service == "dynamodb" else engine.make_client(service, region)

        quiet = virtual.runtime(_settings(), make)
        quiet.config.create_tenant(
            Tenant(
                id=TENANT, name="Nord", edition="enterprise", tenant_class="general", created_at=START,
                controller=Controller(legal_name="Nord GmbH", country="DE", contact="privacy@nord.example"),
                retention=Retention(default_days=30),
            )
        )  # fmt: skip
        virtual.run(lambda: sweep.handle_people(quiet))
        _make(quiet, people)
        cell = virtual.runtime(_settings(), virtual.clients(make))
        virtual.wait(timedelta(hours=8).total_seconds())
        virtual.calls.clear()
        tables.units.clear()
        took_s = virtual.run(lambda: sweep.handle_people(cell))
        left = [row for row in tables.rows(f"waybill-{CELL}-people") if "look_at" in row]
        if left:
            raise RuntimeError(f"{len(left)} people were not ended")
        return sum(virtual.calls.values()), took_s, sum(tables.units.values())


def _make(runtime: Any, people: int) -> None:
    keys: TenantKeys = runtime.config.keys_of(TENANT)
    end = end_of(START, START)
    for first in range(0, people, MADE_AT_ONCE):
        names = range(first, min(first + MADE_AT_ONCE, people))
        wanted = {
            people_key(TENANT, keys, "subject", "telegram", "src", str(name)): ("subject", keys) for name in names
        }
        runtime.people.find_or_make(wanted, ends=dict.fromkeys(wanted, end))


def run(quick: bool) -> list[Result]:
    """Measure people who wrote once, and ten times."""
    number = PEOPLE // 10 if quick else PEOPLE
    calls, took_s, spent = measure(number)
    return [
        Result("expiry: AWS calls an event, people who wrote once", calls / number, "calls", CALLS_BUDGET),
        Result("expiry: AWS calls an event, ten events a person", calls / number / 10, "calls", CALLS_BUDGET),
        Result("expiry: write units an event, people who wrote once", spent / number, "units"),
        Result("expiry: write units an event, ten events a person", spent / number / 10, "units"),
        Result(
            "expiry: time of calls for an hour of 1,000 events/s, people who wrote once",
            took_s / number * EVENTS_A_S * HOUR_S,
            "s",
            HOUR_S,
        ),
    ]
