"""Place and release legal holds. Both are acts, and nothing of a hold is ever changed or deleted.

A hold is one row, and counts from the moment in which that is stored: erasing and the sweep ask for the holds that stand.
Content that a hold covers has no TTL. Route stores it so, and a walk (``hold_walks``) takes what is stored already out of TTL.
"""

from __future__ import annotations

from datetime import datetime

from ...core import times
from ...core.errors import Conflict, Invalid, NotFound
from ...core.log import audit
from ...core.log.entry_types import EntryRange
from ...core.tenant.legal_holds import HOLDS_MAX, HoldActive, HoldPeriod, LegalHold, LegalHoldSettings
from ...runtime import Runtime
from ..request import Request


def place(request: Request, settings: LegalHoldSettings) -> LegalHold:
    """Place a legal hold: 1 the row, 2 its walk, 3 the entry. A second try of the same request completes the first.

    Raises:
        NotFound: the tenant has no such subject or conversation.
        Invalid: the tenant has the maximum number of holds.
        Conflict: an earlier request with this idempotency key placed another one.
    """
    runtime, tenant = request.runtime, request.tenant.id
    person = None
    if settings.scope != "period":
        found = runtime.people.of_ref(tenant, str(settings.value))
        if found is None:
            text = f"no such {settings.scope}, or nothing is left of it: use a ref of an entry (GET /v1/audit/entries)"
            raise NotFound(text)
        person = found if settings.scope == "subject" else None
    hold = LegalHold(
        **dict(settings), id=request.new_id("hld"), placed_by=request.actor[1], placed_at=request.at, person=person
    )
    standing = runtime.legal_holds.standing(tenant)
    if len(standing) >= HOLDS_MAX and all(one.id != hold.id for one in standing):
        raise _invalid("body", "too_many", f"a tenant has at most {HOLDS_MAX} legal holds; release those that are over")
    stored = runtime.legal_holds.insert(tenant, hold)  # 1
    if stored.model_copy(update={"released_at": None, "released_by": None, "secured_at": None}) != hold:
        raise Conflict("an earlier request with this idempotency key made something else; use another key")
    runtime.config.count_again(tenant)
    if stored.released_at is None and stored.secured_at is None:
        runtime.hold_walks.begin(tenant, hold.id, "secure", stored.placed_at)  # 2
    _note(request, "held", stored, stored.placed_at, stored.placed_by)  # 3
    return stored


def _invalid(loc: str, code: str, text: str) -> Invalid:
    return Invalid(text, [{"loc": loc, "code": code, "msg": text}])


def release(request: Request, hold_id: str) -> LegalHold:
    """Release a legal hold: 1 the row, 2 its walk, 3 the entry. Repeating it completes a cut release.

    Raises:
        NotFound: there is none with this id.
    """
    runtime, tenant = request.runtime, request.tenant.id
    hold = runtime.legal_holds.get(tenant, hold_id)
    if hold.released_at is None:
        hold = hold.model_copy(update={"released_at": request.at, "released_by": request.actor[1]})
        hold = runtime.legal_holds.release(tenant, hold)  # 1
    assert hold.released_at is not None and hold.released_by is not None
    runtime.config.count_again(tenant)
    runtime.hold_walks.begin(tenant, hold.id, "release", hold.released_at)  # 2
    _note(
        request, "held", hold, hold.placed_at, hold.placed_by
    )  # the process that placed it may have crashed before this
    _note(request, "released", hold, hold.released_at, hold.released_by)  # 3
    return hold


def _note(request: Request, kind: str, hold: LegalHold, at: datetime, by: str) -> None:
    covered: EntryRange | None = None
    if isinstance(hold.value, HoldPeriod):
        covered = {"after": times.text(hold.value.after), "before": times.text(hold.value.before), "count": None}
    entry = audit.act(
        kind,
        tenant=request.tenant.id,
        minute=times.minute(at),
        at=at,
        actor=(request.actor[0], by),
        request=hold.id,  # there is one of each for a hold, however often it is asked for
        subject=str(hold.value) if hold.scope == "subject" else None,
        object=("hold", hold.id),
        range=covered,
        reason="authority_request",
    )
    request.runtime.audit.append(entry)


def refuse_while_held(runtime: Runtime, tenant: str) -> None:
    """Refuse to end a tenant on something of which a hold is.

    Raises:
        HoldActive: there is one.
    """
    for hold in runtime.legal_holds.standing(tenant):
        raise HoldActive(f"the legal hold {hold.id} is on something of this tenant; release it first")
