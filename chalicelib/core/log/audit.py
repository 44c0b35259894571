"""Make log entries, derive their ids, and say which log and partition they belong to.

An entry is a dict of JSON values (``core.log.entry_types``). Its id is derived from its content, so that writing the same
entry again hits the same key::

    ent_  mmmmmm    hhhhhhhh                  kkkkkkkkkkkk
          minute    SHA-256("e\\n" + event     SHA-256("k\\n" + natural key), 60 bits
          1970-     or request), 40 bits

All entries of an event share the first 14 characters: they are one range of one partition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from .. import ids, times
from ..errors import Misconfigured
from .entry import SCHEMA, VERDICTS
from .entry_types import Act, Attempted, Decided, Entry, EntryRange, EntryReceipt, EntryRoute
from .transfers import KEPT, entry_prefix

SHARDS = 8
_MINUTES = 1 << 30


@lru_cache(KEPT)
def entry_id(minute: int, owner: str, natural_key: str) -> str:
    """Derive an entry's id.

    Args:
        minute: since 1970, of the event's ``occurred_at`` where the platform gives it, else of its ``received_at``; for an
            act without an event, of the request. Never the clock's.
        owner: the event's id, or the request's where there is no event.

    Raises:
        Misconfigured: the minute is not in the time that ids can name.
    """
    if not 0 <= minute < _MINUTES:
        raise Misconfigured("an audit entry's minute is outside the time that ids can name")
    digest = hashlib.sha256(b"k\n" + natural_key.encode()).digest()
    return f"ent_{entry_prefix(minute, owner)}{ids.encode(ids.first_bits(digest, 60), 12)}"


def minute_of(entry_id: str) -> int:
    """Return the minute that an id names."""
    return _minute(entry_id[4:10])


@lru_cache(KEPT)
def _minute(text: str) -> int:
    return ids.decode(text)


def shard(entry_id: str) -> int:
    """Return the partition of the minute that an entry is in: the first 3 bits of the event's hash."""
    return ids.ALPHABET.index(entry_id[10]) >> 2


def partition(tenant: str, minute: int, shard: int) -> str:
    """Return the partition key of a bucket: one tenant, minute and shard."""
    return f"{tenant}#{ids.encode(minute, 6)}#{shard}"


def partition_of(tenant: str, entry_id: str) -> str:
    """Return the partition key of an entry."""
    return f"{tenant}#{partition_name(entry_id)}"


def partition_name(entry_id: str) -> str:
    """Return the log partition of an entry, ``{minute}#{shard}``."""
    return f"{entry_id[4:10]}#{shard(entry_id)}"


@lru_cache(KEPT)
def year_of(minute: int) -> int:
    """Return the UTC year of a minute."""
    return (times.EARLIEST + timedelta(minutes=minute)).year


def log_of(minute: int, at: datetime) -> str:
    """Return the log that an entry written ``at`` belongs to.

    The year of its minute while that log is open (from the December before to 7 January after), else the year of ``at``.
    An ``attempted`` does not ask: it has its decision's.
    """
    year = year_of(minute)
    opens, closes = _open(year)
    at = at.astimezone(UTC)
    return f"{year if opens <= at < closes else at.year:04d}"


@lru_cache(KEPT)
def _open(year: int) -> tuple[datetime, datetime]:
    return datetime(year - 1, 12, 1, tzinfo=UTC), datetime(year + 1, 1, 8, tzinfo=UTC)


def earlier_logs(minute: int, at: datetime, log: str) -> tuple[str, ...]:
    """Return the other logs in which an earlier writer may have put the same entry; almost always none.

    Those are the year of its minute, if that log is closed or was not open yet, and, where the clock decides the log, last
    year's during January: a redelivery may have begun before the year's turn.
    """
    own, year, now = int(log), year_of(minute), at.astimezone(UTC)
    if own == year <= now.year:
        return ()
    others = {year}
    if own == now.year and (own != year) and now.month == 1:
        others.add(own - 1)
    if own > now.year:
        others.add(now.year)  # December, for next year's log: November would have used this year's
    return tuple(f"{y:04d}" for y in sorted(others - {own}))


