"""Tell the sealer which buckets of the log have got entries. Loaded by every function that appends, hence without the sealer."""

from __future__ import annotations

from ..core.errors import WaybillError
from ..observe import error
from ..runtime import Runtime
from ..store.seal_requests import SealRequest


def notify_sealer(runtime: Runtime) -> None:
    """Send a notice for each log that this process has appended to since it last told. Nothing is forgotten on a fault.

    Raises:
        Unavailable: the notice queue did not take it: whoever was told by a queue gives his message back.
    """
    touched = runtime.audit.take_touched()
    if not touched:
        return
    try:
        runtime.seal_requests.send(
            SealRequest(tenant, log, tuple(sorted(buckets)), sum(buckets.values()))
            for (tenant, log), buckets in sorted(touched.items())
        )
    except BaseException:
        runtime.audit.touch_again(touched)
        raise


def notify_sealer_or_log(runtime: Runtime) -> None:
    """Tell, where nobody could do anything about a fault: the next call tells it, at last the reconciliation."""
    try:
        notify_sealer(runtime)
    except WaybillError as fault:
        error("notice_not_sent", fault)
