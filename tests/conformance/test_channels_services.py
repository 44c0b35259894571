"""Requests signed by the vendors' own SDKs and by independent libraries are taken, and refused once touched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth import crypt as google_crypt
from google.auth import jwt as google_jwt
from twilio.request_validator import RequestValidator
from vonage_jwt import VonageVerifyJwtError, verify_signature
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from chalicelib.channels import CHANNELS
from chalicelib.channels import jwt as ours
from chalicelib.channels.base import Inbound, receive
from chalicelib.core import times
from chalicelib.core.errors import NotGenuine
from tests.contract.channels.cases import Case, cases
from tests.contract.channels.keys import RSA
from tests.contract.channels.signing_services import KEY_NAME, key_set

PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def case_of(kind: str, name: str = "text") -> Case:
    return next(case for case in cases(kind) if case.name == name)


def with_header(request: Inbound, name: str, value: str) -> Inbound:
    return replace(request, headers={**request.headers, name: value})


def verdict(case: Case, request: Inbound) -> str:
    return receive(CHANNELS[case.kind], request, [case.secret]).verdict


# --- Twilio


class Form(dict[str, list[str]]):
    """A form as web frameworks hand it to the SDK: of each field all values."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def twilio_signed(url: str, form: Form, token: str) -> Inbound:
    made = RequestValidator(token).compute_signature(url, form)
    body = urlencode(form, doseq=True).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": made}
    return Inbound("POST", url, headers, {}, body, times.parse("2026-03-02T09:30:00Z"))


@pytest.mark.parametrize("url", ["https://cell.example/hooks/src_t", "https://cell.example:8443/hooks/src_t?a=1&b=%20"])
def test_twilio_form_is_taken_when_its_sdk_signed_it_and_refused_when_touched(url: str) -> None:
    case = case_of("twilio")
    fields = {"MessageSid": "SM1", "From": "+491709200017", "To": "+49309", "Body": "æ & ¼ ="}
    form = Form({**{name: [value] for name, value in fields.items()}, "Many": ["b", "a", "a"]})
    request = twilio_signed(url, form, case.fixture["secret"]["auth_token"])

    assert verdict(case, request) == "accepted"
    assert verdict(case, replace(request, body=request.body.replace(b"SM1", b"SM2"))) == "rejected"
    assert verdict(case, replace(request, url=url + "x")) == "rejected"


@pytest.mark.parametrize(
    "case", [c for c in cases("twilio") if c.expect["verdict"] == "accepted"], ids=lambda c: c.name
)
def test_twilio_sdk_agrees_when_a_fixture_is_genuine(case: Case) -> None:
    request = case.request()
    validator = RequestValidator(case.fixture["secret"]["auth_token"])
    form = Form()
    for pair in re.findall(rb"([^&=]+)=([^&]*)", request.body):
        name, value = (part.decode().replace("+", " ") for part in pair)
        form.setdefault(unquoted(name), []).append(unquoted(value))

    assert validator.validate(request.url, form, request.headers["x-twilio-signature"])


def unquoted(text: str) -> str:
    return re.sub(r"(?:%[0-9A-Fa-f]{2})+", lambda m: bytes.fromhex(m[0].replace("%", "")).decode(), text)


# --- Vonage


@pytest.mark.parametrize(
    "case", [c for c in cases("vonage") if "Authorization" in c.fixture["headers"]], ids=lambda c: c.name
)
def test_vonage_sdk_agrees_about_the_signature_of_every_token(case: Case) -> None:
    token = case.fixture["headers"]["Authorization"].removeprefix("Bearer ")
    try:
        theirs = verify_signature(token, case.fixture["secret"]["signature_secret"])
    except VonageVerifyJwtError:
        theirs = False

    assert theirs == (case.name != "rejected-token-without-signature")


