"""Declare and withdraw bases: the evidence for the legal ground of a transfer."""

from __future__ import annotations

from ...core.errors import Conflict
from ...core.law.bases import NEEDS_LAW
from ...core.tenant.configuration import BASES_MAX
from ...core.tenant.records import (
    Basis,
    BasisSettings,
)
from ...store.records import RecordRow
from ..request import Request
from .changes import hash_now, invalid, must_exist, noted, stored, wake_held

# Bases


def create_basis(request: Request, settings: BasisSettings) -> RecordRow:
    """Declare evidence for a ground.

    Raises:
        Invalid: the recipient or the law does not exist, or no law is named for a kind that needs one.
        Conflict: the tenant has as many as there may be.
    """
    laws = sorted(file.code for file in request.runtime.law.files)
    if settings.law is None and settings.kind in NEEDS_LAW:
        text = f"a record of the kind {settings.kind.value} counts under the law that it names alone: use one of"
        raise invalid("body.law", "missing", f"{text} {', '.join(laws)}")
    if settings.law is not None and settings.law not in laws:
        raise invalid("body.law", "unknown_law", f"use null or one of: {', '.join(laws)}")
    if settings.recipient is not None and settings.recipient not in _other_hops(request):
        must_exist(request, settings.recipient, "rcp", "body.recipient")
    bases = request.runtime.config.snapshot(request.tenant.id).configuration.bases
    live = sum(1 for basis in bases.values() if basis.withdrawn_at is None)
    if live >= BASES_MAX and request.new_id("bas") not in bases:
        text = f"a tenant has at most {BASES_MAX} bases that are not withdrawn: withdraw those that are over"
        raise Conflict(f"{text} (POST /v1/bases/{{id}}/withdrawal)")
    of = {"id": request.new_id("bas"), "created_at": request.at, "profile": request.profile}
    row = stored(request, Basis(**dict(settings), **of))
    wake_held(request)
    return row


def _other_hops(request: Request) -> set[str]:
    """Return the values that a record may be bound to besides recipients: the home store, and onward parties."""
    recipients = request.runtime.config.snapshot(request.tenant.id).configuration.recipients.values()
    return {"store", *(party.id for recipient in recipients for party in recipient.onward or ())}


def withdraw_basis(request: Request, basis_id: str) -> RecordRow:
    """Withdraw a basis; a second withdrawal finds the first. Deliveries that rest on it stop at their next decision."""
    row = request.runtime.config.get(request.tenant.id, basis_id)
    if row.record.withdrawn_at is not None:
        request.runtime.config.count_again(request.tenant.id)
        return row
    before = hash_now(request)
    withdrawn = row.record.model_copy(update={"withdrawn_at": request.at})
    basis = request.runtime.config.withdraw(request.tenant.id, withdrawn)
    noted(request, basis.id, "withdrawal", before)
    return RecordRow(basis, row.version)
