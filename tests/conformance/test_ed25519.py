"""Ed25519 by the vectors of RFC 8032, and forgeries that must fail, in both verifiers; a third implementation signs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import nacl.signing
import pytest

from chalicelib.core.log import note
from tests.fixtures.audit.signers import seeded
from tests.support.bundles import second

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
"""https://www.rfc-editor.org/rfc/rfc8032#section-7.1, tests 1 and 2 (read 2026-11-22): seed, key, message, signature."""


def ours(public: bytes, message: bytes, signature: bytes) -> bool:
    return note.VerifierKey("example.com/log", public).accepts(message, signature)


def theirs(public: bytes, message: bytes, signature: bytes) -> bool:
    return bool(second.ed25519(public, message, signature))


Verify = Callable[[bytes, bytes, bytes], bool]
VERIFIERS = pytest.mark.parametrize("verify", [ours, theirs], ids=["ours", "second"])
SEED, PUBLIC, MESSAGE, SIGNATURE = (bytes.fromhex(text) for text in VECTORS[1])


@VERIFIERS
@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_a_published_signature_verifies(seed: str, public: str, message: str, signature: str, verify: Verify) -> None:
    signer = seeded("example.com/log", bytes.fromhex(seed))

    assert note.parse_vkey(signer.vkey).public.hex() == public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    assert verify(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


@VERIFIERS
def test_another_implementations_signature_verifies_when_keys_and_messages_are_random(verify: Verify) -> None:
    draw = random.Random(8032)
    for length in (0, 1, 31, 32, 111, 112, 1023, 5000):
        key, message = nacl.signing.SigningKey(draw.randbytes(32)), draw.randbytes(length)
        signature = key.sign(message).signature

        assert verify(bytes(key.verify_key), message, signature)
        assert not verify(bytes(key.verify_key), message + b"\0", signature)


def scalar(value: int) -> bytes:
    return SIGNATURE[:32] + value.to_bytes(32, "little")


S = int.from_bytes(SIGNATURE[32:], "little")
NEVER = {
    "nothing": b"",
    "too short": SIGNATURE[:-1],
    "too long": SIGNATURE + b"\0",
    "all zero": bytes(64),
    "all ones": b"\xff" * 64,
    "s + L, which is malleable": scalar(S + ORDER),
    "s + 2 L": scalar(S + 2 * ORDER),
    "s = L": scalar(ORDER),
    "s = 0": scalar(0),
    "s - 1": scalar(S - 1),
    "high bits of s": SIGNATURE[:63] + bytes([SIGNATURE[63] | 0xE0]),
    "R negated": SIGNATURE[:31] + bytes([SIGNATURE[31] ^ 0x80]) + SIGNATURE[32:],
    "R = 0": bytes(32) + SIGNATURE[32:],
    "R = p, not canonical": PRIME.to_bytes(32, "little") + SIGNATURE[32:],
    "R is the neutral point": (1).to_bytes(32, "little") + SIGNATURE[32:],
    "halves swapped": SIGNATURE[32:] + SIGNATURE[:32],
    "of the hash of the message": nacl.signing.SigningKey(SEED).sign(hashlib.sha512(MESSAGE).digest()).signature,
}


@VERIFIERS
@pytest.mark.parametrize("signature", NEVER.values(), ids=NEVER)
def test_a_signature_is_refused_when_it_is_malformed_or_malleable(signature: bytes, verify: Verify) -> None:
    assert not verify(PUBLIC, MESSAGE, signature)


@VERIFIERS
def test_a_signature_is_refused_when_any_bit_of_it_is_another(verify: Verify) -> None:
    for bit in range(0, 512, 7):
        changed = bytearray(SIGNATURE)
        changed[bit // 8] ^= 1 << bit % 8

        assert not verify(PUBLIC, MESSAGE, bytes(changed))


@VERIFIERS
def test_a_signature_is_refused_when_the_key_is_no_point_or_another(verify: Verify) -> None:
    keys = [
        bytes(32),
        b"\xff" * 32,
        PRIME.to_bytes(32, "little"),
        (2).to_bytes(32, "little"),
        bytes.fromhex(VECTORS[0][1]),
    ]
    for key in keys:
        assert not verify(key, MESSAGE, SIGNATURE)
