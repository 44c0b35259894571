"""An event's transfers, as its entries describe them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core import ids, times
from chalicelib.core.log import audit
from chalicelib.core.log.transfers import delivery_id, entry_prefix, of_entries, transfer_id

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE = times.minute(NOW)
EVENT = ids.derived("evt", "e")
RULES = [{"id": "ANY.basis", "ref": "GDPR art. 6(1)", "verdict": "allowed"}]


def route(name: str, decision: str = "allowed", destination: str = "dst_a") -> dict[str, Any]:
    return {
        "route": name,
        "transfer": transfer_id(MINUTE, EVENT, name),
        "destination": destination,
        "decision": decision,
        "rules": RULES,
        "basis": None,
        "recipient": {"id": "rcp_a", "country": "DE", "processing": ["DE"]},
        "classes_out": ["content"] if decision in ("allowed", "redacted") else [],
    }


def decided(
    *routes: dict[str, Any],
    after_s: int = 0,
    supersedes: str | None = None,
    name: str = "d",
    cause: str = "received",
) -> dict[str, Any]:
    at = NOW + timedelta(seconds=after_s)
    return {
        "kind": "decided",
        "id": f"ent_{name}{after_s}",
        "at": times.text(at),
        "event": EVENT,
        "expires_at": times.text(NOW + timedelta(days=30)),
        "supersedes": supersedes,
        "cause": cause,
        "routes": list(routes),
    }


def attempted(name: str, attempt: int, outcome: str, *, take: int = 0) -> dict[str, Any]:
    return {
        "kind": "attempted",
        "id": f"ent_a{attempt}{take}",
        "at": times.text(NOW - timedelta(seconds=attempt)),  # a clock that goes back
        "transfer": transfer_id(MINUTE, EVENT, name),
        "attempt": attempt,
        "take": take,
        "outcome": outcome,
        "code": "http_200" if outcome == "delivered" else "timeout",
        "took_ms": 5,
    }


def act(kind: str, transfer: str | None = None, after_s: int = 100) -> dict[str, Any]:
    thing = {"kind": "transfer", "id": transfer} if transfer else None
    return {"kind": kind, "id": f"ent_x{after_s}", "at": times.text(NOW + timedelta(seconds=after_s)), "object": thing}


def outcomes(*entries: dict[str, Any], now: datetime = NOW) -> list[str]:
    return [t.outcome for t in of_entries(entries, {}, now)]


R = transfer_id(MINUTE, EVENT, "r")


@pytest.mark.parametrize(
    ("entries", "outcome"),
    [
        ([decided(route("r"))], "pending"),
        ([decided(route("r", "redacted"))], "pending"),
        ([decided(route("r", "held"))], "held"),
        ([decided(route("r", "refused"))], "refused"),
        ([decided(route("r")), attempted("r", 1, "failed")], "pending"),
        ([decided(route("r")), attempted("r", 1, "failed"), attempted("r", 2, "delivered")], "delivered"),
        ([decided(route("r")), attempted("r", 1, "rejected")], "rejected"),
        ([decided(route("r")), attempted("r", 1, "failed"), attempted("r", 2, "gave_up")], "gave_up"),
        ([decided(route("r")), attempted("other", 1, "delivered")], "pending"),
        ([decided(route("r")), act("erased")], "erased"),
        ([decided(route("r", "held")), act("erased")], "erased"),
        ([decided(route("r", "held")), act("expired", R)], "expired"),
        ([decided(route("r")), act("expired", transfer_id(MINUTE, EVENT, "other"))], "pending"),
        ([decided(route("r")), attempted("r", 1, "delivered"), act("erased")], "delivered"),
        ([decided(route("r", "refused")), act("erased")], "refused"),
        ([decided(route("r", "refused")), act("expired", R)], "expired"),
        ([decided(route("r")), act("viewed")], "pending"),
        ([decided(route("r", "held")), decided(route("r"), after_s=5, supersedes="ent_d0")], "pending"),
        ([decided(route("r")), decided(route("r", "refused"), after_s=5, supersedes="ent_d0")], "refused"),
        # Clocks of two functions differ: the later decision says so, not its time.
        ([decided(route("r", "held")), decided(route("r"), after_s=-5, supersedes="ent_d0")], "pending"),
    ],
)
def test_outcome_follows_from_the_entries_in_any_order(entries: list[dict[str, Any]], outcome: str) -> None:
    assert outcomes(*entries) == [outcome]
    assert outcomes(*reversed(entries)) == [outcome]


def test_what_still_waits_has_expired_when_the_events_life_is_over() -> None:
    late = NOW + timedelta(days=30)

    assert outcomes(decided(route("r"))) == ["pending"]
    assert outcomes(decided(route("r")), now=late) == ["expired"]
    assert outcomes(decided(route("r", "held")), now=late) == ["expired"]
    assert outcomes(decided(route("r", "refused")), now=late) == ["refused"]
    assert outcomes(decided(route("r")), attempted("r", 1, "delivered"), now=late) == ["delivered"]


def test_second_decision_takes_the_place_of_the_first_for_its_route_only() -> None:
    first = decided(route("r", "held"), route("s", "held"))
    second = decided(route("r", "allowed"), after_s=9, supersedes=first["id"])

    found = {t.route: t for t in of_entries([second, first], {R: ["basis:EU.44:rcp_a"]}, NOW)}

    assert (found["r"].decision, found["s"].decision) == ("allowed", "held")
    assert found["r"].created_at == found["s"].created_at == first["at"]
    assert found["r"].decided == second["id"]
    assert found["r"].missing == []


def test_missing_is_shown_while_a_transfer_is_held() -> None:
    (one,) = of_entries([decided(route("r", "held"))], {R: ["basis:EU.44:rcp_a"]}, NOW)

    assert one.missing == ["basis:EU.44:rcp_a"]
    assert one.recipient == "rcp_a"


def test_attempts_are_shown_in_order_with_every_take() -> None:
    tries = [attempted("r", 2, "delivered"), attempted("r", 1, "failed", take=1), attempted("r", 1, "failed")]

    (one,) = of_entries([decided(route("r")), *tries], {}, NOW)

    assert [(a.attempt, a.outcome) for a in one.attempts] == [(1, "failed"), (1, "failed"), (2, "delivered")]


def test_nothing_is_shown_without_a_decision() -> None:
    assert of_entries([attempted("r", 1, "delivered"), act("erased")], {}, NOW) == []


def test_transfers_id_begins_as_the_ids_of_its_events_entries() -> None:
    one, other = transfer_id(MINUTE, EVENT, "r"), transfer_id(MINUTE, EVENT, "s")
    received = audit.received_id(MINUTE, EVENT)

    assert ids.is_id(one, "trf") and ids.is_id(delivery_id(one), "dlv")
    assert one[4:18] == other[4:18] == received[4:18] == entry_prefix(MINUTE, EVENT)
    assert len({one, other, transfer_id(MINUTE, ids.derived("evt", "f"), "r")}) == 3
    assert delivery_id(one) != delivery_id(other)
