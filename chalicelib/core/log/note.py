"""Signed notes: the texts that a log and its witnesses sign, and the keys that they are checked with.

A note is text, an empty line and signature lines. Whoever does not know a key ignores its signature; a bad signature of a
known key spoils the whole note, even beside a good one.

Sources: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature (read 2026-11-22).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..errors import AuditBroken
from .merkle import HASH_BYTES

LOG, WITNESS = 0x01, 0x04
"""Ed25519 over the text, and a cosignature: Ed25519 over time and text."""
SIGNATURES_MAX = 64
SIZE_MAX = 2**63 - 1
_DASH = "— "
_KEY_BYTES, _ID_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 32, 4, 8, 64
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{8}\Z", re.ASCII)
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


def number(text: str) -> int:
    """Read a size or an index: decimal digits without a leading zero.

    Raises:
        AuditBroken: it is not, or is beyond 2**63 - 1.
    """
    if _NUMBER.match(text) is None or int(text) > SIZE_MAX:
        raise AuditBroken("a number is not written in decimal digits without leading zeros")
    return int(text)


def from_base64(text: str) -> bytes:
    """Read base64 in its one canonical form, with padding.

    Raises:
        AuditBroken: it is not.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise AuditBroken("a text is not canonical base64")
    return data


def to_base64(data: bytes) -> str:
    """Write base64 in its canonical form."""
    return base64.b64encode(data).decode()


def hash_from(text: str) -> bytes:
    """Read a hash in base64.

    Raises:
        AuditBroken: not canonical, or not 32 bytes.
    """
    data = from_base64(text)
    if len(data) != HASH_BYTES:
        raise AuditBroken("a hash is not 32 bytes long")
    return data


# --- keys --------------------------------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise AuditBroken("a key's name is empty, or holds a space or a plus")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key as it is published: ``name+id+base64(algorithm ‖ key)``.

    Raises:
        AuditBroken: the name cannot stand in a note, the algorithm is not one of ours, or the key is not 32 bytes.
    """

    name: str
    public: bytes
    algorithm: int = LOG
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.algorithm not in (LOG, WITNESS):
            raise AuditBroken("a verifier key is neither a log's (1) nor a witness's (4)")
        if len(self.public) != _KEY_BYTES:
            raise AuditBroken("a verifier key is not 32 bytes long")
        named = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public
        object.__setattr__(self, "id", hashlib.sha256(named).digest()[:_ID_BYTES])

    @property
    def text(self) -> str:
        """The key in its published form."""
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.algorithm]) + self.public)}"

    def accepts(self, text: bytes, signature: bytes) -> bool:
        """Say whether the signature (without the key's id) is this key's, over this text."""
        if self.algorithm == WITNESS:
            time, signature = signature[:_TIME_BYTES], signature[_TIME_BYTES:]
            text = b"cosignature/v1\ntime %d\n" % int.from_bytes(time, "big") + text
            if time[0:1] >= b"\x80":
                return False  # a time is at most 2**63 - 1
        if len(signature) != _SIGNATURE_BYTES:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key.

    Raises:
        AuditBroken: its form is wrong, or its id is not that of its name and key.
    """
    name, _, rest = text.partition("+")
    id, _, data = rest.partition("+")
    if _KEY_ID.match(id) is None:
        raise AuditBroken("a verifier key is not name+id+base64")
    raw = from_base64(data)
    key = VerifierKey(name, raw[1:], raw[0])
    if key.id.hex() != id:
        raise AuditBroken("a verifier key's id is not that of its name and key")
    return key


# --- signers -----------------------------------------------------------------------------------------------------------


class NoteSigner(Protocol):
    """Signs texts under one name. ``vkey`` is what its signatures are checked with."""

    @property
    def vkey(self) -> str:
        """The verifier key, in its published form."""

    def sign(self, text: bytes) -> bytes:
        """Return the Ed25519 signature of a text, 64 bytes."""


class RemoteSigner:
    """Signs by asking who holds the key, such as KMS: key spec ``ECC_NIST_EDWARDS25519``, ``MessageType=RAW``.

    Args:
        ask: text in, 64 bytes of pure Ed25519 out (a signature over the text's hash is no valid one).
    """

    def __init__(self, name: str, public: bytes, ask: Callable[[bytes], bytes]) -> None:
        self._ask = ask
        self.vkey = VerifierKey(name, public).text

    def sign(self, text: bytes) -> bytes:
        """Return the Ed25519 signature of a text."""
        return self._ask(text)


# --- notes -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says to have signed, the key's id, and the signature behind it."""

    name: str
    id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line, without its end."""
        return f"{_DASH}{self.name} {to_base64(self.id + self.signature)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note. What ``text`` says MUST be ignored until ``check`` has found a trusted key's signature under it."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(s.line + "\n" for s in self.signatures)

    def check(self, keys: Iterable[VerifierKey]) -> frozenset[VerifierKey]:
        """Return those of the keys that signed the note.

        Raises:
            AuditBroken: a signature by one of the keys is bad.
        """
        known = {(key.name, key.id): key for key in keys}
        text, found = self.text.encode(), set()
        for signature in self.signatures:
            key = known.get((signature.name, signature.id))
            if key is None:
                continue
            if not key.accepts(text, signature.signature):
                raise AuditBroken("a known key's signature is bad")
            found.add(key)
        return frozenset(found)


def parse_note(data: bytes) -> Note:
    """Read a signed note, strictly. Nothing is verified.

    Raises:
        AuditBroken: it is not of the form of a signed note.
    """
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise AuditBroken("a note is not UTF-8") from None
    if _CONTROL.search(whole) is not None:
        raise AuditBroken("a note holds control characters")
    text, gap, rest = whole.rpartition("\n\n")
    if not gap or not text or not rest.endswith("\n"):
        raise AuditBroken("a note is a text, an empty line and signature lines, each with its end")
    lines = rest[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise AuditBroken(f"a note has more than {SIGNATURES_MAX} signatures")
    return Note(text + "\n", tuple(map(_signature, lines)))


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise AuditBroken("a signature line does not begin with an em dash and a space")
    name, gap, data = line.removeprefix(_DASH).partition(" ")
    _check_name(name)
    raw = from_base64(data) if gap else b""
    if len(raw) <= _ID_BYTES:
        raise AuditBroken("a signature line is too short")
    return Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def sign_note(text: str, signers: Sequence[NoteSigner]) -> Note:
    """Sign a text, which ends with a line feed. Each signature is checked before it is given away.

    Raises:
        AuditBroken: the text cannot be a note's, no or too many signers, or a signature is not that of its signer's key.
    """
    data, signatures = text.encode(), []
    for signer in signers:
        key = parse_vkey(signer.vkey)
        signature = signer.sign(data)
        if not key.accepts(data, signature):
            raise AuditBroken("a signer's signature is not one of its own key")
        signatures.append(Signature(key.name, key.id, signature))
    note = Note(text, tuple(signatures))
    if not signatures or parse_note(str(note).encode()) != note:
        raise AuditBroken("a note's text is lines without control characters, and somebody signs it")
    return note


# --- checkpoints -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log's signature stands for: its origin, how many entries it has, and their root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that is signed."""
        return "".join(line + "\n" for line in (self.origin, str(self.size), to_base64(self.root), *self.extensions))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint.

    Raises:
        AuditBroken: fewer than three lines, an empty one, a size with a leading zero, or a root that is no hash.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:
        raise AuditBroken("a checkpoint is three lines or more, none of them empty")
    return Checkpoint(lines[0], number(lines[1]), hash_from(lines[2]), tuple(lines[3:]))
