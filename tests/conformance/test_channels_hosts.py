"""Standard Webhooks, Mailgun and Postmark judged beside independent implementations: both accept, both refuse, both read the same."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import django
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from standardwebhooks.webhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook
from svix.webhooks import WebhookVerificationError

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import Inbound, ReceivedRequest, receive
from chalicelib.core import times
from chalicelib.destinations import http
from chalicelib.destinations.base import Delivery

MAILGUN_KEY = "plum-mailgun-signing-key"

if not settings.configured:
    settings.configure(
        ANYMAIL={"MAILGUN_WEBHOOK_SIGNING_KEY": MAILGUN_KEY, "WEBHOOK_SECRET": "plum:orchard"},
        DEFAULT_CHARSET="utf-8",
        ALLOWED_HOSTS=["*"],
        USE_TZ=True,
    )
    django.setup()

from anymail.signals import inbound  # noqa: E402  (only once Django is set up)
from anymail.webhooks.mailgun import MailgunInboundWebhookView  # noqa: E402
from anymail.webhooks.postmark import PostmarkInboundWebhookView  # noqa: E402
from django.core.exceptions import SuspiciousOperation  # noqa: E402
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.test import RequestFactory  # noqa: E402


def now() -> datetime:
    """The time: the libraries compare with the clock of the machine."""
    return datetime.now(UTC)


SECRET = "whsec_" + base64.b64encode(b"plum orchard signing key").decode()
BODY = '{"type": "order.paid", "data": {"фрукт": "слива 🫐"}}'


def judged(kind: str, secret: dict[str, str], headers: dict[str, str], body: bytes) -> ReceivedRequest:
    lower = {name.lower(): value for name, value in headers.items()}
    request = Inbound("POST", "https://cell.example/hooks/src_w", lower, {}, body, now())
    channel = CHANNELS[kind]
    return receive(channel, request, [channel.Secret.model_validate(secret)])


# --- Standard Webhooks


def test_we_accept_what_both_libraries_sign() -> None:
    for prefix, library in (("webhook", Webhook), ("svix", SvixWebhook)):
        at = now()
        signature = library(SECRET).sign("msg_1", at, BODY)
        headers = {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(int(at.timestamp()))}

        received = judged(
            "standard_webhooks", {"secret": SECRET}, {**headers, f"{prefix}-signature": signature}, BODY.encode()
        )

        assert [draft.native_kind for draft in received.drafts] == ["order.paid"]


@pytest.mark.parametrize("spoilt", ["webhook-id", "webhook-timestamp", "webhook-signature", "body", "version", "stale"])
def test_we_and_the_library_refuse_when_a_part_is_another(spoilt: str) -> None:
    library = SvixWebhook(SECRET)
    stamp = int(now().timestamp()) - 301 * (spoilt == "stale")
    signature = library.sign("msg_1", datetime.fromtimestamp(stamp, UTC), BODY)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": signature}
    body = BODY.encode() + b" " * (spoilt == "body")
    if spoilt in headers:
        headers[spoilt] = headers[spoilt][:-2] + ("11" if headers[spoilt][-2:] != "11" else "22")
    if spoilt == "version":
        headers["webhook-signature"] = signature.replace("v1,", "v2,")

    assert judged("standard_webhooks", {"secret": SECRET}, headers, body).verdict == "rejected"
    with pytest.raises(WebhookVerificationError):
        library.verify(body, headers)


def test_we_accept_an_asymmetric_signature_when_another_implementation_makes_it() -> None:
    key = Ed25519PrivateKey.generate()
    stamp = str(int(now().timestamp()))
    proof = key.sign(f"msg_1.{stamp}.{BODY}".encode())
    public = "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp}

    good = {**headers, "webhook-signature": "v1a," + base64.b64encode(proof).decode()}
    bad = {**headers, "webhook-signature": "v1a," + base64.b64encode(proof[::-1]).decode()}

    assert judged("standard_webhooks", {"secret": public}, good, BODY.encode()).verdict == "accepted"
    assert judged("standard_webhooks", {"secret": public}, bad, BODY.encode()).verdict == "rejected"


def test_we_accept_our_own_deliveries_when_one_cell_feeds_another() -> None:
    delivery = Delivery(
        delivery_id="dlv_00000000000000000000000001",
        transfer_id="trf_00000000000000000000000001",
        event_id="evt_00000000000000000000000001",
        tenant_id="tnt_00000000000000000000000001",
        destination_id="dst_00000000000000000000000001",
        channel="telegram",
        conversation="cnv_00000000000000000000000001",
        kind="message",
        occurred_at=now(),
        attempt=1,
        now=now(),
        config=http.Config(url="https://cell.example/hooks/src_w"),
        secrets=(SECRET,),
    )
    request = http.render({"kind": "message"}, delivery)

    received = judged("standard_webhooks", {"secret": SECRET}, dict(request.headers), request.body)

    assert [draft.native_kind for draft in received.drafts] == ["waybill.message"]


# --- e-mail


def read_by_library(view: Any, request: Any) -> Any:
    """Return the library's message, or None if it refuses the request."""
    found: list[Any] = []

    def keep(event: Any, **_: Any) -> None:
        found.append(event.message)

    inbound.connect(keep)
    try:
        view.as_view()(request)
    except SuspiciousOperation:
        return None
    finally:
        inbound.disconnect(keep)
    return found[0]


