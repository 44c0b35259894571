"""Tenants as the judge needs to know them: their objects, and when each declaration was in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .platforms import Source
from .receivers import Receiver

Json = dict[str, Any]
LINK_HOURS = 1
"""How long a link to content is valid."""


@dataclass
class Span:
    """When something was in force, in ticks: surely within (``since``, ``until``), perhaps a little longer (``begun``, ``ended``).

    ``links``: while nothing may be sent, the links of a ``restrict`` route still pass.
    """

    begun: int
    since: int
    until: int | None = None
    ended: int | None = None
    links: bool = False


@dataclass
class Destination:
    """A destination with its one route. ``barred`` are times in which nothing may be sent to it."""

    id: str
    recipient: str
    receiver: Receiver
    route: str = ""
    channels: tuple[str, ...] = ()
    settings: Json = field(default_factory=dict)
    active: list[Span] = field(default_factory=list)
    barred: list[Span] = field(default_factory=list)
    deleted: bool = False
    restricts: bool = False


@dataclass
class Unrecorded:
    """When a conversation was off the record: in ticks, and as the cell reported it."""

    span: Span
    intervals: list[tuple[datetime, datetime | None]] = field(default_factory=list)


@dataclass
class Tenant:
    """A customer of the cell. ``erased`` are events whose content was, with the tick from which on nothing of them leaves.

    ``held`` are conversations under a legal hold that stands; ``unrecorded`` those that were off the record.
    """

    id: str
    key: str
    days: int
    sources: list[Source] = field(default_factory=list)
    recipients: dict[str, Json] = field(default_factory=dict)
    bases: dict[str, str] = field(default_factory=dict)
    destinations: list[Destination] = field(default_factory=list)
    erased: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    unrecorded: dict[str, Unrecorded] = field(default_factory=dict)
    closed: Span | None = None
    replays: int = 0
