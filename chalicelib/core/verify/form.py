"""The first stage of verifying a bundle: is everything in it of the form that it must have?"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from .. import times
from ..errors import AuditBroken
from ..log import note, proofs
from ..log.entry_types import Entry
from ..log.leaf import LEAF_BYTES, verify_entry
from ..log.note import Checkpoint, Note, VerifierKey
from ..log.proofs import ConsistencyProof, InclusionProof
from ..log.selection import Query
from . import bundle
from .bundle import ReadableBytes
from .faults import Faults

Parsed = TypeVar("Parsed")
_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_TEXTS = ("origin", "tenant", "region", "log")
_MANIFEST = frozenset({"schema", *_TEXTS, "mode", "query", "size", "count", "made_at", "files"})


@dataclass(frozen=True, slots=True)
class DatedRule:
    """One rule of a law file: its article, and the days on which it counts (``until`` exclusive)."""

    ref: str
    since: date
    until: date | None


@dataclass(frozen=True, slots=True)
class LawDocument:
    """A law file of a bundle: its rules by id, and its bytes."""

    rules: Mapping[str, DatedRule]
    data: bytes
    has_laws: bool


@dataclass
class BundleEvidence:
    """The members of a bundle, read. Malformed and absent members are left out."""

    data: ReadableBytes
    spans: Mapping[str, tuple[int, int]]
    manifest: Mapping[str, Any]
    faults: Faults
    grounds_bytes: int = 0
    values: int = 0
    checkpoint: Note | None = None
    head: Checkpoint | None = None
    earlier: dict[int, tuple[Note, Checkpoint]] = field(default_factory=dict)
    consistency: dict[int, ConsistencyProof] = field(default_factory=dict)
    proofs: dict[str, str] = field(default_factory=dict)
    keys: tuple[VerifierKey, ...] = ()
    laws: dict[str, LawDocument] = field(default_factory=dict)
    configurations: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def content(self, name: str) -> bytes:
        """Return a member's content."""
        first, end = self.spans[name]
        return self.data[first:end]

    def fits(self, name: str, kind: str) -> bool:
        """Say whether a member keeps the limits of a bundle; add a fault where it does not.

        The commas and brackets of a JSON text bound the values in it, and are counted without parsing.
        """
        first, end = self.spans[name]
        limit = bundle.BYTES_MAX[kind]
        if end - first > limit:
            self.faults.add("limit", f"{name}: more than {limit} bytes")
            return False
        if kind in ("rules", "config"):
            self.grounds_bytes += end - first
        if kind in ("rules", "config", bundle.MANIFEST):
            data = self.content(name)
            self.values += sum(map(data.count, (b",", b"[", b"{")))
        if self.grounds_bytes > bundle.GROUNDS_BYTES:
            self.faults.add("limit", f"laws and configurations: more than {bundle.GROUNDS_BYTES} bytes")
            return False
        if self.values > bundle.VALUES_MAX:
            self.faults.add("limit", f"laws and configurations: more than {bundle.VALUES_MAX} values")
            return False
        return True

    def entries(self) -> Iterator[tuple[bytes, Entry | None]]:
        """Yield the leaf and the entry of each line; None for a line that is no entry, which is a fault.

        A line too long for an entry, or one entry too many, ends the reading: it is a fault, and the memory stays bounded.
        """
        first, end = self.spans.get(bundle.ENTRIES, (0, 0))
        rest, number = b"", 0
        for at in range(first, end, _CHUNK):
            *lines, rest = (rest + self.data[at : min(at + _CHUNK, end)]).split(b"\n")
            for line in lines:
                number += 1
                if number > bundle.ENTRIES_MAX:
                    self.faults.add("limit", f"{bundle.ENTRIES}: more than {bundle.ENTRIES_MAX} entries")
                    return
                yield line, _parsed(self.faults, "entry", f"{bundle.ENTRIES} line {number}", verify_entry, line)
            if len(rest) > LEAF_BYTES:
                self.faults.add("limit", f"{bundle.ENTRIES} line {number + 1}: more than {LEAF_BYTES} bytes")
                return
        if rest:
            self.faults.add("entry", f"{bundle.ENTRIES} line {number + 1}")

    def proof_of(self, entry: str) -> InclusionProof | None:
        """Return the proof of an entry, if there is one and it is of its form."""
        name = self.proofs.get(entry)
        return _parsed(self.faults, "proof", name, proofs.parse_inclusion, self.content(name)) if name else None


def read(data: ReadableBytes, faults: Faults) -> BundleEvidence | None:
    """Read a bundle's members but for its entries and their proofs, which are read when asked for.

    Returns:
        What could be read; None where there is no bundle to speak of.
    """
    try:
        spans = bundle.read(data)
    except AuditBroken as error:
        faults.add("tar", error.detail)
        return None
    evidence = BundleEvidence(data, spans, {}, faults)
    if not evidence.fits(bundle.MANIFEST, bundle.MANIFEST):
        return None
    manifest = _parsed(faults, "manifest", bundle.MANIFEST, _manifest, evidence.content(bundle.MANIFEST))
    if manifest is None:
        return None
    evidence.manifest = manifest
    _compare(evidence)
    for name in spans:
        kind, key = bundle.kind_of(name) or ("", "")
        if kind in _READERS and evidence.fits(name, kind):
            _READERS[kind](evidence, name, key)
    return evidence


