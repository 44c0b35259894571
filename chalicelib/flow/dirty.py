"""Tell the sealer which buckets of the log have got entries. Loaded by every function that appends, hence without the sealer."""

from __future__ import annotations

from ..core.errors import WaybillError
from ..observe import error
from ..shell import Shell
from ..store.notices import Notice


def tell(shell: Shell) -> None:
    """Send a notice for each log that this process has appended to since it last told. Nothing is forgotten on a fault.

    Raises:
        Unavailable: the notice queue did not take it: whoever was told by a queue gives his message back.
    """
    touched = shell.audit.take_touched()
    if not touched:
        return
    try:
        shell.notices.send(
            Notice(tenant, log, tuple(sorted(buckets)), sum(buckets.values()))
            for (tenant, log), buckets in sorted(touched.items())
        )
    except BaseException:
        shell.audit.touch_again(touched)
        raise


def tell_or_note(shell: Shell) -> None:
    """Tell, where nobody could do anything about a fault: the next call tells it, at last the reconciliation."""
    try:
        tell(shell)
    except WaybillError as fault:
        error("notice_not_sent", fault)
