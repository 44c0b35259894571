"""Transfers: their ids, and what the audit entries of an event say of them. Pure.

A transfer's id leads to its event's entries: its first 14 characters are those that all of the event's entry ids share
(minute, then 40 bits of the event's hash), so that one range of one partition holds everything there is to know of it
and no row of its own is ever written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from .. import times
from ..ids import derived, encode, first_bits

PREFIX_LENGTH = 14
"""Characters of an entry's or a transfer's id that all entries of one event share."""
KEPT = 1024
"""How many names stay known: while an event is at hand, each of its own is asked for several times."""


@lru_cache(KEPT)
def entry_prefix(minute: int, event: str) -> str:
    """Return what the ids of an event's entries and transfers begin with, behind ``ent_`` or ``trf_``."""
    digest = hashlib.sha256(f"e\n{event}".encode()).digest()
    return encode(minute, 6) + encode(first_bits(digest, 40), 8)


def transfer_id(minute: int, event: str, route: str) -> str:
    """Name the transfer of an event along a route.

    Args:
        minute: the minute of the event's entries.
    """
    digest = hashlib.sha256(f"t\n{event}\n{route}".encode()).digest()
    return f"trf_{entry_prefix(minute, event)}{encode(first_bits(digest, 60), 12)}"


@lru_cache(KEPT)
def delivery_id(transfer: str) -> str:
    """Name what is sent for a transfer: the same for every attempt."""
    return derived("dlv", transfer)


Outcome = Literal["pending", "delivered", "rejected", "gave_up", "held", "refused", "expired", "erased"]
_ENDS: Mapping[str, Outcome] = {"delivered": "delivered", "rejected": "rejected", "gave_up": "gave_up"}
"""Attempts that end a transfer; one that failed is tried again."""
_WAITS: Mapping[str, Outcome] = {"allowed": "pending", "redacted": "pending", "held": "held", "refused": "refused"}
"""What a decision alone comes to."""


class _ShownModel(BaseModel):
    # Built when first used, as most that imports this names things only.
    model_config = ConfigDict(defer_build=True)


class ShownRule(_ShownModel):
    """A rule that a decision rests on, and its article; how it stands where the law in force still has it."""

    id: str
    ref: str
    verdict: str
    title: str | None = None
    title_ru: str | None = None
    settled: bool | None = None
    confidence: Literal["verified", "memory", "unsure"] | None = None


class ShownObligation(_ShownModel):
    """An act that the law asks of a party beside the decision, with the provision that asks for it."""

    code: str
    rule: str
    ref: str
    within: str | None = None
    due_at: str | None = None
    title: str | None = None
    title_ru: str | None = None
    settled: bool | None = None
    confidence: Literal["verified", "memory", "unsure"] | None = None


class Attempt(_ShownModel):
    """One try at sending."""

    attempt: int
    at: str
    outcome: Literal["delivered", "failed", "rejected", "gave_up"]
    code: str
    took_ms: int


class Transfer(_ShownModel):
    """The auditable fact that data was to go somewhere, and what came of it. ``decision`` is the one in force."""

    id: str
    event: str
    route: str
    destination: str
    recipient: str | None
    decision: Literal["allowed", "redacted", "held", "refused"]
    rules: list[ShownRule]
    basis: str | None
    classes_out: list[str]
    missing: list[str]
    obligations: list[ShownObligation] = Field(default_factory=list)
    """Empty until the law is asked for them: see ``entry``."""
    outcome: Outcome
    attempts: list[Attempt]
    decided: str
    created_at: str
    expires_at: str
    replays: str | None = None
    """The transfer that this one takes up again."""
    replayed_by: str | None = None
    """The transfer that has taken this one up again."""
    _entry: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def entry(self) -> Mapping[str, Any]:
        """The entry of the decision in force."""
        return self._entry


