"""Declare recipients, in versions."""

from __future__ import annotations

from typing import Any

from ...core.errors import Conflict
from ...core.tenant.configuration import RECIPIENTS_MAX
from ...core.tenant.records import (
    Recipient,
    RecipientSettings,
)
from ...store.records import RecordRow
from ..request import Request
from .changes import changed, stored, wake_held

# Recipients


def _granted(settings: RecipientSettings, request: Request, earlier: Recipient | None) -> dict[str, Any]:
    if not settings.granted:
        return {"granted_at": None, "granted_by": None}
    if earlier is not None and earlier.granted:
        return {"granted_at": earlier.granted_at, "granted_by": earlier.granted_by}
    return {"granted_at": request.at, "granted_by": request.actor[1]}


def create_recipient(request: Request, settings: RecipientSettings) -> RecordRow:
    """Declare a recipient.

    Raises:
        Conflict: the tenant has as many as there may be.
    """
    recipients = request.runtime.config.snapshot(request.tenant.id).configuration.recipients
    if len(recipients) >= RECIPIENTS_MAX and request.new_id("rcp") not in recipients:
        raise Conflict(f"a tenant has at most {RECIPIENTS_MAX} recipients: declare a new version of one (PUT) instead")
    more = _granted(settings, request, None)
    of = {"id": request.new_id("rcp"), "created_at": request.at, "profile": request.profile}
    row = stored(request, Recipient(**dict(settings), **more, **of))
    wake_held(request)
    return row


def replace_recipient(
    request: Request, recipient_id: str, settings: RecipientSettings, expected: int | None
) -> RecordRow:
    """Declare a new version of a recipient; the earlier ones are kept, and one that cannot be read is replaced."""
    row = request.runtime.config.to_change(request.tenant.id, recipient_id)
    old: Recipient | None = row.record
    if old is not None:
        request.runtime.config.keep_version(request.tenant.id, old)
    new = Recipient(
        **dict(settings),
        **_granted(settings, request, old),
        id=recipient_id,
        version=(old.version if old is not None else row.version) + 1,
        created_at=old.created_at if old is not None else request.at,
    )
    row = changed(request, row, new, expected, "changed")
    wake_held(request)
    return row
