"""What the API's description says of an answer: its status, code, media type and headers.

Every call of a test's cell is held to it, so that each answer that any test has seen is described.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from chalicelib import api
from chalicelib.api import gateway
from chalicelib.api.openapi import document

HEADERS = ("ETag", "Retry-After", "WWW-Authenticate", "Idempotent-Replayed")


@cache
def described() -> dict[str, Any]:
    return document(api.ENDPOINTS)


def differences(method: str, path: str, status: int, headers: Mapping[str, str], text: str) -> list[str]:
    """Return what an answer has that the description of its operation does not say."""
    pattern, _ = gateway.match(path)
    operation = described()["paths"].get(pattern, {}).get(method.lower())
    if operation is None:
        return []
    said = operation["responses"].get(str(status))
    if said is None:
        return [f"{operation['operationId']} answers {status}"]
    found = []
    media = headers.get("Content-Type", "application/json").partition(";")[0]
    if text and media not in said.get("content", {}):
        found.append(f"{operation['operationId']} answers {status} as {media}")
    undescribed = [name for name in HEADERS if name in headers and name not in said.get("headers", {})]
    found += [f"{operation['operationId']} answers {status} with {name}" for name in undescribed]
    if 400 <= status < 500 and f"`{json.loads(text)['code']}`" not in said["description"]:
        found.append(f"{operation['operationId']} answers {status} {json.loads(text)['code']}")
    return found
