"""The form of the hook door's requests and answers: API Gateway's HTTP API, payload 2.0.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
(read 2026-11-22).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from ...channels.base import Inbound, Reply


def request(event: Mapping[str, Any], now: datetime, public_url: str = "") -> tuple[str, Inbound]:
    """Read a request. Return the source that its path names, and the request with its exact bytes.

    Args:
        public_url: the address that platforms were given, where it is not the one that the request names; some
            platforms sign it.
    """
    headers = {name.lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    http = event["requestContext"]["http"]
    path, query = str(event["rawPath"]), str(event.get("rawQueryString") or "")
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            body = b""
    else:
        body = text.encode("utf-8", "surrogatepass")
    base = public_url or f"https://{headers.get('host', '')}"
    parts = path.partition("/hooks/")[2].partition("/")
    inbound = Inbound(
        method=str(http["method"]).upper(),
        url=f"{base}{path}" + (f"?{query}" if query else ""),
        headers=headers,
        query=dict(parse_qsl(query, keep_blank_values=True, errors="replace")),
        body=body,
        now=now,
        path=parts[2],
    )
    return parts[0], inbound


def reply(answer: Reply) -> dict[str, Any]:
    """Write an answer."""
    # Channels write Content-Type: beside one in small letters it would be sent twice.
    headers = {"content-type": "text/plain; charset=utf-8", **{k.lower(): v for k, v in answer.headers.items()}}
    return {"statusCode": answer.status, "headers": headers, "body": answer.body, "isBase64Encoded": False}
