"""How long content is there: all of its life and while a legal hold is on it, and no longer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.core import times

from .evidence import Evidence
from .owners import Owners
from .story import Broken
from .tenants import Tenant
from .weather import Weather
from .world import CELL, SKEW_S, START, World

EVENT = "#evt_"
SLACK = timedelta(seconds=2 * SKEW_S)
HOURS_BEFORE = 3
HOURS_AFTER = 30
"""How long before the first and after the last event of a length of life is over sweeps meet faults, one an hour. People end
within a day of it, and TTL deletes events a day after it."""


@dataclass(frozen=True)
class Life:
    """An event that is stored."""

    tenant: str
    owner: str | None
    conversation: str
    ends_at: datetime
    erased: bool


class Lives:
    """Ends the events of a round that has come to rest, and checks the stored rows now and then."""

    def __init__(self, world: World, owners: Owners, storm: Weather) -> None:
        self.world, self.owners, self.storm = world, owners, storm
        self.seen: dict[str, Life] = {}
        self.first_at = START
        self.broken: list[Broken] = []

    def end(self, received_until: datetime) -> None:
        """Run hourly sweeps under faults while events of each lifetime end, and look before each."""
        world = self.world
        self.first_at = world.now()
        self._look()
        for days in sorted({tenant.days for tenant in self._tenants.values()}):
            begins = START + timedelta(days=days)  # before that, nothing of that length is over
            self._until(begins - timedelta(hours=HOURS_BEFORE))
            world.faults.weather = self.storm
            self._swept(begins)
            self._look()
            self._swept(received_until + timedelta(days=days, hours=HOURS_AFTER))
            world.faults.calm()

    def _swept(self, until: datetime) -> None:
        while self.world.now() < until:
            self.world.clock("sweep")
            self.world.clock("jobs")
            self._until(self.world.now() + timedelta(hours=1))
            self._expire()

    def _expire(self) -> None:
        """Delete rows whose TTL has come, as the table does."""
        data = f"waybill-{CELL}-data"
        for row in self.world.tables.rows(data):
            if "ttl" in row and int(row["ttl"]["N"]) <= self.world.now().timestamp():
                self.world.tables.delete_item(TableName=data, Key={"pk": row["pk"], "sk": row["sk"]})

    @property
    def _tenants(self) -> Mapping[str, Tenant]:
        return {tenant.id: tenant for tenant in self.owners.tenants}

    def _until(self, when: datetime) -> None:
        self.world.scheduler.run((when - START).total_seconds())

    def _stored(self) -> tuple[dict[str, Life], dict[str, str]]:
        """Return the events that have a row, and the names by which the log knows each that has a key."""
        tables, prefix = self.world.tables, f"waybill-{CELL}"
        found = {}
        for row in tables.rows(f"{prefix}-data"):
            tenant, mark, event = row["pk"]["S"].partition(EVENT)
            if mark and "expires_at" in row:
                ends_at = times.from_millis(int(row["expires_at"]["N"]))
                owner = row.get("owner", {}).get("S")
                found[f"evt_{event}"] = Life(tenant, owner, row["sk"]["S"], ends_at, "body" not in row)
        people = {row["pk"]["S"]: row.get("ref", {}).get("S", "") for row in tables.rows(f"{prefix}-people")}
        return found, people

    def _held(self, life: Life) -> bool:
        return life.conversation in self._tenants[life.tenant].held

    def _look(self) -> None:
        """Every event that was stored and is alive or held is still stored, unless it was erased."""
        stored, people = self._stored()
        self.seen = self.seen or stored
        alive = self.world.now() + SLACK
        for event, life in self.seen.items():
            tenant = self._tenants[life.tenant]
            if tenant.closed is not None or event in tenant.erased or not (life.ends_at > alive or self._held(life)):
                continue
            there = stored.get(event)
            if there is None or there.erased:
                until = times.text(life.ends_at)
                self.broken.append(Broken("kept", event, f"is not stored, and would live until {until}"))
            elif there.owner not in people:
                self.broken.append(Broken("kept", event, "has no key any more"))

    def judged(self, evidence: Evidence) -> Iterator[Broken]:
        """Events that live or are held were there at each look; those that are over are gone, with their people's keys."""
        decided = evidence.decided
        lost = {event for event, acts in evidence.acts.items() if any(a["reason"] == "dead_letter" for a in acts)}
        lost |= evidence.off.keys()
        self._look()
        yield from self.broken
        for event, detail in self.owners.surprised:
            yield Broken("kept", event, detail)
        for event, entry in (
            (event, e) for event, entries in decided.items() for e in entries if e["cause"] == "received"
        ):
            tenant = self._tenants[entry["tenant"]]
            over = times.parse(entry["expires_at"]) <= self.first_at + SLACK
            excused = over or event in lost or event in tenant.erased or tenant.closed is not None
            if event not in self.seen and not excused and any(r["decision"] != "refused" for r in entry["routes"]):
                yield Broken("kept", event, "was decided and never stored")
        stored, people = self._stored()
        held = {life.owner for life in stored.values() if self._held(life)}
        for event, life in self.seen.items():
            if self._tenants[life.tenant].closed is not None or self._held(life):
                continue
            if event in stored:
                yield Broken("gone", event, f"is stored, though its life ended at {times.text(life.ends_at)}")
            # An event about no person is under its conversation's key, which goes with the tenant.
            if life.owner not in held and people.get(life.owner or "", "").startswith("sub_"):
                yield Broken("gone", event, "ended, but its person still has a key")
