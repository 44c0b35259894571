"""A cell on moto for each module of tests, and a tenant of its own for each test."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.runtime import Runtime, install
from chalicelib.store.region import Clients
from infra.cell import engines, local
from infra.cell.local_options import Options
from simulation.sqs import Sqs
from simulation.tables import Tables, without_wire
from tests.support.api_cell import Api, Clock
from tests.support.planted import nothing_planted_in_a_log

PLANTED = (b"privacy@nord.example", b"dpo@crm.example", b"GmbH", b"s3cret", b"shop bot")
"""Texts that the cell's tenants declare and no entry may hold: contacts, legal names, secrets, names of objects."""


@pytest.fixture(scope="module")
def cell() -> Iterator[Api]:
    """A cell; tests make tenants of their own in it."""
    os.environ["WAYBILL_CELL"] = local.CELL
    with local.resources(Options(settings={"hooks_url": "https://hooks.example"})) as (
        engine,
        settings,
        operator_key,
    ):
        clock = Clock()

        queues = Sqs(settings.region, time.time)

        def client(service: str, region: str) -> Any:
            if service == "sqs":
                return queues
            made = engine.make_client(service, region)
            if service == "dynamodb":
                made._make_api_call = without_wire(made._make_api_call, Tables(engine, region, lambda *_: None))
                engines.one_at_a_time(made)
            return made

        clients = Clients(settings.region, make=client)
        runtime = Runtime(settings, clients, now=clock, monotonic=clock.monotonic, sleep=lambda _: None)
        install(runtime)
        yield Api(runtime, operator_key, clock, engine)
        install(None)
        nothing_planted_in_a_log(engine.make_client("dynamodb", settings.region), PLANTED)


@pytest.fixture
def tenant(cell: Api) -> Api:
    """The API as a fresh tenant's admin key sees it; the clock shows the time again."""
    cell.clock.at = datetime.now(UTC)
    cell.runtime.token_buckets.clear()
    cell.runtime.config._snapshots.clear()
    return cell.new_tenant()
