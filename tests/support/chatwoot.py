"""Deliveries to a stand-in of Chatwoot, and a memory that many threads share."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import chatwoot
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import Delivery, SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.chatwoot_api import INBOX, TOKEN, Chatwoot
from tests.fixtures.destinations.loopback import LONG_S

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = Policy(allow_cidrs=("127.0.0.0/8",))
PERSON = {"id": "77001", "name": "p-e-r-s-o-n", "phone": "+3725550100"}
SAID = {"text": "c-o-n-t-e-n-t"}
SECRETS = (TOKEN, "c-o-n-t-e-n-t", "p-e-r-s-o-n", "77001", "3725550100", "a-n-s-w-e-r")


class Remembered:
    """A destination's memory that many threads share."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.claimed: set[str] = set()
        self.lock = threading.Lock()
        self.claims: Callable[[bool], object] = lambda _got: None

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def put(self, name: str, value: str, for_s: int) -> None:
        self.kept[name] = value

    def claim(self, name: str, for_s: int) -> bool:
        with self.lock:
            free = name not in self.claimed
            self.claimed.add(name)
        self.claims(free)
        return free

    def release(self, name: str) -> None:
        self.claimed.discard(name)


def clients(memory: Remembered | None, limits: Limits | None = None) -> SendingClients:
    return SendingClients(policy=POLICY, limits=limits or Limits(LONG_S, LONG_S, LONG_S), memory=memory)


def conversation_message(
    root: str, document: dict[str, Any], number: int = 1, **changes: Any
) -> chatwoot.ConversationMessage:
    config = {"url": root, "token": TOKEN, "account_id": 3, "inbox_id": INBOX} | changes.pop("config", {})
    values: dict[str, Any] = {
        "delivery_id": f"dlv_{number:026d}",
        "transfer_id": "trf_1",
        "event_id": "evt_1",
        "tenant_id": "tnt_1",
        "destination_id": "dst_1",
        "channel": "telegram",
        "conversation": "cnv_1",
        "kind": "message",
        "occurred_at": NOW,
        "attempt": 1,
        "now": NOW,
        "config": chatwoot.Config.model_validate(config),
    }
    return chatwoot.render(document, Delivery(**values | changes))


def event(sender: dict[str, Any] | None = PERSON, message: dict[str, Any] | None = SAID, **rest: Any) -> dict[str, Any]:
    return {"sender": sender, "message": message, "conversation": {"direct": None}, **rest}


def send(
    vendor: Chatwoot, memory: Remembered, document: dict[str, Any] | None = None, number: int = 1, **changes: Any
) -> None:
    made = conversation_message(vendor.url, document or event(), number, **changes)
    receipt = chatwoot.send(made, clients(memory))
    assert receipt.code == "accepted"


def fault(vendor: Chatwoot, memory: Remembered | None, **changes: Any) -> DeliveryError:
    made = conversation_message(vendor.url, event(), **changes)
    with pytest.raises(DeliveryError) as error:
        chatwoot.send(made, clients(memory))
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + error.value.detail
    assert not any(secret in shown for secret in SECRETS)
    return error.value


def messages(vendor: Chatwoot) -> list[dict[str, Any]]:
    return [m for c in vendor.conversations.values() for m in c["messages"]]


def asked(vendor: Chatwoot) -> list[str]:
    """Return the requests, without the account's part of the path."""
    return [f"{r.method} {r.path.removeprefix('/api/v1/accounts/3')}" for r in vendor.requests]
