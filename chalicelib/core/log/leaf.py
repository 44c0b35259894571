"""An entry's bytes: the canonical form that is hashed, and the deflated form that is stored.

A leaf is the RFC 8785 form of an entry. What was written is kept as it is: it is never parsed and serialised again to be
hashed. Deflated bytes are only a way of storing it and are never compared or hashed, for zlibs differ.

Source: https://www.rfc-editor.org/rfc/rfc8785 (read 2026-11-22).
"""

from __future__ import annotations

import functools
import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rfc8785
from pydantic import ValidationError

from .. import encoders
from ..errors import AuditBroken, Misconfigured
from .audit import check
from .entry import ANY_KIND, CONSENT_BYTES, FACTS_BYTES, MODELS
from .entry_types import Entry

LEAF_BYTES = 65_535
"""The length of an entry in an entry bundle is a 16-bit integer. Source: https://c2sp.org/tlog-tiles (read 2026-11-22)."""

VERSION = 1
"""Names the schema and with it the dictionary; a stored leaf carries it."""

DICTIONARY_SHA256 = "9b4b164d6d57020d8faf3ea5ddbc2337a222e4ccd45ce3f931e9d6d4044cbf34"
_DICTIONARY = Path(__file__).with_name("audit.v1.dict")


def canonical(value: Any) -> bytes:
    """Write JSON values in the form of RFC 8785.

    The values MUST hold no floats, no integers beyond ±(2**53 - 1) and no names but text: ``leaf`` and ``verify_entry`` see
    to that. The standard library does it five times faster than ``rfc8785`` and writes the same bytes but for one thing: it
    sorts names by code point, RFC 8785 by UTF-16 code unit. They differ only where a character beyond U+D7FF occurs.

    Raises:
        ValueError: a lone surrogate, or what JSON has no form for.
    """
    text = encoders.ordered_finite(value)
    if text.isascii() or max(text) < "\ud800":
        return text.encode()
    return bytes(rfc8785.dumps(value))


def _form(document: Any, *, later: bool = False) -> str | None:
    """Return what is wrong with an entry's form, or None. Names places and codes, never values.

    Args:
        later: take fields and kinds that only a later release knows.
    """
    if not isinstance(document, dict) or document.get("schema") != "waybill.audit/1":
        return "an entry of an unknown schema"
    model = MODELS.get(str(document.get("kind")), ANY_KIND if later else None)
    if model is None:
        return "an entry of an unknown kind"
    try:
        model.model_validate(document, extra="ignore" if later else "forbid")
    except ValidationError as error:
        fault = error.errors(include_input=False, include_context=False, include_url=False)[0]
        # Names of unknown fields are somebody's text, too: of those only the place above them is told.
        place = fault["loc"][:-1] if fault["type"] == "extra_forbidden" else fault["loc"]
        return f"an entry is malformed at {'.'.join(map(str, place)) or 'the top'} ({fault['type']})"
    return None


def leaf(entry: Mapping[str, Any]) -> bytes:
    """Return the bytes of an entry that is about to be written.

    Raises:
        Misconfigured: the entry has not the form of its kind, contradicts itself, or is too long.
    """
    fault = _form(entry)
    if fault is not None:
        raise Misconfigured(fault)
    check(entry)
    data = canonical(entry)
    if len(data) > LEAF_BYTES:
        raise Misconfigured(f"an audit entry has {len(data)} bytes; at most {LEAF_BYTES} fit")
    if entry["kind"] == "decided":
        facts = entry["facts"]
        consents = facts.get("bases")
        room = FACTS_BYTES + CONSENT_BYTES * (len(consents) if isinstance(consents, list) else 0)
        if len(canonical(facts)) > room:
            raise Misconfigured(f"a decision's facts take more than {room} bytes")
    return data


def verify_entry(data: bytes, *, later: bool = False) -> Entry:
    """Read the bytes of an entry: canonical, and of a known schema and kind. Ids are not recomputed.

    Args:
        later: take fields and kinds that only a later release knows, as the cell does after a rollback. Evidence is
            verified without: an unknown field may say the opposite of the known ones.

    Raises:
        AuditBroken: they are not.
    """
    if len(data) > LEAF_BYTES:
        raise AuditBroken("an entry is longer than a leaf may be")
    try:
        document = json.loads(data)
        same = canonical(document) == data
    except (ValueError, RecursionError) as error:
        raise AuditBroken("an entry is not JSON") from error
    if not same:
        raise AuditBroken("an entry's bytes are not canonical")
    fault = _form(document, later=later)
    if fault is not None:
        raise AuditBroken(fault)
    return dict(document)


@functools.cache
def dictionary() -> bytes:
    """Return the preset dictionary of version 1. It never changes; a better one is another version.

    Raises:
        Misconfigured: the packaged file is not the one that stored leaves were made with.
    """
    data = _DICTIONARY.read_bytes()
    if hashlib.sha256(data).hexdigest() != DICTIONARY_SHA256:
        raise Misconfigured("the audit dictionary of version 1 has been changed")
    return data


@functools.cache
def _deflater() -> Any:
    # A window of 16 KB and less memory than there could be: each leaf begins with a copy of all of it. Entries come out as
    # short as with the most, in half the time; a smaller one would miss parts of the dictionary.
    return zlib.compressobj(9, zlib.DEFLATED, -14, 6, zlib.Z_DEFAULT_STRATEGY, dictionary())


def deflate(data: bytes) -> bytes:
    """Return the stored form of a leaf: raw deflate with the preset dictionary, inflated and compared before it is given away.

    Raises:
        Misconfigured: the leaf is too long.
        AuditBroken: what was deflated does not inflate to the same bytes.
    """
    if len(data) > LEAF_BYTES:
        raise Misconfigured(f"a leaf has {len(data)} bytes; at most {LEAF_BYTES} fit")
    deflater = _deflater().copy()
    stored = bytes(deflater.compress(data) + deflater.flush())
    if inflate(stored) != data:
        raise AuditBroken("a leaf does not survive being deflated")
    return stored


def inflate(stored: bytes) -> bytes:
    """Return the leaf that a stored form holds, reading no further than a leaf can be long.

    Raises:
        AuditBroken: no deflate stream, longer than a leaf, without its end, or with bytes after it.
    """
    inflater = zlib.decompressobj(-15, zdict=dictionary())
    try:
        data = bytes(inflater.decompress(stored, LEAF_BYTES + 1))
    except zlib.error as error:
        raise AuditBroken("a stored leaf is no deflate stream") from error
    if len(data) > LEAF_BYTES:
        raise AuditBroken("a stored leaf inflates to more than a leaf may be")
    if not inflater.eof:
        raise AuditBroken("a stored leaf ends before its end")
    if inflater.unused_data or inflater.unconsumed_tail:
        raise AuditBroken("a stored leaf has bytes after its end")
    return data
