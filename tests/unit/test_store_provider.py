"""No rule may use a fact of the store that entries do not hold; live decisions get it."""

from __future__ import annotations

import json

import pytest

from chalicelib import law as laws
from chalicelib.core.decide.plan import Cell
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.region import Clients


def test_no_installed_rule_asks_for_the_engine_of_the_store() -> None:
    # A decision is repeated from its entry, which lacks the engine: the author of such a rule must add it to the entry.
    asking = [id for id, row in laws.installed().rows.items() if "store.provider" in json.dumps(row, default=str)]

    assert asking == []


@pytest.mark.parametrize("engine", ["dynamodb", "ydb", "alternator", "dynoxide"])
def test_decisions_are_told_the_engine_that_the_cell_stands_on(engine: str) -> None:
    settings = Settings(cell="test", region="eu-central-1", country="DE", engine=engine)

    cell = Runtime(settings, Clients(settings.region)).cell

    assert cell == Cell("eu-central-1", "DE", engine)
