"""A delivery task: what one queue message, or one waiting row of a lane, tells deliver to bring to a destination. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from .. import times


@dataclass(frozen=True, slots=True)
class DeliveryTask:
    """One transfer that deliver has to end, under the decision in force.

    Times are RFC 3339 text, as in the log.

    Args:
        conversation: the conversation's ref; ``-`` where the event has none.
        minute: the minute of the log that the event's entries are under.
        owner: the key of the row in ``people`` whose data key opens the event.
        decided: the id of the entry of the decision in force.
        log: the log that holds this entry.
        decision: its verdict on the route. With it come ``classes_out`` and ``recipient``, as in the entry.
        logs: earlier logs that may hold attempts; None while the first decision is in force.
        otr: the event is off the record.
        held_since: since when the transfer is held; None where it is not, or not yet in its lane.
        others: fields that a newer release has written. They are carried along.
    """

    tenant: str
    source: str
    event: str
    conversation: str
    minute: int
    owner: str
    received_at: str
    expires_at: str
    route: str
    transfer: str
    delivery: str
    destination: str
    decided: str
    log: str
    decision: str
    classes_out: tuple[str, ...]
    recipient: Mapping[str, Any] | None
    lane: str
    logs: tuple[str, ...] | None = None
    otr: bool = False
    held_since: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> DeliveryTask:
        """Read a message's body.

        Raises:
            KeyError: a required field is missing.
        """
        logs = body.get("logs")
        others: dict[str, Any] = {}
        if body.get("v", 1) != 1 or not FIELDS.issuperset(body):
            # The version too: the release that wrote it reads the task again.
            others = {name: value for name, value in body.items() if name == "v" or name not in FIELDS}
        # By position: keywords would cost a quarter more, for every message.
        return cls(
            body["tenant"],
            body["source"],
            body["event"],
            body["conversation"],
            body["minute"],
            body["owner"],
            body["received_at"],
            body["expires_at"],
            body["route"],
            body["transfer"],
            body["delivery"],
            body["destination"],
            body["decided"],
            body["log"],
            body["decision"],
            tuple(body["classes_out"]),
            body["recipient"],
            body["lane"],
            None if logs is None else tuple(logs),
            bool(body.get("otr")),
            body.get("held_since"),
            others,
        )

    def body(self) -> dict[str, Any]:
        """Return the body that a message, a waiting row or a dead letter stores. ``from_body`` reads it back."""
        values: dict[str, Any] = {"v": 1}
        for name in _REQUIRED:
            values[name] = getattr(self, name)
        values["classes_out"] = list(self.classes_out)
        if self.logs is not None:
            values["logs"] = list(self.logs)
        if self.otr:
            values["otr"] = True
        if self.held_since is not None:
            values["held_since"] = self.held_since
        values.update(self.others)
        return values

    @property
    def all_logs(self) -> tuple[str, ...]:
        """The logs that may hold attempts: those of earlier decisions, before the year's turn, and the current one's."""
        return (*(self.logs or ()), self.log)

    def under(self, entry: Mapping[str, Any]) -> DeliveryTask:
        """Return the task under a decision that has replaced its own.

        Args:
            entry: the ``decided`` entry of that decision. Its only route is the task's.
        """
        route = entry["routes"][0]
        return replace(
            self,
            decided=entry["id"],
            log=entry["log"],
            logs=tuple(log for log in self.all_logs if log != entry["log"]),
            decision=route["decision"],
            classes_out=tuple(route["classes_out"]),
            recipient=route["recipient"],
        )


_OPTIONAL = ("logs", "otr", "held_since")
_REQUIRED = tuple(name for name in DeliveryTask.__slots__ if name not in (*_OPTIONAL, "others"))
FIELDS = frozenset({"v", *_REQUIRED, *_OPTIONAL})


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """A task that waits in its lane.

    Args:
        due_at: when it may be tried again, in RFC 3339 text.
        tries: how often it has failed for a reason of its own.
    """

    task: DeliveryTask
    due_at: str
    tries: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> WaitingTask:
        """Read a lane's row.

        Raises:
            KeyError: a required field is missing.
        """
        body = {name: value for name, value in row.items() if name not in ("due_at", "tries")}
        return cls(DeliveryTask.from_body(body), row["due_at"], row.get("tries", 0))

    def row(self) -> dict[str, Any]:
        """Return what the row stores."""
        tries = {"tries": self.tries} if self.tries else {}
        return {**self.task.body(), "due_at": self.due_at, **tries}

    @property
    def due(self) -> datetime:
        """``due_at`` as a time."""
        return times.parse(self.due_at)
