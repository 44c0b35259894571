"""Envelope encryption and compact content, pure: keys and nonces are arguments.

A tenant's master key (wrapped by the cell's KMS key) gives one sub-key for each use; each person's data key is wrapped
under the tenant's. Content is deflated with a preset dictionary, then sealed with AES-256-GCM.
"""

from __future__ import annotations

import hmac
import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import encoders
from .errors import Misconfigured, TooLarge

NONCE_BYTES = 12
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


def encrypt(key: bytes, nonce: bytes, plain: bytes, context: str) -> bytes:
    """Encrypt with AES-256-GCM; ``context`` (refs only) must be the same when opened. Returns nonce ‖ ciphertext."""
    return nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def decrypt(key: bytes, sealed: bytes, context: str) -> bytes:
    """Decrypt what ``seal`` wrote.

    Raises:
        Misconfigured: another key, another context, or altered bytes.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise Misconfigured("sealed content does not open with this key and context") from error


@dataclass(frozen=True, repr=False)
class TenantKeys:
    """The sub-keys of one tenant's master key, each for one use."""

    master: bytes

    def _of(self, use: str) -> bytes:
        return hmac.digest(self.master, f"waybill/{use}/1".encode(), "sha256")

    @cached_property
    def ids(self) -> bytes:
        """For event ids."""
        return self._of("ids")

    @cached_property
    def people(self) -> bytes:
        """For keyed hashes of platform ids, and of conversations in queue groups."""
        return self._of("people")

    @cached_property
    def wrap(self) -> bytes:
        """For wrapping people's data keys."""
        return self._of("wrap")

    @cached_property
    def queue(self) -> bytes:
        """For bodies on their way through the inbox."""
        return self._of("queue")

    @cached_property
    def secrets(self) -> bytes:
        """For secrets and configuration at rest, and stored replies."""
        return self._of("secrets")

    @cached_property
    def cursors(self) -> bytes:
        """For the MAC of list cursors."""
        return self._of("cursors")

    @cached_property
    def links(self) -> bytes:
        """For the MAC of pull links."""
        return self._of("links")

    def pseudonyms(self, recipient: str) -> bytes:
        """For pseudonyms shown to one recipient: stable for it, unlinkable to another's."""
        return self._of(f"pseudonyms/{recipient}")
