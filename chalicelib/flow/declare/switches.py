"""Throw and release a tenant's kill switches. Each is a change of the configuration, hence in force with the next batch."""

from __future__ import annotations

from ...channels import KINDS
from ...core.countries import COUNTRIES
from ...core.event.messengers import MESSENGERS
from ...core.tenant.switches import Switch, SwitchSettings
from ...core.validation import check_word
from ...store.records import RecordRow
from ..request import Request
from .changes import hash_now, invalid, must_exist, noted, stored

SWITCHES_MAX = 100
"""Of one tenant: every delivery is held against each of them."""


def _check(request: Request, settings: SwitchSettings) -> None:
    if settings.until is not None and settings.until <= request.at:
        raise invalid("body.until", "in_the_past", "until must be in the future; leave it out to stop for good")
    if settings.scope == "channel":
        check_word(settings.value, {*KINDS, *MESSENGERS}, "body.value", "unknown_channel")
    if settings.scope == "country" and settings.value not in COUNTRIES:
        raise invalid("body.value", "unknown_country", "use an ISO 3166-1 alpha-2 country code, such as DE")
    if settings.scope == "destination":
        must_exist(request, settings.value, "dst", "body.value")
    if settings.scope == "recipient" and settings.value not in _onward(request):
        must_exist(request, settings.value, "rcp", "body.value")


def _onward(request: Request) -> set[str]:
    recipients = request.runtime.config.snapshot(request.tenant.id).configuration.recipients.values()
    return {party.id for recipient in recipients for party in recipient.onward or ()}


def throw(request: Request, settings: SwitchSettings) -> RecordRow:
    """Stop every delivery that a switch matches, from the next attempt on.

    Raises:
        Invalid: it names an unknown record, ends before it begins, or there are too many.
    """
    _check(request, settings)
    switch = Switch(**dict(settings), id=request.new_id("swi"), created_at=request.at)
    standing = request.runtime.config.snapshot(request.tenant.id).configuration.switches
    if len(standing) >= SWITCHES_MAX and switch.id not in standing:
        raise invalid("body", "too_many", f"a tenant has at most {SWITCHES_MAX} switches; remove those that are over")
    return stored(request, switch)


def release(request: Request, switch_id: str) -> None:
    """Remove a switch. Transfers that it refused stay refused, and can be replayed.

    Raises:
        NotFound: there is none with this id.
    """
    request.runtime.config.to_change(request.tenant.id, switch_id)
    before = hash_now(request)
    request.runtime.config.delete(request.tenant.id, switch_id)
    noted(request, switch_id, "removed", before)
