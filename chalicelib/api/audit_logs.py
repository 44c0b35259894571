"""``/v1/audit/logs/{log}/``: a log as C2SP tlog-tiles lays it out, so that third parties follow it with public tools.

The address before ``checkpoint`` is the log's *prefix*. The number of steps in a tile's path depends on its index. API
Gateway and OpenAPI know no such path, so each number of steps is an endpoint.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping

from ..core.errors import NotFound
from ..flow.sealing import proofs, tiles
from .audit_evidence import LOG
from .endpoint import ApiCall, Resource
from .problems import EndpointResponse

audit_logs = Resource("audit_logs", "Audit log")

PREFIX = "/v1/audit/logs/{log}"
STEPS = ("first", "second", "third", "fourth", "fifth")
"""The names of the steps behind the level. Five are enough for a million million tiles, of which the last is partial."""
IMMUTABLE = "private, max-age=31536000, immutable"
IDENTITY_BYTES_MAX = 4 * 1024 * 1024
"""A larger answer is compressed without being asked: Lambda answers with 6 MB at most, in base64."""
_LOG = re.compile(LOG)


def _log(call: ApiCall) -> str:
    log = call.params["log"]
    if _LOG.match(log) is None:
        raise NotFound("a log is named by its year")
    return log


@audit_logs.endpoint(
    "GET",
    f"{PREFIX}/checkpoint",
    operation_id="get_log_checkpoint",
    scope="audit",
    answer=str,
    media="text/plain",
    raises=(NotFound,),
)
def checkpoint(call: ApiCall) -> EndpointResponse:
    """Get the newest signed checkpoint of one log.

    The answer is text in the form of C2SP tlog-checkpoint.
    """
    return EndpointResponse(
        200, proofs.checkpoint(call.request, _log(call)).decode(), {"Content-Type": proofs.NOTE_TYPE}
    )


def tile(call: ApiCall) -> EndpointResponse:
    """Get a tile of a log, or a bundle of its entries.

    The answer is bytes in the form of C2SP tlog-tiles. The level is a number, or `entries`. The steps behind it are the
    index of the tile, such as `x001` and `234`. A partial tile has two last steps such as `234.p` and `5`.
    """
    level, steps = call.params["level"], [call.params[name] for name in STEPS if name in call.params]
    data = tiles.tile(call.request, _log(call), level, steps)
    return _compressed(data, call.headers)


def _compressed(data: bytes, headers: Mapping[str, str]) -> EndpointResponse:
    sent = {"Content-Type": "application/octet-stream", "Cache-Control": IMMUTABLE, "Vary": "Accept-Encoding"}
    accepted = {part.partition(";")[0].strip().lower() for part in headers.get("accept-encoding", "").split(",")}
    if "gzip" not in accepted and len(data) <= IDENTITY_BYTES_MAX:
        return EndpointResponse(200, data, sent)
    return EndpointResponse(200, gzip.compress(data, 6, mtime=0), {**sent, "Content-Encoding": "gzip"})


for _number, _word in enumerate(("one_step", "two_steps", "three_steps", "four_steps", "five_steps"), 1):
    audit_logs.endpoint(
        "GET",
        "/".join((PREFIX, "tile", "{level}", *(f"{{{name}}}" for name in STEPS[:_number]))),
        operation_id=f"get_log_tile_of_{_word}",
        scope="audit",
        answer=bytes,
        media="application/octet-stream",
        raises=(NotFound,),
    )(tile)

RESOURCES = (audit_logs,)
