"""Subscribe a source at its platform: set the webhook through the platform's own API, and read it back.

The procedure: 1 read the subscription → 2 refuse to take an address from elsewhere, unless told → 3 learn the fields of the
secret that the platform decides → 4 set the webhook → 5 read it back → 6 store the credentials, if they are kept → 7 store
the state. A second try sets the same webhook.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ... import platforms
from ...core.errors import Conflict, DeliveryError, PlatformRefused, PlatformUnavailable, SubscribedElsewhere
from ...core.tenant import rotation
from ...core.tenant.records import Source
from ...core.tenant.subscription import REFUSALS, FoundSubscription, Subscription
from ...platforms.base import Platform, PlatformApi, Webhook
from ...store.records import RecordRow
from .. import subscriptions
from ..request import Request
from . import connect
from .changes import changed

_REMEDIES = {
    "credentials": "the platform does not accept these credentials: take them from its console again",
    "denied": "the platform denies it: give the credentials the rights that the channel's page names",
    "not_found": "the platform does not know the account, or what the credentials name",
    "forbidden_address": "api_url is not an address that the operator has opened",
}


def subscribe(
    request: Request, source_id: str, given: dict[str, Any], *, keep: bool, replace: bool, api_url: str | None
) -> Subscription:
    """Subscribe a source; return its subscription.

    Args:
        given: the credentials of the platform's API.
        keep: store them, sealed, for the daily check. Otherwise they are forgotten.
        replace: take the subscription from another address.
        api_url: where a stand-in for the platform listens.

    Raises:
        Conflict: the platform has no such API, the cell has no public address, or the webhook is elsewhere.
        Invalid: these are not the credentials of the platform, or it refuses them.
        PlatformUnavailable: the platform does not answer as documented.
    """
    row = connect.declared_source(request, source_id)
    platform = platforms.of_channel(row.record.channel)
    if platform is None:
        raise Conflict(
            f"{row.record.channel} has no API for webhooks: enter the address in its console, as the channel's page says"
        )
    if not request.runtime.settings.hooks_url:
        raise Conflict("this cell knows no public address of its own: its operator sets WAYBILL_HOOKS_URL")
    credentials = connect.checked(platform.Credentials, given, "body.credentials")
    api = subscriptions.api_of(request.runtime, platform, api_url)
    try:
        found = _subscribed(request, row, platform, api, credentials, replace)
    except DeliveryError as fault:
        _refuse(fault)
    runtime, tenant = request.runtime, request.tenant.id
    needs_none = not platform.Credentials.model_fields
    store = subscriptions.store_of(runtime)
    kept = {"credentials": given, "api_url": api_url} if keep or needs_none else None
    store.keep(tenant, source_id, request.keys, kept)  # 6
    made = Subscription(found.state, runtime.now(), found.error, kept is not None)
    store.put(tenant, source_id, made)  # 7
    return made


def _subscribed(
    request: Request, row: RecordRow, platform: Platform, api: PlatformApi, credentials: Any, replace: bool
) -> FoundSubscription:
    webhook = _webhook(request, row)
    found = platform.find(api, credentials, webhook)  # 1
    if found.state == "elsewhere" and not replace:
        raise SubscribedElsewhere(  # 2
            "the platform sends its webhooks to another address; send replace: true to take them from there"
        )
    learn = platform.CAPABILITIES.learn
    if learn is not None:
        webhook = _learnt(request, row, webhook, {**webhook.secret, **learn(api, credentials, webhook)})  # 3
    platform.register(api, credentials, webhook)  # 4
    found = platform.find(api, credentials, webhook)  # 5
    if found.state not in ("active", "failing"):
        raise PlatformUnavailable("the platform took the webhook, but does not show it; try again in a minute")
    return found


def _webhook(request: Request, row: RecordRow) -> Webhook:
    secrets = request.runtime.config.secrets(request.tenant.id, row.record.id, row.sealed)
    return subscriptions.webhook_of(request.runtime, row.record, secrets)


def _learnt(request: Request, row: RecordRow, webhook: Webhook, secret: dict[str, str]) -> Webhook:
    """Store the secret as the platform wants it, if that is another one. The previous one counts for 24 more hours."""
    if secret == webhook.secret:
        return webhook
    source: Source = row.record
    kept = request.runtime.config.secrets(request.tenant.id, source.id, row.sealed)
    kept = rotation.rotate(kept, secret, request.runtime.now())
    changed(request, row, source, None, "rotated", kept)
    return Webhook(webhook.url, secret, webhook.now)


def _refuse(fault: DeliveryError) -> NoReturn:
    code = fault.attempt_code
    if code in REFUSALS:
        text = _REMEDIES.get(code, "the platform refuses the webhook: see the channel's page for what it demands")
        loc = "body.api_url" if code == "forbidden_address" else "body.credentials"
        raise PlatformRefused(text, [{"loc": loc, "code": code, "msg": text}]) from None
    raise PlatformUnavailable(f"the platform's API does not answer as documented ({code}); try again later") from None
