"""How the messaging services of large providers prove that a request is their own: forms, tokens, certificates."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from chalicelib.core import times

from .cases import raw_body
from .keys import RSA

Fixture = dict[str, Any]
Secret = Mapping[str, Any]

KEY_NAME = "key-1"
CERTIFICATE_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


def _b64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def key_set(name: str = KEY_NAME) -> dict[str, Any]:
    """Return the public half of the test key as a platform publishes it."""
    public = RSA.public_key().public_numbers()
    modulus, exponent = public.n.to_bytes(RSA.key_size // 8), public.e.to_bytes(3)
    return {"keys": [{"kty": "RSA", "use": "sig", "kid": name, "n": _b64url(modulus), "e": _b64url(exponent)}]}


def certificate(common_name: str = "sns.amazonaws.com") -> str:
    """Return a certificate of the test key, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    since = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder(name, name, RSA.public_key(), 1, since, since + timedelta(days=3650))
        .sign(RSA, SHA256())
        .public_bytes(Encoding.PEM)
    )
    return built.decode()


def token(claims: Mapping[str, Any], *, name: str | None = KEY_NAME, alg: str = "RS256", secret: str = "") -> str:
    """Return a signed token."""
    header = {"typ": "JWT", "alg": alg, **({"kid": name} if name else {})}
    signed = ".".join(_b64url(json.dumps(part).encode()) for part in (header, claims)).encode()
    if alg == "RS256":
        signature = RSA.sign(signed, PKCS1v15(), SHA256())
    else:
        signature = hmac.digest(secret.encode(), signed, "sha256")
    return f"{signed.decode()}.{_b64url(signature)}"


def _now(fixture: Fixture) -> int:
    return int(times.parse(fixture["now"]).timestamp())


def _document(fixture: Fixture) -> dict[str, Any]:
    try:
        found = json.loads(raw_body(fixture))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _put(fixture: Fixture, body: str) -> None:
    fixture.pop("body_base64", None)
    fixture["body"] = body


def _set_query(fixture: Fixture, **values: str) -> None:
    fixture["query"].update(values)
    address = urlsplit(fixture["url"])._replace(query=urlencode(fixture["query"], errors="surrogatepass"))
    fixture["url"] = address.geturl()


def _twilio(fixture: Fixture, secret: Secret) -> None:
    signed = ""
    if fixture["method"] == "GET":
        _set_query(fixture)
    elif "json" in fixture["headers"].get("Content-Type", ""):
        _set_query(fixture, bodySHA256=hashlib.sha256(raw_body(fixture)).hexdigest())
    else:
        body = raw_body(fixture).decode("utf-8", "surrogateescape")
        form = parse_qs(body, keep_blank_values=True, errors="surrogateescape")
        signed = "".join(n + v for n in sorted(form) for v in sorted(set(form[n])))
    text = (fixture["url"] + signed).encode("utf-8", "surrogateescape")
    proof = base64.b64encode(hmac.digest(secret["auth_token"].encode(), text, "sha1")).decode()
    fixture["headers"]["X-Twilio-Signature"] = proof


def _vonage(fixture: Fixture, secret: Secret) -> None:
    now, body = _now(fixture), raw_body(fixture)
    if fixture["method"] == "GET" and not fixture["query"]:
        return
    if fixture["method"] == "POST":
        claims = {"iss": "Vonage", "iat": now, "jti": "0", "payload_hash": hashlib.sha256(body).hexdigest()}
        made = token(claims, name=None, alg="HS256", secret=secret["signature_secret"])
        fixture["headers"]["Authorization"] = f"Bearer {made}"
        return
    fixture["query"].pop("sig", None)
    fixture["query"]["timestamp"] = str(now)
    # Half a surrogate pair arrives as a replacement character, and the channel reads that.
    fields = {name: re.sub("[\ud800-\udfff]", "\ufffd", value) for name, value in fixture["query"].items()}
    text = "".join(f"&{name}={fields[name].replace('&', '_').replace('=', '_')}" for name in sorted(fields))
    method = secret.get("signature_method", "sha256")
    if method == "md5hash":
        proof = hashlib.md5((text + secret["signature_secret"]).encode()).hexdigest()
    else:
        proof = hmac.digest(secret["signature_secret"].encode(), text.encode(), method).hex()
    fixture["query"]["sig"] = proof


