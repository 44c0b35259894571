"""Tenants: their declarations at the API, and their changes while events are on their way."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping
from typing import Any

from .platforms import Source, new_secret
from .receivers import Receivers
from .tenants import LINK_HOURS, Destination, Span, Tenant
from .world import OPERATOR_KEY, SKEW_S, World

CLASSES = ["identifier", "contact", "name", "content", "media", "location", "behaviour", "technical"]
CONTRACT = {"id": "dpa-1", "sha256": "ab" * 32, "valid_from": "2026-01-01", "valid_until": None}
EVIDENCE = "sha256:" + "cd" * 32
RETRIES: tuple[list[int] | None, ...] = ([], [5], [5, 60], [2, 20, 200], [5, 300, 1800], [5, 60, 300, 1800, 3600], None)
DAYS = (5, 10, 30)
MODES = ("replicate", "replicate", "redact", "restrict")
REDACTIONS = [{"class": "name", "action": "drop"}, {"class": "content", "action": "mask"}]
TRIES, LIST_TRIES = 1000, 50
Json = dict[str, Any]


class Declined(Exception):
    """The API refused the harness's request, and not because of a fault."""


class Owners:
    """All tenants of a world.

    Args:
        kinds: the changes that a tenant makes, by name.
    """

    def __init__(self, world: World, receivers: Receivers, kinds: Mapping[str, Change]) -> None:
        self.world, self.receivers, self.kinds = world, receivers, kinds
        self.random = random.Random(world.random.random())
        self.tenants: list[Tenant] = []
        self.secrets: list[str] = []
        self.changes: dict[str, int] = {}
        self.surprised: list[tuple[str, str]] = []
        self.busy = 0
        self._asked = 0

    # Asking the API

    def ask(self, key: str, method: str, path: str, body: Any = None, may: tuple[int, ...] = ()) -> Any:
        """Make a request until it is answered, as a client with an idempotency key does.

        Raises:
            Declined: it was refused, with a status that is not in ``may``.
        """
        self._asked += 1
        headers = {"Idempotency-Key": f"soak-{self._asked}"} if method == "POST" else {}
        status, answer = self._answered(TRIES, key, method, path, body, headers, may)
        if status >= 300 and status not in may:
            raise Declined(f"{method} {path.partition('?')[0]} answered {status}: {answer}")
        return answer

    def listed(self, tenant: Tenant, path: str) -> list[Json]:
        """Return a page of a list. A list makes so many calls that in the worst storms it may never be answered: nothing then."""
        status, answer = self._answered(LIST_TRIES, tenant.key, "GET", path)
        if status < 500 and status not in (200, 429):
            raise Declined(f"GET {path.partition('?')[0]} answered {status}: {answer}")
        found: list[Json] = answer["data"] if status == 200 else []
        return found

    def _answered(
        self,
        tries: int,
        key: str,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        may: tuple[int, ...] = (),
    ) -> tuple[int, Any]:
        """Make a request until it is answered, or so many times. Return the last status and document."""
        status, answer = 0, None
        for _ in range(tries):
            status, answer = self.world.api(key, method, path, body, headers)
            if status < 500 and status not in (409, 429):
                break
            if status == 409 and 409 in may and (answer or {}).get("code") != "still_running":
                break
            self.world.scheduler.pause(self.random.uniform(1, 8))
        return status, answer

    # Declaring

    def found(self, channels: list[str], destinations: int) -> Tenant:
        """Make a tenant with its sources and destinations."""
        days = self.random.choice(DAYS)
        made = self.ask(
            OPERATOR_KEY, "POST", "/v1/tenants",
            {
                "name": "Nord", "edition": "enterprise", "tenant_class": "general",
                "retention": {"default_days": days},
                "controller": {"legal_name": "Nord GmbH", "country": "DE", "contact": "privacy@nord.example"},
            },
        )  # fmt: skip
        tenant = Tenant(made["tenant"]["id"], made["key"]["secret"], days)
        self.secrets.append(tenant.key)
        self.tenants.append(tenant)
        for channel in channels:
            secret = new_secret(channel, self.random.randbytes(16))
            body = {"channel": channel, "name": "door", "secret": secret, "subject_country": "DE", "special": []}
            source = self.ask(tenant.key, "POST", "/v1/sources", body)
            self.secrets.extend(str(value) for value in secret.values() if len(str(value)) > 12)
            tenant.sources.append(Source(source["id"], channel, secret))
        for kind in ("instruction", "contract"):
            self._basis(tenant, kind)
        for number in range(destinations):
            self._destination(tenant, number)
        return tenant

    def _basis(self, tenant: Tenant, kind: str) -> None:
        body = {"kind": kind, "valid_from": "2026-01-01", "valid_until": None, "evidence": EVIDENCE}
        tenant.bases[kind] = self.ask(tenant.key, "POST", "/v1/bases", body)["id"]

    def _recipient(self, tenant: Tenant) -> str:
        body = {
            "legal_name": "Desk GmbH", "contact": "dpo@desk.example", "entity_country": "DE",
            "processing_countries": ["DE"], "role": "processor", "contract": CONTRACT, "classes": CLASSES, "onward": [],
            "granted": True,
        }  # fmt: skip
        made: str = self.ask(tenant.key, "POST", "/v1/recipients", body)["id"]
        tenant.recipients[made] = body
        return made

    def _destination(self, tenant: Tenant, number: int) -> None:
        recipient = self._recipient(tenant)
        lane = self.random.random() < 0.75
        limit = self.random.choice((None, None, None, 2, 10))
        receiver = self.receivers.make(lane, limit)
        retry = self.random.choice(RETRIES)
        body: Json = {
            "name": f"desk {number}", "kind": "http", "config": {"url": receiver.url}, "recipient": recipient,
            "ordering": "lane" if lane else "none", "rate_limit_per_s": limit,
        }  # fmt: skip
        if retry is not None:
            body["retry"] = {"delays_s": retry}
        made = self.ask(tenant.key, "POST", "/v1/destinations", body)
        destination = Destination(made["id"], recipient, receiver)
        self._secret(destination, made["signing_secret"])
        channels = tuple(sorted({s.channel for s in tenant.sources}))
        if self.random.random() < 0.3:
            channels = tuple(self.random.sample(channels, max(1, len(channels) - 1)))
        mode = self.random.choice(MODES)
        begun = self.world.tick
        settings = {
            "name": "all", "pattern": {"channel": list(channels)}, "destination": made["id"],
            "purpose": "customer_support", "mode": mode, "transform": {"redact": REDACTIONS if mode == "redact" else []},
            "pull_hours": LINK_HOURS if mode == "restrict" else None,
        }  # fmt: skip
        destination.route = self.ask(tenant.key, "POST", "/v1/routes", settings)["id"]
        destination.channels, destination.restricts = channels, mode == "restrict"
        destination.active.append(Span(begun, self.world.tick))
        tenant.destinations.append(destination)

    def _secret(self, destination: Destination, secret: str) -> None:
        destination.receiver.rotate(secret, self.world.now())
        self.secrets.append(secret)

    # Changing their minds

    def live(self, tenant: Tenant, pauses_s: list[float]) -> None:
        """Make a tenant change something now and then. A task."""
        self.busy += 1
        try:
            for pause_s in pauses_s:
                self.world.scheduler.pause(pause_s)
                if tenant.closed is not None:
                    return
                name = self.random.choice(sorted(self.kinds))
                if self.kinds[name](self, tenant):
                    self.changes[name] = self.changes.get(name, 0) + 1
        finally:
            self.busy -= 1

    def some(self, tenant: Tenant) -> Destination | None:
        """Return one of a tenant's destinations; None if none is left."""
        there = [d for d in tenant.destinations if not d.deleted]
        return self.random.choice(there) if there else None

    def wait(self, seconds: float) -> None:
        """Wait for a part of so many seconds."""
        self.world.scheduler.pause(self.random.uniform(0.2, 1) * seconds)

    def _barred(
        self,
        destinations: list[Destination],
        begin: Callable[[], None],
        end: Callable[[], None],
        settle_s: float = 0,
        links: bool = False,
    ) -> None:
        """Forbid all requests to destinations for a while, from ``settle_s`` seconds after the change."""
        begun = self.world.tick
        begin()
        self.world.scheduler.pause(settle_s)
        spans = [(d, Span(begun, self.world.tick, links=links)) for d in destinations]
        for destination, span in spans:
            destination.barred.append(span)
        self.wait(600)
        for _, span in spans:
            span.until = self.world.tick
        end()

    def _put(self, tenant: Tenant, recipient: str, **changes: Any) -> None:
        self.ask(tenant.key, "PUT", f"/v1/recipients/{recipient}", {**tenant.recipients[recipient], **changes})

    def withdraw_grant(self, tenant: Tenant) -> bool:
        """Take a recipient's grant away, and give it back."""
        recipient = self.random.choice(sorted(tenant.recipients))
        theirs = [d for d in tenant.destinations if d.recipient == recipient]
        self._barred(theirs, lambda: self._put(tenant, recipient, granted=False), lambda: self._put(tenant, recipient))
        return True

    def lose_contract(self, tenant: Tenant) -> bool:
        """Remove a contract for a while: events for its recipient are held."""
        recipient = self.random.choice(sorted(tenant.recipients))
        theirs = [d for d in tenant.destinations if d.recipient == recipient]
        put = functools.partial(self._put, tenant, recipient)
        # A link holds no personal data, and needs no contract; the event it leads to does.
        self._barred(theirs, lambda: put(contract=None), put, links=True)
        return True

    def narrow_classes(self, tenant: Tenant) -> bool:
        """Give a recipient fewer classes for a while."""
        recipient = self.random.choice(sorted(tenant.recipients))
        self._put(tenant, recipient, classes=[c for c in CLASSES if c != "name"])
        self.wait(300)
        self._put(tenant, recipient)
        return True

    def withdraw_basis(self, tenant: Tenant) -> bool:
        """Withdraw a basis that all transfers of a tenant rest on, and declare a new one."""
        kind = self.random.choice(sorted(tenant.bases))
        old = tenant.bases[kind]

        def withdraw() -> None:
            self.ask(tenant.key, "POST", f"/v1/bases/{old}/withdrawal", {})

        if kind == "instruction":
            # A withdrawal counts from its time on: a process whose clock is late sees it so much later.
            self._barred(tenant.destinations, withdraw, lambda: self._basis(tenant, kind), 2 * SKEW_S + 1)
        else:  # it rests on another basis meanwhile, or is held
            withdraw()
            self.wait(300)
            self._basis(tenant, kind)
        return True

    def throw_switch(self, tenant: Tenant) -> bool:
        """Throw a kill switch, and release it."""
        chosen = self.some(tenant)
        if chosen is None:
            return False
        theirs = [d for d in tenant.destinations if d.recipient == chosen.recipient]
        scope, value, stopped = self.random.choice(
            (
                ("destination", chosen.id, [chosen]),
                ("recipient", chosen.recipient, theirs),
                ("country", "DE", tenant.destinations),
            )
        )
        thrown: list[str] = []

        def throw() -> None:
            body = {"scope": scope, "value": value, "reason": "under review"}
            thrown.append(self.ask(tenant.key, "POST", "/v1/switches", body)["id"])

        self._barred(stopped, throw, lambda: self.ask(tenant.key, "DELETE", f"/v1/switches/{thrown[0]}", may=(404,)))
        return True

    def disable(self, tenant: Tenant) -> bool:
        """Disable a destination for a while."""
        chosen = self.some(tenant)
        if chosen is None:
            return False
        path = f"/v1/destinations/{chosen.id}"
        self._barred(
            [chosen],
            lambda: self.ask(tenant.key, "POST", f"{path}/disable", {}),
            lambda: self.ask(tenant.key, "POST", f"{path}/enable", {}),
        )
        return True

    def rotate_signing(self, tenant: Tenant) -> bool:
        """Give a destination a new signing secret."""
        chosen = self.some(tenant)
        if chosen is None:
            return False
        answer = self.ask(tenant.key, "POST", f"/v1/destinations/{chosen.id}/secret/rotate", {})
        self._secret(chosen, answer["signing_secret"])
        return True

    def rotate_source(self, tenant: Tenant) -> bool:
        """Give a source a new secret; its platform signs with the one before for a while."""
        source = self.random.choice(tenant.sources)
        secret = new_secret(source.channel, self.random.randbytes(16))
        self.ask(tenant.key, "POST", f"/v1/sources/{source.id}/secret", {"secret": secret})
        self.secrets.extend(str(value) for value in secret.values() if len(str(value)) > 12)
        self.wait(60)
        source.secret = secret
        return True

    def switch_route(self, tenant: Tenant) -> bool:
        """Disable a route for a while: events do not match it meanwhile."""
        chosen = self.some(tenant)
        if chosen is None:
            return False
        span, path = chosen.active[-1], f"/v1/routes/{chosen.route}"
        span.until = self.world.tick
        self.ask(tenant.key, "PATCH", path, {"enabled": False})
        span.ended = self.world.tick
        self.wait(300)
        begun = self.world.tick
        self.ask(tenant.key, "PATCH", path, {"enabled": True})
        chosen.active.append(Span(begun, self.world.tick))
        return True

    def change_retry(self, tenant: Tenant) -> bool:
        """Give a destination another schedule."""
        chosen, retry = self.some(tenant), self.random.choice(RETRIES)
        if chosen is None:
            return False
        change = {"retry": None if retry is None else {"delays_s": retry}}
        self.ask(tenant.key, "PATCH", f"/v1/destinations/{chosen.id}", change)
        return True

    def change_hands(self, tenant: Tenant) -> bool:
        """Move a destination to another recipient."""
        chosen = self.some(tenant)
        if chosen is None:
            return False
        heir = self._recipient(tenant)
        self.ask(tenant.key, "PATCH", f"/v1/destinations/{chosen.id}", {"recipient": heir})
        chosen.recipient = heir
        return True

    def delete(self, tenant: Tenant) -> bool:
        """Remove a destination and its route for good."""
        chosen = self.some(tenant)
        if chosen is None or self.random.random() < 0.7:
            return False
        chosen.deleted = True
        chosen.active[-1].until = self.world.tick
        self.ask(tenant.key, "DELETE", f"/v1/routes/{chosen.route}", may=(404,))
        chosen.active[-1].ended = self.world.tick
        begun = self.world.tick
        self.ask(tenant.key, "DELETE", f"/v1/destinations/{chosen.id}", may=(404,))
        chosen.barred.append(Span(begun, self.world.tick))
        return True

    def close(self, tenant: Tenant) -> bool:
        """Close a tenant's account, if it is not the only one."""
        others = [t for t in self.tenants if t.closed is None and t is not tenant]
        if not others or tenant.held or self.random.random() < 0.9:
            return False
        for source in tenant.sources:
            source.closed = True
        tenant.closed = Span(self.world.tick, self.world.tick)
        self.ask(OPERATOR_KEY, "DELETE", f"/v1/tenants/{tenant.id}", may=(404,))
        for destination in tenant.destinations:
            destination.barred.append(Span(tenant.closed.begun, self.world.tick))
        return True

    def heal(self) -> None:
        """Enable everything that was disabled, so that every transfer can end. A task."""
        for tenant in self.tenants:
            for destination in tenant.destinations:
                if tenant.closed is None and not destination.deleted:
                    self.ask(tenant.key, "POST", f"/v1/destinations/{destination.id}/enable", {})


Change = Callable[[Owners, Tenant], bool]
"""Makes one change of a tenant; returns False if there was nothing to change."""
CHANGES: Mapping[str, Change] = {
    "grant withdrawn": Owners.withdraw_grant,
    "contract missing": Owners.lose_contract,
    "classes narrowed": Owners.narrow_classes,
    "basis withdrawn": Owners.withdraw_basis,
    "switch thrown": Owners.throw_switch,
    "destination disabled": Owners.disable,
    "signing secret rotated": Owners.rotate_signing,
    "source secret rotated": Owners.rotate_source,
    "route switched off": Owners.switch_route,
    "schedule changed": Owners.change_retry,
    "destination changed hands": Owners.change_hands,
    "destination deleted": Owners.delete,
    "tenant closed": Owners.close,
}
"""The changes of what tenants declare, by name."""
