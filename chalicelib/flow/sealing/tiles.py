"""Tiles: what a third party needs to follow a log by itself, in the layout of C2SP tlog-tiles.

Full tiles are read from the bucket. Partial ones, and the entries of compact evidence, are made from batches on request.

Source: https://c2sp.org/tlog-tiles (read 2026-11-30).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import NotFound
from ...core.log import tiles
from ..request import Request
from .publish import newest, sealed_log

ENTRIES = "entries"
"""Stands in the path where a tile of hashes has its level."""


def tile(request: Request, log: str, level: str, steps: Sequence[str]) -> bytes:
    """Return a tile, or a bundle of entries, of a log.

    Args:
        level: as in the path, or ``ENTRIES``.
        steps: the rest of the path, such as ``("x001", "234.p", "5")``.

    Raises:
        NotFound: it is no tile's path, or the published log does not reach as far.
        AuditBroken, AuditUnavailable: the log cannot be read back.
    """
    wanted = tiles.tile_at("0" if level == ENTRIES else level, steps)
    if wanted is None:
        raise NotFound("no tile has this path; see c2sp.org/tlog-tiles")
    one = sealed_log(request.runtime, request.tenant.id, log)
    found = newest(request.runtime, one)
    if found is None or not wanted.is_in(found[0].size):
        raise NotFound("the published log does not have this tile, or not in this width")
    return one.bundle(wanted.index, wanted.width) if level == ENTRIES else one.tile(wanted)
