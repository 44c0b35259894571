"""Remember why a webhook became no event, for its tenant. A process writes each reason of a source at most once a minute."""

from __future__ import annotations

import re

from ...channels.base import Inbound
from ...observe import error
from ...runtime import Runtime
from ...store.source_cache import SourceContext

EVERY_S = 60
REASONS_MAX = 10_000
"""Reasons that one process keeps; above that it forgets the counts that it has not written."""
HEADERS_MAX = 40
_NAME = re.compile(r"[a-z0-9-]{1,64}\Z")


def note(runtime: Runtime, door: SourceContext, request: Inbound, verdict: str, code: str, detail: str) -> None:
    """Count a webhook, and write the count of this reason if that is due. Never raises: no answer fails for it."""
    now_s, of = runtime.monotonic(), (door.source.id, verdict, code)
    if of not in runtime.rejections and len(runtime.rejections) >= REASONS_MAX:
        runtime.rejections.clear()
    written_s, waiting = runtime.rejections.get(of, (now_s - EVERY_S, 0))
    if now_s - written_s < EVERY_S:
        runtime.rejections[of] = (written_s, waiting + 1)
        return
    runtime.rejections[of] = (now_s, 0)
    headers = sorted(name for name in request.headers if _NAME.match(name))[:HEADERS_MAX]
    try:
        runtime.rejection_store.add(
            door.tenant, door.source.id, runtime.now(), verdict, code, detail, headers, waiting + 1
        )
    except Exception as fault:  # noqa: BLE001  (no answer fails for its record)
        error("rejection_not_noted", fault, tenant=door.tenant, source=door.source.id)
