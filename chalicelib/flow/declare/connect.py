"""Connect sources, which platforms post to, and destinations, which events go to.

Their secrets are encrypted beside the record, never in it:

- a source: ``[{"secret": {...}, "until": null}, ...]``, the current one first, then those in their grace;
- a destination: ``{"config": {...}, "signing": [...], ...}``, as ``signing_secrets`` has it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from ... import destinations
from ...channels import CHANNELS, KINDS
from ...core.errors import Conflict, Invalid, NotFound
from ...core.tenant import operational, rotation
from ...core.tenant.records import Destination, DestinationSettings, Recipient, Source, SourceSettings
from ...core.validation import check_word, of_validation
from ...store.records import RecordRow
from .. import subscriptions
from ..request import Request
from . import roles, signing_secrets
from .changes import changed, hash_now, invalid, must_exist, noted, stored, wake_held
from .moved import check_secrets_given
from .source_law import SourceReadiness, judge_source

# Sources

DEBUGGED = timedelta(days=30)
"""How long a new source keeps the platform's own object of what its channel cannot read."""


def complete_secret(request: Request, channel: str, given: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return a channel's secret as it is stored, and the token of the hook's address where the channel has one.

    A platform without proof of origin gets an unguessable address: its token is made here, like a signing secret.

    Raises:
        Invalid: no such channel, not its secret, or a token of the tenant's own.
    """
    loc = "body.secret"
    check_word(channel, KINDS, "body.channel", "unknown_channel")
    module, token = CHANNELS[channel], None
    if module.CAPABILITIES.url_token:
        if "url_token" in given:
            raise invalid(f"{loc}.url_token", "made_here", "leave it out: the cell makes the token")
        token = base64.urlsafe_b64encode(request.bytes_for("url_token")).rstrip(b"=").decode()
        given = {**given, "url_token": token}
    given = {**module.CAPABILITIES.secret_defaults, **given}
    checked(module.Secret, given, loc)
    return given, token


def checked(model: type[BaseModel], value: Any, loc: str) -> Any:
    """Validate a nested value strictly.

    Raises:
        Invalid: at ``loc``, without the value.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValueError as error:
        raise of_validation(error, loc) from None


def create_source(
    request: Request, settings: SourceSettings, secret: dict[str, Any]
) -> tuple[RecordRow, SourceReadiness, str | None]:
    """Connect an account on a channel; return it, its readiness, and the token of its address, if any.

    Raises:
        Invalid: no such channel, or not its secret.
        RefusedByLaw: its events may not be received or stored here.
    """
    stored_secret, token = complete_secret(request, settings.channel, secret)
    source = Source(**_with_debugging(request, settings), id=request.new_id("src"), created_at=request.at)
    readiness = judge_source(request, source)
    row = stored(request, source, rotation.first(stored_secret))
    request.runtime.config.insert_lookup(source.id, request.tenant.id, source.id)
    return row, readiness, token


def _with_debugging(request: Request, settings: SourceSettings) -> dict[str, Any]:
    """Return the settings; a source that states no end of its debugging time is debugged for its first weeks."""
    values = dict(settings)
    return values if "debug_until" in settings.model_fields_set else {**values, "debug_until": request.at + DEBUGGED}


def sources(request: Request, after: str, limit: int) -> Iterator[RecordRow]:
    """Yield the tenant's sources in order of their ids, starting after ``after``, the operational one among them.

    Args:
        limit: how many rows to read a call.
    """
    own: RecordRow | None = _operational(request)
    for row in request.runtime.config.list(request.tenant.id, "src", after, limit):
        if own is not None and after < own.record.id < row.record.id:
            yield own
            own = None
        yield row
    if own is not None and own.record.id > after:
        yield own


def _operational(request: Request) -> RecordRow:
    return RecordRow(operational.source_of(request.tenant), request.version)


def declared_source(request: Request, source_id: str) -> RecordRow:
    """Return a source that can be changed.

    Raises:
        Conflict: it is the cell's own.
        NotFound: there is none, or it is closed.
    """
    if source_id == operational.source_id(request.tenant.id):
        raise Conflict("this source is the cell's own, for operational events: it cannot be changed, rotated or closed")
    return open_source(request, source_id)


def open_source(request: Request, source_id: str) -> RecordRow:
    """Return a source that is not closed.

    Raises:
        NotFound: there is none.
    """
    if source_id == operational.source_id(request.tenant.id):
        return _operational(request)
    row = request.runtime.config.get(request.tenant.id, source_id)
    if row.record.closed_at is not None:
        raise NotFound("no such resource")
    return row


def change_source(
    request: Request, source_id: str, settings: SourceSettings, expected: int | None
) -> tuple[RecordRow, SourceReadiness]:
    """Change the settings of a source.

    Raises:
        Invalid: another channel: that is another source.
        RefusedByLaw: under the new settings its events may not be received or stored here.
    """
    row = declared_source(request, source_id)
    if settings.channel != row.record.channel:
        raise invalid("body.channel", "fixed", "a source keeps its channel; make another source")
    source = Source(**dict(settings), id=source_id, created_at=row.record.created_at)
    readiness = judge_source(request, source)
    row = changed(request, row, source, expected, "changed")
    wake_held(request)
    return row, readiness


def rotate_source(
    request: Request, source_id: str, secret: dict[str, Any], expected: int | None
) -> tuple[RecordRow, str | None]:
    """Give a source a new secret; the previous one stays valid for 24 hours.

    Returns:
        The source, and the new token of its address where the channel has one.
    """
    row = declared_source(request, source_id)
    new, token = complete_secret(request, row.record.channel, secret)
    kept = request.runtime.config.secrets(request.tenant.id, source_id, row.sealed) or []
    if kept and kept[0]["secret"] == new:
        return row, token
    kept = rotation.rotate(kept, new, request.runtime.now())
    return changed(request, row, row.record, expected, "rotated", kept), token


def close_source(request: Request, source_id: str, expected: int | None) -> None:
    """Close a source: its URL answers 404. The record stays, since its events are still decided by its declarations."""
    row = declared_source(request, source_id)
    request.runtime.config.delete_lookup(source_id)
    subscriptions.store_of(request.runtime).delete(request.tenant.id, source_id)
    changed(request, row, row.record.model_copy(update={"closed_at": request.at}), expected, "removed")


# Destinations


def activation_gaps(recipient: Recipient) -> list[str]:
    """Return the fields that a recipient's record needs before events may go to its destinations."""
    gaps = []
    if recipient.entity_country is None:
        gaps.append("entity_country")
    if not recipient.processing_countries:
        gaps.append("processing_countries")
    if recipient.role is None:
        gaps.append("role")
    if recipient.role in ("processor", "sub_processor") and recipient.contract is None:
        gaps.append("contract")
    return gaps


def check_active(request: Request, recipient_id: str) -> None:
    """Refuse to activate a destination whose recipient is not declared.

    Raises:
        Invalid: no such recipient, or missing fields of its record, each with the call that supplies it.
    """
    recipient: Recipient = must_exist(request, recipient_id, "rcp", "body.recipient")
    gaps = activation_gaps(recipient)
    if gaps:
        call = f"PUT /v1/recipients/{recipient_id}"
        errors = [{"loc": f"recipient.{g}", "code": "missing", "msg": f"supply {g} with {call}"} for g in gaps]
        raise Invalid(f"the recipient lacks {', '.join(gaps)}: supply them with {call}", errors)


def check_config(request: Request, kind: str, config: dict[str, Any]) -> Any:
    """Refuse a configuration that every attempt would refuse; return it as its kind reads it.

    Raises:
        Invalid: no such kind, not its configuration, or an address that nothing is ever sent to.
    """
    module = destinations.of_kind(kind)
    read = checked(module.Config, config, "body.config")
    module.check(read, request.runtime.destination_clients)
    return read


def create_destination(
    request: Request, settings: DestinationSettings, config: dict[str, Any]
) -> tuple[RecordRow, dict[str, Any]]:
    """Make a destination; return it and the keys that its receiver verifies with. A destination that acts under a role of the
    tenant's is disabled until that role is proved.

    Raises:
        Invalid: its kind, format, configuration or recipient, a role that anyone may assume, or it does not agree.
    """
    signing_secrets.check_format(settings)
    read = check_config(request, settings.kind, config)
    if settings.enabled:
        check_active(request, settings.recipient)
    else:
        must_exist(request, settings.recipient, "rcp", "body.recipient")
    origin = signing_secrets.agreed(request, settings, read)
    of = {"id": request.new_id("dst"), "created_at": request.at, "profile": request.profile}
    destination = Destination(**dict(settings), **of)
    destination = roles.begun(request, roles.described(request, destination, read), read)
    sealed = {"config": config, **signing_secrets.first_secrets(request), "origin": origin}
    row = stored(request, destination, sealed)
    return row, signing_secrets.secrets_shown(settings.kind, sealed, request.runtime.now())


def config_of(request: Request, row: RecordRow) -> dict[str, Any]:
    """Return the encrypted part of a destination."""
    sealed: dict[str, Any] = request.runtime.config.secrets(request.tenant.id, row.record.id, row.sealed)
    return sealed


def kind_config(kind: str, sealed: dict[str, Any]) -> Any:
    """Return a destination's configuration as its kind reads it."""
    return destinations.of_kind(kind).Config.model_validate(sealed["config"], extra="ignore")


def change_destination(
    request: Request,
    destination_id: str,
    settings: DestinationSettings,
    config: dict[str, Any] | None,
    expected: int | None,
    given: Mapping[str, Any],
) -> RecordRow:
    """Change a destination; its configuration only where one is given.

    Args:
        given: the fields of ``config`` that the request itself has.

    Raises:
        Invalid: its format, configuration, recipient or role, another kind, another address without its secrets, or it
            does not agree to the change.
        Unavailable: its role could not be checked.
    """
    row = request.runtime.config.get(request.tenant.id, destination_id)
    old: Destination = row.record
    if settings.kind != old.kind:
        raise invalid("body.kind", "fixed", "a destination keeps its kind; make another destination")
    signing_secrets.check_format(settings)
    kept, sealed = config_of(request, row), None
    if config is not None:
        read = check_config(request, settings.kind, config)
        check_secrets_given(old.kind, kept["config"], config, read, given)
        kept = sealed = {**kept, "config": config}
    if settings.enabled:
        check_active(request, settings.recipient)
    else:
        must_exist(request, settings.recipient, "rcp", "body.recipient")
    because = None if settings.enabled else old.disabled_because
    new = Destination(**dict(settings), id=old.id, created_at=old.created_at, disabled_because=because)
    read = kind_config(old.kind, kept)
    new = roles.described(request, new, read)
    if settings.enabled and (config is not None or not old.enabled):
        roles.demand(request, new, read)
    faster = settings.rate_limit_per_s != old.rate_limit_per_s
    if config is not None or faster or (settings.enabled and not old.enabled):
        sealed = {**kept, "origin": signing_secrets.agreed(request, settings, read)}
    row = changed(request, row, new, expected, "changed", sealed)
    if settings.enabled and (config is not None or not old.enabled):
        _wake_listed(request, new)  # a new configuration may mend what has stopped the deliveries
    wake_held(request)
    return row


def _wake_listed(request: Request, destination: Destination) -> None:
    """Reset a destination's state, and wake the deliveries that wait for it."""
    runtime = request.runtime
    runtime.destination_state.enable(request.tenant.id, destination.id, runtime.now(), destination.rate_limit_per_s)


def rotate_destination(request: Request, destination_id: str, expected: int | None) -> tuple[RecordRow, dict[str, Any]]:
    """Give a destination new signing secrets; deliveries are signed with those before too, for 24 hours.

    Returns:
        The destination, and what its receiver verifies with from now on.
    """
    row = request.runtime.config.get(request.tenant.id, destination_id)
    sealed = signing_secrets.rotated(request, kept := config_of(request, row))
    if sealed != kept:  # else an earlier try of this request got this far
        row = changed(request, row, row.record, expected, "rotated", sealed)
    return row, signing_secrets.secrets_shown(row.record.kind, sealed, request.runtime.now())


def enable_destination(request: Request, destination_id: str, enabled: bool, expected: int | None) -> RecordRow:
    """Enable a destination, or let events wait for it until they expire. Enabling an enabled one tries waiting deliveries at
    once, except those that wait for their own next attempt.

    Raises:
        Invalid: its recipient's record is not complete, its role is not safe to act under, or it does not agree.
        Unavailable: its role could not be checked.
    """
    row = request.runtime.config.get(request.tenant.id, destination_id)
    sealed = None
    if enabled:
        check_active(request, row.record.recipient)
        kept = config_of(request, row)
        read = kind_config(row.record.kind, kept)
        roles.demand(request, row.record, read)
        sealed = {**kept, "origin": signing_secrets.agreed(request, row.record, read)}
    new = row.record.model_copy(update={"enabled": enabled, "disabled_because": None})
    if new != row.record:
        row = changed(request, row, new, expected, "enabled" if enabled else "disabled", sealed)
    else:
        request.runtime.config.count_again(request.tenant.id)
    if enabled:
        _wake_listed(request, new)
    return row


def delete_destination(request: Request, destination_id: str) -> None:
    """Delete a destination that no route leads to.

    Raises:
        Conflict: a route leads to it.
    """
    request.runtime.config.to_change(request.tenant.id, destination_id)
    routes = request.runtime.config.snapshot(request.tenant.id).configuration.routes
    if any(r.destination == destination_id for r in routes.values()):
        raise Conflict("routes lead to this destination; delete or change them first")
    before = hash_now(request)
    # Before its record: a retry after a crash finds the record.
    request.runtime.destination_state.let_go(request.tenant.id, destination_id, request.runtime.now())
    request.runtime.config.delete(request.tenant.id, destination_id)
    noted(request, destination_id, "removed", before)
