"""The cost of sealing: CPU for an entry, and the reads of a proof in a large log.

The rate covers a sealer's work on each entry: inflate its row, find its place, hash it, write the batch. Reading
tables and writing objects are calls, which are counted elsewhere. The floor is the bare work: zlib and one hash.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from chalicelib.core import times
from chalicelib.core.log import audit, leaf, merkle, seal, tiles

from . import leaf as leaves
from .results import Result

ENTRIES = 4_096
LOG = 1_000_000
RATE = 50_000


def rows(number: int) -> tuple[list[tuple[str, bytes]], str]:
    """Make stored entries as a busy tenant has them, a decision and its attempt by turns. Return them and the tenant."""
    decision = leaves.decided()
    attempt = leaves.attempted(decision)
    made: list[tuple[str, bytes]] = []
    for place in range(number):
        one = (decision, attempt)[place % 2]
        at = leaves.AT + timedelta(milliseconds=place // 3)
        name = audit.entry_id(times.minute(at), f"evt_{place}", f"entry {place}")
        data = leaf.canonical({**one, "id": name, "at": times.text(at)})
        made.append((name, leaf.deflate(data)))
    return made, str(decision["tenant"])


def _rate(work: Callable[[], Any], number: int, repeats: int) -> float:
    best = math.inf
    for _ in range(repeats):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return number / best


def proof_cost(size: int) -> tuple[int, int]:
    """Return the largest number of hashes, and of tiles read, of some proofs in a log of a size."""
    hashes, read = 0, 0
    for index in (0, size // 3, size - 1):
        asked: set[tiles.Tile] = set()

        def tile(wanted: tiles.Tile, asked: set[tiles.Tile] = asked) -> bytes:
            asked.add(wanted)
            return bytes(merkle.HASH_BYTES * wanted.width)

        proof = merkle.inclusion_proof(index, size, tiles.node_from(tile, size))
        hashes, read = max(hashes, len(proof)), max(read, len(asked))
    return hashes, read


def run(quick: bool = False) -> list[Result]:
    """Measure."""
    stored, tenant = rows(ENTRIES)
    repeats = 2 if quick else 7

    def work() -> tuple[seal.Seal, bytes]:
        found = [seal.row(name, tenant, "2026", leaf.inflate(data)) for name, data in stored]
        return seal.integrate(None, found, leaves.AT + timedelta(hours=1))

    made, batch = work()

    def bare() -> bytes:
        return b"".join(
            sha256(zlib.decompressobj(-15, zdict=leaf.dictionary()).decompress(data)).digest() for _, data in stored
        )

    sealed, floor = _rate(work, ENTRIES, repeats), _rate(bare, ENTRIES, repeats)
    checked = _rate(lambda: seal.check(None, made, batch), ENTRIES, repeats)
    hashes, read = proof_cost(LOG)
    return [
        Result("sealing, entries into the tree", round(sealed), "entries/s", RATE, round(floor), "min"),
        Result("sealing, check before signing", round(checked), "entries/s", RATE, None, "min"),
        Result("inclusion proof at 1,000,000 entries", hashes, "hashes", math.ceil(math.log2(LOG)), None),
        Result("inclusion proof at 1,000,000 entries, reads", read, "tiles", math.ceil(math.log(LOG, tiles.WIDTH)) + 2),
    ]