def logs_of(first: int, last: int, now: datetime) -> tuple[str, ...]:
    """Return every log that may hold entries of the minutes ``first`` to ``last``, oldest first.

    Acts and new decisions on an old event go to the log of their own year, hence all years up to now's. In January and
    February the year before, too: a platform's clock may have been ahead when that log was the only open one.
    """
    oldest = year_of(max(0, first - 60 * 24 * 60))
    newest = max(now.astimezone(UTC).year, year_of(last))
    return tuple(f"{year:04d}" for year in range(min(oldest, newest), newest + 1))


def natural_key(entry: Mapping[str, Any]) -> str:
    """Say what an entry is about, so that two tellings of one thing have one key.

    ``decided``: the event and why it was decided: once on receipt, once for each act that caused it, and once for each
    transfer and decision that a second look replaces. ``attempted``: transfer, attempt, take. Acts: the act, the request or
    job, and the thing.

    Raises:
        Misconfigured: the entry lacks what its key is made of.
    """
    kind = entry["kind"]
    if kind == "decided":
        cause, by, supersedes = entry["cause"], entry["by"], entry["supersedes"]
        if cause == "received":
            return f"decided\n{entry['event']}\n0"
        if cause == "rechecked":
            if supersedes is None or len(entry["routes"]) != 1:
                raise Misconfigured("a rechecked decision names one route and the decision it replaces")
            return f"decided\n{entry['event']}\nrechecked\n{supersedes}\n{entry['routes'][0]['transfer']}"
        if by is None:
            raise Misconfigured("a replayed or released decision names the act that caused it")
        return f"decided\n{entry['event']}\n{by}"
    if kind == "attempted":
        return f"attempted\n{entry['transfer']}\n{entry['attempt']}\n{entry['take']}"
    if entry["request"] is None:
        raise Misconfigured("an act names its request or job")
    thing = entry["object"]["id"] if entry["object"] else entry["event"] or entry["subject"] or ""
    return f"{kind}\n{entry['request']}\n{thing}"


def owner_of(entry: Mapping[str, Any]) -> str:
    """Return what the middle of an entry's id is derived from: its event, or its request if it has none."""
    return str(entry["event"] or entry.get("request"))


def subject_of(entry: Mapping[str, Any]) -> str | None:
    """Return the subject under which the index lists an entry: the first one; attempts are found through their event."""
    if entry["kind"] == "decided":
        subjects = entry["receipt"]["subjects"]
        return subjects[0] if subjects else None
    return entry.get("subject")


def _id_of(minute: int, entry: Entry) -> str:
    return entry_id(minute, owner_of(entry), natural_key(entry))


def decided(
    *,
    tenant: str,
    minute: int,
    at: datetime,
    event: str,
    receipt: EntryReceipt,
    expires_at: datetime,
    facts: Mapping[str, Any],
    rules_hash: str,
    config_hash: str,
    routes: Iterable[EntryRoute],
    cause: str = "received",
    by: str | None = None,
    supersedes: str | None = None,
) -> Decided:
    """Make the entry of one evaluation of an event. Its form is checked where its bytes are made (``core.log.leaf``).

    Args:
        minute: see ``entry_id``; the same for every entry of the event.
        by: the act that caused it; needed when ``replayed`` or ``released``.
        supersedes: the decision it takes the place of; needed when ``rechecked``.

    Raises:
        Misconfigured: the minute cannot be named, or ``by`` or ``supersedes`` is missing.
    """
    entry: Decided = {
        "schema": SCHEMA,
        "id": "",
        "kind": "decided",
        "log": log_of(minute, at),
        "tenant": tenant,
        "at": times.text(at),
        "event": event,
        "cause": cause,
        "by": by,
        "supersedes": supersedes,
        "receipt": {**receipt},
        "expires_at": times.text(expires_at),
        "facts": dict(facts),
        "rules_hash": rules_hash,
        "config_hash": config_hash,
        "routes": [{**route} for route in routes],
    }
    entry["id"] = _id_of(minute, entry)
    return entry


