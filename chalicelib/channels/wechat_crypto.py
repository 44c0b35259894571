"""How WeChat and WeCom sign and encrypt what they push.

Source: https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Message_encryption_and_decryption_instructions.html
and https://developer.work.weixin.qq.com/document/path/90968 (read 2026-11-22).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..core.errors import MalformedPayload

KEY_CHARACTERS = 43  # base64 of 32 bytes, without its "="
_BLOCK = 16
_PADDING = 32  # PKCS #7 as if blocks had 32 bytes
_RANDOM, _LENGTH = 16, 4


def signature(*parts: str) -> str:
    """Return the SHA-1 of the sorted parts, in hexadecimal."""
    return hashlib.sha1("".join(sorted(parts)).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def decoded_key(key: str) -> bytes:
    """Decode an EncodingAESKey.

    Raises:
        ValueError: it is none.
    """
    if len(key) != KEY_CHARACTERS:
        raise ValueError(f"an EncodingAESKey has {KEY_CHARACTERS} characters")
    try:
        return base64.b64decode(key + "=", validate=True)
    except binascii.Error:
        raise ValueError("an EncodingAESKey consists of letters and digits") from None


def decrypt(key: str, encrypted: str) -> tuple[bytes, str]:
    """Decrypt; return the content and the id of the app that it is for.

    Plaintext: 16 random bytes, the content's length in 4, the content, the app's id, padding.

    Raises:
        MalformedPayload: it is not of this form.
    """
    secret = decoded_key(key)
    try:
        sealed = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedPayload("the encrypted content is not base64") from None
    if not sealed or len(sealed) % _BLOCK:
        raise MalformedPayload("the encrypted content is cut off")
    cipher = Cipher(algorithms.AES(secret), modes.CBC(secret[:_BLOCK])).decryptor()
    plain = cipher.update(sealed) + cipher.finalize()
    padding = plain[-1]
    start = _RANDOM + _LENGTH
    end = start + int.from_bytes(plain[_RANDOM:start])
    if not 1 <= padding <= _PADDING or end > len(plain) - padding:
        raise MalformedPayload("the encrypted content is not what the platform makes")
    return plain[start:end], plain[end : len(plain) - padding].decode("utf-8", "replace")
