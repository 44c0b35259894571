"""The subscriptions of sources: the last known state of each, and the credentials that its checks need.

| table | row | ``pk`` | ``sk`` | attributes |
|---|---|---|---|---|
| ``data`` | state | ``{tenant}#subscriptions`` | ``{source}`` | ``state``, ``checked_at`` (ms), ``error``, ``kept`` |
| ``config`` | credentials | ``{tenant}`` | ``sub#{source}#credentials`` | ``sealed`` under the tenant's secrets key |

The sweep writes states, and may not write ``config``. A rotation of the master key wraps the credentials again, and closing
a tenant deletes them, as it does all of the tenant's rows there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ..core import times
from ..core.envelope import NONCE_BYTES, TenantKeys, decrypt, encrypt
from ..core.tenant.subscription import Subscription
from .items import Item, Table
from .records import sealing_context


def _read(item: Item) -> Subscription:
    return Subscription(
        item["state"], times.from_millis(item["checked_at"]), item.get("error") or None, bool(item["kept"])
    )


class SubscriptionStore:
    """Read and write the subscriptions of sources."""

    def __init__(self, data: Table, config: Table, randomness: Callable[[int], bytes]) -> None:
        self._data = data
        self._config = config
        self._random = randomness

    def get(self, tenant: str, source: str) -> Subscription | None:
        """Return the last known subscription of a source; None where its platform was never asked."""
        item = self._data.get({"pk": f"{tenant}#subscriptions", "sk": source})
        return None if item is None else _read(item)

    def of_tenant(self, tenant: str) -> Iterator[tuple[str, Subscription]]:
        """Yield the sources of a tenant that have a subscription, each with it."""
        for item in self._data.query("pk = :p", {":p": f"{tenant}#subscriptions"}):
            yield item["sk"], _read(item)

    def put(self, tenant: str, source: str, found: Subscription) -> None:
        """Store the state of a subscription that a tenant has just made."""
        self._set(tenant, source, found, None)

    def checked(self, tenant: str, source: str, found: Subscription) -> None:
        """Store the state after a check, unless the source is closed meanwhile."""
        self._set(tenant, source, found, "attribute_exists(pk)")

    def _set(self, tenant: str, source: str, found: Subscription, condition: str | None) -> None:
        self._data.update(
            {"pk": f"{tenant}#subscriptions", "sk": source},
            "SET #state = :state, checked_at = :at, #error = :error, kept = :kept, #region = :region",
            {
                ":state": found.state,
                ":at": times.millis(found.checked_at),
                ":error": found.error or "",
                ":kept": int(found.kept),
                ":region": self._data.region,
            },
            condition,
            {"#state": "state", "#error": "error", "#region": "region"},
        )

    def delete(self, tenant: str, source: str) -> None:
        """Delete a subscription and its credentials."""
        self._config.delete(self._place(tenant, source))
        self.delete_state(tenant, source)

    def delete_state(self, tenant: str, source: str) -> None:
        """Delete the state of a subscription."""
        self._data.delete({"pk": f"{tenant}#subscriptions", "sk": source})

    def erase(self, tenant: str) -> None:
        """Delete the states of a tenant. Its credentials are deleted with its declarations."""
        for source, _ in list(self.of_tenant(tenant)):
            self.delete_state(tenant, source)

    # Credentials

    @staticmethod
    def _place(tenant: str, source: str) -> dict[str, str]:
        return {"pk": tenant, "sk": f"sub#{source}#credentials"}

    def _context(self, tenant: str, source: str) -> str:
        return sealing_context(self._config.region, tenant, f"{source}#credentials")

    def keep(self, tenant: str, source: str, keys: TenantKeys, credentials: Any) -> None:
        """Store credentials (JSON), sealed; None deletes them."""
        place = self._place(tenant, source)
        if credentials is None:
            self._config.delete(place)
            return
        plain = json.dumps(credentials, separators=(",", ":")).encode()
        sealed = encrypt(keys.secrets, self._random(NONCE_BYTES), plain, self._context(tenant, source))
        self._config.update(
            place,
            "SET sealed = :sealed, #region = :region",
            {":sealed": sealed, ":region": self._config.region},
            condition=None,
            names={"#region": "region"},
        )

    def credentials(self, tenant: str, source: str, keys: TenantKeys) -> Any:
        """Return the stored credentials; None where there are none."""
        item = self._config.get(self._place(tenant, source))
        if item is None:
            return None
        return json.loads(decrypt(keys.secrets, item["sealed"], self._context(tenant, source)))
