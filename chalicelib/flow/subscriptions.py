"""The subscriptions of sources at their platforms: the parts that a tenant's request and the daily check share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..channels import capabilities_of
from ..core.tenant.records import Source
from ..core.tenant.subscription import Subscription
from ..runtime import Runtime
from ..store.items import Table
from ..store.subscriptions import SubscriptionStore

if TYPE_CHECKING:  # they load TLS, which only a call needs
    from ..platforms.base import Platform, PlatformApi, Webhook


def store_of(runtime: Runtime) -> SubscriptionStore:
    """Return the store of subscriptions."""
    settings = runtime.settings
    config = Table(runtime.clients.get("dynamodb"), settings.table("config"), settings.region)
    return SubscriptionStore(runtime.data.table, config, runtime.random)


def webhook_of(runtime: Runtime, source: Source, secrets: Sequence[Mapping[str, Any]]) -> Webhook:
    """Return the webhook of a source, with its whole address.

    Args:
        secrets: the stored secrets of the source, the current one first.
    """
    from ..platforms.base import Webhook

    secret = secrets[0]["secret"]
    url = f"{runtime.settings.hooks_url}/hooks/{source.id}"
    if capabilities_of(source.channel).url_token:
        url = f"{url}?token={secret['url_token']}"
    return Webhook(url, secret, runtime.now())


def api_of(runtime: Runtime, platform: Platform, api_url: str | None, **more: Any) -> PlatformApi:
    """Return the calls of a platform's API.

    Args:
        api_url: where a stand-in listens, if any.
    """
    from ..platforms.base import PlatformApi

    root = platform.CAPABILITIES.api
    return PlatformApi(runtime.destination_clients, root, runtime.now(), api_url, **more)


def shown(runtime: Runtime, tenant: str, source: str) -> Subscription | None:
    """Return the last known subscription of a source."""
    return store_of(runtime).get(tenant, source)
