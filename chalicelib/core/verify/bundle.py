"""The evidence bundle, ``waybill.bundle/1``: an uncompressed POSIX tar of regular files with fixed names.

``docs/bundle.md`` lists the members and their content. Nothing here verifies a proof.

Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar, read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import AuditBroken
from ..log.leaf import canonical

SCHEMA = "waybill.bundle/1"
MANIFEST, CHECKPOINT, ENTRIES, VKEYS = "manifest.json", "checkpoint", "entries.jsonl", "vkeys"
_SIZE = r"(?:0|[1-9][0-9]{0,18})"
NAMES: Mapping[str, re.Pattern[str]] = {
    kind: re.compile(expression + r"\Z", re.ASCII)
    for kind, expression in {
        MANIFEST: r"(manifest\.json)",
        CHECKPOINT: "(checkpoint)",
        ENTRIES: r"(entries\.jsonl)",
        VKEYS: "(vkeys)",
        "proof": r"proofs/(ent_[0-9a-z]{26})\.tlog-proof",
        "earlier": rf"checkpoints/({_SIZE})",
        "consistency": rf"consistency/({_SIZE})",
        "rules": r"rules/([0-9a-f]{64})\.json",
        "config": r"configs/([0-9a-f]{64})\.json",
    }.items()
}
"""The names of members, by kind; the group is the id, size or hash in the name."""
ENTRIES_MAX = 1_000_000
"""Entries of a bundle."""
MEMBERS_MAX = 150_000
TEXT_BYTES = 64 * 1024
BYTES_MAX: Mapping[str, int] = {
    MANIFEST: 16 * 2**20,
    CHECKPOINT: TEXT_BYTES,
    VKEYS: TEXT_BYTES,
    "proof": TEXT_BYTES,
    "earlier": TEXT_BYTES,
    "consistency": TEXT_BYTES,
    "rules": 4 * 2**20,
    "config": 16 * 2**20,
}
"""The bytes of one member, by kind."""
GROUNDS_BYTES = 128 * 2**20
"""The bytes of all law files and configurations together."""
VALUES_MAX = 8_000_000
"""JSON values of the manifest, the law files and the configurations together: they are kept in memory."""
CHECKS_MAX = 2048
"""Signatures of known keys. Each costs a verifier without a library some milliseconds."""
TAIL_BYTES = 2**20
"""Zeros behind the end of the tar: more than any maker of tars pads with."""
_BLOCK = 512
_RECORD = 20 * _BLOCK
_MAGICS = (b"ustar\x0000", b"ustar  \x00")
_OCTAL = re.compile(rb"[0-7]{1,11}[\x00 ]*\Z")
_BASE256 = 0x80


class ReadableBytes(Protocol):
    """Bytes that are read a piece at a time: ``bytes``, or a file mapped into memory."""

    def __getitem__(self, at: slice, /) -> bytes:
        """Return a piece."""

    def __len__(self) -> int:
        """Return how many there are."""


@dataclass(frozen=True, slots=True)
class BundleMember:
    """One file of a bundle: its name, its length in bytes, and its content, in one piece or in many."""

    name: str
    size: int
    content: Iterable[bytes]


def member(name: str, data: bytes) -> BundleMember:
    """Make a member of content in one piece."""
    return BundleMember(name, len(data), (data,))


def manifest(
    *,
    origin: str,
    mode: str,
    query: Mapping[str, Any] | None,
    size: int,
    count: int,
    made_at: str,
    files: Mapping[str, str],
) -> bytes:
    """Write ``manifest.json``.

    Args:
        origin: the log's; region, tenant and log are its last three parts.
        files: SHA-256 in hex of every other member, by name.
    """
    region, tenant, log = origin.split("/")[-3:]
    return canonical(
        {
            "schema": SCHEMA,
            "origin": origin,
            "tenant": tenant,
            "region": region,
            "log": log,
            "mode": mode,
            "query": dict(query) if query is not None else None,
            "size": size,
            "count": count,
            "made_at": made_at,
            "files": dict(files),
        }
    )


def kind_of(name: str) -> tuple[str, str] | None:
    """Return the kind of the member with this name, and the id, size or hash in it; None for an unknown name."""
    for kind, pattern in NAMES.items():
        if (found := pattern.match(name)) is not None:
            return kind, found[1]
    return None


# --- writing -----------------------------------------------------------------------------------------------------------


def write(members: Iterable[BundleMember]) -> Iterator[bytes]:
    """Write members as a tar, in the order given; ``manifest.json`` MUST be the first. The same members give the same bytes.

    Raises:
        ValueError: a name that no bundle has, one that comes twice or out of place, or content of another length.
    """
    written: set[str] = set()
    length = 0
    for each in members:
        if kind_of(each.name) is None or each.name in written or (not written) != (each.name == MANIFEST):
            raise ValueError("a bundle begins with its manifest and has only its own names, each once")
        written.add(each.name)
        yield _header(each.name, each.size)
        wrote = 0
        for piece in each.content:
            wrote += len(piece)
            yield piece
        if wrote != each.size:
            raise ValueError("a member is not as long as it was said to be")
        yield bytes(-wrote % _BLOCK)
        length += _BLOCK + wrote + -wrote % _BLOCK
    yield bytes(2 * _BLOCK + -(length + 2 * _BLOCK) % _RECORD)


def _header(name: str, size: int) -> bytes:
    fields = (
        name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", _number(size), b"00000000000\0", b" " * 8,
        b"0", bytes(100), _MAGICS[0], bytes(32), bytes(32), b"0000000\0", b"0000000\0", bytes(155), bytes(12),
    )  # fmt: skip
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _number(size: int) -> bytes:
    if size < 8**11:
        return b"%011o\0" % size
    return bytes([_BASE256]) + size.to_bytes(11, "big")  # beyond 8 GiB, as every tar reads it


# --- reading -----------------------------------------------------------------------------------------------------------


def read(data: ReadableBytes) -> dict[str, tuple[int, int]]:
    """Return where the content of each member begins and ends, in the order of the tar.

    Raises:
        AuditBroken: no tar of regular files, a name that no bundle has, one that comes twice, or another first member.
    """
    found: dict[str, tuple[int, int]] = {}
    at, end = 0, len(data)
    while True:
        header = data[at : at + _BLOCK]
        if len(header) < _BLOCK:
            raise AuditBroken("the tar has no end")
        if not any(header):
            break
        name, size = _parse(header)
        first = at + _BLOCK
        at = first + size + -size % _BLOCK
        if at > end:
            raise AuditBroken("the tar ends within a member")
        if len(found) >= MEMBERS_MAX:
            raise AuditBroken(f"the tar has more than {MEMBERS_MAX} members")
        if kind_of(name) is None or name in found or (not found) != (name == MANIFEST):
            raise AuditBroken("the tar has a member that no bundle has, one twice, or does not begin with its manifest")
        if any(data[first + size : at]):
            raise AuditBroken("the tar has bytes between its members")
        found[name] = (first, first + size)
    if end - at < 2 * _BLOCK:
        raise AuditBroken("the tar has no end")
    if end - at > TAIL_BYTES:
        raise AuditBroken(f"the tar has more than {TAIL_BYTES} bytes behind its end")
    for rest in range(at, end, _RECORD):
        if any(data[rest : rest + _RECORD]):
            raise AuditBroken("the tar has bytes behind its end")
    if not found:
        raise AuditBroken("the tar is empty")
    return found


def _parse(header: bytes) -> tuple[str, int]:
    """Return a member's name and size. No name of a bundle is so long that it needs the prefix."""
    if any(header[345:500]):
        raise AuditBroken("the tar holds a name with a prefix, which no bundle has")
    if header[257:265] not in _MAGICS or header[156:157] not in (b"0", b"\0"):
        raise AuditBroken("the tar holds something else than regular files")
    if _octal(header[148:156]) != sum(header[:148]) + sum(header[156:]) + 8 * ord(" "):
        raise AuditBroken("a header of the tar is damaged")
    size = int.from_bytes(header[125:136], "big") if header[124] == _BASE256 else _octal(header[124:136])
    return header[:100].rstrip(b"\0").decode("latin-1"), size


def _octal(field: bytes) -> int:
    text = field.lstrip(b" ")
    if _OCTAL.match(text) is None:
        raise AuditBroken("a header of the tar is damaged")
    return int(text.rstrip(b"\0 "), 8)
