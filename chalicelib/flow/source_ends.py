"""The day from which a source receives nothing any more, unless its tenant acts before."""

from __future__ import annotations

from datetime import date

from pydantic import ValidationError

from ..channels import CHANNELS
from ..core.tenant.records import Source
from ..store.snapshot import Snapshot


def expires(snapshot: Snapshot, source: Source) -> date | None:
    """Return the first day without the source: as declared, or as its secret says where that ends by itself."""
    days = [source.expires_on, _secret_ends(snapshot, source)]
    return min((day for day in days if day is not None), default=None)


def _secret_ends(snapshot: Snapshot, source: Source) -> date | None:
    channel = CHANNELS.get(source.channel)
    if channel is None or channel.CAPABILITIES.secret_ends is None:
        return None  # most channels: nothing is decrypted
    current, *_ = snapshot.secrets(source.id) or [None]
    try:
        read = channel.Secret.model_validate(current["secret"], extra="ignore") if current else None
        end = channel.CAPABILITIES.secret_ends(read) if read is not None else None
    except ValidationError:
        return None  # of another release; it verifies nothing
    return end.date() if end is not None else None
