"""An event on its way through route, as its steps and those that report on it know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from ..core.decide.plan import Facts, Plan
from ..core.event.event_fields import classes_of
from ..core.log.entry_types import Entry
from ..core.tenant.consents import Consent
from ..core.tenant.subject import EventPerson as Located
from ..store.event_rows import EventRow
from ..store.snapshot import Snapshot
from .messages import QueueMessage, with_followers
from .volumes import EventCounters


@dataclass
class RoutedEvent:
    """One event on its way through route."""

    message: QueueMessage
    snapshot: Snapshot
    document: dict[str, Any]
    received_at: datetime
    packed: bytes = b""
    """The document as its message brought it, in the form that the row holds; empty if the event is stored nowhere."""
    object_key: bytes | None = field(default=None, repr=False)
    """The key of the object that holds the whole document; None where ``packed`` is whole."""
    minute: int = 0
    people: list[str] = field(default_factory=list)
    identities: list[tuple[str, ...]] = field(default_factory=list)
    """For each of ``people``, the keys under which the same person may be stored, the one that the event uses first."""
    conversation: str | None = None
    owner: str = ""
    plan: Plan | None = None
    consents: tuple[Consent, ...] = ()
    located: tuple[Located, ...] = ()
    shares: list[EventCounters] = field(default_factory=list)
    volumes: Facts = field(default_factory=dict)
    entry: Entry = field(default_factory=dict)
    row: EventRow | None = None

    @cached_property
    def classes(self) -> list[str]:
        """The data classes that the event holds."""
        return classes_of(self.document)

    @property
    def keeps(self) -> bool:
        """Whether the content is stored. If not, the decision in the log refuses every route."""
        return any(r["decision"] != "refused" for r in self.entry["routes"]) or (
            self.plan is not None and self.plan.keep
        )

    @property
    def flows(self) -> bool:
        """Whether the event is stored as usual, and every matching route lets it pass."""
        usual = self.plan is not None and self.plan.keep and self.plan.waits_until is None
        return usual and all(r["decision"] in ("allowed", "redacted") for r in self.entry["routes"])

    @property
    def replayed_by(self) -> str | None:
        """The act by which a dead letter was sent again."""
        by = (self.message.body or {}).get("replayed_by")
        return str(by) if by else None

    @property
    def tenant(self) -> str:
        """The event's tenant."""
        return self.snapshot.configuration.tenant.id


def in_order(
    messages: list[QueueMessage], works: list[RoutedEvent], failed: Mapping[str, BaseException]
) -> list[RoutedEvent]:
    """Leave out the messages after a failed one in its group, so that order survives."""
    back = set(with_followers(messages, failed))
    return [work for work in works if work.message.id not in back]
