"""Amazon SNS over HTTP: the signature of a message, and whose addresses it may name.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html,
https://docs.aws.amazon.com/sns/latest/dg/http-subscription-confirmation-json.html and
https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html (read 2026-11-22); the names of signers:
https://github.com/aws/aws-sdk-java-v2, ``SnsHostProvider`` (read 2026-11-30).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from ..core.errors import NotGenuine
from .fields import Json

NOTIFICATION, SUBSCRIPTION, UNSUBSCRIPTION = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"

_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED: Mapping[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: _CONFIRMATION,
    UNSUBSCRIPTION: _CONFIRMATION,
}
"""What is signed of each type, in this order; what is absent is left out."""
OPTIONAL = frozenset({"Subject"})

HASHES: Mapping[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}
"""By ``SignatureVersion``; 1 is what a topic has unless it was set."""

_TOPIC = re.compile(
    r"arn:(aws|aws-us-gov|aws-cn):sns:([a-z]{2,4}(?:-[a-z]{2,12}){1,2}-[0-9]{1,2}):[0-9]{12}:\S{1,256}\Z"
)
SUFFIXES: Mapping[str, str] = {
    "aws": "amazonaws.com",
    "aws-us-gov": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
}
"""By the partition of a topic. Other hosts below these suffixes are customers', such as ``sns.s3-us-west-2.amazonaws.com``."""
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem\Z")
_PATH = re.compile(r"/[\x21-\x7e]*\Z")


def _home(topic_arn: object) -> tuple[str, str] | None:
    found = _TOPIC.match(topic_arn) if isinstance(topic_arn, str) else None
    return (found[2], SUFFIXES[found[1]]) if found else None


def is_own(url: object, topic_arn: object) -> bool:
    """Say whether an address is one of SNS itself in the region of a topic, over https, on the standard port."""
    home = _home(topic_arn)
    if home is None or not isinstance(url, str) or len(url) > 2048:
        return False
    address = f"https://sns.{home[0]}.{home[1]}"
    return url.startswith(address + "/") and _PATH.match(url, len(address)) is not None


def signer_names(topic_arn: str) -> tuple[str, ...]:
    """Return the names that the signing certificate of a topic's region may have."""
    home = _home(topic_arn)
    if home is None:
        return ()
    region, suffix = home
    usual = (f"sns.{suffix}", f"sns-{region}.{suffix}", f"sns-signing.{region}.{suffix}")
    return (*usual, f"sns-us-gov-west-1.{suffix}") if region.startswith("us-gov-") else usual


def certificate_url(message: Json) -> str:
    """Return where the signing certificate is.

    Raises:
        NotGenuine: not at SNS in the topic's region.
    """
    url, topic = message.get("SigningCertURL"), message.get("TopicArn")
    if not isinstance(url, str) or not is_own(url, topic) or not _CERTIFICATE.search(url) or url.count("/") != 3:
        raise NotGenuine("the certificate's address is not one of SNS in the topic's region")
    return url


def verify(message: Json, certificate: str | None, now: datetime) -> None:
    """Verify a message: 1 certificate's address, 2 fields, 3 certificate, 4 signature.

    Raises:
        NotGenuine: anything is missing or wrong. Without a certificate nothing is genuine.
    """
    certificate_url(message)  # 1
    algorithm = HASHES.get(_text(message, "SignatureVersion"))
    names = SIGNED.get(_text(message, "Type"))
    if algorithm is None or names is None:  # 2
        raise NotGenuine("the message is not signed in a way that is known")
    lines = (
        f"{name}\n{_text(message, name)}\n" for name in names if name not in OPTIONAL or message.get(name) is not None
    )
    signed = "".join(lines).encode()
    if certificate is None:  # 3
        raise NotGenuine("the signing certificate is not known")
    try:
        since, until, key = _read(certificate)
        signature = base64.b64decode(_text(message, "Signature"), validate=True)
        if not since <= now <= until:
            raise NotGenuine("the signing certificate is not valid now")
        key.verify(signature, signed, PKCS1v15(), algorithm())  # 4
    except (InvalidSignature, ValueError, binascii.Error):
        raise NotGenuine("the signature is wrong") from None


def _text(message: Json, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise NotGenuine("a signed field is missing")
    return value


def ends_at(certificate: str) -> datetime | None:
    """Return when a certificate ends; None where it cannot be read, so that it verifies nothing anyway."""
    try:
        return _read(certificate)[1]
    except ValueError:
        return None


@lru_cache(maxsize=16)
def _read(certificate: str) -> tuple[datetime, datetime, RSAPublicKey]:
    found = x509.load_pem_x509_certificate(certificate.encode())
    key = found.public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError
    return found.not_valid_before_utc, found.not_valid_after_utc, key