def attempted(
    *,
    tenant: str,
    at: datetime,
    decided: str,
    log: str,
    event: str,
    transfer: str,
    destination: str,
    attempt: int,
    outcome: str,
    code: str,
    took_ms: int,
    classes: Iterable[str] = (),
    size_bytes: int | None = None,
    take: int = 0,
) -> Attempted:
    """Make the entry of one try at sending.

    Args:
        decided: the decision in force; its minute and ``log`` are this entry's too.
        classes: those that left; none, and ``size_bytes`` None, if nothing was sent.
        take: 0, and one more each time this very attempt turns out to have been made with another outcome.
    """
    entry: Attempted = {
        "schema": SCHEMA,
        "id": "",
        "kind": "attempted",
        "log": log,
        "tenant": tenant,
        "at": times.text(at),
        "event": event,
        "decided": decided,
        "transfer": transfer,
        "destination": destination,
        "attempt": attempt,
        "take": take,
        "outcome": outcome,
        "code": code,
        "classes": sorted(classes),
        "size_bytes": size_bytes,
        "took_ms": took_ms,
    }
    entry["id"] = _id_of(minute_of(decided), entry)
    return entry


def attempt_id(decided: str, event: str, transfer: str, attempt: int, take: int = 0) -> str:
    """Name the entry that an attempt has, or would have."""
    return entry_id(minute_of(decided), event, f"attempted\n{transfer}\n{attempt}\n{take}")


def received_id(minute: int, event: str) -> str:
    """Name the decision that an event has from its receipt, or would have."""
    return entry_id(minute, event, f"decided\n{event}\n0")


def act(
    kind: str,
    *,
    tenant: str,
    minute: int,
    at: datetime,
    actor: tuple[str, str],
    request: str,
    event: str | None = None,
    subject: str | None = None,
    object: tuple[str, str] | None = None,
    range: EntryRange | None = None,
    before: str | None = None,
    after: str | None = None,
    reason: str | None = None,
) -> Act:
    """Make the entry of an act.

    Args:
        kind: one of ``core.log.entry.ACTS``.
        minute: of the event, if there is one, else of the request.
        actor: kind and id.
        request: the request's or job's id, or the name of the service's own job, such as ``dead_letter``.
        object: kind and id of the thing; None with ``event`` means all of the event.

    Raises:
        Misconfigured: the minute cannot be named.
    """
    entry: Act = {
        "schema": SCHEMA,
        "id": "",
        "kind": kind,
        "log": log_of(minute, at),
        "tenant": tenant,
        "at": times.text(at),
        "actor": {"kind": actor[0], "id": actor[1]},
        "event": event,
        "subject": subject,
        "object": {"kind": object[0], "id": object[1]} if object else None,
        "range": {**range} if range is not None else None,
        "before": before,
        "after": after,
        "reason": reason,
        "request": request,
    }
    entry["id"] = _id_of(minute, entry)
    return entry


def check(entry: Mapping[str, Any]) -> None:
    """Refuse an entry that says two things: what the form alone cannot see, and what may never be written.

    Raises:
        Misconfigured: the id or log is not the entry's own; a decision is not its strictest rule's; classes leave that
            were not there, or that may not; an attempt is filed away from its decision.
    """
    minute = minute_of(entry["id"])
    if entry["id"] != entry_id(minute, owner_of(entry), natural_key(entry)):
        raise Misconfigured("an audit entry's id is not derived from its content")
    if entry["kind"] == "attempted":
        if entry["decided"][:18] != entry["id"][:18]:
            raise Misconfigured("an attempt has the minute and event of its decision")
        return
    if entry["log"] != log_of(minute, times.parse(entry["at"])):
        raise Misconfigured("an audit entry belongs to another log")
    if entry["kind"] == "decided":
        classes = set(entry["receipt"]["classes"])
        for route in entry["routes"]:
            strictest = max(
                (VERDICTS.index(rule["verdict"]) for rule in route["rules"]), default=VERDICTS.index("refused")
            )
            if route["decision"] != VERDICTS[strictest]:
                raise Misconfigured("a decision is the strictest verdict of its rules, and refused without any")
            if not classes.issuperset(route["classes_out"]):
                raise Misconfigured("classes leave that the event does not hold")
            if route["classes_out"] and route["decision"] in ("held", "refused"):
                raise Misconfigured("nothing leaves where a decision is held or refused")
