"""The row of a stored event: its key, its times, and its content, encrypted under its person's key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ..core.envelope import content_key, decrypt, encrypt, object_key, unpack
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
class LargeContent:
    """An object of the contents bucket, and the object's key as the row has it; null after the event's erasure."""

    name: str
    sealed_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EventRow:
    """A stored event, sealed. ``owner`` is the row in ``people`` whose key opens it; null after its erasure.

    ``sealed`` is null after its erasure, under a restriction, and where the law forbade to store the content.
    ``lives_until`` is set while the event awaits a ground for storing it: no one may read it, and its life lasts until then
    once there is one. ``expires_at`` is the end of the wait. ``held`` rows are out of the table's own expiry: a legal hold is
    on them. ``large`` leads to content that is too large for the row; ``sealed`` is then its shortened form.
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
    large: LargeContent | None = None

    def context(self, region: str) -> str:
        """What binds the content to this row."""
        return f"{region}/{self.key.tenant}/{self.key.event}"

    def keeps(self, name: str) -> bool:
        """Say whether the row has content that is in this object."""
        there = self.sealed is not None or self.restriction is not None
        return there and self.large is not None and self.large.name == name

    def open(self, data_key: bytes, region: str, fetch: Callable[[str], bytes] | None) -> dict[str, Any]:
        """Return the event's document.

        Args:
            fetch: reads an object of the contents bucket; None for the shortened form of a large event, which decides alike.

        Raises:
            Misconfigured: the key does not fit.
            Unavailable: the contents bucket does not answer.
        """
        sealed, context = self.sealed or b"", self.context(region)
        if self.large is not None and self.large.sealed_key is not None and fetch is not None:
            own = decrypt(object_key(data_key, sealed), self.large.sealed_key, context)
            document: dict[str, Any] = unpack(decrypt(content_key(own), fetch(self.large.name), context))
        else:
            document = unpack(decrypt(content_key(data_key), sealed, context))
        return document


def sealed_content(region: str, key: EventKey, packed: bytes, data_key: bytes, nonce: bytes) -> bytes:
    """Return an event's content as it is stored: ``sealing.pack`` of its document, under its person's key."""
    return encrypt(content_key(data_key), nonce, packed, f"{region}/{key.tenant}/{key.event}")


def sealed_object_key(region: str, key: EventKey, own: bytes, data_key: bytes, sealed: bytes, nonce: bytes) -> bytes:
    """Return the key of an event's object as its row has it.

    Args:
        sealed: the content in the row: without it the key does not open, so that its erasure alone reaches the object.
    """
    return encrypt(object_key(data_key, sealed), nonce, own, f"{region}/{key.tenant}/{key.event}")
