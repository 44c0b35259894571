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
    receipt: dict[str, Any]
    expires_at: str
    facts: dict[str, Any]
    rules_hash: str
    config_hash: str
    routes: list[dict[str, Any]]


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
    range: dict[str, Any] | None
    before: str | None
    after: str | None
    reason: str | None
    request: str
