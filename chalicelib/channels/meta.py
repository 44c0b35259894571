"""What WhatsApp, Messenger and Instagram have in common: the signature, the handshake and the walk over a batch.

Source: https://developers.facebook.com/docs/graph-api/webhooks/getting-started (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import MalformedPayload, NotGenuine
from . import base
from .base import Inbound, Reply, SecretText
from .fields import Json, clean, hmac_sha256, items, parse_json, same, text, word

HEADER = "x-hub-signature-256"
PREFIX = "sha256="
MODE, TOKEN, CHALLENGE = "hub.mode", "hub.verify_token", "hub.challenge"


class Secret(base.Secret):
    """The app secret, and the verify token that the tenant typed into the app's webhook settings."""

    app_secret: SecretText
    verify_token: SecretText


def verify(request: Inbound, secret: Secret) -> None:
    """Check the signature over the raw bytes, or on GET the verify token.

    Meta signs the escaped form that it sends, so the bytes may never be parsed and written again before this.

    Raises:
        NotGenuine: neither proves the origin.
    """
    if request.method == "GET":
        if not same(request.query.get(TOKEN), secret.verify_token):
            raise NotGenuine("the verify token is missing or wrong", forbidden=True)
    elif not same(request.headers.get(HEADER), PREFIX + hmac_sha256(secret.app_secret, request.body)):
        raise NotGenuine("the signature is missing or wrong")


def challenge(request: Inbound, secret: Secret) -> Reply | None:
    """Return ``hub.challenge`` as plain text."""
    if request.method == "GET" and request.query.get(MODE) == "subscribe" and CHALLENGE in request.query:
        return Reply(200, clean(request.query[CHALLENGE]), {"Content-Type": "text/plain; charset=utf-8"})
    return None


def acknowledge(request: Inbound) -> Reply:
    """Return an empty 200."""
    return Reply()


def entries(request: Inbound, document_object: str) -> Iterator[tuple[Json, str | None]]:
    """Yield every entry of a batch, or the document and its foreign ``object`` instead of any.

    Returns:
        Pairs: an entry and None; or the document and the ``object`` that is not this channel's.

    Raises:
        MalformedPayload: a GET (its body is not signed), or a body that is no document.
    """
    if request.method == "GET":
        raise MalformedPayload("a subscription request without mode and challenge")
    document = parse_json(request.body)
    given = text(document.get("object"))
    if given not in (None, document_object):
        yield document, word(given)
        return
    for entry in items(document.get("entry")):
        yield entry, None
