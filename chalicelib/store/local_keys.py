"""A key service in a file, for clouds without a compatible one. It answers the KMS calls that ``KeyStore`` makes.

The file holds one key a line, 64 hex digits each. The first key wraps; all keys unwrap. To rotate, put the new key first.
Keep old keys as long as a tenant's key is wrapped under them. Losing the file loses every tenant's content.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..core.errors import Misconfigured

KEY_BYTES = 32
NAME_BYTES = 8
NONCE_BYTES = 12


def _name(key: bytes) -> bytes:
    return sha256(b"waybill master key\n" + key).digest()[:NAME_BYTES]


def read_private(path: Path, setting: str) -> str:
    """Read a file of secrets that its owner alone may read.

    Raises:
        Misconfigured: there is none, or others may read it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{setting} names no readable file of hex digits") from error
    if stat.S_IMODE(mode) & 0o077:
        raise Misconfigured(f"the file of {setting} is open to others; set its mode to 0600")
    return text


class LocalKeys:
    """Wraps and opens data keys under the keys of a file.

    Args:
        keys: each of 32 bytes; the first wraps.
    """

    def __init__(self, keys: list[bytes], randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._wrapping = _name(keys[0])
        self._keys = {_name(key): AESGCM(key) for key in keys}
        self._random = randomness

    def generate_data_key_without_plaintext(
        self,
        *,
        KeyId: str,  # noqa: N803  (KMS's names)
        NumberOfBytes: int,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> dict[str, bytes]:
        """Make a data key and return it wrapped; it opens under the same context only. ``KeyId`` names the cell."""
        nonce = self._random(NONCE_BYTES)
        context = _context(EncryptionContext)
        wrapped = self._keys[self._wrapping].encrypt(nonce, self._random(NumberOfBytes), context)
        return {"CiphertextBlob": self._wrapping + nonce + wrapped}

    def decrypt(
        self,
        *,
        CiphertextBlob: bytes,  # noqa: N803  (KMS's names)
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> dict[str, bytes]:
        """Open a wrapped data key.

        Raises:
            Misconfigured: it was wrapped under none of the keys, or under another context.
        """
        name, nonce = CiphertextBlob[:NAME_BYTES], CiphertextBlob[NAME_BYTES : NAME_BYTES + NONCE_BYTES]
        key = self._keys.get(name)
        if key is None:
            raise Misconfigured(
                "WAYBILL_MASTER_KEY lacks the key that a tenant's key is wrapped under; add it at the end"
            )
        try:
            plain = key.decrypt(nonce, CiphertextBlob[NAME_BYTES + NONCE_BYTES :], _context(EncryptionContext))
        except (InvalidTag, ValueError) as error:
            raise Misconfigured("a tenant's wrapped key is damaged, or is another tenant's") from error
        return {"Plaintext": plain}


def _context(values: Mapping[str, str]) -> bytes:
    return json.dumps(dict(values), sort_keys=True).encode()


def from_file(path: Path) -> LocalKeys:
    """Read a key file.

    Raises:
        Misconfigured: there is none, it holds something else, or others may read it.
    """
    lines = read_private(path, "WAYBILL_MASTER_KEY").split()
    try:
        keys = [bytes.fromhex(line) for line in lines]
    except ValueError:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise Misconfigured("the file of WAYBILL_MASTER_KEY holds 64 hex digits a line")
    return LocalKeys(keys)