def _compare(evidence: BundleEvidence) -> None:
    """Compare the members with the manifest."""
    files: Mapping[str, str] = evidence.manifest["files"]
    for name, (first, end) in evidence.spans.items():
        if name == bundle.MANIFEST:
            continue
        digest = hashlib.sha256()
        for at in range(first, end, _CHUNK):
            digest.update(evidence.data[at : min(at + _CHUNK, end)])
        if name not in files:
            evidence.faults.add("unlisted", name)
        elif files[name] != digest.hexdigest():
            evidence.faults.add("digest", name)
    for name in files:
        if name not in evidence.spans:
            evidence.faults.add("absent", name)


def _parsed(faults: Faults, fault: str, name: str, parse: Callable[[bytes], Parsed], data: bytes) -> Parsed | None:
    try:
        return parse(data)
    except AuditBroken:
        faults.add(fault, name)
        return None


# --- JSON --------------------------------------------------------------------------------------------------------------


def _json(data: bytes) -> dict[str, Any]:
    """Read a JSON object without floats and with every key once.

    Raises:
        AuditBroken: it is none.
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise AuditBroken("no JSON object without floats and with every key once")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(_: str) -> Any:
    raise ValueError("a float")


def _demand(holds: bool) -> None:
    if not holds:
        raise AuditBroken("a member is not of its form")


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value <= note.SIZE_MAX


def _manifest(data: bytes) -> dict[str, Any]:
    found = _json(data)
    _demand(set(found) == _MANIFEST and found["schema"] == bundle.SCHEMA and found["mode"] in ("full", "selection"))
    _demand(all(isinstance(found[key], str) and found[key] for key in _TEXTS))
    _demand((found["query"] is None) == (found["mode"] == "full"))
    _demand(_count(found["size"]) and _count(found["count"]) and isinstance(found["files"], dict))
    for name, digest in found["files"].items():
        _demand(name != bundle.MANIFEST and bundle.kind_of(name) is not None)
        _demand(isinstance(digest, str) and _HASH.match(digest) is not None)
    try:
        times.parse(found["made_at"])
        Query.from_document(found["query"] or {})
    except (ValueError, TypeError):
        raise AuditBroken("made_at is no time, or the query is not one of a selection") from None
    return found


def _law(data: bytes) -> LawDocument:
    found = _json(data)
    rules = {}
    _demand(isinstance(found.get("rules"), list))
    for row in found["rules"]:
        _demand(isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("ref"), str))
        _demand("effective_to" in row and row["id"] not in rules)
        since, until = _day(row.get("effective_from")), row["effective_to"]
        rules[row["id"]] = DatedRule(row["ref"], since, None if until is None else _day(until))
    return LawDocument(rules, data, "laws" in found)


def _day(value: object) -> date:
    try:
        _demand(isinstance(value, str) and len(value) == 10)
        return date.fromisoformat(str(value))
    except ValueError:
        raise AuditBroken("no day") from None


def _configuration(data: bytes) -> Mapping[str, Any]:
    found = _json(data)
    _demand(isinstance(found.get("destinations"), list))
    for row in found["destinations"]:
        _demand(isinstance(row, dict) and isinstance(row.get("id"), str))
        _demand(isinstance(row.get("recipient"), dict) or row.get("recipient") is None)
    return found


# --- readers, one for each kind of member ------------------------------------------------------------------------------


def _checkpoint(evidence: BundleEvidence, name: str) -> tuple[Note, Checkpoint] | None:
    def parse(data: bytes) -> tuple[Note, Checkpoint]:
        read = note.parse_note(data)
        return read, note.parse_checkpoint(read.text)

    return _parsed(evidence.faults, "note", name, parse, evidence.content(name))


def _read_checkpoint(evidence: BundleEvidence, name: str, _: str) -> None:
    if (found := _checkpoint(evidence, name)) is not None:
        evidence.checkpoint, evidence.head = found


def _read_earlier(evidence: BundleEvidence, name: str, size: str) -> None:
    if (found := _checkpoint(evidence, name)) is not None:
        evidence.earlier[int(size)] = found


def _read_consistency(evidence: BundleEvidence, name: str, size: str) -> None:
    found = _parsed(evidence.faults, "proof", name, proofs.parse_consistency, evidence.content(name))
    if found is not None:
        evidence.consistency[int(size)] = found


def _read_proof(evidence: BundleEvidence, name: str, entry: str) -> None:
    evidence.proofs[entry] = name


def _read_keys(evidence: BundleEvidence, name: str, _: str) -> None:
    def parse(data: bytes) -> tuple[VerifierKey, ...]:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise AuditBroken("the keys are not UTF-8") from None
        _demand(text.endswith("\n"))
        return tuple(map(note.parse_vkey, text[:-1].split("\n")))

    evidence.keys = _parsed(evidence.faults, "vkey", name, parse, evidence.content(name)) or ()


def _read_law(evidence: BundleEvidence, name: str, digest: str) -> None:
    data = evidence.content(name)
    found = _parsed(evidence.faults, "law", name, _law, data)
    if found is not None and _is_named(evidence, name, data, digest):
        evidence.laws[digest] = found


def _read_configuration(evidence: BundleEvidence, name: str, digest: str) -> None:
    data = evidence.content(name)
    found = _parsed(evidence.faults, "configuration", name, _configuration, data)
    if found is not None and _is_named(evidence, name, data, digest):
        evidence.configurations[digest] = found


def _is_named(evidence: BundleEvidence, name: str, data: bytes, digest: str) -> bool:
    if hashlib.sha256(data).hexdigest() == digest:
        return True
    evidence.faults.add("misnamed", name)
    return False


_READERS: Mapping[str, Callable[[BundleEvidence, str, str], None]] = {
    bundle.CHECKPOINT: _read_checkpoint,
    bundle.VKEYS: _read_keys,
    "earlier": _read_earlier,
    "consistency": _read_consistency,
    "proof": _read_proof,
    "rules": _read_law,
    "config": _read_configuration,
}
