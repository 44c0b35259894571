"""Delete the objects of large contents whose day has come. TTL deletes the rows of their events, but knows no bucket.

An object stays while its event's row needs it: the event lives, or a legal hold is on it. An object of an event on its way
is never needed after its day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ...core import times
from ...core.tenant.legal_holds import LegalHold, covering
from ...observe import count, error
from ...runtime import Runtime
from ...store.contents import ContentObject
from ...store.event_rows import EventRow

WORKERS = 16


def handle(runtime: Runtime, left_s: Callable[[], float]) -> None:
    """Delete objects that nothing needs, the oldest first, while there is time."""
    now, holds = runtime.now(), dict[str, Sequence[LegalHold]]()
    try:
        for page in runtime.contents.over(now):
            if left_s() <= 0:
                count("expiry_late")
                return
            over = _over(runtime, page, holds, now)
            list(runtime.threads.map(WORKERS, runtime.contents.delete, over))
            if over:
                count("objects_deleted", len(over))
    except Exception as fault:  # noqa: BLE001  (the next hour completes it; the rest of the sweep does not wait for that)
        error("objects_not_deleted", fault)
        count("expiry_failed")


def _over(
    runtime: Runtime, page: Sequence[ContentObject], holds: dict[str, Sequence[LegalHold]], now: datetime
) -> list[str]:
    keys = [one.event for one in page if one.event is not None]
    # As of long ago, so that the rows of held events are read, too.
    rows = runtime.data.events(keys, times.EARLIEST) if keys else {}
    over = []
    for name, event in page:
        row = rows.get(event.event) if event is not None else None
        if row is not None and row.keeps(name):
            tenant = row.key.tenant
            if tenant not in holds:
                holds[tenant] = tuple(runtime.legal_holds.standing(tenant))
            if _needs(row, holds[tenant], now):
                continue
        over.append(name)
    return over


def _needs(row: EventRow, holds: Sequence[LegalHold], now: datetime) -> bool:
    if row.held or max(row.expires_at, row.lives_until or row.expires_at) > now:
        return True
    # The walk of a new hold may not have come to this row yet.
    return covering(holds, row.key.conversation, row.owner, row.received_at) is not None
