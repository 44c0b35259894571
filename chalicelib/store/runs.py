"""When the periodic jobs of a served cell last ran, so that processes that live shorter than a period do not skip them.

| row | ``pk`` | ``sk`` | attributes |
|---|---|---|---|
| run | ``clock`` | the job's name | ``began_at``, ``ended_at`` (milliseconds; 0: never) |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core import times
from .items import Table

PARTITION = "clock"


@dataclass(frozen=True)
class JobRun:
    """The last run of a job. ``ended_at`` is of the last run that completed, in milliseconds; 0: none has."""

    name: str
    began_at: int
    ended_at: int


class RunStore:
    """Claim the runs of periodic jobs, in the ``config`` table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(self, name: str, now: datetime, period: timedelta, lease: timedelta) -> bool:
        """Begin a run if one is due. Return False if none is, or if another process is at it.

        Args:
            period: since the end of the last run.
            lease: how long a run may take. After it the process counts as dead.
        """
        key, at = {"pk": PARTITION, "sk": name}, times.millis(now)
        row = self._table.get(key)
        if row is None:
            return self._table.insert({**key, "began_at": at, "ended_at": 0})
        began, ended = row["began_at"], row["ended_at"]
        at_work = began > ended and 0 <= at - began < lease / _MS
        if at_work or 0 <= at - ended < period / _MS:
            return False
        bound = {":now": at, ":seen": began}
        return self._table.update(key, "SET began_at = :now", bound, "began_at = :seen") is not None

    def ended(self, name: str, now: datetime) -> None:
        """Note that a claimed run has completed."""
        self._table.update({"pk": PARTITION, "sk": name}, "SET ended_at = :now", {":now": times.millis(now)})

    def note(self, name: str, now: datetime) -> None:
        """Note that work of a kind has completed which no process claims, such as a seal."""
        at = times.millis(now)
        key = {"pk": PARTITION, "sk": name}
        self._table.update(key, "SET began_at = :now, ended_at = :now", {":now": at}, condition=None)

    def all(self) -> list[JobRun]:
        """Return the last run of each job."""
        rows = self._table.query("pk = :p", {":p": PARTITION})
        return [JobRun(row["sk"], row["began_at"], row["ended_at"]) for row in rows]


_MS = timedelta(milliseconds=1)
