"""Write answers in the form that Chalice gives to Lambda."""

from __future__ import annotations

import base64
import json
from typing import Any

from chalice import Response

from .problems import EndpointResponse


class BinaryResponse(Response):  # type: ignore[misc,unused-ignore]
    """An answer of bytes.

    Chalice itself refuses a binary answer to a request without ``Accept``, which most readers of a log do not send.
    """

    def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:
        """Return the answer in Lambda's form: the body in base64, which API Gateway decodes for any ``Accept``.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/lambda-proxy-binary-media.html (read
        2026-11-30); the API's binary types are ``*/*``.
        """
        body: bytes = self.body
        return {
            "headers": dict(self.headers),
            "multiValueHeaders": {},
            "statusCode": self.status_code,
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }


def respond(answer: EndpointResponse) -> Response:
    """Write an answer for the door. ``no-store``: answers hold content and secrets."""
    body = "" if answer.body is None else answer.body
    if isinstance(body, bytes):
        return BinaryResponse(body, {"Cache-Control": "no-store", **answer.headers}, answer.status)
    text = body if isinstance(body, str) else _json(body)
    return Response(text, {"Cache-Control": "no-store", **answer.headers}, answer.status)


def _json(body: Any) -> str:
    """Write JSON as people read it: letters as they are, and escapes only for halves of surrogate pairs."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=float)
    return text.encode("utf-8", "backslashreplace").decode()
