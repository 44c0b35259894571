"""Which certificates, and which addresses, are those of Amazon SNS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from chalicelib.channels import CHANNELS, sns
from chalicelib.channels.base import receive
from chalicelib.core.errors import Unavailable
from chalicelib.flow.hooks import key_addresses
from chalicelib.flow.hooks.signing_certificates import checked, roots_of
from tests.contract.channels.authority import ISSUER_URL, Authority, authority
from tests.contract.channels.cases import Case, cases
from tests.contract.channels.signing import sign
from tests.contract.channels.signing_services import certificate

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail"
NAMES = sns.signer_names(TOPIC)
BUCKET = "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


def fetching(content: bytes) -> Callable[[str], bytes]:
    def fetch(url: str) -> bytes:
        assert url == ISSUER_URL
        return content

    return fetch


def check(pem: str, by: Authority | None = None, now: datetime = NOW) -> str:
    own = by or authority()
    return checked(pem.encode(), NAMES, now, fetching(own.issuer_der), lambda: [authority().root])


@pytest.mark.parametrize("name", ["sns.amazonaws.com", "sns-signing.eu-central-1.amazonaws.com"])
def test_certificate_counts_when_amazons_authority_vouches_for_a_name_of_sns(name: str) -> None:
    pem = authority().signer(name)

    assert check(pem) == pem


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(lambda: certificate(), id="self-signed"),
        pytest.param(lambda: authority().signer("evil.example"), id="another name"),
        pytest.param(lambda: authority().signer("sns.s3-us-west-2.amazonaws.com"), id="a bucket's name"),
        pytest.param(lambda: authority().signer(issuer_url="http://evil.example/r2m01.cer"), id="another issuer"),
        pytest.param(lambda: authority().signer(days=30), id="expired"),
        pytest.param(lambda: "no certificate", id="none"),
    ],
)
def test_certificate_counts_for_nothing_when_it_is_not_of_sns(pem: Callable[[], str]) -> None:
    with pytest.raises(Unavailable):
        check(pem())


def test_certificate_counts_for_nothing_when_another_authority_made_it() -> None:
    other = Authority()

    with pytest.raises(Unavailable):
        check(other.signer(), other)


def test_only_amazons_roots_count_of_all_that_a_machine_trusts() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority().root.public_bytes(Encoding.PEM).decode())
    context.load_verify_locations(cadata=Authority().issuer.public_bytes(Encoding.PEM).decode())

    assert roots_of(context)[0] == authority().root


@pytest.mark.parametrize(
    ("topic", "url", "own"),
    [
        (TOPIC, "https://sns.eu-central-1.amazonaws.com/x", True),
        ("arn:aws-cn:sns:cn-north-1:123456789012:t", "https://sns.cn-north-1.amazonaws.com.cn/x", True),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:t", "https://sns.us-gov-west-1.amazonaws.com/x", True),
        (TOPIC, "https://sns.eu-west-1.amazonaws.com/x", False),
        (TOPIC, "https://sns.eu-central-1.amazonaws.com.cn/x", False),
        ("arn:aws-cn:sns:cn-north-1:123456789012:t", "https://sns.cn-north-1.amazonaws.com/x", False),
        (TOPIC, "http://sns.eu-central-1.amazonaws.com/x", False),
        (TOPIC, "https://sns.eu-central-1.amazonaws.com:8443/x", False),
        (TOPIC, "https://sns.eu-central-1.amazonaws.com@evil.example/x", False),
        (TOPIC, "https://sns.eu-central-1.amazonaws.com", False),
        (TOPIC, "https://sns.eu-central-1.amazonaws.com/ x", False),
        (TOPIC, BUCKET, False),
        ("arn:aws:sns:s3-us-west-2:123456789012:t", BUCKET, False),
        ("no topic", "https://sns.eu-central-1.amazonaws.com/x", False),
    ],
)
def test_address_is_of_sns_when_its_host_is_that_of_the_topics_region(topic: str, url: str, own: bool) -> None:
    assert sns.is_own(url, topic) is own


def test_bucket_named_sns_is_no_host_of_a_platform() -> None:
    assert not key_addresses.is_own(BUCKET)


@pytest.mark.parametrize(("name", "field"), [("text", "SigningCertURL"), ("handshake", "SubscribeURL")])
@pytest.mark.parametrize("host", ["sns.s3-us-west-2.amazonaws.com", "sns.eu-west-1.amazonaws.com"])
def test_message_of_ses_is_refused_when_it_names_another_host(name: str, field: str, host: str) -> None:
    case: Case = next(case for case in cases("email_ses") if case.name == name)
    message: dict[str, Any] = json.loads(case.fixture["body"])
    message[field] = message[field].replace("sns.eu-central-1.amazonaws.com", host)
    fixture = {**case.fixture, "body": json.dumps(message)}
    sign("email_ses", fixture)
    changed = Case(case.kind, case.name, fixture)

    received = receive(CHANNELS["email_ses"], changed.request(), [changed.secret])

    assert received.verdict in ("rejected", "malformed")
