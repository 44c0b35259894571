"""How each platform proves that a request is its own, so that a test can play the platform.

A channel's function changes a fixture in place: it makes the request genuine under the fixture's secret.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core import times

from .cases import raw_body

Fixture = dict[str, Any]


def _hex(key: str, signed: bytes) -> str:
    return hmac.new(key.encode(), signed, "sha256").hexdigest()


def _telegram(fixture: Fixture, secret: Mapping[str, str]) -> None:
    fixture["headers"]["X-Telegram-Bot-Api-Secret-Token"] = secret["secret_token"]


def _meta(fixture: Fixture, secret: Mapping[str, str]) -> None:
    if fixture["method"] == "GET":
        fixture["query"]["hub.verify_token"] = secret["verify_token"]
    else:
        fixture["headers"]["X-Hub-Signature-256"] = "sha256=" + _hex(secret["app_secret"], raw_body(fixture))


def _slack(fixture: Fixture, secret: Mapping[str, str]) -> None:
    stamp = str(int(times.parse(fixture["now"]).timestamp()))
    signed = b"v0:" + stamp.encode() + b":" + raw_body(fixture)
    fixture["headers"]["X-Slack-Request-Timestamp"] = stamp
    fixture["headers"]["X-Slack-Signature"] = "v0=" + _hex(secret["signing_secret"], signed)


def _vk(fixture: Fixture, secret: Mapping[str, str]) -> None:
    try:
        document = json.loads(raw_body(fixture))
    except (ValueError, RecursionError):
        return  # nowhere to put a secret: such a request cannot be made genuine
    if isinstance(document, dict):
        document["secret"] = secret["secret"]
        fixture["body"] = json.dumps(document)
        fixture.pop("body_base64", None)


def _viber(fixture: Fixture, secret: Mapping[str, str]) -> None:
    fixture["headers"]["X-Viber-Content-Signature"] = _hex(secret["auth_token"], raw_body(fixture))


SIGN: Mapping[str, Callable[[Fixture, Mapping[str, str]], None]] = {
    "slack": _slack,
    "telegram": _telegram,
    "viber": _viber,
    "vk": _vk,
    "whatsapp": _meta,
}

ANOTHER: Mapping[str, Mapping[str, Any]] = {}
"""Another secret of the same form, for the channels whose secret cannot be lengthened by a letter: keys."""


def sign(kind: str, fixture: Fixture) -> None:
    """Make a fixture genuine under its own secret, in place."""
    SIGN[kind](fixture, fixture["secret"])
