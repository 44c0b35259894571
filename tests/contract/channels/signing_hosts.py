"""How servers that tenants run themselves, Standard Webhooks and e-mail platforms prove that a request is their own."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from chalicelib.core import times

from . import keys
from .cases import raw_body

Fixture = dict[str, Any]


def _followed_by(value: bytes) -> Callable[[re.Match[bytes]], bytes]:
    """Return a replacement that keeps the first group and appends a value."""
    return lambda found: bytes(found[1]) + value


def _body(fixture: Fixture, body: bytes) -> None:
    fixture.pop("body", None)
    fixture["body_base64"] = base64.b64encode(body).decode()


def _now(fixture: Fixture) -> str:
    return str(int(times.parse(fixture["now"]).timestamp()))


def _matrix(fixture: Fixture, secret: Mapping[str, str]) -> None:
    fixture["headers"]["Authorization"] = "Bearer " + secret["hs_token"]


def _put(fixture: Fixture, name: str, value: Any) -> None:
    try:
        document = json.loads(raw_body(fixture))
    except (ValueError, RecursionError):
        return  # nowhere to put it: such a request cannot be made genuine
    if isinstance(document, dict):
        _body(fixture, json.dumps({**document, name: value}).encode())


def _token_in_body(fixture: Fixture, secret: Mapping[str, str]) -> None:
    body = raw_body(fixture)
    if body[:1] == b"{":
        _put(fixture, "token", secret["token"])
    else:
        fields = [pair for pair in _fields(body) if pair[0] != "token"]
        _body(fixture, _encoded([*fields, ("token", secret["token"])]))


def _fields(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(errors="surrogateescape"), keep_blank_values=True, errors="surrogateescape")


def _encoded(fields: list[tuple[str, str]]) -> bytes:
    return urlencode(fields, errors="surrogateescape").encode()


def _bitrix24(fixture: Fixture, secret: Mapping[str, str]) -> None:
    name = "auth[application_token]"
    fields = [pair for pair in _fields(raw_body(fixture)) if pair[0] != name]
    _form(fixture, [*fields, (name, secret["application_token"])])


def _form(fixture: Fixture, fields: list[tuple[str, str]]) -> None:
    fixture.pop("body_base64", None)
    fixture["body"] = _encoded(fields).decode()


def _livechat(fixture: Fixture, secret: Mapping[str, str]) -> None:
    _put(fixture, "secret_key", secret["secret_key"])


def _standard_webhooks(fixture: Fixture, secret: Mapping[str, str]) -> None:
    headers, text = fixture["headers"], secret["secret"].removeprefix("whsec_")
    prefix = "svix" if "svix-id" in headers else "webhook"
    headers[f"{prefix}-timestamp"] = _now(fixture)
    signed = f"{headers[f'{prefix}-id']}.{_now(fixture)}.".encode() + raw_body(fixture)
    if text.startswith("whpk_"):
        proof = "v1a," + base64.b64encode(keys.ED25519.sign(signed)).decode()
    else:
        key = base64.b64decode(text + "=" * (-len(text) % 4))
        proof = "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
    headers[f"{prefix}-signature"] = proof


def _mailgun(fixture: Fixture, secret: Mapping[str, str]) -> None:
    body, stamp, token = raw_body(fixture), _now(fixture), "58" * 25
    signature = hmac.new(secret["signing_key"].encode(), (stamp + token).encode(), "sha256").hexdigest()
    proof = {"timestamp": stamp, "token": token, "signature": signature}
    if body[:1] == b"{":
        _put(fixture, "signature", proof)
    elif body[:2] == b"--":
        for name, value in proof.items():
            field = rb'(name="%s"\r\n\r\n)[^\r]*' % name.encode()
            body = re.sub(field, _followed_by(value.encode()), body)
        _body(fixture, body)
    else:
        fields = [pair for pair in _fields(body) if pair[0] not in proof]
        fixture["headers"]["Content-Type"] = "application/x-www-form-urlencoded"
        _body(fixture, _encoded([*fields, *proof.items()]))


def _postmark(fixture: Fixture, secret: Mapping[str, str]) -> None:
    pair = f"{secret['username']}:{secret['password']}".encode()
    fixture["headers"]["Authorization"] = "Basic " + base64.b64encode(pair).decode()


SIGN: Mapping[str, Callable[[Fixture, Mapping[str, str]], None]] = {
    "bitrix24_openlines": _bitrix24,
    "email_mailgun": _mailgun,
    "email_postmark": _postmark,
    "livechat": _livechat,
    "matrix": _matrix,
    "mattermost": _token_in_body,
    "rocketchat": _token_in_body,
    "standard_webhooks": _standard_webhooks,
}

ANOTHER: Mapping[str, Mapping[str, str]] = {
    "standard_webhooks": {"secret": "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()},
}
