"""Pull links: one-time links by which a recipient fetches an event. Pure.

A route of mode ``restrict`` sends one in place of each event, valid for some hours. Any other route sends one in place of
an event that is larger than its receiver takes, valid until the event expires. The MAC of each use has a context of its
own, so a link of one use is no link of the other.

A token holds the fields of its link, so that no row is written for it, and a MAC that only the tenant's key makes::

    ttt…t (26)  fff…f (26)   eeeeee (6)   mmm…m (26)
    tenant      transfer     end, in      MAC of all before it,
                             minutes      130 bits
                             since 1970

Each character carries five bits, all of which count: no other text stands for the same link.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from .. import ids, times

PATH = "/pull/"
HOURS = 24
"""How long a link is good unless its route says something else."""
_END = 6
_LENGTH = 3 * ids.LENGTH + _END
_FORM = re.compile(rf"[{ids.ALPHABET}]{{{_LENGTH}}}\Z")


class LinkPurpose(Enum):
    """Why a link was sent in place of an event. The value is the context of its MAC."""

    RESTRICT = b""
    LARGE = b"\nlarge"


@dataclass(frozen=True)
class Link:
    """The fields of a token. Callers MUST NOT trust them before ``is_genuine``."""

    tenant: str
    transfer: str
    ends_at: datetime
    token: str

    def is_genuine(self, key: bytes, use: LinkPurpose = LinkPurpose.RESTRICT) -> bool:
        """Say whether the token was made with this key for this use; compared in constant time."""
        said, mac = self.token[: -ids.LENGTH], self.token[-ids.LENGTH :]
        return hmac.compare_digest(mac, _mac(key, said, use))

    def use(self, keys: Iterable[bytes]) -> LinkPurpose | None:
        """Return the use that one of these keys has made the token for; None where none of them has made it."""
        pairs = ((key, use) for key in keys for use in LinkPurpose)
        return next((use for key, use in pairs if self.is_genuine(key, use)), None)


def _mac(key: bytes, said: str, use: LinkPurpose) -> str:
    return ids.encode(ids.first_bits(hmac.digest(key, said.encode() + use.value, "sha256"), ids.BITS))


def token(key: bytes, tenant: str, transfer: str, now: datetime, hours: int) -> str:
    """Make the token of a link to a transfer's event.

    Args:
        key: the tenant's, made for links alone.
        hours: how long the link is valid from now on; it ends with a whole minute, up to a minute earlier.
    """
    return _token(key, tenant, transfer, now + timedelta(hours=hours), LinkPurpose.RESTRICT)


def large_token(key: bytes, tenant: str, transfer: str, ends_at: datetime) -> str:
    """Make the token of a link to an event that is larger than its receiver takes.

    Args:
        key: the tenant's, made for links alone.
        ends_at: the end of the event's life; the link ends up to a minute earlier.
    """
    return _token(key, tenant, transfer, ends_at, LinkPurpose.LARGE)


def _token(key: bytes, tenant: str, transfer: str, ends_at: datetime, use: LinkPurpose) -> str:
    said = tenant.removeprefix("tnt_") + transfer.removeprefix("trf_") + ids.encode(times.minute(ends_at), _END)
    return said + _mac(key, said, use)


def read(text: str) -> Link | None:
    """Read a token; None where it has not the form of one."""
    if not _FORM.match(text):
        return None
    end = ids.decode(text[2 * ids.LENGTH : -ids.LENGTH])
    return Link(
        tenant=f"tnt_{text[: ids.LENGTH]}",
        transfer=f"trf_{text[ids.LENGTH : 2 * ids.LENGTH]}",
        ends_at=times.EARLIEST + timedelta(minutes=end),
        token=text,
    )


def notice(document: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return what leaves in the place of an event: which it is, of what kind, and where to pull it."""
    return {"id": document["id"], "kind": document["kind"], "pull_url": url}


def large_notice(document: Mapping[str, Any], url: str, size_bytes: int) -> dict[str, Any]:
    """Return what leaves in the place of an event that is larger than its receiver takes.

    Args:
        size_bytes: the size of the request's body with the whole content.
    """
    return {**notice(document, url), "size_bytes": size_bytes}