HEADERS = [
    ["From", "=?utf-8?B?0JfQvtGPLCDQmi4=?= <Zoya@Plum.example>"],
    ["To", '"Depot, East" <east@orchard.example>'],
    ["Subject", "Сливы"],
    ["Message-Id", "<3@plum.example>"],
    ["In-Reply-To", "<2@orchard.example>"],
]


def same_message(received: ReceivedRequest, message: Any) -> None:
    (draft,) = received.drafts
    assert draft.sender is not None
    assert draft.message is not None
    assert (draft.sender.name, draft.sender.id) == (
        message.from_email.display_name,
        message.from_email.addr_spec.lower(),
    )
    assert draft.conversation.title == message.subject
    assert (draft.message.text or "").replace("\r\n", "\n") == message.text  # ours is as sent
    assert [a.name for a in draft.message.attachments] == [a.get_filename() for a in message.attachments]
    assert [a.size_bytes for a in draft.message.attachments] == [
        len(a.get_content_bytes()) for a in message.attachments
    ]
    assert [a.mime for a in draft.message.attachments] == [a.get_content_type() for a in message.attachments]


def mailgun() -> dict[str, str]:
    stamp, token = str(int(now().timestamp())), "7" * 50
    return {
        "recipient": "east@orchard.example",
        "sender": "bounce@plum.example",
        "message-headers": json.dumps(HEADERS),
        "body-plain": "Есть сливы? 🫐\r\n",
        "attachment-count": "0",
        "timestamp": stamp,
        "token": token,
        "signature": hmac.new(MAILGUN_KEY.encode(), (stamp + token).encode(), "sha256").hexdigest(),
    }


def posted(content: str | dict[str, Any]) -> Any:
    if isinstance(content, str):
        request = RequestFactory().generic("POST", "/", content, "application/x-www-form-urlencoded")
    else:
        request = RequestFactory().post("/", content)  # multipart
    request.META["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(b"plum:orchard").decode()
    return request


@pytest.mark.parametrize("form", ["urlencoded", "multipart"])
def test_mailgun_is_read_as_the_library_reads_it(form: str) -> None:
    file = SimpleUploadedFile("plan.pdf", b"%PDF\r\n--\r\n\x00\xff", "application/pdf")
    multipart = {**mailgun(), "attachment-count": "1", "attachment-1": file}
    request = posted(urlencode(mailgun()) if form == "urlencoded" else multipart)
    headers = {"Content-Type": request.META["CONTENT_TYPE"]}

    received = judged("email_mailgun", {"signing_key": MAILGUN_KEY}, headers, request.body)

    same_message(received, read_by_library(MailgunInboundWebhookView, request))


@pytest.mark.parametrize("spoilt", ["timestamp", "token", "signature"])
def test_mailgun_is_refused_by_both_when_its_proof_is_another(spoilt: str) -> None:
    fields = mailgun()
    fields[spoilt] = fields[spoilt][:-1] + ("1" if fields[spoilt][-1] != "1" else "2")
    request = posted(urlencode(fields))

    received = judged("email_mailgun", {"signing_key": MAILGUN_KEY}, {}, request.body)

    assert received.verdict == "rejected"
    assert read_by_library(MailgunInboundWebhookView, request) is None


def postmark() -> dict[str, Any]:
    return {
        "FromFull": {"Email": "Zoya@Plum.example", "Name": "Зоя, К.", "MailboxHash": ""},
        "ToFull": [{"Email": "east@orchard.example", "Name": "Depot, East", "MailboxHash": ""}],
        "Subject": "Сливы",
        "MessageID": "73e6d360-66eb-11e1-8e72-a8904824019b",
        "Date": "Mon, 2 Mar 2026 12:29:00 +0300",
        "TextBody": "Есть сливы? 🫐\n",
        "HtmlBody": "",
        "Headers": [{"Name": "Message-ID", "Value": "<3@plum.example>"}],
        "Attachments": [
            {"Name": "plan.pdf", "Content": "JVBERg==", "ContentType": "application/pdf", "ContentLength": 4}
        ],
    }


@pytest.mark.parametrize(("password", "genuine"), [("orchard", True), ("orchars", False)])
def test_postmark_is_judged_and_read_as_the_library_does(password: str, genuine: bool) -> None:
    body = json.dumps(postmark()).encode()
    basic = "Basic " + base64.b64encode(f"plum:{password}".encode()).decode()
    request = RequestFactory().generic("POST", "/", body, "application/json", HTTP_AUTHORIZATION=basic)

    secret = {"username": "plum", "password": "orchard"}
    received = judged("email_postmark", secret, {"Authorization": basic}, body)
    message = read_by_library(PostmarkInboundWebhookView, request)

    assert (received.verdict == "accepted", message is not None) == (genuine, genuine)
    if genuine:
        same_message(received, message)
        assert received.drafts[0].occurred_at == times.parse("2026-03-02T09:29:00Z")
