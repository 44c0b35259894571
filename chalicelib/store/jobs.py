"""Jobs in the ``data`` table, and the pages of events that they work through.

| row | ``pk`` | ``sk`` | indexed while open |
|---|---|---|---|
| job | ``{tenant}#job`` | job id | ``due_shard`` = ``due#jobs``, ``due_at`` = ``{due}#{job}`` |
| part of a redrive | ``redrive#{redrive}`` | tenant, or ``-`` for the redrive itself | never |

The due time is also the lease. A process takes a job by moving the due time to the lease's end, if it is unchanged since it
was read. It saves the job if the due time is still the one it wrote. So two processes never save the same piece of a job.
When a process crashes, another takes the job after the lease.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..core import times
from ..core.envelope import NONCE_BYTES, decrypt, encrypt
from ..core.job import OPEN, Job
from . import lists
from .data import day_of
from .event_rows import EventKey
from .items import BATCH_GET, Item, Table, batch_get
from .keys import KeyStore
from .ttl import ttl

SHARD = "due#jobs"
_LAST = "job_~"
"""Sorts after every id."""
ITSELF = "-"
"""In place of a tenant: sorts before every tenant."""
DAYS_A_PAGE = 31
"""How many days without events one page looks into."""


class DueJob(NamedTuple):
    """An open job as the index shows it: whose, which, when, and what its row must still say to be taken."""

    tenant: str
    job: str
    at: datetime
    seen: str


_SEALED = ("asked", "cursor", "summary", "error")


class JobStore:
    """Keep jobs and lease them.

    Args:
        table: ``data``.
        keys: what jobs hold is sealed under their tenant's.
    """

    def __init__(self, table: Table, keys: KeyStore, randomness: Callable[[int], bytes]) -> None:
        self._table = table
        self._keys = keys
        self._random = randomness

    def _context(self, tenant: str, job: str) -> str:
        return f"{self._table.region}/{tenant}/job/{job}"

    def _values(self, job: Job) -> dict[str, Any]:
        own = {"asked": job.asked, "cursor": job.cursor, "summary": job.summary, "error": job.error}
        plain = {**job.others, **own}
        sealed = encrypt(
            self._keys.of(job.tenant).secrets,
            self._random(NONCE_BYTES),
            json.dumps(plain).encode(),
            self._context(job.tenant, job.id),
        )
        return {
            "state": job.state,
            "done": job.done,
            "total": job.total,
            "tries": job.tries,
            "sealed": sealed,
            "expires_at": times.millis(job.expires_at),
            "ttl": ttl(job.expires_at),
        }

    def _read(self, item: Item) -> Job:
        tenant, job = item["pk"].removesuffix("#job"), item["sk"]
        plain = json.loads(decrypt(self._keys.of(tenant).secrets, item["sealed"], self._context(tenant, job)))
        due = item.get("due_at")
        return Job(
            id=job,
            tenant=tenant,
            kind=item["kind"],
            created_at=times.from_millis(item["created_at"]),
            due_at=times.parse(due.partition("#")[0]) if due else times.from_millis(item["created_at"]),
            expires_at=times.from_millis(item["expires_at"]),
            state=item["state"],
            done=item["done"],
            total=item.get("total"),
            tries=item["tries"],
            lease=due or "",
            others={name: value for name, value in plain.items() if name not in _SEALED},
            **{name: value for name, value in plain.items() if name in _SEALED},
        )

    def insert(self, job: Job) -> bool:
        """Store a new job. Return False if it is there already, as it then stays."""
        return self._table.insert(
            {
                **_place(job.tenant, job.id),
                "kind": job.kind,
                "created_at": times.millis(job.created_at),
                "due_shard": SHARD,
                "due_at": _due(job.due_at, job.id),
                **self._values(job),
            }
        )

    def get(self, tenant: str, job: str, now: datetime) -> Job | None:
        """Return a tenant's job; None once it is past its life, even if the table still holds it."""
        item = self._table.get(_place(tenant, job))
        return self._read(item) if item is not None and item["expires_at"] > times.millis(now) else None

    def get_many(self, wanted: Iterable[tuple[str, str]], now: datetime) -> Iterator[Job]:
        """Yield the stored jobs of tenants and ids, in no order. Those past their life are left out."""
        keys = [(self._table.name, _place(tenant, job)) for tenant, job in wanted]
        for start in range(0, len(keys), BATCH_GET):
            found = batch_get(self._table.client, keys[start : start + BATCH_GET], self._table.region)
            for item in found[self._table.name]:
                if item["expires_at"] > times.millis(now):
                    yield self._read(item)

    def of_tenant(self, tenant: str, now: datetime, before: str = "") -> Iterator[Job]:
        """Yield a tenant's jobs, newest first.

        Args:
            before: only jobs older than the one with this id.
        """
        bound = {":p": f"{tenant}#job", ":b": before or _LAST}
        for item in self._table.query("pk = :p AND sk < :b", bound, ascending=False):
            if item["expires_at"] > times.millis(now):
                yield self._read(item)

    def insert_parts(self, redrive: str, tenants: Iterable[str], ttl_at: datetime) -> None:
        """Store a redrive, and of which tenants it has jobs. A part that is there stays."""
        for one in (ITSELF, *tenants):
            self._table.insert({"pk": f"redrive#{redrive}", "sk": one, "ttl": ttl(ttl_at)})

    def parts(self, redrive: str) -> list[str] | None:
        """Return the tenants of a redrive; None if it is not stored."""
        found = [item["sk"] for item in self._table.query("pk = :p", {":p": f"redrive#{redrive}"})]
        return [one for one in found if one != ITSELF] if found else None

    def due(self, until: datetime, limit: int) -> Iterator[DueJob]:
        """Yield at most ``limit`` open jobs that are due before ``until``, the longest due first."""
        bound = {":s": SHARD, ":n": times.text(until)}
        found = self._table.query("due_shard = :s AND due_at < :n", bound, index="due", limit=limit)
        for number, item in enumerate(found, start=1):
            tenant = item["pk"].removesuffix("#job")
            yield DueJob(tenant, item["sk"], times.parse(item["due_at"].partition("#")[0]), item["due_at"])
            if number == limit:
                return

    def take(self, due: DueJob, until: datetime) -> Job | None:
        """Lease a job that was seen due, and count the try. Return None if another process was faster.

        Raises:
            NotFound: its tenant is gone, and with it the key that decrypts it.
            Unavailable: a service did not answer. While the key cannot be had, no try is counted.
        """
        self._keys.of(due.tenant)
        names = {"#due": "due_at", "#state": "state", "#tries": "tries"}
        bound: dict[str, Any] = {":l": _due(until, due.job), ":seen": due.seen, ":r": "running", ":one": 1}
        item = self._table.update(
            _place(due.tenant, due.job),
            "SET #due = :l, #state = :r ADD #tries :one",
            bound,
            condition="#due = :seen",
            names=names,
        )
        return self._read(item) if item is not None else None

    def save(self, job: Job) -> bool:
        """Store the new state of a leased job and end the lease. Return False if another process holds the lease by now."""
        values = self._values(job)
        given = [name for name, value in values.items() if value is not None]  # a total that is known stays known
        names = {f"#{name}": name for name in (*given, "due_at")}
        bound: dict[str, Any] = {":lease": job.lease, **{f":{name}": values[name] for name in given}}
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in given)
        if job.state in OPEN:
            expression += ", #due_at = :due"
            bound[":due"] = _due(job.due_at, job.id)
        else:
            expression += " REMOVE #due_at, due_shard"
        place = _place(job.tenant, job.id)
        return self._table.update(place, expression, bound, "#due_at = :lease", names) is not None

    def remove(self, tenant: str, job: str) -> None:
        """Forget a job whose tenant is gone."""
        self._table.delete(_place(tenant, job))

    def events(
        self, tenant: str, position: str, before: datetime, limit: int
    ) -> tuple[list[tuple[EventKey, datetime]], str | None]:
        """Return a page of a tenant's events in order of receipt, and the start of the next page; None after the last."""
        end, found = times.text(before), list[tuple[EventKey, datetime]]()
        day = datetime.fromisoformat(f"{position[:10]}T00:00:00+00:00")
        days = (times.text(day + timedelta(days=number)) for number in range(DAYS_A_PAGE))
        parts = lists.with_parts(self._table, (day_of(tenant, one) for one in days))
        for _ in range(DAYS_A_PAGE):
            text = times.text(day)[:10]
            low, high = max(position, text), min(end, f"{text}T99")
            if text > end[:10] or position >= end:
                return found, None
            bound, condition = {":a": low, ":b": high}, "#at BETWEEN :a AND :b"
            rows = lists.read(self._table, day_of(tenant, text), condition, bound, limit=2 * limit, parts=parts)
            for item in rows if low < high else ():
                received_at = times.parse(item["at"].partition("#")[0])
                if len(found) >= 2 * limit or (len(found) >= limit and received_at > found[-1][1]):
                    return found, position
                owner, _, event = item["pk"].partition("#")
                found.append((EventKey(owner, event, item["sk"]), received_at))
                position = item["at"] + "!"  # behind it, and before all that follows
            day += timedelta(days=1)
            position = times.text(day)[:10] + "T"
        return found, position


def _place(tenant: str, job: str) -> dict[str, str]:
    return {"pk": f"{tenant}#job", "sk": job}


def _due(at: datetime, job: str) -> str:
    return f"{times.text(at)}#{job}"