def of_entries(
    entries: Iterable[Mapping[str, Any]], missing: Mapping[str, Sequence[str]], now: datetime
) -> list[Transfer]:
    """Say what became of each transfer of one event, in order of their ids.

    Args:
        entries: all audit entries of the event, in any order.
        missing: by transfer, what the first decision lacked; shown while the transfer is held.
        now: a transfer that still waits past its event's life has expired, whether or not that is written yet.
    """
    ordered = sorted(entries, key=lambda e: (e["at"], e["id"]))
    decisions: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    attempts: dict[str, list[Mapping[str, Any]]] = {}
    ends: list[Mapping[str, Any]] = []
    for entry in ordered:
        if entry["kind"] == "decided":
            for route in entry["routes"]:
                decisions.setdefault(route["transfer"], []).append((entry, route))
        elif entry["kind"] == "attempted":
            attempts.setdefault(entry["transfer"], []).append(entry)
        elif entry["kind"] in ("expired", "erased"):
            ends.append(entry)
    replays = _replays(decisions, {entry["id"]: entry for entry in ordered if entry["kind"] == "replayed"})
    replayed_by = {old: new for new, old in replays.items()}
    found = (
        _transfer(transfer, decisions[transfer], attempts.get(transfer, []), ends, missing.get(transfer, ()), now)
        for transfer in sorted(decisions)
    )
    return [t.model_copy(update={"replays": replays.get(t.id), "replayed_by": replayed_by.get(t.id)}) for t in found]


def _replays(
    decisions: Mapping[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]], acts: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Say which transfer each replay takes up again.

    The act of a single replay names it. That of a job is about many events: there it is the last one before on that route.
    """
    found: dict[str, str] = {}
    last: dict[str, str] = {}
    for transfer, ((entry, route), *_) in decisions.items():
        thing = acts.get(entry.get("by") or "", {}).get("object") or {}
        old: str | None = thing["id"] if thing.get("kind") == "transfer" else last.get(route["route"])
        if entry["cause"] == "replayed" and old is not None and old in decisions and old != transfer:
            found[transfer] = old
        last[route["route"]] = transfer
    return found


def _transfer(
    transfer: str,
    decisions: list[tuple[Mapping[str, Any], Mapping[str, Any]]],
    attempts: list[Mapping[str, Any]],
    ends: list[Mapping[str, Any]],
    missing: Sequence[str],
    now: datetime,
) -> Transfer:
    superseded = {entry["supersedes"] for entry, _ in decisions}
    entry, route = [d for d in decisions if d[0]["id"] not in superseded][-1]
    tries = sorted(attempts, key=lambda a: (a["attempt"], a["take"]))
    if any(e["cause"] == "replayed" for e, _ in decisions):  # the end of a dead letter is what the replay takes back
        ends = [act for act in ends if act["reason"] != "dead_letter"]
    outcome = _outcome(transfer, route["decision"], tries, ends, times.parse(entry["expires_at"]) <= now)
    shown = Transfer(
        id=transfer,
        event=entry["event"],
        route=route["route"],
        destination=route["destination"],
        recipient=route["recipient"]["id"] if route["recipient"] else None,
        decision=route["decision"],
        rules=[ShownRule(id=r["id"], ref=r["ref"], verdict=r["verdict"]) for r in route["rules"]],
        basis=route["basis"],
        classes_out=list(route["classes_out"]),
        missing=list(missing) if route["decision"] == "held" else [],
        outcome=outcome,
        attempts=[
            Attempt(attempt=a["attempt"], at=a["at"], outcome=a["outcome"], code=a["code"], took_ms=a["took_ms"])
            for a in tries
        ],
        decided=entry["id"],
        created_at=decisions[0][0]["at"],
        expires_at=entry["expires_at"],
    )
    shown._entry = entry
    return shown


def _outcome(
    transfer: str, decision: str, tries: list[Mapping[str, Any]], ends: list[Mapping[str, Any]], over: bool
) -> Outcome:
    came = [_ENDS[attempt["outcome"]] for attempt in tries if attempt["outcome"] in _ENDS]
    if came:  # one attempt may have been told of twice, first by who could only say that it was lost
        return "delivered" if "delivered" in came else came[0]
    outcome = _WAITS[decision]
    if outcome == "refused":
        # A held transfer that waited too long is refused by a second decision, and its end is the act beside it.
        return next((act["kind"] for act in ends if _is_of(act, transfer, only=True)), outcome)
    for act in ends:
        if _is_of(act, transfer):
            kind: Outcome = act["kind"]
            return kind
    return "expired" if over else outcome


def _is_of(act: Mapping[str, Any], transfer: str, only: bool = False) -> bool:
    """Say whether an act ends this transfer: it names it, or all of its event."""
    thing = act["object"]
    if thing is None:
        return not only
    return bool(thing["kind"] == "transfer" and thing["id"] == transfer)
