"""Delete what AWS deletes by itself and a home's engine does not: rows past their time to live, and old exports."""

from __future__ import annotations

from collections.abc import Callable

from ...observe import info
from ...runtime import Runtime
from ...store.engines import profile
from ...store.expired_rows import delete_expired
from ...store.exports import ENDS


def handle(runtime: Runtime, left_s: Callable[[], float]) -> None:
    """Delete expired rows and exports at a home outside AWS, for as long as time is left; the next run does the rest."""
    engine = profile(runtime.settings.engine)
    if engine.on_aws:
        return
    rows = 0
    if "ttl" not in engine.capabilities:
        rows = delete_expired(runtime.data.table, runtime.now(), lambda: left_s() > 0)
    objects = runtime.exports.delete_older(runtime.now() - ENDS)
    if rows or objects:
        info("leftovers_deleted", rows=rows, objects=objects)
