"""Sealed logs for tests, and bundles of them; a long one is sealed in one go, without passing through the audit table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib import law as laws
from chalicelib.core import ids, times
from chalicelib.core.log import audit, leaf, seal
from chalicelib.core.log.entry_types import Entry
from chalicelib.core.log.note import parse_vkey
from chalicelib.core.verify import bundle
from chalicelib.core.verify.stages import Report, VerifierInput, verify
from chalicelib.flow.jobs import worker
from chalicelib.flow.sealing.publish import publish, sealed_log
from tests.support.api_cell import Api
from tests.support.sealing import seal_due

FULL = {"mode": "full"}


def an_id(prefix: str, number: int) -> str:
    """Return an id that nothing else has."""
    return ids.derived(prefix, "bulk", str(number))


def clones(decided: Mapping[str, Any], attempted: Mapping[str, Any], first: int, end: int) -> Iterator[Entry]:
    """Yield decisions and attempts like a pair of an event's, for events of numbers."""
    for number in range(first, end):
        event = an_id("evt", number)
        (route,) = decided["routes"]
        transfer = an_id("trf", number)
        one = {**decided, "event": event, "routes": [{**route, "transfer": transfer}]}
        one["id"] = audit.entry_id(audit.minute_of(decided["id"]), event, audit.natural_key(one))
        yield one
        tried = {**attempted, "event": event, "decided": one["id"], "transfer": transfer, "outcome": "delivered"}
        tried |= {"code": "http_200", "classes": route["classes_out"], "size_bytes": 1}
        tried["id"] = audit.attempt_id(one["id"], event, transfer, tried["attempt"])
        yield tried


def acts(tenant: str, at: datetime, first: int, end: int) -> Iterator[Entry]:
    """Yield acts that hold nothing but their numbers."""
    for number in range(first, end):
        yield audit.act(
            "viewed",
            tenant=tenant,
            minute=times.minute(at),
            at=at,
            actor=("key", an_id("key", number)),
            request=an_id("req", number),
            range={"after": None, "before": None, "count": number},
        )


def seal_at_once(api: Api, entries: Iterator[Entry], at_once: int = 50_000) -> None:
    """Seal entries of the current log, so many at once."""
    one = sealed_log(api.runtime, api.made["tenant"], f"{api.clock.at.year:04d}")
    rows: list[seal.EntryRow] = [seal.EntryRow(entry["at"], entry["id"], leaf.canonical(entry)) for entry in entries]
    for start in range(0, len(rows), at_once):
        horizon = max(times.parse(row.at) for row in rows) + timedelta(seconds=1)
        made, data = seal.integrate(one.last(), rows[start : start + at_once], horizon)
        api.runtime.evidence.put(one.prefix + made.batch, data)
        assert api.runtime.seals.insert(one.tenant, one.log, made)
        publish(api.runtime, one, made)


def sealed(api: Api) -> None:
    """Advance the time until waiting entries are sealed."""
    api.clock.at += timedelta(minutes=10)
    seal_due(api.runtime)


def entries(api: Api, **query: str) -> list[dict[str, Any]]:
    return [item["entry"] for item in api.get("/v1/audit/entries", limit=250, **query).json["data"]]


def ask(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.post("/v1/audit/bundle", {**FULL, **asked})
    assert answer.status == 202, answer.text
    return dict(answer.json)


def worked(api: Api, job: dict[str, Any]) -> dict[str, Any]:
    """Work on all jobs until done; return this one's last state. A sleeping job advances the clock."""
    api.runtime.sleep = lambda seconds: setattr(api.clock, "at", api.clock.at + timedelta(seconds=seconds))
    worker.handle(api.runtime)
    return dict(api.get(f"/v1/jobs/{job['id']}").json)


def tar_of(api: Api, job: dict[str, Any]) -> bytes:
    return api.runtime.exports.get(f"bundles/{job['id']}.tar")


def made(api: Api, **asked: Any) -> bytes:
    job = worked(api, ask(api, **asked))
    assert job["state"] == "done", job
    return tar_of(api, job)


def verified(api: Api, tar: bytes, **trust: Any) -> Report:
    key = parse_vkey(api.get("/v1/audit/keys").json["data"][0]["vkey"])
    return verify(tar, VerifierInput(**{"now": api.clock.at, "bulk": laws.bulk(), "vkeys": (key,), **trust}))


def content(tar: bytes, name: str) -> bytes:
    first, end = bundle.read(tar)[name]
    return tar[first:end]


def told(tar: bytes) -> list[dict[str, Any]]:
    """Return the entries of a bundle."""
    return [json.loads(line) for line in content(tar, bundle.ENTRIES).splitlines()]


def flow(api: Api) -> None:
    """Two people's events, each decided and tried."""
    api.connect()
    api.hook("one", 1, chat=77)
    api.hook("two", 2, chat=88)
    api.deliver()
