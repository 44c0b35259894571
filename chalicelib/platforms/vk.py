"""VK: a community has up to ten callback servers. VK decides the string that a server must return when it is confirmed.

Source: https://dev.vk.com/ru/method/groups.addCallbackServer, groups.editCallbackServer, groups.getCallbackServers,
groups.setCallbackSettings, groups.getCallbackConfirmationCode and https://dev.vk.com/ru/reference/errors (read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from ..core.tenant.subscription import FoundSubscription
from .base import PlatformApi, PlatformCapabilities, PlatformCredentials, Token, Webhook, code_in, refused

KIND = "vk"
VERSION = "5.199"
TITLE = "Waybill"
"""Of a server, at most 14 characters."""
EVENTS = (
    "message_new", "message_reply", "message_edit", "message_allow", "message_deny", "message_typing_state",
    "message_event", "message_reaction_event", "message_read",
)  # fmt: skip
"""The events that become ours."""
_CODES: Mapping[Any, str] = {
    5: "credentials", 6: "throttled", 7: "denied", 9: "throttled", 15: "denied", 27: "credentials", 28: "credentials",
    29: "throttled", 100: "invalid", 113: "not_found", 125: "not_found", 203: "denied", 2000: "invalid",
}  # fmt: skip
"""VK's ``error_code`` → code. 2000: the community has ten servers already."""


class Credentials(PlatformCredentials):
    """An access key of the community with the right ``manage``, and the community's number."""

    access_token: Token
    group_id: Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]


def _method(api: PlatformApi, credentials: Credentials, name: str, **values: Any) -> Mapping[str, Any]:
    form = {
        **values,
        "group_id": credentials.group_id,
        "access_token": credentials.access_token.get_secret_value(),
        "v": VERSION,
    }
    found = api.json("POST", f"/method/groups.{name}", form=form)
    error = found.get("error")
    if isinstance(error, dict):
        raise refused(code_in(_CODES, error.get("error_code"), "unavailable"))
    response = found.get("response")
    if name == "setCallbackSettings" or name == "editCallbackServer":
        return {"done": response}
    if not isinstance(response, dict):
        raise refused("protocol")
    return response


def _servers(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> Iterator[Mapping[str, Any]]:
    items = _method(api, credentials, "getCallbackServers").get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("url") == webhook.url:
            yield item


def find(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> FoundSubscription:
    """Look for the address among the servers. One that VK has not confirmed gets no events."""
    for server in _servers(api, credentials, webhook):
        return (
            FoundSubscription("active") if server.get("status") == "ok" else FoundSubscription("failing", "unconfirmed")
        )
    return FoundSubscription("absent")


def learn(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> Mapping[str, str]:
    """Return the string that VK wants back when it confirms the address."""
    code = _method(api, credentials, "getCallbackConfirmationCode").get("code")
    if not isinstance(code, str) or not 0 < len(code) <= 512:
        raise refused("protocol")
    return {"confirmation": code}


def register(api: PlatformApi, credentials: Credentials, webhook: Webhook) -> None:
    """Add the server, or give the one that is there the source's key, and choose its events. VK then confirms the address."""
    wanted = {"url": webhook.url, "title": TITLE, "secret_key": webhook.secret["secret"]}
    server = next(_servers(api, credentials, webhook), None)
    if server is None:
        number = _method(api, credentials, "addCallbackServer", **wanted).get("server_id")
    else:
        number = server.get("id")
        if server.get("status") != "ok" or server.get("secret_key") != wanted["secret_key"]:
            _method(api, credentials, "editCallbackServer", server_id=number, **wanted)
    if not isinstance(number, int):
        raise refused("protocol")
    _method(api, credentials, "setCallbackSettings", server_id=number, api_version=VERSION, **dict.fromkeys(EVENTS, 1))


CAPABILITIES = PlatformCapabilities("https://api.vk.com", learn=learn)