def _teams(fixture: Fixture, secret: Secret) -> None:
    if "hmac_secret" in secret:
        proof = hmac.digest(base64.b64decode(secret["hmac_secret"]), raw_body(fixture), "sha256")
        fixture["headers"]["Authorization"] = "HMAC " + base64.b64encode(proof).decode()
        return
    now = _now(fixture)
    claims = {"iss": "https://api.botframework.com", "aud": secret["app_id"], "nbf": now - 60, "exp": now + 3600}
    service = _document(fixture).get("serviceUrl")
    if isinstance(service, str):
        claims["serviceurl"] = service
    fixture["headers"]["Authorization"] = f"Bearer {token(claims)}"


def _google_chat(fixture: Fixture, secret: Secret) -> None:
    now = _now(fixture)
    claims: dict[str, Any] = {"aud": secret["audience"], "iat": now - 5, "exp": now + 3600}
    account = "chat@system.gserviceaccount.com"
    if secret["audience"].startswith("https://"):
        email = secret.get("service_account", account)
        claims |= {"iss": "https://accounts.google.com", "email": email, "email_verified": True}
    else:
        claims["iss"] = account
    fixture["headers"]["Authorization"] = f"Bearer {token(claims)}"


def _email_ses(fixture: Fixture, secret: Secret) -> None:
    message = _document(fixture)
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message.get("Type") != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names if isinstance(message.get(name), str))
    if not message:
        return
    message.setdefault("SignatureVersion", "2")
    message.setdefault("SigningCertURL", CERTIFICATE_URL)
    algorithm = SHA1() if message["SignatureVersion"] == "1" else SHA256()
    signed = re.sub("[\ud800-\udfff]", "\ufffd", text).encode()
    message["Signature"] = base64.b64encode(RSA.sign(signed, PKCS1v15(), algorithm)).decode()
    _put(fixture, json.dumps(message))


def sealed(content: bytes, secret: Secret, app_id: str | None = None) -> str:
    """Encrypt as WeChat does, with a constant in place of its random bytes."""
    key = base64.b64decode(secret["encoding_aes_key"] + "=")
    plain = b"0123456789abcdef" + len(content).to_bytes(4) + content + (app_id or secret["app_id"]).encode()
    padding = 32 - len(plain) % 32
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(cipher.update(plain + bytes([padding]) * padding) + cipher.finalize()).decode()


def _wechat(fixture: Fixture, secret: Secret) -> None:
    query = fixture["query"]
    stamp, nonce = query.setdefault("timestamp", str(_now(fixture))), query.setdefault("nonce", "84261")
    parts = [secret["token"], stamp, nonce]
    name = "signature"
    if "msg_signature" in query:
        name = "msg_signature"
        found = re.search(rb"<Encrypt><!\[CDATA\[(.*?)\]\]></Encrypt>", raw_body(fixture))
        parts.append(query.get("echostr") or (found[1].decode("utf-8", "replace") if found else ""))
    query[name] = hashlib.sha1("".join(sorted(parts)).encode("utf-8", "surrogatepass")).hexdigest()


def _zalo(fixture: Fixture, secret: Secret) -> None:
    stamp = _document(fixture).get("timestamp")
    text = re.sub("[\ud800-\udfff]", "\ufffd", str(stamp)) if isinstance(stamp, str | int) and stamp is not True else ""
    text = "" if stamp is False else text
    signed = secret["app_id"].encode() + raw_body(fixture) + text.encode() + secret["oa_secret_key"].encode()
    if raw_body(fixture):
        fixture["headers"]["X-ZEvent-Signature"] = "mac=" + hashlib.sha256(signed).hexdigest()


SERVICES: Mapping[str, Callable[[Fixture, Secret], None]] = {
    "email_ses": _email_ses,
    "google_chat": _google_chat,
    "teams": _teams,
    "twilio": _twilio,
    "vonage": _vonage,
    "wechat": _wechat,
    "zalo": _zalo,
}

ANOTHER_OF_SERVICES: Mapping[str, Mapping[str, Any]] = {
    "email_ses": {"topic_arn": "arn:aws:sns:eu-central-1:000000000000:another", "signing_cert": certificate()},
    "google_chat": {"audience": "1", "jwks": key_set()},
    "teams": {"app_id": "00000000-0000-0000-0000-000000000000", "jwks": key_set()},
    "vonage": {"signature_secret": "another"},
    "wechat": {"token": "another", "encoding_aes_key": "A" * 43, "app_id": "wx0", "plain": True},
}
