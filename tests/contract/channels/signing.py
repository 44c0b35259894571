"""How each platform proves that a request is its own, so that a test can play the platform.

A channel's function changes a fixture in place: it makes the request genuine under the fixture's secret.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib.core import times

from . import keys, signing_hosts
from .cases import raw_body
from .signing_services import ANOTHER_OF_SERVICES, SERVICES

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


def _max(fixture: Fixture, secret: Mapping[str, str]) -> None:
    fixture["headers"]["X-Max-Bot-Api-Secret"] = secret["secret"]


def _url_token(fixture: Fixture, secret: Mapping[str, str]) -> None:
    fixture["query"]["token"] = secret["url_token"]
    fixture["url"] = fixture["url"].partition("?")[0] + "?" + urlencode(fixture["query"], errors="surrogatepass")


def _line(fixture: Fixture, secret: Mapping[str, str]) -> None:
    digest = hmac.new(secret["channel_secret"].encode(), raw_body(fixture), "sha256").digest()
    fixture["headers"]["X-Line-Signature"] = base64.b64encode(digest).decode()


def _discord(fixture: Fixture, secret: Mapping[str, str]) -> None:
    stamp = str(int(times.parse(fixture["now"]).timestamp()))
    fixture["headers"]["X-Signature-Timestamp"] = stamp
    fixture["headers"]["X-Signature-Ed25519"] = keys.ED25519.sign(stamp.encode() + raw_body(fixture)).hex()


def _intercom(fixture: Fixture, secret: Mapping[str, str]) -> None:
    if fixture["method"] != "HEAD":
        signature = hmac.new(secret["client_secret"].encode(), raw_body(fixture), "sha1").hexdigest()
        fixture["headers"]["X-Hub-Signature"] = "sha1=" + signature


def _freshchat(fixture: Fixture, secret: Mapping[str, str]) -> None:
    signature = keys.RSA.sign(raw_body(fixture), PKCS1v15(), SHA256())
    fixture["headers"]["X-Freshchat-Signature"] = base64.b64encode(signature).decode()


SIGN: Mapping[str, Callable[[Fixture, Mapping[str, str]], None]] = {
    **SERVICES,
    **signing_hosts.SIGN,
    "avito": _url_token,
    "discord": _discord,
    "freshchat": _freshchat,
    "instagram": _meta,
    "intercom": _intercom,
    "kakaotalk": _url_token,
    "line": _line,
    "max": _max,
    "messenger": _meta,
    "ok": _url_token,
    "signal": _url_token,
    "slack": _slack,
    "telegram": _telegram,
    "viber": _viber,
    "vk": _vk,
    "whatsapp": _meta,
}

ANOTHER: Mapping[str, Mapping[str, Any]] = {
    **ANOTHER_OF_SERVICES,
    **signing_hosts.ANOTHER,
    "discord": {"public_key": keys.ed25519_public_hex(keys.ANOTHER_ED25519)},
    "freshchat": {"public_key": keys.rsa_public_pem(keys.ANOTHER_RSA_PUBLIC)},
}
"""Another secret of the same form, for the channels whose secret cannot be lengthened by a letter: keys."""


def sign(kind: str, fixture: Fixture) -> None:
    """Make a fixture genuine under its own secret, in place."""
    SIGN[kind](fixture, fixture["secret"])
