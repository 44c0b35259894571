"""Channels against independent readers: our channels agree with the platforms' own libraries on signatures and content."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from discord_interactions import verify_key
from linebot.v3.webhook import SignatureValidator, WebhookParser
from linebot.v3.webhooks.models import Event as LineEvent
from maxapi.enums.attachment import AttachmentType
from maxapi.enums.update import UpdateType
from maxapi.types.updates import UpdateUnionAdapter
from nacl.signing import SigningKey

from chalicelib.channels import CHANNELS, line
from chalicelib.channels import max as max_
from chalicelib.channels.base import ReceivedRequest, receive
from tests.contract.channels import keys
from tests.contract.channels.cases import Case, cases, raw_body, run


def named(kind: str, verdict: str = "accepted") -> list[Any]:
    return [pytest.param(case, id=case.name) for case in cases(kind) if case.expect["verdict"] == verdict]


def judged(case: Case, body: bytes, **headers: str) -> ReceivedRequest:
    request = case.request()
    changed = replace(request, body=body, headers={**request.headers, **headers})
    return receive(CHANNELS[case.kind], changed, [case.secret])


# --- LINE, with line-bot-sdk


@pytest.mark.parametrize("case", named("line"))
def test_line_library_accepts_what_we_accept_and_refuses_what_we_refuse(case: Case) -> None:
    validator = SignatureValidator(case.secret.channel_secret)
    body, signature = raw_body(case.fixture), case.fixture["headers"]["X-Line-Signature"]
    changed = body.replace(b"Ubot", b"Ubat")

    assert validator.validate(body.decode(), signature)
    assert not validator.validate(changed.decode(), signature)
    assert judged(case, changed).verdict == "rejected"


OLD = ("batch-of-an-old-version", "batch-of-presses-of-an-old-version", "big-ids")
BEYOND = ("odd-", "unknown-", "batch-with-odd-", "batch-with-unknown-")
"""How fixtures begin that libraries refuse and we take: other types than documented, and words of tomorrow."""
WHOLE = [c for c in named("line") if c.id not in OLD and not str(c.id).startswith(BEYOND)]
"""The library refuses what its models do not allow: events without an id, and numbers as ids."""


@pytest.mark.parametrize("case", WHOLE)
def test_line_library_reads_what_we_read(case: Case) -> None:
    body = json.loads(raw_body(case.fixture))
    for event in body["events"]:  # tokens that the library insists on
        event.setdefault("replyToken", "rt")
        if "message" in event:
            event["message"] = {"quoteToken": "q", "contentProvider": {"type": "line"}, **event["message"]}
    text = json.dumps(body)
    theirs = WebhookParser("unused")
    theirs.signature_validator = _Trusting()

    found = {event.webhook_event_id: event for event in theirs.parse(text, "")}
    _, events = run(case)

    for event in events:
        other = found[event["dedupe_id"]]
        assert event["native_kind"] == other.type
        assert event["sender"] == other.source.user_id or event["sender"]["id"] == other.source.user_id
        if event["kind"] in ("message", "message_edited"):
            assert event["message"]["id"] == other.message.id
            assert event["message"]["text"] == getattr(other.message, "text", None)


class _Trusting:
    """For a body to which tokens were added after it was signed."""

    def validate(self, body: str, signature: str) -> bool:
        return True


def test_every_event_of_the_line_library_is_read_or_known_to_be_ignored() -> None:
    (words,) = [v for n, v in vars(LineEvent).items() if n.endswith("discriminator_value_class_map")]
    ignored = {
        *("beacon", "videoPlayComplete", "accountLink", "membership"),
        *("activated", "deactivated", "botSuspended", "botResumed", "module"),
    }

    assert set(words) == set(line.EVENTS) | ignored


# --- Discord, with discord-interactions and PyNaCl


@pytest.mark.parametrize("case", named("discord"))
def test_discord_library_accepts_what_we_accept_and_refuses_what_we_refuse(case: Case) -> None:
    body, headers = raw_body(case.fixture), case.fixture["headers"]
    proof = (headers["X-Signature-Ed25519"], headers["X-Signature-Timestamp"], case.secret.public_key)

    assert verify_key(body, *proof)
    assert not verify_key(body + b" ", *proof)
    assert judged(case, body + b" ").verdict == "rejected"


def test_discord_request_is_accepted_when_another_library_signed_it() -> None:
    case = next(case for case in cases("discord") if case.name == "text")
    signer = SigningKey(bytes(range(1, 33)))
    assert signer.verify_key.encode().hex() == case.secret.public_key
    body, stamp = raw_body(case.fixture), case.fixture["headers"]["X-Signature-Timestamp"]

    signature = signer.sign(stamp.encode() + body).signature.hex()
    other = SigningKey(bytes(range(2, 34))).sign(stamp.encode() + body).signature.hex()

    assert judged(case, body, **{"x-signature-ed25519": signature}).verdict == "accepted"
    assert judged(case, body, **{"x-signature-ed25519": other}).verdict == "rejected"


# --- MAX, with maxapi


NOT_IN_MODELS = (
    *("attachments", "forwarded-without-body", "chat-created", "voice-without-message", "permissions-changed"),
    *("button-with-label", "user-added-in-the-same-millisecond"),
)
"""Not in the library's models: an attachment and an update that there are not, and objects without all of their fields."""


