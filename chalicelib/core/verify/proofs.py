"""The second stage of verifying a bundle: does the signed log hold exactly the bundle's entries?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import AuditBroken
from ..log import merkle
from ..log.entry_types import Entry
from ..log.merkle import CompactRange
from ..log.note import Checkpoint, Note, VerifierKey
from . import bundle
from .faults import Faults
from .form import BundleEvidence

_BATCH = 4096


@dataclass
class Proofs:
    """Takes the entries in order and compares them with the checkpoints.

    Args:
        keys: those that are trusted, logs' and witnesses'.
        seen: a checkpoint that the reader kept from before.
    """

    evidence: BundleEvidence
    keys: Sequence[VerifierKey]
    seen: tuple[Note, Checkpoint] | None
    signed: frozenset[VerifierKey] = frozenset()
    count: int = 0
    _range: CompactRange = field(default_factory=CompactRange)
    _waiting: list[bytes] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)
    _last: int = -1
    _sizes: list[int] = field(default_factory=list)
    _checked: set[bytes] = field(default_factory=set)
    _checks: int = 0

    def __post_init__(self) -> None:
        self._faults: Faults = self.evidence.faults
        self._known = {(key.name, key.id) for key in self.keys}
        self._full = self.evidence.manifest["mode"] == "full"
        self._head()
        if self._full:
            # Roots of the log as it was are taken on the way, so that the tree is built once.
            sizes = {*self.evidence.earlier, self.evidence.head.size if self.evidence.head else 0}
            if self.seen is not None:
                sizes.add(self.seen[1].size)
            self._sizes = sorted(sizes, reverse=True)
            self._roots: dict[int, bytes] = {}
            self._note_root()

    def _head(self) -> None:
        manifest, head, checkpoint = self.evidence.manifest, self.evidence.head, self.evidence.checkpoint
        if head is None or checkpoint is None:
            self._faults.add("no_checkpoint")
            return
        ending = "/".join(("", manifest["region"], manifest["tenant"], manifest["log"]))
        logs = {key.name for key in self.keys if key.algorithm == 1}
        if not (head.origin == manifest["origin"] and head.origin in logs and head.origin.endswith(ending)):
            self._faults.add("origin", "checkpoint")
        self.signed = self._verify(checkpoint, head.origin, "checkpoint")
        if head.size != manifest["size"]:
            self._faults.add("size", "manifest.json")

    def _verify(self, checkpoint: Note, origin: str, name: str) -> frozenset[VerifierKey]:
        """Check a note's signatures, once for each text and set of signatures."""
        whole = hashlib.sha256(str(checkpoint).encode()).digest()
        if whole in self._checked:
            return frozenset()
        self._checked.add(whole)
        self._checks += sum((line.name, line.id) in self._known for line in checkpoint.signatures)
        if self._checks > bundle.CHECKS_MAX:
            self._faults.add("limit", f"more than {bundle.CHECKS_MAX} signatures")
            return frozenset()
        try:
            signed = checkpoint.check(self.keys)
        except AuditBroken:
            self._faults.add("signature", name)
            return frozenset()
        if not any(key.algorithm == 1 and key.name == origin for key in signed):
            self._faults.add("unsigned", name)
        return signed

    # The entries.

    def take(self, leaf: bytes, entry: Entry | None) -> None:
        """Take the next leaf; its entry is None where it is malformed."""
        self.count += 1
        hashed = merkle.leaf_hash(leaf)
        if self._full:
            self._waiting.append(hashed)
            if len(self._waiting) >= _BATCH or (self._sizes and self.count == self._sizes[-1]):
                self._grow()
        if entry is None:
            return
        manifest, id = self.evidence.manifest, entry["id"]
        if entry["tenant"] != manifest["tenant"] or entry["log"] != manifest["log"]:
            self._faults.add("foreign", id)
        if id in self._ids:
            self._faults.add("twice", id)
        self._ids.add(id)
        self._prove(id, hashed)

    def _prove(self, id: str, hashed: bytes) -> None:
        proof, head = self.evidence.proof_of(id), self.evidence.head
        if proof is None:
            if not self._full and id not in self.evidence.proofs:
                self._faults.add("unproved", id)
            return
        if head is None:
            return
        self._verify(proof.checkpoint, head.origin, self.evidence.proofs[id])
        if proof.index <= self._last or (self._full and proof.index != self.count - 1):
            self._faults.add("order", id)
        self._last = proof.index
        try:
            if proof.checkpoint.text != head.text:
                raise AuditBroken("a proof leads to another checkpoint")
            merkle.verify_inclusion(proof.index, head.size, hashed, proof.hashes, head.root)
        except AuditBroken:
            self._faults.add("inclusion", id)

    def _grow(self) -> None:
        self._range = self._range.extended(self._waiting)
        self._waiting.clear()
        self._note_root()

    def _note_root(self) -> None:
        while self._sizes and self._sizes[-1] <= self._range.size:
            size = self._sizes.pop()
            if size == self._range.size:
                self._roots[size] = self._range.root()

    # The checkpoints.

    def finish(self) -> None:
        """Compare the checkpoints, once all entries were taken."""
        evidence, head, manifest = self.evidence, self.evidence.head, self.evidence.manifest
        for id, name in evidence.proofs.items():
            if id not in self._ids:
                self._faults.add("stray", name)
        size = head.size if head is not None else manifest["size"]
        if self.count < manifest["count"] or (self._full and self.count < max(size, manifest["size"])):
            self._faults.add("short", "entries.jsonl")
        if self.count > manifest["count"]:
            self._faults.add("count", "manifest.json")
        if head is None:
            return
        if self.count > size:
            self._faults.add("surplus", "entries.jsonl")
        if self._full:
            self._grow()
            if self.count >= size and self._roots.get(size) != head.root:
                self._faults.add("root", "checkpoint")
        for size, (note, earlier) in evidence.earlier.items():
            self._earlier(size, note, earlier, head)
        for size in evidence.consistency:
            if size not in evidence.earlier and (self.seen is None or self.seen[1].size != size):
                self._faults.add("unconnected", f"consistency/{size}")
        if self.seen is not None:
            self._compare_seen(*self.seen, head)

    def _earlier(self, size: int, note: Note, earlier: Checkpoint, head: Checkpoint) -> None:
        name = f"checkpoints/{size}"
        self._verify(note, head.origin, name)
        if earlier.origin != head.origin or earlier.size != size or size > head.size or not self._agrees(earlier, head):
            self._faults.add("earlier", name)
        if self._connects(earlier, head) is None and 0 < size < head.size:
            self._faults.add("unconnected", name)

    def _agrees(self, earlier: Checkpoint, head: Checkpoint) -> bool:
        """Return whether the root is the log's of that size, as far as the entries or the sizes show it."""
        if earlier.size == head.size:
            return earlier.root == head.root
        if earlier.size == 0:
            return earlier.root == merkle.EMPTY_ROOT
        return not self._full or self._roots.get(earlier.size, earlier.root) == earlier.root

    def _connects(self, earlier: Checkpoint, head: Checkpoint) -> bool | None:
        """Say whether the consistency proof from a size leads to the checkpoint; None where there is none."""
        proof = self.evidence.consistency.get(earlier.size)
        if proof is None:
            return True if f"consistency/{earlier.size}" in self.evidence.spans else None
        self._verify(proof.checkpoint, head.origin, f"consistency/{earlier.size}")
        try:
            if proof.old != earlier.size or proof.checkpoint.text != head.text:
                raise AuditBroken("a consistency proof is about other checkpoints")
            merkle.verify_consistency(earlier.size, head.size, earlier.root, head.root, proof.hashes)
        except AuditBroken:
            self._faults.add("consistency", f"consistency/{earlier.size}")
            return False
        return True

    def _compare_seen(self, note: Note, seen: Checkpoint, head: Checkpoint) -> None:
        self._verify(note, head.origin, "--seen")
        if seen.origin != head.origin:
            self._faults.add("seen")
        elif seen.size > head.size:
            self._faults.add("seen_ahead")
        elif not self._agrees(seen, head):
            self._faults.add("seen")
        elif 0 < seen.size < head.size and not (self._full and seen.size in self._roots):
            connects = self._connects(seen, head)
            if connects is None:
                self._faults.add("seen_unproved")
            elif not connects:
                self._faults.add("seen")
