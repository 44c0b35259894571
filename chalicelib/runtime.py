"""The runtime: settings, clients, stores, clock, randomness and threads, built once and lazily.

Everything with an effect starts here. Tests, the soak and the local cell build a ``Runtime`` of their own parts and
``install`` it; nothing else of the product is replaced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from . import law as laws
from .core.errors import Misconfigured
from .settings import Settings, from_environment
from .store import engines
from .store.items import Table
from .store.region import Clients
from .threads import PROCESS_THREADS, Threads

if TYPE_CHECKING:  # each part is imported by the functions that use it: hooks needs no law, and pump no destination
    from .core.decide.plan import Cell
    from .core.delivery.rate_limit import TokenBucket
    from .core.law.loader import Law
    from .core.law.minima import Minima
    from .core.law.residency import Decider
    from .destinations.address import Policy
    from .destinations.base import SendingClients as DestinationClients
    from .store.audit import AuditStore
    from .store.awaiting import AwaitingStore
    from .store.config import ConfigStore
    from .store.consents import ConsentStore
    from .store.contents import ContentsBucket
    from .store.data import DataStore
    from .store.destination_state import DestinationStateStore
    from .store.evidence import EvidenceBucket
    from .store.exports import Exports, Link
    from .store.hold_walks import HoldWalkStore
    from .store.jobs import JobStore
    from .store.keys import KeyStore
    from .store.legal_holds import LegalHoldStore
    from .store.lifetimes import LifetimeStore
    from .store.off_record_intervals import OffRecordIntervalStore
    from .store.people import PeopleStore
    from .store.person_ends import PersonEndStore
    from .store.queues import Queue
    from .store.rate_limit import RateLimitStore
    from .store.rejections import RejectionStore
    from .store.seal_requests import SealRequestQueue
    from .store.seals import Seals
    from .store.signer import Signer
    from .store.source_cache import SourceCache
    from .store.source_counts import SourceCountStore
    from .store.volumes import VolumeStore
    from .store.wraps import WrapStore


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Runtime:
    """A cell as one process sees it. Parts are made when first asked for."""

    settings: Settings
    clients: Clients
    now: Callable[[], datetime] = _utc_now
    random: Callable[[int], bytes] = os.urandom
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    threads: Threads = PROCESS_THREADS
    link: Link | None = None
    """How results of jobs are reached without a key; None: by links that S3 honours."""
    token_buckets: dict[str, TokenBucket] = field(default_factory=dict)
    """By caller: a key, a source, or the pulls of a tenant. ``flow.throttle`` takes from them."""
    published: dict[tuple[str, str], int] = field(default_factory=dict)
    """By tenant and log: up to which size this process knows it to be published."""
    requested: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """By tenant, log and partition: the end of the window, in ms, for which this process has requested a seal."""
    source_counts: dict[tuple[str, str], tuple[float, dict[str, int]]] = field(default_factory=dict)
    """By tenant and source: when this process last wrote its counts, and those that it has not written yet."""
    rejections: dict[tuple[str, str, str], tuple[float, int]] = field(default_factory=dict)
    """By source, verdict and reason: when this process last wrote its count, and the count that it has not written yet."""
    silent_witnesses: dict[str, float] = field(default_factory=dict)
    """By address of a witness that did not answer: until when this process does not ask it again."""
    told: dict[str, None] = field(default_factory=dict)
    """Operational events that this process has published today, by cause."""

    def _table(self, name: str) -> Table:
        return Table(self.clients.get("dynamodb"), self.settings.table(name), self.settings.region)

    @cached_property
    def keys(self) -> KeyStore:
        """Tenants' keys."""
        from .store.keys import KeyStore

        if self.settings.master_key:
            from pathlib import Path

            from .store.local_keys import from_file

            local = from_file(Path(self.settings.master_key))
            return KeyStore(lambda: local, self.settings.cell, self._table("people"), self.monotonic, self.now)
        alias = f"alias/{self.settings.prefix}"
        return KeyStore(lambda: self.clients.get("kms"), alias, self._table("people"), self.monotonic, self.now)

    @cached_property
    def config(self) -> ConfigStore:
        """What tenants have declared."""
        from .store.config import ConfigStore

        return ConfigStore(self._table("config"), self.keys, self.monotonic, self.random)

    @cached_property
    def consents(self) -> ConsentStore:
        """What people have consented to."""
        from .store.consents import ConsentStore

        return ConsentStore(self._table("config"))

    @cached_property
    def off_record_intervals(self) -> OffRecordIntervalStore:
        """When conversations are off the record."""
        from .store.off_record_intervals import OffRecordIntervalStore

        return OffRecordIntervalStore(self._table("config"))

    @cached_property
    def source_cache(self) -> SourceCache:
        """What the hook door knows of sources."""
        from .store.source_cache import SourceCache

        return SourceCache(self._table("config"), self.keys, self.monotonic)

    @cached_property
    def data(self) -> DataStore:
        """Events and lanes."""
        from .store.data import DataStore

        return DataStore(self._table("data"), self.settings.insert, self.monotonic)

    @cached_property
    def awaiting(self) -> AwaitingStore:
        """Events that await a ground for being stored."""
        from .store.awaiting import AwaitingStore

        return AwaitingStore(self._table("data"))

    @cached_property
    def source_count_store(self) -> SourceCountStore:
        """Counts of what sources send."""
        from .store.source_counts import SourceCountStore

        return SourceCountStore(self._table("data"))

    @cached_property
    def rejection_store(self) -> RejectionStore:
        """Webhooks that became no event."""
        from .store.rejections import RejectionStore

        return RejectionStore(self._table("data"))

    @cached_property
    def lifetimes(self) -> LifetimeStore:
        """What the sweep remembers of lifetimes."""
        from .store.lifetimes import LifetimeStore

        return LifetimeStore(self._table("data"), self.threads)

    @cached_property
    def legal_holds(self) -> LegalHoldStore:
        """What may be neither erased nor let expire."""
        from .store.legal_holds import LegalHoldStore

        return LegalHoldStore(self._table("config"))

    @cached_property
    def hold_walks(self) -> HoldWalkStore:
        """Walks over the events of legal holds."""
        from .store.hold_walks import HoldWalkStore

        return HoldWalkStore(self._table("data"))

    @cached_property
    def jobs(self) -> JobStore:
        """What takes longer than a request."""
        from .store.jobs import JobStore

        return JobStore(self._table("data"), self.keys, self.random)

    @cached_property
    def destination_state(self) -> DestinationStateStore:
        """How destinations have done lately."""
        from .store.destination_state import DestinationStateStore

        return DestinationStateStore(self._table("data"))

    @cached_property
    def rate_limits(self) -> RateLimitStore:
        """Turns of destinations with a rate limit."""
        from .store.rate_limit import RateLimitStore

        return RateLimitStore(self._table("data"))

    @cached_property
    def people(self) -> PeopleStore:
        """Refs and keys of people."""
        from .store.people import PeopleStore

        return PeopleStore(self._table("people"), self.random)

    @cached_property
    def person_ends(self) -> PersonEndStore:
        """When people end."""
        from .store.person_ends import PersonEndStore

        return PersonEndStore(self._table("people"), self.threads, batches=self.settings.insert == "partiql")

    @cached_property
    def wraps(self) -> WrapStore:
        """What tenants' master keys wrap."""
        from .store.wraps import WrapStore

        return WrapStore(self._table("config"), self.people, self.random)

    @cached_property
    def volumes(self) -> VolumeStore:
        """How many people there are."""
        from .store.volumes import VolumeStore

        return VolumeStore(self._table("data"), self._table("people"), self.sleep, self.monotonic, self.threads)

    @cached_property
    def audit(self) -> AuditStore:
        """The log."""
        from .store.audit import AuditStore

        own = self.settings
        client = self.clients.get("dynamodb")
        return AuditStore(client, own.prefix, own.region, own.insert, sleep=self.sleep, threads=self.threads)

    @cached_property
    def seals(self) -> Seals:
        """The logs' seals."""
        from .store.seals import Seals

        return Seals(self.clients.get("dynamodb"), self.audit.table, self.settings.region, self.settings.insert)

    @cached_property
    def evidence(self) -> EvidenceBucket:
        """The evidence bucket."""
        from .store.evidence import EvidenceBucket

        if not self.settings.evidence_bucket:
            raise Misconfigured("set WAYBILL_EVIDENCE_BUCKET to the bucket that sealed logs are published in")
        return EvidenceBucket(lambda: self.clients.get("s3"), self.settings.evidence_bucket, self.settings.region)

    @cached_property
    def exports(self) -> Exports:
        """The exports bucket."""
        from .store.exports import Exports

        settings = self.settings
        return Exports(
            lambda: self.clients.get("s3"), settings.exports_bucket, settings.region, self.link, settings.exports_url
        )

    @cached_property
    def contents(self) -> ContentsBucket:
        """The contents bucket."""
        from .store.contents import ContentsBucket

        return ContentsBucket(lambda: self.clients.get("s3"), self.settings.contents_bucket, self.settings.region)

    @cached_property
    def seal_requests(self) -> SealRequestQueue:
        """What is to be sealed."""
        from .store.seal_requests import SealRequestQueue

        return SealRequestQueue(self.clients.get("sqs"), f"{self.settings.prefix}-seal-requests")

    @cached_property
    def sealing(self) -> Queue:
        """The logs that are due, on their way to a sealer."""
        from .store.queues import Queue

        return Queue(self.clients.get("sqs"), f"{self.settings.prefix}-sealing.fifo", self.threads)

    @cached_property
    def signer(self) -> Signer:
        """The key that signs checkpoints."""
        from pathlib import Path

        from .store.signer import KmsSigner, from_file

        if self.settings.seal_seed:
            return from_file(Path(self.settings.seal_seed))
        return KmsSigner(lambda: self.clients.get("kms"), f"alias/{self.settings.prefix}-seal")

    def origin(self, tenant: str, log: str) -> str:
        """Return the name of a log, which its checkpoints and its key bear."""
        return f"audit.{self.settings.operator_domain}/{self.settings.region}/{tenant}/{log}"

    @cached_property
    def inbox(self) -> Queue:
        """Events on their way to route."""
        from .store.queues import Queue

        return Queue(self.clients.get("sqs"), f"{self.settings.prefix}-inbox.fifo", self.threads)

    @cached_property
    def outbox(self) -> Queue:
        """Deliveries on their way out."""
        from .store.queues import Queue

        return Queue(self.clients.get("sqs"), f"{self.settings.prefix}-outbox.fifo", self.threads)

    @cached_property
    def cell(self) -> Cell:
        """Where the cell is, as decisions are told."""
        from .core.decide.plan import Cell  # and with it the law, which few functions ask

        return Cell(self.settings.region, self.settings.country, self.settings.engine)

    @cached_property
    def law(self) -> Law:
        """The installed rules."""
        return laws.installed()

    @cached_property
    def decider(self) -> Decider:
        """Decisions, kept for equal facts."""
        from .core.law.residency import Decider

        return Decider(self.law)

    @cached_property
    def minima(self) -> Minima:
        """What the law demands to be kept."""
        from .core.law.minima import Minima

        return Minima(self.law, self.decider.decide)

    @cached_property
    def policy(self) -> Policy:
        """Where deliveries may connect to."""
        from .destinations.address import Policy
        from .destinations.vetted import host_has_ipv6

        return Policy(
            allow_http=bool(self.settings.allow_cidrs),
            allow_cidrs=tuple(str(c) for c in self.settings.allow_cidrs),
            extra_ports=self.settings.extra_ports,
            own_domains=self.settings.own_domains,
            ipv6=host_has_ipv6(),
        )

    @cached_property
    def destination_clients(self) -> DestinationClients:
        """What destination kinds send through."""
        from .destinations.aws_client import RoleClients
        from .destinations.base import SendingClients as DestinationClients

        aws = RoleClients(self.settings.region, self.settings.account, self.now)
        return DestinationClients(policy=self.policy, aws=aws)


_installed: list[Callable[[], Runtime]] = []


def install(made: Runtime | None) -> None:
    """Make ``made`` the process's runtime; None forgets it."""
    install_each(None if made is None else lambda: made)


def install_each(find: Callable[[], Runtime] | None) -> None:
    """Have ``find`` name the runtime at each use, as several simulated processes share this one; None forgets it."""
    _installed[:] = [find] if find is not None else []


def runtime() -> Runtime:
    """Return the process's runtime, built from the environment when first asked for.

    Raises:
        Misconfigured: a setting is missing, the country is not the region's, or the engine cannot do what is needed.
    """
    if not _installed:
        settings = from_environment(os.environ)
        engines.check(engines.profile(settings.engine), settings)
        install(Runtime(settings, Clients(settings.region, endpoints=settings.endpoints)))
    return _installed[0]()
