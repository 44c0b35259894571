"""Pull links: one-time links, valid for some hours, by which the recipient of a ``restrict`` route fetches the event. Pure.

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
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .. import ids, times

PATH = "/pull/"
HOURS = 24
"""How long a link is good unless its route says something else."""
_END = 6
_LENGTH = 3 * ids.LENGTH + _END
_FORM = re.compile(rf"[{ids.ALPHABET}]{{{_LENGTH}}}\Z")


@dataclass(frozen=True)
class Link:
    """The fields of a token. Callers MUST NOT trust them before ``is_genuine``."""

    tenant: str
    transfer: str
    ends_at: datetime
    token: str

    def is_genuine(self, key: bytes) -> bool:
        """Say whether the token was made with this key; compared in constant time."""
        said, mac = self.token[: -ids.LENGTH], self.token[-ids.LENGTH :]
        return hmac.compare_digest(mac, _mac(key, said))


def _mac(key: bytes, said: str) -> str:
    return ids.encode(ids.first_bits(hmac.digest(key, said.encode(), "sha256"), ids.BITS))


def token(key: bytes, tenant: str, transfer: str, now: datetime, hours: int) -> str:
    """Make the token of a link to a transfer's event.

    Args:
        key: the tenant's, made for links alone.
        hours: how long the link is valid from now on; it ends with a whole minute, up to a minute earlier.
    """
    end = times.minute(now + timedelta(hours=hours))
    said = tenant.removeprefix("tnt_") + transfer.removeprefix("trf_") + ids.encode(end, _END)
    return said + _mac(key, said)


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
