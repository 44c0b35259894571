"""Identifiers: Crockford base32 text behind a prefix, derived from content or sortable by time.

No function here reads a clock or draws a random number; time and randomness are arguments.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in ALPHABET for b in ALPHABET)
LENGTH = 26
BITS = 130
PREFIXES = (
    "tnt", "src", "dst", "rte", "rcp", "bas", "cns", "evt", "dlv", "trf", "ent", "key", "hld", "swi", "job",
    "sub", "cnv", "req",
)  # fmt: skip
_PATTERN = re.compile(rf"(?:{'|'.join(PREFIXES)})_[{ALPHABET}]{{{LENGTH}}}\Z")


def encode(number: int, length: int = LENGTH) -> str:
    """Write an integer below ``32 ** length`` as lower-case Crockford base32, most significant character first."""
    pairs = []
    for _ in range(0, length, 2):
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    return "".join(reversed(pairs))[-length:]


def decode(text: str) -> int:
    """Read lower-case Crockford base32.

    Raises:
        ValueError: a character is not in the alphabet.
    """
    number = 0
    for character in text:
        number = number << 5 | ALPHABET.index(character)
    return number


def first_bits(digest: bytes, bits: int) -> int:
    """Return the first ``bits`` bits of a digest as an integer."""
    return int.from_bytes(digest, "big") >> (len(digest) * 8 - bits)


def event_id(id_key: bytes, source: str, dedupe_id: str) -> str:
    """Name an event so that the same webhook sent twice gives the same id.

    First 130 bits of HMAC-SHA-256(tenant's id key, source ‖ 0x00 ‖ dedupe_id): nobody without the key can tell which
    message an id stands for.
    """
    digest = hmac.digest(id_key, source.encode() + b"\0" + dedupe_id.encode("utf-8", "surrogatepass"), "sha256")
    return "evt_" + encode(first_bits(digest, BITS))


def derived(prefix: str, *parts: str) -> str:
    """Derive an id from other ids: the same parts give the same id, in any process."""
    digest = hashlib.sha256("\n".join((prefix, *parts)).encode()).digest()
    return f"{prefix}_{encode(first_bits(digest, BITS))}"


def keyed(prefix: str, key: bytes, *parts: str) -> str:
    """Derive an id that nobody without the key can connect to its parts (at most 130 bits of HMAC-SHA-256)."""
    digest = hmac.digest(key, b"\0".join(p.encode("utf-8", "surrogatepass") for p in (prefix, *parts)), "sha256")
    return f"{prefix}_{encode(first_bits(digest, BITS))}"


def sortable(prefix: str, now: datetime, randomness: bytes) -> str:
    """Make an id that sorts by time: 48 bits of milliseconds since 1970, then 82 of the given random bits.

    Args:
        randomness: at least 11 bytes.
    """
    millis = int(now.timestamp() * 1000)
    return f"{prefix}_{encode(millis << 82 | first_bits(randomness[:11], 82))}"


def random_ref(prefix: str, randomness: bytes) -> str:
    """Make a ref of 128 random bits that tells nothing of what it stands for."""
    return f"{prefix}_{encode(int.from_bytes(randomness[:16], 'big'))}"


def is_id(text: object, prefix: str) -> bool:
    """Say whether a value has the form of an id with this prefix."""
    return isinstance(text, str) and text.startswith(prefix + "_") and _PATTERN.match(text) is not None
