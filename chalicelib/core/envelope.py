"""Envelope encryption and compact content, pure: keys and nonces are arguments.

A tenant's master key (wrapped by the cell's KMS key) gives one sub-key for each use; each person's data key is wrapped
under the tenant's, and gives one sub-key for content and one for commitments. Content is deflated with a preset
dictionary, then encrypted with AES-256-GCM under a key that is derived for this message alone::

    0x02   version (2 bytes)   salt (12)   nonce (12)   ciphertext ‖ tag (16)

    message key = HKDF-Expand(key of the version, use ‖ 0x00 ‖ salt)

``version`` is that of the tenant's master key; 1 for content. The first three bytes and the context are authenticated.
Salt and nonce are random. AES-GCM takes at most 2^32 messages with random nonces under one key (NIST SP 800-38D, 8.3).
Here nothing has to be counted: 2^80 messages repeat a salt and a nonce with a probability of 2^-33.

The release before wrote ``nonce (12) ‖ ciphertext ‖ tag`` under one key for all messages. Both forms are read; the tag
tells them apart. ``docs/keys.md`` lists every key and its use.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import encoders
from .errors import Misconfigured, TooLarge

NONCE_BYTES = 24
"""Salt and nonce."""
_FORM = b"\x02"
_HEAD_BYTES = 3
_HALF = 12
"""The bytes of the salt and of the nonce."""
OVERHEAD_BYTES = _HEAD_BYTES + NONCE_BYTES + 16
"""How much longer a text is when encrypted."""
CONTENT_LIMIT_BYTES = 4 * 1024 * 1024
_FIELDS = (
    '{"title":null,"thread":null,"direct":false,"direct":true,"address":null,"caption":null,"duration_s":null,'
    '"latitude":null,"longitude":null,"size_bytes":null,"mime":null,"url":null,"phone":null,"ref":null,"type":"image",'
    '"type":"file","emoji":[],"emoji_action":null,"error":null,"edited_at":null,"status":null,"payload":null,'
    '"reply_to":null,"forwarded":false,"attachments":[],"message":null,"members":[],"otr":false,"is_bot":true,'
    '"channel":"slack","channel":"viber","channel":"vk","channel":"whatsapp","channel":"telegram","kind":"status",'
    '"kind":"postback","kind":"reaction","native_kind":"status","native_kind":"message","kind":"message",'
    '{"schema":"waybill.event/1","id":"evt_","tenant":"tnt_","source":"src_","channel":"telegram","kind":"message",'
    '"native_kind":"message","dedupe_id":"","occurred_at":"2026-","occurred_at_is_receipt":false,"received_at":"2026-",'
    '"conversation":{"id":"","direct":true,"thread":null,"title":null},"sender":{"id":"","name":"","username":null,'
    '"phone":null,"is_bot":false,"is_self":false},"message":{"id":"","text":"","attachments":[],"reply_to":null,'
    '"forwarded":false,"payload":null,"emoji":[],"emoji_action":null,"status":null,"error":null,"edited_at":null},'
    '"members":[],"otr":false}'
)
DICTIONARY_1 = _FIELDS.encode()
"""Preset dictionary of content version 1. Never changed: stored content needs it to be read."""


def pack(document: Any, limit: int = CONTENT_LIMIT_BYTES) -> bytes:
    """Write a JSON value compactly: UTF-8 JSON, raw deflate with the preset dictionary.

    Raises:
        TooLarge: the JSON is over ``limit`` bytes.
    """
    plain = encoders.plain(document).encode()
    if len(plain) > limit:
        raise TooLarge("the content is over its limit")
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY_1)
    return deflater.compress(plain) + deflater.flush()


def unpack(packed: bytes) -> Any:
    """Read what ``pack`` wrote.

    Raises:
        Misconfigured: not such bytes, or more than ``CONTENT_LIMIT_BYTES`` when inflated.
    """
    inflater = zlib.decompressobj(-15, DICTIONARY_1)
    try:
        plain = inflater.decompress(packed, CONTENT_LIMIT_BYTES)
        if inflater.eof and not inflater.unused_data:
            return json.loads(plain)
    except (zlib.error, ValueError) as error:
        raise Misconfigured("stored content cannot be read") from error
    raise Misconfigured("stored content cannot be read")


def expand(key: bytes, use: str) -> bytes:
    """Derive a key for one use: HKDF-Expand with SHA-256, 32 bytes. ``key`` MUST be a random key of 32 bytes.

    Source: https://www.rfc-editor.org/rfc/rfc5869#section-2.3 (read 2026-11-30).
    """
    return hmac.digest(key, use.encode() + b"\x01", "sha256")


class SealingKey:
    """The keys of one use of encryption, by the version of the master key.

    Args:
        use: the label of the use.
        versions: the key of each version, from which each message has its own.
        current: the version that encrypts.
        old: the key that opens what the release before encrypted. It encrypts nothing.
    """

    def __init__(self, use: str, versions: Mapping[int, bytes], current: int, old: bytes) -> None:
        self._use = f"waybill/{use}/2\0".encode()
        self._versions = versions
        self._old = old
        self.current = current

    def _message_key(self, version: int, salt: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._versions[version], self._use + salt + b"\x01", "sha256"))

    def encrypt(self, nonce: bytes, plain: bytes, context: str) -> bytes:
        """Encrypt under the current version."""
        head = _FORM + self.current.to_bytes(2, "big")
        key = self._message_key(self.current, nonce[:_HALF])
        return head + nonce + key.encrypt(nonce[_HALF:], plain, head + context.encode())

    def decrypt(self, sealed: bytes, context: str) -> tuple[int | None, bytes]:
        """Decrypt either form. Return the version that encrypted it, None for the form of the release before, and the text.

        Raises:
            InvalidTag: another key, another context, or altered bytes.
            ValueError: too short for either form.
        """
        head, salt = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _HALF]
        version = int.from_bytes(head[1:], "big")
        if head[:1] == _FORM and version in self._versions and len(sealed) >= OVERHEAD_BYTES:
            nonce, rest = sealed[_HEAD_BYTES + _HALF : _HEAD_BYTES + NONCE_BYTES], sealed[_HEAD_BYTES + NONCE_BYTES :]
            try:
                return version, self._message_key(version, salt).decrypt(nonce, rest, head + context.encode())
            except InvalidTag:
                pass  # one of the old form, whose nonce begins in the same way
        return None, AESGCM(self._old).decrypt(sealed[:_HALF], sealed[_HALF:], context.encode())


def encrypt(key: SealingKey, nonce: bytes, plain: bytes, context: str) -> bytes:
    """Encrypt; ``context`` (refs only) must be the same when opened.

    Args:
        nonce: ``NONCE_BYTES`` random bytes, new for each message.
    """
    return key.encrypt(nonce, plain, context)


def decrypt(key: SealingKey, sealed: bytes, context: str) -> bytes:
    """Decrypt what ``encrypt`` wrote, in this release or the one before.

    Raises:
        Misconfigured: another key, another context, or altered bytes.
    """
    return _opened(key, sealed, context)[1]


def renewed(key: SealingKey, nonce: bytes, sealed: bytes, context: str) -> bytes | None:
    """Encrypt under the current version the text of another version. Return None if it is the current one's already.

    Raises:
        Misconfigured: as ``decrypt``.
    """
    version, plain = _opened(key, sealed, context)
    return None if version == key.current else key.encrypt(nonce, plain, context)


def _opened(key: SealingKey, sealed: bytes, context: str) -> tuple[int | None, bytes]:
    try:
        return key.decrypt(sealed, context)
    except (InvalidTag, ValueError) as error:
        raise Misconfigured("sealed content does not open with this key and context") from error


def content_key(data_key: bytes) -> SealingKey:
    """Return the key of the content of one person."""
    return SealingKey("content", {1: data_key}, 1, data_key)


def object_key(data_key: bytes, sealed: bytes) -> SealingKey:
    """Return the key that wraps the key of a large content, given the person's key and the content that the row holds.

    Without that content there is no such key. So a release that only removes it erases the large content, too.
    """
    return content_key(expand(data_key, f"waybill/object/1\0{hashlib.sha256(sealed).hexdigest()}"))


def commitment(data_key: bytes, event: str, plain: bytes) -> str:
    """Commit to an event's content under a salt that is gone with the data key."""
    return hashlib.sha256(expand(data_key, f"waybill/commitment/2\0{event}") + plain).hexdigest()