def updates() -> Iterator[Any]:
    for param in named("max"):
        body = json.loads(raw_body(param.values[0].fixture))
        if param.id not in NOT_IN_MODELS and not str(param.id).startswith(BEYOND):
            yield pytest.param(param.values[0], body, id=param.id)


@pytest.mark.parametrize(("case", "body"), list(updates()))
def test_max_library_reads_what_we_read(case: Case, body: dict[str, Any]) -> None:
    theirs = UpdateUnionAdapter.validate_python(body)
    _, (event,) = run(case)

    assert event["native_kind"] == theirs.update_type
    assert event["conversation"]["id"] == (None if theirs.get_ids()[0] is None else str(theirs.get_ids()[0]))
    if event["native_kind"] in ("message_created", "message_edited"):
        assert event["message"]["id"] == theirs.message.body.mid
        assert (event["sender"] or {}).get("id") == (theirs.message.sender and str(theirs.message.sender.user_id))
    if event["native_kind"] == "message_callback":
        assert event["message"]["payload"] == theirs.callback.payload


def test_every_update_and_attachment_of_the_max_library_is_read() -> None:
    internal = {UpdateType.RAW_API_RESPONSE, UpdateType.ON_STARTED}

    assert {str(t) for t in UpdateType if t not in internal} == set(max_.UPDATES) - {"bot_admin_permissions_changed"}
    assert {str(t) for t in AttachmentType} == set(max_.ATTACHMENTS) | (max_.KEYBOARDS - {"reply_keyboard"})


# --- Freshchat, by the arithmetic of RFC 8017 itself


def signed_by_hand(body: bytes, secret: int | None = None) -> str:
    numbers = keys.RSA.private_numbers()
    n, size = numbers.public_numbers.n, (numbers.public_numbers.n.bit_length() + 7) // 8
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(body).digest()
    block = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    return base64.b64encode(pow(int.from_bytes(block, "big"), secret or numbers.d, n).to_bytes(size, "big")).decode()


def test_freshchat_request_is_accepted_when_it_is_signed_by_hand() -> None:
    """Source: https://www.rfc-editor.org/rfc/rfc8017#section-8.2.1 (read 2026-11-22)."""
    case = next(case for case in cases("freshchat") if case.name == "text")
    body = raw_body(case.fixture)

    assert judged(case, body, **{"x-freshchat-signature": signed_by_hand(body)}).verdict == "accepted"
    assert judged(case, body, **{"x-freshchat-signature": signed_by_hand(body, 65537)}).verdict == "rejected"
    assert judged(case, body, **{"x-freshchat-signature": signed_by_hand(body + b" ")}).verdict == "rejected"


def test_freshchat_key_is_taken_in_every_wrapping() -> None:
    pem = keys.rsa_public_pem()
    inner = "".join(pem.splitlines()[1:-1])
    wrapped = f"-----BEGIN RSA PUBLIC KEY-----\n{inner}\n-----END RSA PUBLIC KEY-----"
    case = next(case for case in cases("freshchat") if case.name == "text")

    for form in (pem, pem.replace("\n", "\r\n"), inner, wrapped, wrapped.replace("\n", " ")):
        secret = CHANNELS["freshchat"].Secret(public_key=form)
        assert receive(CHANNELS["freshchat"], case.request(), [secret]).verdict == "accepted"


@pytest.mark.parametrize("form", ["pear", "cGVhcg==", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", "é"])
def test_freshchat_secret_is_refused_when_it_is_no_rsa_key(form: str) -> None:
    with pytest.raises(ValueError, match="not a public key") as caught:
        CHANNELS["freshchat"].Secret(public_key=form)

    assert "pear" not in str(caught.value)
