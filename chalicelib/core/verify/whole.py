"""The third stage of verifying a bundle: does every attempt have its decision, and every allowed transfer its end?"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .. import times
from ..log.entry_types import Entry
from .faults import Faults

GRACE = timedelta(days=2)
"""How long after an event's expiry the end of its last transfer may be written."""
ENDS = frozenset({"delivered", "rejected", "gave_up"})


class DecidedRoute(NamedTuple):
    """One route of one decision."""

    id: str
    at: str
    cause: str
    supersedes: str | None
    event: str
    subjects: tuple[str, ...]
    expires_at: str
    transfer: str
    destination: str
    decision: str
    classes: frozenset[str]


class AttemptRecord(NamedTuple):
    """One attempt."""

    id: str
    decided: str
    transfer: str
    destination: str
    attempt: int
    take: int
    outcome: str
    classes: frozenset[str]


class EndingAct(NamedTuple):
    """An act that ends transfers, or lays or lifts a hold."""

    kind: str
    at: str
    event: str | None
    subject: str | None
    object: tuple[str, str] | None
    reason: str | None


class EndingRecord(NamedTuple):
    """The acts that end one transfer or event: whether one erased it, and when the latest was."""

    erased: bool = False
    latest: str = ""

    def end(self, promise: DecidedRoute) -> bool:
        """Say whether they end a transfer.

        A replay takes back an end that came before it, but not an erasure: nothing can be sent then.
        """
        return promise.cause != "replayed" or self.erased or self.latest >= promise.at


@dataclass
class CompletenessCheck:
    """Take the entries, and report at the end which are missing.

    Args:
        now: the time that the bundle is judged by. No time in the bundle counts: nothing vouches for it.
    """

    faults: Faults
    log: str
    now: datetime
    open: int = 0
    held: int = 0
    _promises: dict[tuple[str, str], DecidedRoute] = field(default_factory=dict)
    _tries: list[AttemptRecord] = field(default_factory=list)
    _acts: list[EndingAct] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        """Take an entry, in any order."""
        if entry["kind"] == "decided":
            for route in entry["routes"]:
                self._promises[entry["id"], route["transfer"]] = _promise(entry, route)
        elif entry["kind"] == "attempted":
            self._tries.append(_try(entry))
        elif entry["kind"] in ("expired", "erased", "held", "released"):
            thing = entry["object"]
            about = (thing["kind"], thing["id"]) if thing is not None else None
            self._acts.append(
                EndingAct(entry["kind"], entry["at"], entry["event"], entry["subject"], about, entry["reason"])
            )

    def finish(self) -> None:
        """Find missing entries, and attempts that their decision does not allow."""
        ended: set[str] = set()
        for attempt in self._tries:
            promise = self._promises.get((attempt.decided, attempt.transfer))
            if promise is None:
                self.faults.add("undecided", attempt.id)
                continue
            self._follow(attempt, promise)
            if attempt.outcome in ENDS:
                # Of the transfer, under any of its decisions: a delivered event is not sent again
                # because a dead letter is decided again, or another process decided it at the same time.
                ended.add(attempt.transfer)
        self._gaps()
        self._ends(ended)

    def _follow(self, attempt: AttemptRecord, promise: DecidedRoute) -> None:
        if promise.decision in ("held", "refused"):
            self.faults.add("barred", attempt.id)
        if not attempt.classes <= promise.classes:
            self.faults.add("attempt_classes", attempt.id)
        if attempt.destination != promise.destination:
            self.faults.add("attempt_destination", attempt.id)

    def _gaps(self) -> None:
        """Attempts count from 1 without a gap, takes from 0; a transfer whose beginning is in another log, from anywhere."""
        begun = {p.transfer for p in self._promises.values() if p.cause == "received"}
        of: dict[str, dict[int, dict[int, str]]] = {}
        for attempt in self._tries:
            of.setdefault(attempt.transfer, {}).setdefault(attempt.attempt, {})[attempt.take] = attempt.id
        for transfer, attempts in of.items():
            first = 1 if transfer in begun else min(attempts)
            for number, takes in attempts.items():
                if number > first and number - 1 not in attempts:
                    self.faults.add("gap", min(takes.items())[1])
                for take, id in takes.items():
                    if take and take - 1 not in takes:
                        self.faults.add("gap", id)

    def _ends(self, ended: Set[str]) -> None:
        # Closing a tenant ends all its open transfers: their content can no longer be read.
        erased = any(a.kind == "erased" and a.object is not None and a.object[0] == "tenant" for a in self._acts)
        superseded = {(p.supersedes, p.transfer) for p in self._promises.values()}
        ends: dict[str, EndingRecord] = {}
        for act in self._acts:
            if act.kind in ("expired", "erased"):
                about_transfer = act.object is not None and act.object[0] == "transfer"
                owner = act.object[1] if act.object is not None and about_transfer else act.event
                if owner is not None and (about_transfer or act.object is None):
                    before = ends.get(owner, EndingRecord())
                    ends[owner] = EndingRecord(before.erased or act.kind == "erased", max(before.latest, act.at))
        holds = self._holds()
        for key, promise in self._promises.items():
            if promise.decision == "held":
                self.held += key not in superseded
                continue
            if promise.decision == "refused" or key in superseded or erased or promise.transfer in ended:
                continue
            owners = (promise.transfer, promise.event)
            if any(ends[owner].end(promise) for owner in owners if owner in ends):
                continue
            self.open += 1
            over = self.now - times.parse(promise.expires_at) > GRACE
            goes_on = promise.expires_at[:4] > self.log
            if over and not goes_on and holds.isdisjoint({None, promise.event, *promise.subjects}):
                self.faults.add("no_end", promise.transfer)

    def _holds(self) -> set[str | None]:
        """Return the events and people under a legal hold that is still placed; None stands for everything."""
        lifted = {act.object for act in self._acts if act.kind == "released"}
        laid = [act for act in self._acts if act.kind == "held" and act.object is not None and act.object[0] == "hold"]
        return {act.event if act.event is not None else act.subject for act in laid if act.object not in lifted}


def _promise(entry: Entry, route: Mapping[str, Any]) -> DecidedRoute:
    return DecidedRoute(
        id=entry["id"],
        at=entry["at"],
        cause=entry["cause"],
        supersedes=entry["supersedes"],
        event=entry["event"],
        subjects=tuple(entry["receipt"]["subjects"]),
        expires_at=entry["expires_at"],
        transfer=route["transfer"],
        destination=route["destination"],
        decision=route["decision"],
        classes=frozenset(route["classes_out"]),
    )


def _try(entry: Entry) -> AttemptRecord:
    return AttemptRecord(
        id=entry["id"],
        decided=entry["decided"],
        transfer=entry["transfer"],
        destination=entry["destination"],
        attempt=entry["attempt"],
        take=entry["take"],
        outcome=entry["outcome"],
        classes=frozenset(entry["classes"]),
    )
