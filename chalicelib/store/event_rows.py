"""The row of a stored event: its key, its times, and its content, encrypted under its person's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ..core.envelope import content_key, decrypt, encrypt, unpack
from .restriction import Restriction


class EventKey(NamedTuple):
    """Where an event's row is."""

    tenant: str
    event: str
    conversation: str

    @property
    def key(self) -> dict[str, str]:
        """The row's primary key."""
        return {"pk": f"{self.tenant}#{self.event}", "sk": self.conversation}


@dataclass(frozen=True)
class EventRow:
    """A stored event, sealed. ``owner`` is the row in ``people`` whose key opens it; null after its erasure.

    ``sealed`` is null after its erasure, under a restriction, and where the law forbade to store the content.
    ``lives_until`` is set while the event awaits a ground for storing it: no one may read it, and its life lasts until then
    once there is one. ``expires_at`` is the end of the wait. ``held`` rows are out of the table's own expiry: a legal hold is
    on them.
    """

    key: EventKey
    received_at: datetime
    expires_at: datetime
    minute: int
    owner: str | None = None
    sealed: bytes | None = field(default=None, repr=False)
    missing: Mapping[str, list[str]] = field(default_factory=dict)
    restriction: Restriction | None = None
    lives_until: datetime | None = None
    held: bool = False

    def context(self, region: str) -> str:
        """What binds the content to this row."""
        return f"{region}/{self.key.tenant}/{self.key.event}"

    def open(self, data_key: bytes, region: str) -> dict[str, Any]:
        """Return the event's document.

        Raises:
            Misconfigured: the key does not fit.
        """
        document: dict[str, Any] = unpack(decrypt(content_key(data_key), self.sealed or b"", self.context(region)))
        return document


def sealed_content(region: str, key: EventKey, packed: bytes, data_key: bytes, nonce: bytes) -> bytes:
    """Return an event's content as it is stored: ``sealing.pack`` of its document, under its person's key."""
    return encrypt(content_key(data_key), nonce, packed, f"{region}/{key.tenant}/{key.event}")
