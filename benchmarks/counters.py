"""How many new people of one tenant a counter takes in a second, while many processes count at once, in virtual time.

Each process counts batches of people whom nobody has met, one batch after the other, as ``route`` does at New Year. A batch
that gives up is tried again, as its queue would.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chalicelib.core.envelope import TenantKeys
from chalicelib.core.errors import Unavailable
from chalicelib.settings import Settings
from chalicelib.store.people import people_key
from chalicelib.store.volume_rows import CounterKey
from infra.cell import engines, local
from simulation.tables import Tables

from . import warm
from .results import Result
from .virtual import Virtual

PROCESSES = {10: 12, 1: 60}
"""By batch: twice as many as ``route`` has at 1,000 events a second with full batches, and as many with batches of one."""
BUDGET_PER_S = 10_000 / 60
"""10,000 new people a minute."""
PEOPLE = 1_200
TENANT = "tnt_" + "0" * 26
PLACE = CounterKey(TENANT, "RU", 2026)
ONE = frozenset({"subjects_ytd"})


def rate(batch: int, people: int = PEOPLE) -> tuple[float, int]:
    """Return how many people a second were counted, and how many batches had to come back.

    Raises:
        RuntimeError: the count is wrong; then no rate would mean anything.
    """
    virtual = Virtual(datetime(2026, 12, 31, 21, tzinfo=UTC))
    with engines.moto() as engine:
        local.make_stores(engine, warm.CELL, warm.REGION, warm.COUNTRY)
        tables = Tables(engine, warm.REGION, lambda *_: None)
        make = virtual.clients(lambda service, region: tables)
        settings = Settings(cell=warm.CELL, region=warm.REGION, country=warm.COUNTRY, insert="partiql")
        keys = TenantKeys(bytes(32))
        rows = [people_key(TENANT, keys, "subject", "telegram", "src_a", str(n)) for n in range(people)]
        for pk in rows:
            tables.put_item(
                TableName=f"waybill-{warm.CELL}-people",
                Item={"pk": {"S": pk}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        waiting, back = [rows[start : start + batch] for start in range(0, people, batch)], 0

        def process() -> None:
            nonlocal back
            volumes: Any = virtual.runtime(settings, make).volumes
            while waiting:
                some = waiting.pop()
                try:
                    volumes.count(PLACE, dict.fromkeys(some, ONE), lambda _crossing: None)
                except Unavailable:
                    back += 1
                    waiting.append(some)

        took_s = virtual.together([process] * PROCESSES[batch])
        virtual.close()
        found = virtual.runtime(settings, lambda service, region: tables).volumes.get([PLACE])[PLACE]
        if found["subjects_ytd"] != people:
            raise RuntimeError(f"{found['subjects_ytd']} of {people} people were counted")
    return people / took_s, back


def run(quick: bool = False) -> list[Result]:
    """Measure batches of one and of ten."""
    results = []
    for batch in (10, 1):
        per_s, back = rate(batch, 300 if quick else PEOPLE)
        name = f"new people of one tenant, {PROCESSES[batch]} processes, batch {batch}"
        results.append(Result(name, per_s, "people/s", BUDGET_PER_S, None, "min"))
        results.append(Result(f"{name}: batches that came back", back, "batches", 0.0))
    return results
