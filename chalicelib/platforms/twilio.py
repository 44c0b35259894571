"""Twilio: a number or a messaging service has one address for incoming messages. The source's secret is the auth token.

Source: https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource and
https://www.twilio.com/docs/messaging/api/service-resource (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, SecretStr

from ..core.tenant.subscription import FoundSubscription
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Webhook, basic, refused, single

KIND = "twilio"
CAPABILITIES = PlatformCapabilities("https://api.twilio.com")
MESSAGING = "https://messaging.twilio.com"
SERVICE = "MG"


class Credentials(PlatformCredentials):
    """The account's sid, and that of a number (``PN…``) or of a messaging service (``MG…``)."""

    account_sid: Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")]
    sid: Annotated[str, Field(pattern=r"^(PN|MG)[0-9a-fA-F]{32}$")]


def _answer(
    api: PlatformApi, credentials: Credentials, webhook: Webhook, method: str, form: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    headers = basic(credentials.account_sid, SecretStr(webhook.secret["auth_token"]))
    if credentials.sid.startswith(SERVICE):
        return api.json(method, f"/v1/Services/{credentials.sid}", form=form, headers=headers, root=MESSAGING)
    path = f"/2010-04-01/Accounts/{credentials.account_sid}/IncomingPhoneNumbers/{credentials.sid}.json"
    return api.json(method, path, form=form, headers=headers)


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Read the address for incoming messages. A number with an application, or a service that leaves it to its numbers, has
    none of its own.
    """
    found = _answer(api, credentials, webhook, "GET")
    if found.get("sid") != credentials.sid:
        raise refused("protocol")
    if credentials.sid.startswith(SERVICE):
        own = found.get("use_inbound_webhook_on_number") is not True
        return single(found.get("inbound_request_url"), webhook) if own else FoundSubscription("elsewhere")
    if found.get("sms_application_sid"):
        return FoundSubscription("elsewhere")
    return single(found.get("sms_url"), webhook)


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Set the address, and that of statuses where it is a service."""
    if credentials.sid.startswith(SERVICE):
        form = {"InboundRequestUrl": webhook.url, "InboundMethod": "POST", "StatusCallback": webhook.url}
        form["UseInboundWebhookOnNumber"] = "false"
    else:
        form = {"SmsUrl": webhook.url, "SmsMethod": "POST", "SmsApplicationSid": ""}
    _answer(api, credentials, webhook, "POST", form)
