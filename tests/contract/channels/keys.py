"""Key pairs with which a test plays a platform that signs with one. They protect nothing."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_P = int(
    "d4da389a5351f0429f02ac37843a72f976c35c8ba81b341d69db3c1b134925738e7660dfe09d7e5c08ae930ac6a8aad0"
    "3ef8e66e322cc67e1d5b6e5a10640f483df2846df6207095a60c4d6311876780035c3017c8cdd305b157d71394ba52ef"
    "98019efaa995f4ad25475abfd523993c5d75afa10d6ca8e3d95d5da2a4eda429",
    16,
)
_Q = int(
    "b77eaff5c909eb542490305cd261f679635e5c25905e990edb749ff533d28a5844ab93bb14a2aba39ef69857be3a5288"
    "537231ede3b172c8018402d1b383c320e9d46f9091ccda616371170fb56a5ca1d4838237c1df96bbf682b9c7c09b3468"
    "6aa29d210e45982769b363ea7e1fe700e5f746bc9489b06a0bccf7ad24cf3fdd",
    16,
)
_E = 65537


def _rsa() -> RSAPrivateKey:
    d = pow(_E, -1, (_P - 1) * (_Q - 1))
    crt = (rsa_crt_dmp1(d, _P), rsa_crt_dmq1(d, _Q), rsa_crt_iqmp(_P, _Q))
    return RSAPrivateNumbers(_P, _Q, d, *crt, RSAPublicNumbers(_E, _P * _Q)).private_key()


RSA = _rsa()
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ANOTHER_RSA_PUBLIC = RSAPublicNumbers(_E, _P * _Q + 2).public_key()  # of an odd number: it verifies nothing
ANOTHER_ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34))[:32])


def rsa_public_pem(key: RSAPublicKey | None = None) -> str:
    """Return a public key, or else the public half of ``RSA``, as PEM."""
    return (key or RSA.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def ed25519_public_hex(key: Ed25519PrivateKey = ED25519) -> str:
    """Return the public half of a key in hexadecimal."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
