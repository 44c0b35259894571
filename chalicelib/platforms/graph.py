"""Calls of Meta's Graph API, and the subscription of a page's messages, which Messenger and Instagram share.

An app has one callback address for each kind of object. The page then subscribes to the app.

Source: https://developers.facebook.com/docs/graph-api/webhooks/subscriptions-edge,
https://developers.facebook.com/docs/graph-api/reference/page/subscribed_apps and
https://developers.facebook.com/docs/graph-api/guides/error-handling (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from ..core.tenant.subscription import FoundSubscription
from ..destinations import calls
from .base import PlatformApi, PlatformCredentials, PublicId, Token, Webhook, bearer, code_in, refused, single

API = "https://graph.facebook.com"
VERSION = "v25.0"
_CODES: Mapping[Any, str] = {
    1: "unavailable", 2: "unavailable", 3: "denied", 4: "throttled", 10: "denied", 17: "throttled", 32: "throttled",
    100: "invalid", 102: "credentials", 190: "credentials", 341: "throttled", 613: "throttled", 803: "not_found",
    2200: "invalid",
}  # fmt: skip
"""Meta's error code → code; 200 to 299 are missing permissions. 2200: the callback did not answer the handshake."""


class PageCredentials(PlatformCredentials):
    """The app's id, the page's id, and an access token of the page. The source's secret has the app secret."""

    app_id: PublicId
    page_id: PublicId
    page_access_token: Token


def answered(api: PlatformApi, method: str, path: str, token: SecretStr, **more: Any) -> Mapping[str, Any]:
    """Make one call and return its JSON object.

    Raises:
        DeliveryError: Meta refuses, or does not answer as documented.
    """
    answer = api.call(method, f"/{VERSION}{path}", headers=bearer(token), **more)
    told = answer.told()
    error = told.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        missing = isinstance(code, int) and 200 <= code <= 299
        usual = "unavailable" if answer.status >= 500 else "invalid"
        raise refused("denied" if missing else code_in(_CODES, code, usual))
    if not answer.ok:
        raise calls.fault_of(answer)
    return answer.object()


def listing(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the objects of a list.

    Raises:
        DeliveryError: there is no list.
    """
    items = found.get("data")
    if not isinstance(items, list):
        raise refused("protocol")
    return [item for item in items if isinstance(item, dict)]


def succeeded(found: Mapping[str, Any]) -> None:
    """Check the answer to a change.

    Raises:
        DeliveryError: it is no success.
    """
    if found.get("success") not in (True, "true"):
        raise refused("protocol")


def _app_token(credentials: PageCredentials, webhook: Webhook) -> SecretStr:
    return SecretStr(f"{credentials.app_id}|{webhook.secret['app_secret']}")


def find_page(api: PlatformApi, kind: str, credentials: PageCredentials, webhook: Webhook) -> FoundSubscription:
    """Read the app's callback address for a kind of object, and whether the page subscribes to the app."""
    app = listing(answered(api, "GET", f"/{credentials.app_id}/subscriptions", _app_token(credentials, webhook)))
    hook = next((item for item in app if item.get("object") == kind), {})
    found = single(hook.get("callback_url"), webhook)
    if found.state != "active":
        return found
    if hook.get("active") is not True:
        return FoundSubscription("failing", "switched_off")
    pages = listing(answered(api, "GET", f"/{credentials.page_id}/subscribed_apps", credentials.page_access_token))
    subscribed = any(str(item.get("id")) == credentials.app_id for item in pages)
    return FoundSubscription("active" if subscribed else "absent")


def register_page(
    api: PlatformApi,
    kind: str,
    credentials: PageCredentials,
    webhook: Webhook,
    fields: Sequence[str],
    page_fields: Sequence[str],
) -> None:
    """Set the app's callback address for a kind of object, then subscribe the page. Meta calls the address at once."""
    form = {
        "object": kind,
        "callback_url": webhook.url,
        "verify_token": webhook.secret["verify_token"],
        "fields": ",".join(fields),
        "include_values": "true",
    }
    path = f"/{credentials.app_id}/subscriptions"
    succeeded(answered(api, "POST", path, _app_token(credentials, webhook), form=form))
    form = {"subscribed_fields": ",".join(page_fields)}
    path = f"/{credentials.page_id}/subscribed_apps"
    succeeded(answered(api, "POST", path, credentials.page_access_token, form=form))