def is_committed(digest: str, data_key: bytes, event: str, plain: bytes) -> bool:
    """Say whether a commitment is to this content. The release before made the salt in another way."""
    old = hashlib.sha256(hmac.digest(data_key, event.encode(), "sha256") + plain).hexdigest()
    return any(hmac.compare_digest(digest, one) for one in (commitment(data_key, event, plain), old))


@dataclass(frozen=True, repr=False)
class TenantKeys:
    """The sub-keys of one tenant's master key, each for one use.

    What names something for ever (ids, keyed hashes, pseudonyms, external ids) comes from version 1 of the master key.
    What encrypts or authenticates comes from the current version, and reads all versions.

    Args:
        master: version 1.
        later: the versions after it, by number.
        current: the version that encrypts.
    """

    master: bytes
    later: Mapping[int, bytes] = field(default_factory=dict)
    current: int = 1

    def _of(self, use: str) -> bytes:
        return hmac.digest(self.master, f"waybill/{use}/1".encode(), "sha256")

    def _sealing(self, use: str) -> SealingKey:
        return SealingKey(use, {1: self.master, **self.later}, self.current, self._of(use))

    def _macs(self, use: str) -> tuple[bytes, ...]:
        """Return the keys of a MAC: the current version's first."""
        versions = {version: expand(master, f"waybill/{use}/2") for version, master in self.later.items()}
        versions[1] = self._of(use)
        return tuple(versions[version] for version in sorted(versions, key=lambda each: each != self.current))

    # Names: version 1 for ever

    @cached_property
    def ids(self) -> bytes:
        """For event ids."""
        return self._of("ids")

    @cached_property
    def people(self) -> bytes:
        """For keyed hashes of platform ids, and of conversations in queue groups."""
        return self._of("people")

    @cached_property
    def external_ids(self) -> bytes:
        """For external ids of destinations, and ids of imported consents. The release before encrypted under it, too."""
        return self._of("secrets")

    @cached_property
    def fingerprints(self) -> bytes:
        """For fingerprints of requests with an idempotency key. The release before made cursors with it, too."""
        return self._of("cursors")

    @cached_property
    def new(self) -> bytes:
        """For ids and secrets that a request makes."""
        return expand(self.master, "waybill/new/2")

    def pseudonyms(self, recipient: str) -> bytes:
        """For pseudonyms shown to one recipient: stable for it, unlinkable to another's."""
        return self._of(f"pseudonyms/{recipient}")

    # Encryption: the current version; all versions are read

    @cached_property
    def wrap(self) -> SealingKey:
        """For wrapping people's data keys."""
        return self._sealing("wrap")

    @cached_property
    def queue(self) -> SealingKey:
        """For bodies on their way through the inbox."""
        return self._sealing("queue")

    @cached_property
    def secrets(self) -> SealingKey:
        """For secrets and configuration at rest, and stored replies."""
        return self._sealing("secrets")

    # MACs: the current version first; all versions are accepted

    @cached_property
    def cursors(self) -> tuple[bytes, ...]:
        """For the MAC of list cursors."""
        return (*self._macs("list-cursors"), self.fingerprints)

    @cached_property
    def links(self) -> tuple[bytes, ...]:
        """For the MAC of pull links."""
        return self._macs("links")
