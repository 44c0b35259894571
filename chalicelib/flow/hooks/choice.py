"""Leave out the parts of a webhook that its source does not take, and keep the ignored ones that it does. Pure."""

from __future__ import annotations

from dataclasses import replace

from ...channels.base import Ignored, ReceivedRequest, named
from ...core.event.event import Draft, EventKind
from ...core.tenant.records import ACCEPTED, Accepted, Source

RECEIPTS = frozenset({"queued", "sent", "delivered", "read"})
"""Statuses without which no message is missed. A failure or a deletion is always taken."""


def chosen(source: Source, received: ReceivedRequest) -> ReceivedRequest:
    """Return a received request with the drafts that its source takes.

    Drafts that it does not take are ignored; ignored things that it takes are events of kind ``system`` with ``raw``.
    """
    if set(source.accepts) == set(ACCEPTED) or received.verdict not in ("accepted", "ignored"):
        return received
    drafts: list[Draft] = []
    ignored: list[Ignored] = []
    for draft in received.drafts:
        part = _part(draft)
        if part is None or part in source.accepts:
            drafts.append(draft)
        else:
            ignored.append(Ignored(draft.native_kind, f"the source does not take {part}"))
    if "ignored" in source.accepts:
        drafts += [_kept(one) for one in received.ignored if one.raw is not None]
        ignored += [one for one in received.ignored if one.raw is None]
    else:
        ignored += received.ignored
    return replace(
        received,
        verdict="accepted" if drafts else "ignored",
        drafts=tuple(drafts),
        ignored=tuple(ignored),
    )


def _part(draft: Draft) -> Accepted | None:
    """Return which part of the requests a draft belongs to that sources may leave; None for the rest."""
    if draft.standby:
        return "standby"
    if draft.kind is EventKind.TYPING:
        return "typing"
    status = draft.message.status if draft.kind is EventKind.STATUS and draft.message is not None else None
    return "receipts" if status in RECEIPTS else None


def _kept(one: Ignored) -> Draft:
    return named(Draft(kind=EventKind.SYSTEM, native_kind=one.native_kind, raw=one.raw, is_raw=True))
