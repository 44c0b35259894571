"""The cost of judging one webhook, channel by channel, beside parsing the same body and one HMAC over it.

The floor parses JSON, a form or XML, as the body is: no receiver can do less.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.parsers import expat

from chalicelib.channels import CHANNELS, KINDS
from chalicelib.channels.base import Inbound, receive
from chalicelib.core import times

from . import matching
from .results import Result

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "channels"
BUDGET = 6.0


def request_of(fixture: Mapping[str, Any]) -> Inbound:
    """Read a fixture's request."""
    body = base64.b64decode(fixture["body_base64"]) if "body_base64" in fixture else fixture["body"].encode()
    headers = {name.lower(): value for name, value in fixture["headers"].items()}
    now = times.parse(fixture["now"])
    return Inbound(fixture["method"], fixture["url"], headers, fixture["query"], body, now)


def _bare(body: bytes) -> None:
    hmac.digest(b"secret", body, hashlib.sha256)
    if body[:1] in b"{[":
        json.loads(body)
    elif body[:1] == b"<":
        expat.ParserCreate().Parse(body, True)
    else:
        parse_qs(body.decode("utf-8", "replace"))


def run(quick: bool = False) -> list[Result]:
    """Measure the plain text message of every channel that has one.

    Raises:
        RuntimeError: a channel does not accept it, so its time means nothing.
    """
    repeat = 3 if quick else 15
    results = []
    for kind in KINDS:
        path = FIXTURES / kind / "text.json"
        if not path.exists():
            continue
        fixture = json.loads(path.read_text("utf-8"))
        channel, request = CHANNELS[kind], request_of(fixture)
        secrets = [channel.Secret.model_validate(fixture["secret"])]
        if receive(channel, request, secrets).verdict != "accepted":
            raise RuntimeError(f"{kind} does not accept its own fixture")
        took = matching.best_us(lambda c=channel, r=request, s=secrets: receive(c, r, s), repeat, 200)  # type: ignore[misc]
        floor = matching.best_us(lambda body=request.body: _bare(body), repeat, 200)  # type: ignore[misc]
        results.append(Result(f"verify and normalise: {kind}", took, "us/webhook", None, floor))
        results.append(Result(f"verify and normalise: {kind}, against its floor", took / floor, "x", BUDGET, 1.0))
    return results