def vonage_token(case: Case, **changed: Any) -> str:
    request = case.request()
    claims = {
        "iss": "Vonage",
        "iat": int(request.now.timestamp()),
        "payload_hash": hashlib.sha256(request.body).hexdigest(),
        **changed,
    }
    return pyjwt.encode(claims, case.fixture["secret"]["signature_secret"], algorithm="HS256")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "accepted"),
        ({"payload_hash": "0" * 64}, "rejected"),
        ({"iss": "another"}, "rejected"),
        ({"iat": 1}, "rejected"),
        ({"iat": 10**400}, "rejected"),
        ({"iat": None}, "rejected"),
    ],
)
def test_vonage_token_of_an_independent_library_is_judged_by_its_claims(changed: dict[str, Any], expected: str) -> None:
    case = case_of("vonage")

    assert (
        verdict(case, with_header(case.request(), "authorization", f"Bearer {vonage_token(case, **changed)}"))
        == expected
    )


# --- Teams and Google Chat


def claims_of(kind: str, request: Inbound, **changed: Any) -> dict[str, Any]:
    now = int(request.now.timestamp())
    own = {
        "teams": {
            "iss": "https://api.botframework.com",
            "aud": case_of("teams").fixture["secret"]["app_id"],
            "serviceurl": "https://smba.trafficmanager.example/emea/",
        },
        "google_chat": {
            "iss": "chat@system.gserviceaccount.com",
            "aud": case_of("google_chat").fixture["secret"]["audience"],
        },
    }
    return {**own[kind], "iat": now, "nbf": now, "exp": now + 3600, **changed}


@pytest.mark.parametrize("kind", ["teams", "google_chat"])
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "accepted"),
        ({"aud": "another"}, "rejected"),
        ({"iss": "https://issuer.example"}, "rejected"),
        ({"exp": 1}, "rejected"),
        ({"exp": True}, "rejected"),
        ({"exp": "9999999999"}, "rejected"),
        ({"nbf": 4102444800}, "rejected"),
        ({"nbf": 10**400}, "rejected"),
    ],
)
def test_token_of_an_independent_library_is_judged_by_its_claims(
    kind: str, changed: dict[str, Any], expected: str
) -> None:
    case = case_of(kind)
    request = case.request()
    signer = google_crypt.RSASigner.from_string(PEM, KEY_NAME)
    token = google_jwt.encode(signer, claims_of(kind, request, **changed)).decode()

    assert verdict(case, with_header(request, "authorization", f"Bearer {token}")) == expected


@pytest.mark.parametrize("kind", ["teams", "google_chat"])
def test_token_is_refused_when_a_public_key_is_used_as_a_secret_or_none_at_all(kind: str) -> None:
    case = case_of(kind)
    request, claims = case.request(), claims_of(kind, case.request())
    modulus = key_set()["keys"][0]["n"]
    tokens = [
        pyjwt.encode(claims, modulus, algorithm="HS256", headers={"kid": KEY_NAME}),
        pyjwt.encode(claims, None, algorithm="none", headers={"kid": KEY_NAME}),  # type: ignore[arg-type]
        pyjwt.encode(claims, PEM, algorithm="RS256", headers={"kid": "another"}),
        pyjwt.encode(claims, PEM, algorithm="RS512", headers={"kid": KEY_NAME}),
        pyjwt.encode(claims, PEM, algorithm="RS256", headers={"kid": KEY_NAME, "crit": ["exp"], "exp": 1}),
    ]

    verdicts = {verdict(case, with_header(request, "authorization", f"Bearer {token}")) for token in tokens}

    assert verdicts == {"rejected"}


@pytest.mark.parametrize("kind", ["teams", "google_chat"])
def test_every_touched_character_of_a_token_is_seen(kind: str) -> None:
    case = case_of(kind)
    request = case.request()
    scheme, _, token = request.headers["authorization"].partition(" ")

    for at in range(0, len(token), 3):
        touched = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert verdict(case, with_header(request, "authorization", f"{scheme} {touched}")) == "rejected"


