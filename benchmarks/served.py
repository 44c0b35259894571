"""The local cell as a process of its own that reports the CPU of its threads: ``python -m benchmarks.served moto``.

Its first line on standard output is that of ``waybill local``. It answers each line on standard input with one more: seconds
of CPU since it started, by stage. It ends when standard input does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from infra.cell import local
from infra.cell.local_options import Options

STAGES = {"server": "receive", "waitress": "receive", "inbox": "route", "outbox": "deliver", "lane": "deliver"}
"""Which stage's work the threads do whose names contain this: the server's, the feeders', and deliver's own."""


def cpu_s(known: dict[int, tuple[str, float]]) -> dict[str, float]:
    """Return the CPU by stage; the CPU outside the stages' threads (pump, seal, the engine's server) is ``other``.

    Args:
        known: each thread's CPU at the last call; ended threads keep their last value.
    """
    for thread in threading.enumerate():
        stage = next((stage for part, stage in STAGES.items() if part in thread.name), None)
        # Not by its ident, which the next thread may have again.
        if stage is not None and thread.ident is not None and thread.native_id is not None:
            known[thread.native_id] = (stage, time.clock_gettime(time.pthread_getcpuclockid(thread.ident)))
    found = dict.fromkeys(("receive", "route", "deliver"), 0.0)
    for stage, taken in known.values():
        found[stage] += taken
    return {**found, "other": time.process_time() - sum(found.values())}


def main(engine: str) -> int:
    """Serve until standard input ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # handlers log to standard output
    known: dict[int, tuple[str, float]] = {}
    with local.running(Options(engine=engine)) as cell:
        print(json.dumps(cell.ready()), file=out)
        for _ in sys.stdin:
            print(json.dumps(cpu_s(known)), file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
