"""The signature of a POST to a service of AWS, Signature Version 4: the same bytes as the SDK's, without its objects.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (read 2026-11-30).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"


@lru_cache(8)  # one a day for each service and credential
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class RequestSigner:
    """Sign requests to one address.

    Args:
        host: as the ``Host`` header has it.
        path: of the address, at least ``/``.
        service: the name that the service has in signatures.
    """

    def __init__(self, host: str, path: str, region: str, service: str) -> None:
        self._region, self._service = region, service
        self._start = f"POST\n{quote(path, safe='/~')}\n\nhost:{host}\nx-amz-date:"

    def headers(
        self, target: str, body: bytes, at: datetime, key_id: str, secret: str, token: str | None
    ) -> dict[str, str]:
        """Return the headers that sign a request.

        Args:
            target: the value of ``X-Amz-Target``, which names the operation.
            at: the time of the request, UTC.
            token: of a session; None for credentials without one.
        """
        stamp = f"{at:%Y%m%dT%H%M%SZ}"
        day = stamp[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        if token is None:
            session, names = "", "host;x-amz-date;x-amz-target"
        else:
            session, names = f"x-amz-security-token:{token}\n", "host;x-amz-date;x-amz-security-token;x-amz-target"
        digest = hashlib.sha256(body).hexdigest()
        canonical = f"{self._start}{stamp}\n{session}x-amz-target:{target}\n\n{names}\n{digest}"
        text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(_key(secret, day, self._region, self._service), text.encode(), "sha256").hex()
        signed = {
            "X-Amz-Date": stamp,
            "X-Amz-Target": target,
            "Authorization": f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}",
        }
        return signed if token is None else {**signed, "X-Amz-Security-Token": token}
