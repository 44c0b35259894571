"""Kill switches: flows that a tenant has stopped. A match is refused before the law is asked.

A switch never loosens: it adds a refusal and affects no other part of a decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from .. import times
from ..event.event import Time
from ..event.messengers import MESSENGERS, own_messenger
from .dates import Instant
from .records import Label, Record

RULE: Mapping[str, str] = {"id": "TENANT.switch", "verdict": "refused", "ref": "tenant's own switch"}
"""The rule id of a transfer that a switch refused; every rules pack lists it."""

EVERY = "*"
"""The value of a switch that stops every delivery. No request can name it."""

Scope = Literal["channel", "country", "recipient", "destination"]


class SwitchSettings(Record):
    """The flows that a tenant stops, and until when; for good where ``until`` is null. Only the tenant sees ``reason``."""

    scope: Scope
    value: str
    until: Instant | None = None
    reason: Label


class Switch(SwitchSettings):
    """A switch of a tenant."""

    id: str
    created_at: Time

    def stops(self, destination: str, facts: Mapping[str, Any], now: datetime) -> bool:
        """Say whether the switch stops a delivery.

        Args:
            facts: of the delivery, as the law would be asked about it.
        """
        if self.until is not None and self.until <= now:
            return False
        if self.value == EVERY:
            return True
        recipient = facts["recipient"]
        parties = (recipient, *(recipient["onward"] or ()))
        touched: Mapping[str, Iterable[str | None]] = {
            "channel": _channels(facts),
            "country": (*_countries(facts["subject"]), *(c for party in parties for c in _places(party))),
            "recipient": (party["id"] for party in parties),
            "destination": (destination,),
        }
        return self.value in touched[self.scope]

    def document(self) -> dict[str, Any]:
        """Return the switch as the configuration's document has it: without its reason, which is free text."""
        return self.model_dump(mode="json", include={"id", "scope", "value", "until"})


def _channels(facts: Mapping[str, Any]) -> Iterable[str | None]:
    """Return the channel and the messenger of a message. An unknown messenger may be any, so it counts as each of them.

    Facts of 0.1 name no messenger: they are decided again as they were, by their channel.
    """
    channel = facts["channel"]
    if "messenger" not in facts:
        return channel, own_messenger(channel)
    return channel, *(MESSENGERS if facts["messenger"] is None else (facts["messenger"],))


def _countries(subject: Mapping[str, Any]) -> tuple[str | None, ...]:
    return subject["country"], *(subject.get("candidates") or ())


def _places(party: Mapping[str, Any]) -> tuple[str | None, ...]:
    return party["entity_country"], *(party["processing_countries"] or ())


def stopped_by(
    switches: Mapping[str, Switch], destination: str, facts: Mapping[str, Any], now: datetime
) -> Switch | None:
    """Return the first switch, in order of ids, that stops a delivery; None where none does."""
    return next((switches[id] for id in sorted(switches) if switches[id].stops(destination, facts, now)), None)


def unreadable_switch(id: str) -> Switch:
    """Return the switch that replaces an unreadable one. It stops every delivery, as the stored one may have stopped any."""
    return Switch(id=id, created_at=times.EARLIEST, scope="destination", value=EVERY, reason="cannot be read")
