"""Take consents and their withdrawals. Each is an act in the person's part of the log.

1 validate → 2 the notice's use → 3 the tenant's mark → 4 the row, and the person's → 5 the entry → 6 wake transfers held for the
person. A second try of a request completes the first one. The next attempt at each delivery reads a withdrawal, which wakes
no lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...core import times
from ...core.errors import Conflict
from ...core.log import audit
from ...core.log.entry_types import Act
from ...core.tenant.consents import Consent, ConsentSettings, Withdrawal, WithdrawalSettings
from ...core.tenant.records import HOLD_HOURS_MAX
from ...store.consents import OF_ONE_PERSON
from .. import awaiting
from ..ask.read import entries_of_subject
from ..deliveries import deliveries
from ..pagination import Filter
from ..request import Request
from .changes import WAKE_MAX, invalid, must_exist

LOOKED_MAX = 500
"""Entries of a person that one consent checks for held transfers; the rest wait for their hour."""


def _person(request: Request, subject: str) -> str:
    person = request.runtime.people.of_ref(request.tenant.id, subject)
    if person is None:
        raise invalid("body.subject", "unknown_id", "the log knows no sub_… of this name: use one of an event's entry")
    return person


def check_said(request: Request, settings: ConsentSettings) -> None:
    """Refuse a consent with a wrong time or law.

    Raises:
        Invalid: it was not given yet, or names a law that there is no file of.
    """
    if settings.given_at > request.at:
        raise invalid("body.given_at", "in_the_future", "given_at must not be in the future")
    known = {file.code for file in request.runtime.law.files}
    for number, law in enumerate(settings.law):
        if law not in known:
            raise invalid(f"body.law.{number}", "unknown_law", f"use one of: {', '.join(sorted(known))}")


def give(request: Request, settings: ConsentSettings) -> Consent:
    """Store a consent, and decide the transfers held for its person again.

    Raises:
        Invalid: an unknown ref, recipient or law, a time of giving in the future, or too many consents of one person.
        Conflict: the id stands for another consent.
    """
    must_exist(request, settings.recipient, "rcp", "body.recipient")  # 1
    check_said(request, settings)
    runtime, tenant = request.runtime, request.tenant.id
    person = _person(request, settings.subject)
    consent = Consent(**dict(settings), id=request.new_id("cns"), created_at=request.at)
    before = {c.id for c in runtime.consents.of_person(person)}
    if consent.id not in before and len(before) >= OF_ONE_PERSON:
        raise invalid("body.subject", "too_many", f"a person has at most {OF_ONE_PERSON} consents")
    runtime.consents.use_notice(tenant, consent.notice_sha256, consent.recipient)  # 2
    runtime.consents.expect(tenant)  # 3
    stored = runtime.consents.insert(tenant, person, consent)  # 4
    if stored.model_copy(update={"withdrawal": None}) != consent:
        raise Conflict("an earlier request with this idempotency key made something else; use another key")
    _note(request, stored, "created")  # 5
    _wake(request, person, stored.subject)  # 6
    return stored


def withdraw(request: Request, consent_id: str, settings: WithdrawalSettings) -> Consent:
    """Store that a person has withdrawn a consent; a second withdrawal finds the first.

    Raises:
        NotFound: the tenant has no such consent.
    """
    runtime, tenant = request.runtime, request.tenant.id
    consent = runtime.consents.get(tenant, consent_id)
    end = Withdrawal(id=request.new_id("cns"), withdraws=consent.id, at=request.at, method=settings.method)
    stored = runtime.consents.withdraw(tenant, consent, end)
    if stored.withdrawal == end:
        _note(request, stored, "withdrawal")
    return stored


def entry_of(request: Request, consent: Consent, reason: str, at: datetime, by: str) -> Act:
    """Make the entry of a consent or of its withdrawal.

    Args:
        by: the name that the entry's id is derived from: each name has one entry.
    """
    return audit.act(
        "config_changed",
        tenant=request.tenant.id,
        minute=times.minute(at),
        at=at,
        actor=request.actor,
        request=by,
        subject=consent.subject,
        object=("consent", consent.id),
        reason=reason,
    )


def _note(request: Request, consent: Consent, reason: str) -> None:
    request.runtime.audit.append(entry_of(request, consent, reason, request.at, request.id))


def _wake(request: Request, person: str, subject: str) -> None:
    runtime, now = request.runtime, request.runtime.now()
    configuration = runtime.config.snapshot(request.tenant.id).configuration
    lanes: set[str] = set()
    # Ids are of the event's own time, which may lie some days before its receipt.
    wanted = Filter(after=now - timedelta(hours=HOLD_HOURS_MAX, days=2))
    for number, found in enumerate(entries_of_subject(request, subject, wanted, "")):
        if number >= LOOKED_MAX or len(lanes) >= WAKE_MAX:
            break
        if found.item is not None and found.item["kind"] == "decided":
            lanes |= {order.group for order in deliveries(configuration, _held(found.item), person, now)}
    awaiting.settle(runtime, request.tenant.id)
    for lane in sorted(lanes):
        runtime.data.wake_at(lane, now)


def _held(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "routes": [route for route in entry["routes"] if route["decision"] == "held"]}
