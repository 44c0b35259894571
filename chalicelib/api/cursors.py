"""List cursors: opaque, versioned, and bound by a MAC to the tenant and to what was asked. Pure.

A cursor is base64url of ``version ‖ MAC (16 bytes) ‖ position``. Whoever changes a byte, another tenant, or another query
than the one it was made for gets 422.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Iterable, Mapping

from ..core.errors import Invalid

VERSION = b"\x01"
MAC_BYTES = 16
LENGTH_MAX = 1000


def _mac(key: bytes, tenant: str, path: str, query: Mapping[str, str], position: bytes) -> bytes:
    asked = {name: value for name, value in query.items() if name not in ("cursor", "limit")}
    text = json.dumps([tenant, path, sorted(asked.items())]).encode()
    return hmac.digest(key, VERSION + text + b"\0" + position, "sha256")[:MAC_BYTES]


def write(key: bytes, tenant: str, path: str, query: Mapping[str, str], position: str) -> str:
    """Write the cursor that goes on behind ``position``."""
    plain = position.encode()
    packed = VERSION + _mac(key, tenant, path, query, plain) + plain
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read(keys: Iterable[bytes], tenant: str, path: str, query: Mapping[str, str]) -> str | None:
    """Return the position of the query's cursor; None where there is none.

    Args:
        keys: each that has made cursors; the newest first.

    Raises:
        Invalid: it was not made by this cell for this tenant and query.
    """
    cursor = query.get("cursor")
    if cursor is None:
        return None
    text = "use a cursor only with the list, filters and key that it came from; leave it out to start again"
    refusal = Invalid(text, [{"loc": "query.cursor", "code": "unknown_cursor", "msg": text}])
    try:
        if len(cursor) > LENGTH_MAX:
            raise refusal
        packed = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise refusal from None
    mac, position = packed[1 : 1 + MAC_BYTES], packed[1 + MAC_BYTES :]
    macs = [_mac(key, tenant, path, query, position) for key in keys]
    if packed[:1] != VERSION or not any(hmac.compare_digest(mac, one) for one in macs):
        raise refusal
    return position.decode()
