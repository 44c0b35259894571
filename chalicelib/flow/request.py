"""One request of a key or of the operator: the actor, the time, and the seed of new ids and secrets."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ..core import ids, times
from ..core.envelope import TenantKeys
from ..core.log.entry_types import EntryRange
from ..core.tenant.records import ProfileReference, Tenant
from ..runtime import Runtime

if TYPE_CHECKING:  # the law behind it: the function ``jobs`` loads this module and mostly finds nothing to do
    from ..core.decide.plan import Cell


@dataclass(frozen=True)
class Request:
    """The actor and the tenant of a request.

    Args:
        at: when the request began; a second try of the same request has the first one's.
        id: ``req_…``, likewise.
        seed: 32 bytes that new ids and secrets of this request are derived from: random, or the same for each try of a
            request with an idempotency key, so that a second try finds the records of the first.
        profile: the profile that the records of this request name. Then one entry of the profile covers all of its
            records.
    """

    runtime: Runtime
    tenant: Tenant
    version: int
    keys: TenantKeys = field(repr=False)
    actor: tuple[str, str]
    country: str | None
    at: datetime
    id: str
    seed: bytes = field(repr=False)
    profile: ProfileReference | None = None

    def bytes_for(self, use: str) -> bytes:
        """Return 32 bytes for one use; without the tenant's key they cannot be derived."""
        return hmac.digest(self.keys.new, b"new\0" + use.encode() + b"\0" + self.seed, "sha256")

    def new_id(self, prefix: str) -> str:
        """Name a new record."""
        return ids.sortable(prefix, self.at, self.bytes_for(prefix))

    @property
    def cell(self) -> Cell:
        """Where the cell is."""
        return self.runtime.cell

    def note(
        self,
        kind: str,
        *,
        minute: int | None = None,
        event: str | None = None,
        object: tuple[str, str] | None = None,
        range: EntryRange | None = None,
        before: str | None = None,
        after: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Write the entry of an act of this request.

        Raises:
            AuditUnavailable: it is not written; the caller MUST NOT answer as if it were.
        """
        from ..core.log import audit  # loads the law, as above

        entry = audit.act(
            kind,
            tenant=self.tenant.id,
            minute=times.minute(self.at) if minute is None else minute,
            at=self.at,
            actor=self.actor,
            request=self.id,
            event=event,
            object=object,
            range=range,
            before=before,
            after=after,
            reason=reason,
        )
        (outcome,) = self.runtime.audit.append_many([entry])
        if isinstance(outcome, Exception):
            raise outcome
