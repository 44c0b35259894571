"""Request a seal of the log partitions that have new entries. Loaded by every function that appends, hence without the sealer."""

from __future__ import annotations

from ..core import times
from ..core.errors import WaybillError
from ..observe import error
from ..runtime import Runtime
from ..store.seal_requests import SealRequest

WINDOW_MAX_S = 60.0
KEPT = 20_000


def notify_sealer(runtime: Runtime) -> None:
    """Request a seal of the partitions that this process has appended to since it last requested one.

    One request of a process covers all that it appends to a partition in one window of time, because the request waits until
    the window is over. The clock is read after the append, so that the entry is stored before the end of its window. Nothing
    is forgotten on a fault.

    Raises:
        Unavailable: the queue did not take the request: the caller gives its own message back.
    """
    touched = runtime.audit.take_touched()
    if not touched:
        return
    window_ms = max(1, round(min(WINDOW_MAX_S, runtime.settings.seal_s) * 1000))
    until_ms = (times.millis(runtime.now()) // window_ms + 1) * window_ms
    until = times.from_millis(until_ms)
    new = {
        (tenant, log): {
            name: number for name, number in found.items() if runtime.requested.get((tenant, log, name)) != until_ms
        }
        for (tenant, log), found in touched.items()
    }
    try:
        runtime.seal_requests.send(
            SealRequest(tenant, log, tuple(sorted(found)), sum(found.values()), until)
            for (tenant, log), found in sorted(new.items())
            if found
        )
    except BaseException:
        runtime.audit.touch_again(touched)
        raise
    if len(runtime.requested) > KEPT:
        runtime.requested.clear()
    runtime.requested.update({(*log, name): until_ms for log, found in new.items() for name in found})


def notify_sealer_or_log(runtime: Runtime) -> None:
    """Request a seal where the caller can do nothing about a fault: the next call requests it, at last the reconciliation."""
    try:
        notify_sealer(runtime)
    except WaybillError as fault:
        error("notice_not_sent", fault)
