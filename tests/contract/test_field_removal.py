"""A genuine request is never refused: whichever field is missing, null or of another type, the rest is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import Inbound, ReceivedRequest, judge
from tests.contract.channels.cases import ALL, Case, documents
from tests.contract.channels.removal import Path, damaged_bodies, without

CASES = [case for case in ALL if case.expect["verdict"] in ("accepted", "ignored")]


def judged(case: Case, request: Inbound) -> ReceivedRequest:
    """Judge a request whose proof is left aside: a damaged body would need another signature."""
    return judge(CHANNELS[case.kind], request, case.secret)


def names(received: ReceivedRequest) -> frozenset[str]:
    return frozenset(draft.dedupe_id for draft in received.drafts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_request_is_taken_when_a_field_is_missing_or_of_another_type(case: Case) -> None:
    request = case.request()
    encrypted = CHANNELS[case.kind].CAPABILITIES.opened is not None and b"Encrypt" in request.body
    bodies = [] if encrypted else list(damaged_bodies(case))
    refused: list[Path] = []
    lost: list[Path] = []
    whole = names(judged(case, request))
    others: dict[Path, frozenset[str]] = {}

    for damaged in bodies:
        received = judged(case, replace(request, body=damaged.body))
        events = documents(case.kind, received, case.fixture["now"])
        assert all(event["dedupe_id"] for event in events)
        if received.verdict not in ("accepted", "ignored", "handshake"):
            refused.append(damaged.path)
        if damaged.element is not None:
            if damaged.element not in others:
                # An event whose name the element is part of is not another one.
                rest = judged(case, replace(request, body=without(case, damaged.element)))
                others[damaged.element] = whole & names(rest)
            if not others[damaged.element] <= names(received):
                lost.append(damaged.path)

    assert refused == []
    assert lost == []
