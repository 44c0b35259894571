"""The memory of a destination: rows of the ``data`` table, encrypted, found by keyed hashes.

| row | ``pk`` | ``sk`` | holds |
|---|---|---|---|
| value | ``{tenant}#memory#{destination}`` | ``value#{keyed hash of the name}`` | ``body``, encrypted under the tenant's secrets key |
| claim | ``{tenant}#memory#{destination}`` | ``claim#{keyed hash of the name}`` | ``holder``, a random token |

The tenant's integrations have a memory of this form, too: with ``integrations`` in place of the destination.

Names hold people's ids, so no name is ever stored. Every row has a time (``expires_at``, milliseconds): readers filter on
it, and TTL removes the row within days. Closing a tenant deletes the keys; after that no row can be read or even found, not
in a backup either. Erasing an event leaves the memory, which holds no content of any event.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from ..core import times
from ..core.envelope import NONCE_BYTES, TenantKeys, decrypt, encrypt
from ..core.errors import Unavailable
from .items import Table, Value
from .ttl import ttl

TOKEN_BYTES = 16
FREE = "attribute_not_exists(pk) OR expires_at <= :now OR holder = :me"
"""When a claim can be taken; one's own token stands there where the answer to the first try of a call was lost."""


class DestinationMemory:
    """Remember for one destination of one tenant; satisfies ``destinations.base.Memory``.

    One instance serves one attempt. It may be shared by threads: each claim has a token of its own.

    Args:
        table: ``data``.
        keys: the tenant's.
    """

    def __init__(
        self,
        table: Table,
        keys: TenantKeys,
        tenant: str,
        destination: str,
        now: Callable[[], datetime],
        randomness: Callable[[int], bytes],
    ) -> None:
        self._table = table
        self._keys = keys
        self._pk = f"{tenant}#memory#{destination}"
        self._now = now
        self._random = randomness
        self._held: dict[str, str] = {}

    def _place(self, what: str, name: str) -> dict[str, str]:
        text = f"{self._pk}\0{name}".encode("utf-8", "surrogatepass")
        return {"pk": self._pk, "sk": f"{what}#{hmac.digest(self._keys.people, text, 'sha256')[:16].hex()}"}

    def _context(self, place: dict[str, str]) -> str:
        return f"{self._table.region}/{place['pk']}/{place['sk']}"

    def get(self, name: str) -> str | None:
        """Return the value of a name that has not passed its time (one consistent read).

        Raises:
            Unavailable: the table did not answer.
        """
        place = self._place("value", name)
        row = self._table.get(place)
        if row is None or row["expires_at"] <= times.millis(self._now()):
            return None
        return decrypt(self._keys.secrets, row["body"], self._context(place)).decode()

    def put(self, name: str, value: str, for_s: int) -> None:
        """Store a value for a time, in place of an earlier one.

        Raises:
            Unavailable: the table did not answer.
        """
        place = self._place("value", name)
        expires_at = self._now() + timedelta(seconds=for_s)
        body = encrypt(self._keys.secrets, self._random(NONCE_BYTES), value.encode(), self._context(place))
        self._table.update(
            place,
            "SET body = :body, expires_at = :ends, #ttl = :ttl, #region = :region",
            {":body": body, ":ends": times.millis(expires_at), ":ttl": ttl(expires_at), ":region": self._table.region},
            condition=None,  # the writer has claimed the name; the later of two values counts
            names={"#ttl": "ttl", "#region": "region"},
        )

    def claim(self, name: str, for_s: int) -> bool:
        """Claim a name. Return False while another process holds it. A claim that is not released ends at its time.

        Raises:
            Unavailable: the table did not answer; the claim may stand and then ends by its time.
        """
        now = self._now()
        expires_at = now + timedelta(seconds=for_s)
        token = self._random(TOKEN_BYTES).hex()
        row: dict[str, Value] = {
            **self._place("claim", name),
            "holder": token,
            "expires_at": times.millis(expires_at),
            "ttl": ttl(expires_at),
        }
        if not self._table.replace(row, FREE, {":now": times.millis(now), ":me": token}):
            return False
        self._held[name] = token
        return True

    def release(self, name: str) -> None:
        """Release this instance's claim, unless another process has taken it over. This never fails: a claim that could
        not be released ends at its time.
        """
        token = self._held.pop(name, None)
        if token is not None:
            # Ended rather than deleted: a delete that holds only for one's own token is no call of ``Table``.
            bound: dict[str, Value] = {":ended": 0, ":mine": token}
            with contextlib.suppress(Unavailable):
                self._table.update(
                    self._place("claim", name), "SET expires_at = :ended", bound, condition="holder = :mine"
                )
