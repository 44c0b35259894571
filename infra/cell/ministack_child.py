"""ministack as a child of the local cell: it stops, and saves its state, when its parent is gone, killed or not.

ministack saves its state only when it stops. The parent holds the other end of standard input, which the system closes
when the parent dies. A lock in the state folder makes the next cell wait until the state is saved.
"""

from __future__ import annotations

import fcntl
import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

WAIT_S = 60
"""How long a state folder may be in use by the process before this one, which saves a large state for some seconds."""
IN_USE = 75
"""The exit code when the folder stays in use: EX_TEMPFAIL."""


def main() -> None:
    """Run ministack until it is stopped, or until standard input ends."""
    lock = (Path(os.environ["STATE_DIR"]) / "lock").open("w")
    until = time.monotonic() + WAIT_S
    while not _locked(lock.fileno()):
        if time.monotonic() > until:
            sys.exit(IN_USE)
        time.sleep(0.1)
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    runpy.run_module("ministack", run_name="__main__")


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
