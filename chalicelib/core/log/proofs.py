"""Proofs as texts: a tlog-proof that an entry is in a log, and the proof that one checkpoint continues another.

Each carries the signed checkpoint that it leads to. Reading verifies neither.

Source: https://c2sp.org/tlog-proof; the consistency proof has the form of https://c2sp.org/tlog-witness (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import AuditBroken
from .merkle import PROOF_HASHES_MAX
from .note import Note, from_base64, hash_from, number, parse_note, to_base64

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry stands at ``index`` of the log. ``extra`` is nobody's word: no signature covers it."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = [f"extra {to_base64(self.extra)}"] if self.extra else []
        return _text((_HEADER, *extra, f"index {self.index}"), self.hashes, self.checkpoint)


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the log of ``old`` entries is the beginning of the one that the checkpoint is about."""

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: Note

    def __str__(self) -> str:
        return _text((f"old {self.old}",), self.hashes, self.checkpoint)


def _text(head: Iterable[str], hashes: Iterable[bytes], checkpoint: Note) -> str:
    return "".join(line + "\n" for line in (*head, *map(to_base64, hashes), "")) + str(checkpoint)


def parse_inclusion(data: bytes) -> InclusionProof:
    """Read a tlog-proof.

    Raises:
        AuditBroken: it is not of that form.
    """
    lines, checkpoint = _parts(data)
    if lines.pop(0) != _HEADER:
        raise AuditBroken("a proof does not begin with its version")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = from_base64(lines.pop(0).removeprefix("extra "))
    index = _labelled("index", lines)
    return InclusionProof(index, _hashes(lines), checkpoint, extra)


def parse_consistency(data: bytes) -> ConsistencyProof:
    """Read a consistency proof.

    Raises:
        AuditBroken: it is not of that form.
    """
    lines, checkpoint = _parts(data)
    old = _labelled("old", lines)
    return ConsistencyProof(old, _hashes(lines), checkpoint)


def _parts(data: bytes) -> tuple[list[str], Note]:
    """The lines before the first empty one, at least one, and the note behind it."""
    head, gap, rest = data.partition(b"\n\n")
    if not gap or not head.isascii():
        raise AuditBroken("a proof is lines of ASCII, an empty line and a checkpoint")
    return head.decode().split("\n"), parse_note(rest)


def _labelled(label: str, lines: list[str]) -> int:
    if not lines or not lines[0].startswith(label + " "):
        raise AuditBroken(f"a proof lacks its {label}")
    return number(lines.pop(0).removeprefix(label + " "))


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > PROOF_HASHES_MAX:
        raise AuditBroken(f"a proof has more than {PROOF_HASHES_MAX} hashes")
    return tuple(map(hash_from, lines))
