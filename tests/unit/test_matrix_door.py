"""Matrix comes to addresses below the hook's, by PUT: through the door's form of a request to the channel."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.channels import matrix
from chalicelib.channels.base import ReceivedRequest, receive
from chalicelib.flow.hooks import http_event

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SOURCE = "src_00000000000000000000000001"
SECRET = matrix.Secret(hs_token="hs-plum-5512")
TRANSACTION = json.dumps(
    {"events": [], "ephemeral": [{"type": "m.typing", "room_id": "!a:b", "content": {"user_ids": ["@c:d"]}}]}
)


def judged(
    method: str, below: str, token: str | None = "hs-plum-5512", query: str = "", public_url: str = ""
) -> ReceivedRequest:
    event: dict[str, Any] = {
        "rawPath": f"/hooks/{SOURCE}{below}",
        "rawQueryString": query,
        "headers": {"host": "cell.example", **({"authorization": f"Bearer {token}"} if token else {})},
        "requestContext": {"http": {"method": method}},
        "body": TRANSACTION if method == "PUT" else "",
        "isBase64Encoded": False,
    }
    source, request = http_event.request(event, NOW, public_url)
    assert source == SOURCE
    return receive(matrix, request, [SECRET])


@pytest.mark.parametrize("public_url", ["", "https://in.orchard.example"])
@pytest.mark.parametrize("below", ["/_matrix/app/v1/transactions/t%2F7", "/transactions/t%2F7"])
def test_transaction_is_taken_when_put_below_the_hook(below: str, public_url: str) -> None:
    received = judged("PUT", below, public_url=public_url)

    assert [draft.dedupe_id for draft in received.drafts] == ["t%2F7:0:@c:d"]
    assert (received.reply.status, received.reply.body) == (200, "{}")


@pytest.mark.parametrize(
    ("method", "below", "status"),
    [
        ("POST", "/_matrix/app/v1/ping", 200),
        ("GET", "/_matrix/app/v1/users/%40zoya%3Aplum.example", 404),
        ("GET", "/_matrix/app/v1/rooms/%23plum%3Aplum.example", 404),
        ("GET", "/_matrix/app/v1/thirdparty/user", 404),
        ("GET", "/_matrix/app/v1/transactions/t7", 404),
        ("GET", "", 404),
    ],
)
def test_question_is_answered_without_an_event_when_it_is_no_transaction(method: str, below: str, status: int) -> None:
    received = judged(method, below)

    assert (received.verdict, received.reply.status) == ("handshake", status)
    assert judged(method, below, "hs-plum-5513").reply.status == 403


@pytest.mark.parametrize(
    ("token", "query", "status"),
    [
        ("hs-plum-5512", "", 200),
        ("hs-plum-5512", "access_token=wrong", 200),
        (None, "access_token=hs-plum-5512", 200),
        (None, "access_token=hs-plum-5513", 403),
        (None, "access_token=", 403),
        ("hs-plum-5513", "access_token=hs-plum-5512", 403),
        (None, "", 401),
    ],
)
def test_header_decides_when_there_is_one(token: str | None, query: str, status: int) -> None:
    received = judged("PUT", "/_matrix/app/v1/transactions/t7", token, query)

    assert received.reply.status == status
