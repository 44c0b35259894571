"""Switches of a world's tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.tenant.switches import Switch
from chalicelib.core.verify.redecide import configuration_of, redecide
from tests.support.world import World, world


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        yield made


def throw(cell: World, scope: str, value: str, **more: Any) -> Switch:
    switch = Switch.model_validate(
        {
            "id": ids.sortable("swi", cell.clock, b"0123456789a"), "created_at": cell.clock, "scope": scope,
            "value": value, "reason": "canary reason", **more,
        }
    )  # fmt: skip
    cell.runtime.config.insert(cell.tenant, switch)
    return switch


def decided_again(cell: World, entry: dict[str, Any]) -> list[str | None]:
    """Decide an entry's routes again from the document of the configuration that it was made under."""
    configuration = configuration_of(cell.runtime.config.snapshot(cell.tenant).configuration.document)
    assert entry["config_hash"] == cell.runtime.config.snapshot(cell.tenant).configuration.hash
    judgements = [redecide(entry, r, configuration, cell.runtime.decider.decide) for r in entry["routes"]]
    return [j.verdict if j is not None else None for j in judgements]
