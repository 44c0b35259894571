"""A request that a channel accepts reaches the function: with its headers it fits into Lambda's event."""

from __future__ import annotations

import json

import pytest

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import BODY_MAX_BYTES
from infra.cell import local_server

# Sources: see ``BODY_MAX_BYTES``. The quotas page says "6 MB"; the smaller reading is the safe one.
LAMBDA_EVENT_BYTES = 6_000_000
HEADERS_BYTES = 10_240
CONTEXT_BYTES = 4096


@pytest.mark.parametrize("kind", CHANNELS)
def test_the_largest_request_fits_into_lambdas_event(kind: str) -> None:
    body = b"\xff" * CHANNELS[kind].CAPABILITIES.body_limit_bytes
    headers = [("x-long", '"' * (HEADERS_BYTES // 2))]  # in JSON each quote takes two bytes

    event = local_server.http_api_event("POST", "/hooks/src", "", headers, body)

    assert len(json.dumps(event)) + CONTEXT_BYTES <= LAMBDA_EVENT_BYTES
    assert CHANNELS[kind].CAPABILITIES.body_limit_bytes <= BODY_MAX_BYTES
