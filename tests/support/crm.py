"""Shared parts of the tests of the CRM kinds: deliveries, a memory of several processes, and processes that die."""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.delivery.retry import CODES
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import of_kind
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import Delivery, Memory, SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.crm import Vendor

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOOPBACK = Policy(allow_http=True, allow_cidrs=("127.0.0.0/8",))
PHONE = "+491700000001"


class Crash(BaseException):
    """The process is gone."""


class Rows:
    """The rows that several processes' memories share, and the time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.values: dict[str, tuple[str, float]] = {}
        self.claims: dict[str, tuple[object, float]] = {}
        self.lock = threading.Lock()


class Process:
    """A process's memory. It dies at its ``dies_at``-th call, before or after the effect, or before it puts a pair of
    tokens; a dead process does nothing more.
    """

    def __init__(self, rows: Rows, dies_at: int | None = None, after: bool = False, loses_tokens: bool = False) -> None:
        self.rows, self.dies_at, self.after, self.loses_tokens = rows, dies_at, after, loses_tokens
        self.calls = 0
        self.dead = False

    def _effect(self, effect: Callable[[], Any]) -> Any:
        if self.dead:
            raise Crash
        self.calls += 1
        dying = self.calls == self.dies_at
        if dying and not self.after:
            self.dead = True
            raise Crash
        with self.rows.lock:
            result = effect()
        if dying:
            self.dead = True
            raise Crash
        return result

    def get(self, name: str) -> str | None:
        def effect() -> str | None:
            value, until = self.rows.values.get(name, (None, 0.0))
            return value if until > self.rows.now_s else None

        found: str | None = self._effect(effect)
        return found

    def put(self, name: str, value: str, for_s: int) -> None:
        if self.loses_tokens and name.startswith("tokens:"):
            self.dead = True
        self._effect(lambda: self.rows.values.__setitem__(name, (value, self.rows.now_s + for_s)))

    def claim(self, name: str, for_s: int) -> bool:
        def effect() -> bool:
            free = self.rows.claims.get(name, (None, 0.0))[1] <= self.rows.now_s
            if free:
                self.rows.claims[name] = (self, self.rows.now_s + for_s)
            return free

        claimed: bool = self._effect(effect)
        return claimed

    def release(self, name: str) -> None:
        def effect() -> None:
            if self.rows.claims.get(name, (None, 0.0))[0] is self:
                del self.rows.claims[name]

        self._effect(effect)


def document(**changes: Any) -> dict[str, Any]:
    """An event of a person who writes to a bot."""
    made: dict[str, Any] = {
        "schema": "waybill.event/1",
        "id": "evt_00000000000000000000000001",
        "channel": "telegram",
        "kind": "message",
        "occurred_at": "2026-03-01T11:59:58.000Z",
        "conversation": {"id": "77", "direct": True, "thread": None, "title": None},
        "sender": {
            "id": "77",
            "name": "p-e-r-s-o-n",
            "username": None,
            "phone": PHONE,
            "is_bot": False,
            "is_self": False,
        },
        "message": {"text": "c-o-n-t-e-n-t Привет 👋", "attachments": []},
    }
    for name, value in changes.items():
        made[name] = {**made[name], **value} if isinstance(value, dict) else value
    return made


def delivery(vendor: Vendor, number: int = 1, *, app: bool = False, **changes: Any) -> Delivery:
    made = Delivery(
        delivery_id=f"dlv_{number:026d}",
        transfer_id=f"trf_{number:026d}",
        event_id=f"evt_{number:026d}",
        tenant_id="tnt_00000000000000000000000001",
        destination_id="dst_00000000000000000000000001",
        channel="telegram",
        conversation="cnv_00000000000000000000000001",
        kind="message",
        occurred_at=NOW - timedelta(seconds=2),
        attempt=1,
        now=NOW,
        config=of_kind(vendor.KIND).Config.model_validate(vendor.config(app)),
    )
    return dataclasses.replace(made, **changes)


def send(
    vendor: Vendor,
    memory: Memory,
    number: int = 1,
    *,
    app: bool = False,
    event: Any = None,
    integrations: Memory | None = None,
    total_s: float = 60,
    **changes: Any,
) -> str:
    """Render and send one delivery; return the code. ``integrations`` is what the destinations of the tenant share."""
    kind = of_kind(vendor.KIND)
    request = kind.render(event or document(), delivery(vendor, number, app=app, **changes))
    clients = SendingClients(policy=LOOPBACK, limits=Limits(60, 60, total_s), memory=memory, integrations=integrations)
    code: str = kind.send(request, clients).code
    return code


HIDDEN = (
    "p-e-r-s-o-n", "c-o-n-t-e-n-t", "491700000001", "s-e-r-v-e-r", "webhook", "l-o-n-g", "c-l-i-e-n-t", "r-e-f-r", "a-c-c-e-s-s",
)  # fmt: skip


def fault(vendor: Vendor, memory: Process, number: int = 1, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        send(vendor, memory, number, **changes)
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + error.value.detail
    assert not any(text in shown for text in HIDDEN)
    assert error.value.attempt_code in CODES
    return error.value


class Overtaken(Process):
    """A process that another overtakes between its look and its claim."""

    def __init__(self, rows: Rows, claiming: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(rows)
        self.claiming, self.meanwhile = claiming, meanwhile

    def claim(self, name: str, for_s: int) -> bool:
        if name.startswith(self.claiming):
            self.claiming = "nothing more"
            self.meanwhile()
        return super().claim(name, for_s)
