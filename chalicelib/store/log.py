"""Read a sealed log: leaves by index, hashes of the tree, the seal of an entry.

Full tiles are read from the bucket. The rest, at most 255 hashes a level, is computed from batches and the tiles below.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping

from ..core.errors import AuditBroken, AuditUnavailable
from ..core.log import audit, merkle, seal, tiles
from ..core.log.seal import Seal
from ..core.log.tiles import Tile
from ..threads import Threads
from .evidence import EvidenceBucket, prefix
from .seals import Seals

READERS = 16
READ_ENTRIES = 8_192
"""Batches of about so many entries are read at once, which bounds a reader's memory."""


class SealedLog:
    """One log of a tenant."""

    def __init__(self, seals: Seals, evidence: EvidenceBucket, tenant: str, log: str, threads: Threads) -> None:
        self.seals = seals
        self._threads = threads
        self.evidence = evidence
        self.tenant = tenant
        self.log = log
        self.prefix = prefix(tenant, log)

    def last(self) -> Seal | None:
        """Return the newest seal; None where nothing has been sealed."""
        return self.seals.last(self.tenant, self.log)

    def fixed(self, name: str) -> bytes:
        """Read an object of the log that never changes.

        Raises:
            AuditBroken: it is not there.
        """
        data = self.evidence.get_fixed(self.prefix + name)
        if data is None:
            raise AuditBroken("an object of a sealed log is not in the bucket")
        return data

    def batch(self, one: Seal) -> list[bytes]:
        """Read the leaves of a seal. Raises as ``fixed``, and where the stored leaves are not the sealed ones."""
        data = self.fixed(one.batch)
        if hashlib.sha256(data).hexdigest() != one.batch.rpartition("-")[2]:
            raise AuditBroken("a batch is not the one that its seal names")
        leaves = tiles.unbundle(data)
        if len(leaves) != one.count:
            raise AuditBroken("a batch holds more or fewer entries than its seal says")
        return leaves

    def leaves(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the leaves with the indexes from ``start`` to before ``end``. Raises as ``fixed``."""
        if start >= end:
            return
        holding = self.seals.holding(self.tenant, self.log, start)
        if holding is None or holding.size <= start:
            raise AuditUnavailable("the log does not reach as far; try again")
        sealed = itertools.takewhile(
            lambda one: one.first < end, self.seals.after(self.tenant, self.log, holding.first)
        )
        for some in _groups(sealed):
            for one, batch in zip(some, self._threads.map(READERS, self.batch, some), strict=True):
                yield from batch[max(0, start - one.first) : end - one.first]

    def tile(self, wanted: Tile) -> bytes:
        """Return a tile: a full one from the bucket if it is published, else one computed from batches and the tiles below it.

        Raises as ``fixed``.
        """
        if wanted.width == tiles.WIDTH:
            data = self.evidence.get_fixed(self.prefix + wanted.path)
            if data is not None:
                return data
        start = wanted.index * tiles.WIDTH
        if wanted.level == 0:
            return b"".join(map(merkle.leaf_hash, self.leaves(start, start + wanted.width)))
        below = [Tile(wanted.level - 1, index) for index in range(start, start + wanted.width)]
        return b"".join(merkle.root(tiles.hashes_of(data)) for data in self._threads.map(READERS, self.tile, below))

    def bundle(self, index: int, width: int) -> bytes:
        """Return an entry bundle: from the bucket if it is published, else made of batches. Raises as ``fixed``."""
        if width == tiles.WIDTH:
            data = self.evidence.get_fixed(self.prefix + tiles.entries_path(index))
            if data is not None:
                return data
        start = index * tiles.WIDTH
        return tiles.bundle(self.leaves(start, start + width))

    def node(self, size: int) -> merkle.Node:
        """Return how to read the hash of any full subtree of the first ``size`` leaves. It raises as ``fixed``."""
        return tiles.node_from(functools.cache(self.tile), size)

    def indexes(self, ats: Mapping[str, str], last: Seal | None) -> dict[str, int]:
        """Return the indexes of those of some entries that are sealed.

        Args:
            ats: the entries' times, by id.
            last: the newest seal to look at.

        Raises:
            AuditBroken, AuditUnavailable: the log cannot be read back.
        """
        if last is None:
            return {}
        waiting = {entry_id: at for entry_id, at in ats.items() if at <= last.horizon}
        found: dict[str, int] = {}
        if not waiting:
            return found
        times, partitions = sorted(waiting.values()), set(map(audit.partition_name, waiting))
        for one in self.seals.after(self.tenant, self.log, self._first_that_may_hold(times[0], last)):
            if one.first > last.first:
                break
            if not seal.may_hold(one, times, partitions):
                continue
            places = enumerate(seal.ids_of(self.batch(one)), one.first)
            here = {entry_id: index for index, entry_id in places if waiting.pop(entry_id, None) is not None}
            if here:
                found |= here
                times, partitions = sorted(waiting.values()), set(map(audit.partition_name, waiting))
            if not waiting:
                break
        return found

    def counts(self, stored: Mapping[str, int], since: str) -> dict[str, int]:
        """Return how many entries of some partitions the seals count, reading seals until all that are stored are counted.

        Args:
            stored: how many entries each partition holds.
            since: skip seals whose entries are all from before this time.
        """
        found, missing = dict.fromkeys(stored, 0), {name for name, number in stored.items() if number}
        last = self.last()
        if last is None:
            return found
        for one in self.seals.after(self.tenant, self.log, self._first_that_may_hold(since, last)):
            for name, number in one.partitions:
                if name in found:
                    found[name] += number
                    if found[name] >= stored[name]:
                        missing.discard(name)
            if not missing:
                break
        return found

    def _first_that_may_hold(self, at: str, last: Seal) -> int:
        """Find where the first seal begins whose horizon is not before a time; horizons only grow."""
        low, high = 0, last.first
        while low < high:
            middle = (low + high) // 2
            one = self.seals.holding(self.tenant, self.log, middle)
            if one is None:
                raise AuditBroken("a seal of the log is missing")
            if one.horizon >= at:
                high = one.first
            else:
                low = one.size
        return low


def _groups(sealed: Iterable[Seal]) -> Iterator[list[Seal]]:
    """Yield seals together, as many as may be read at once; a large one alone."""
    group: list[Seal] = []
    for one in sealed:
        group.append(one)
        if len(group) == READERS or sum(s.count for s in group) >= READ_ENTRIES:
            yield group
            group = []
    if group:
        yield group