@pytest.mark.parametrize("days", [-2, 2])
@pytest.mark.parametrize("kind", ["teams", "google_chat"])
def test_token_is_refused_when_it_is_days_off(kind: str, days: int) -> None:
    case = case_of(kind)
    request = case.request()

    assert verdict(case, replace(request, now=request.now + timedelta(days=days))) == "rejected"


def test_short_keys_are_refused_even_if_they_are_published() -> None:
    short = {"keys": [{**key_set()["keys"][0], "n": base64.urlsafe_b64encode(b"\xff" * 128).decode()}]}
    case = case_of("teams")
    request = case.request()

    with pytest.raises(NotGenuine):
        ours.rs256(
            ours.bearer(request.headers),
            ours.KeySet.model_validate(short),
            issuers={"https://api.botframework.com"},
            audience=case.fixture["secret"]["app_id"],
            now=request.now,
        )


def test_outgoing_webhook_is_refused_when_any_byte_changes() -> None:
    case = case_of("teams", "outgoing-webhook")
    request = case.request()

    touched = (
        request.body[:at] + bytes([request.body[at] ^ 1]) + request.body[at + 1 :] for at in range(len(request.body))
    )

    assert {verdict(case, replace(request, body=body)) for body in touched} == {"rejected"}


# --- WeChat


def wechat_crypto(case: Case) -> WeChatCrypto:
    secret = case.fixture["secret"]
    return WeChatCrypto(secret["token"], secret["encoding_aes_key"], secret["app_id"])


def test_wechat_message_is_taken_when_an_independent_library_encrypted_it_and_refused_when_touched() -> None:
    case = case_of("wechat")
    request, stamp = case.request(), str(int(case.request().now.timestamp()))
    sealed = wechat_crypto(case).encrypt_message(request.body.decode(), "nonce7", stamp)
    found = re.search(r"<MsgSignature><!\[CDATA\[(.*?)\]\]>", sealed)
    assert found is not None
    query = {"timestamp": stamp, "nonce": "nonce7", "msg_signature": found[1], "encrypt_type": "aes"}
    encrypted = replace(request, body=sealed.encode(), query=query)

    received = receive(CHANNELS["wechat"], encrypted, [case.secret])

    assert [draft.message.text for draft in received.drafts if draft.message] == ["还有冬枣吗？🍒"]
    assert verdict(case, replace(encrypted, query={**query, "nonce": "nonce8"})) == "rejected"
    assert verdict(case, replace(encrypted, body=sealed.replace("A", "B").encode())) == "rejected"


def test_independent_library_reads_what_the_wechat_fixtures_encrypt() -> None:
    case = case_of("wechat", "encrypted-text")
    query = case.fixture["query"]

    plain = wechat_crypto(case).decrypt_message(
        case.fixture["body"], query["msg_signature"], query["timestamp"], query["nonce"]
    )

    assert "加密的枣" in plain


def test_wechat_signature_is_that_of_an_independent_library() -> None:
    case = case_of("wechat")
    signer, query = WeChatSigner(), case.fixture["query"]
    signer.add_data(case.fixture["secret"]["token"], query["timestamp"], query["nonce"])

    assert signer.signature == query["signature"]


# --- Amazon SNS


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "TopicArn", "Type", "Signature"])
def test_sns_message_is_refused_when_any_signed_field_changes(name: str) -> None:
    case = case_of("email_ses")
    request = case.request()
    message = json.loads(request.body)
    message[name] = message[name][:-3] + ("abc" if name != "Signature" else "AB=")

    assert verdict(case, replace(request, body=json.dumps(message).encode())) == "rejected"


def test_sns_message_is_refused_when_its_certificate_is_not_valid_now() -> None:
    case = case_of("email_ses")
    request = case.request()

    for years in (-1, 20):
        assert verdict(case, replace(request, now=request.now + timedelta(days=365 * years))) == "rejected"
