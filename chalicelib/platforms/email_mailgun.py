"""Mailgun: an account has routes. One of ours forwards the e-mail of a domain; further routes stay.

Source: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/routes (read 2026-12-01).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from ..core.tenant.subscription import FoundSubscription
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Token, Webhook, basic, refused

KIND = "email_mailgun"
CAPABILITIES = PlatformCapabilities("https://api.mailgun.net")
REGIONS = {"us": "https://api.mailgun.net", "eu": "https://api.eu.mailgun.net"}
ROUTES_MAX = 1000


class Credentials(PlatformCredentials):
    """An API key, the domain whose e-mail is forwarded, and the account's region."""

    api_key: Token
    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]
    region: Literal["us", "eu"] = "us"


def _call(api: PlatformApi, credentials: Credentials, method: str, **more: Any) -> Any:
    return api.json(
        method, "/v3/routes", headers=basic("api", credentials.api_key), root=REGIONS[credentials.region], **more
    )


def _action(webhook: Webhook) -> str:
    return f'forward("{webhook.url}")'


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Look for a route that forwards to the address."""
    items = _call(api, credentials, "GET", query={"limit": ROUTES_MAX}).get("items")
    if not isinstance(items, list):
        raise refused("protocol")
    actions = [item["actions"] for item in items if isinstance(item, dict) and isinstance(item.get("actions"), list)]
    return FoundSubscription("active" if any(_action(webhook) in found for found in actions) else "absent")


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Create the route, unless there is one."""
    if find(api, credentials, webhook).state == "active":
        return
    form = {
        "priority": "0",
        "description": "Waybill",
        "expression": f'match_recipient(".*@{re.escape(credentials.domain)}")',
        "action": _action(webhook),
    }
    _call(api, credentials, "POST", form=form)
