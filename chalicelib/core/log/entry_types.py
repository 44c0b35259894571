"""The types of log entries as the program handles them: dicts of JSON values, whose form ``core.log.entry`` checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

Entry = Mapping[str, Any]
"""An entry of any kind, as it is read from the log."""


class EntryActor(TypedDict):
    """Who acted: the kind of the actor, and its id."""

    kind: str
    id: str


class EntryObject(TypedDict):
    """The thing that was acted on."""

    kind: str
    id: str


class EntryRange(TypedDict):
    """The part of a list or an export that was covered."""

    after: str | None
    before: str | None
    count: int | None


class EntryStore(TypedDict):
    """Where the event is kept."""

    region: str
    country: str


class EntryReceipt(TypedDict):
    """What came in, without its content."""

    source: str
    channel: str
    kind: str
    received_at: str
    classes: list[str]
    size_bytes: int
    commitment: str
    subjects: list[str]
    conversation: str | None
    store: EntryStore


class EntryRule(TypedDict):
    """A rule that a decision rests on, with its verdict and its article."""

    id: str
    verdict: str
    ref: str


class EntryRecipient(TypedDict):
    """The recipient behind a destination, as the configuration had it."""

    id: str
    country: str | None
    processing: list[str]


class EntryRoute(TypedDict):
    """The decision for one matching route."""

    route: str
    transfer: str
    destination: str
    decision: str
    rules: list[EntryRule]
    basis: str | None
    recipient: EntryRecipient | None
    classes_out: list[str]


class _CommonEntry(TypedDict):
    schema: str
    id: str
    log: str
    tenant: str
    at: str


class Decided(_CommonEntry):
    """One evaluation of an event: a decision for every matching route."""

    kind: Literal["decided"]
    event: str
    cause: str
    by: str | None
    supersedes: str | None
    receipt: EntryReceipt
    expires_at: str
    facts: dict[str, Any]
    rules_hash: str
    config_hash: str
    routes: list[EntryRoute]


class Attempted(_CommonEntry):
    """One attempt at a delivery."""

    kind: Literal["attempted"]
    event: str
    decided: str
    transfer: str
    destination: str
    attempt: int
    take: int
    outcome: str
    code: str
    classes: list[str]
    size_bytes: int | None
    took_ms: int


class Act(_CommonEntry):
    """An act of a person, a key or a function, or the end of a transfer without an attempt."""

    kind: str
    actor: EntryActor
    event: str | None
    subject: str | None
    object: EntryObject | None
    range: EntryRange | None
    before: str | None
    after: str | None
    reason: str | None
    request: str | None
