"""A world whose destination is a CRM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.fixtures.destinations.crm import Vendor
from tests.support.world import World, world


@contextmanager
def connected(vendor: Vendor, *, app: bool = False) -> Iterator[World]:
    """A world whose destination is a CRM."""
    with vendor.serving(), world() as w:
        w.connect()
        to_crm(w, vendor, app=app)
        w.effects.clear()
        yield w


def to_crm(w: World, vendor: Vendor, *, app: bool = False) -> None:
    row = w.runtime.config.get(w.tenant, w.destination)
    changed = row.record.model_copy(update={"kind": vendor.KIND})
    w.runtime.config.replace(w.tenant, changed, row.version, {"config": vendor.config(app), "signing": []})
