"""Engine profiles: the abilities of each engine that a cell can stand on, as data, and whether a cell may stand on it.

A profile is one TOML file beside this module. Correctness needs conditional writes of single items, FIFO queues and a
country that no data leaves. The other abilities are used where they exist:

| capability | needed | substitute |
|---|---|---|
| ``conditional_put`` | yes | |
| ``single_country`` | yes | |
| ``insert_only_partiql`` | for ``WAYBILL_INSERT=partiql`` | a conditional put |
| ``key_service`` | no | two key files: ``WAYBILL_MASTER_KEY``, ``WAYBILL_SEAL_SEED`` |
| ``deny_per_action`` | no | the sealed log, and the lock of the evidence bucket |
| ``streams`` | no | the proofs of the sealed log: a changed row no longer has one |
| ``pitr`` | no | the engine's own backups, but never of ``people`` |
| ``ttl`` | no | the sweep deletes the rows (``flow.retention.leftovers``) |
| ``gsi``, ``transact_write`` | no | no transaction is used |
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

from ... import law
from ...core.countries import COUNTRIES
from ...core.errors import Misconfigured
from ...settings import ENDPOINTS, Settings

CAPABILITIES = (
    "conditional_put", "single_country", "transact_write", "gsi", "ttl", "streams", "insert_only_partiql", "deny_per_action",
    "pitr", "key_service",
)  # fmt: skip
REQUIRED = {
    "conditional_put": "take an engine that refuses to put an item that is there",
    "single_country": "take an engine all of whose copies are in one country",
}
"""The abilities that every cell needs, and the remedy where one is missing."""
AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws", "aws")


@dataclass(frozen=True)
class EngineProfile:
    """The abilities of one engine.

    ``regions`` are the countries of an engine's own regions. ``create_table`` and ``create_queue`` are the parameters that the
    engine accepts when it makes one; empty where it accepts all that AWS knows. ``sources`` say where each fact was read.
    """

    name: str
    title: str
    checked_on: date
    capabilities: frozenset[str]
    home: Literal["aws", "regions", "declared"]
    regions: Mapping[str, str]
    limits: Mapping[str, int]
    projections: tuple[str, ...]
    create_table: frozenset[str] = frozenset()
    table_tags: Mapping[str, str] = field(default_factory=dict)
    create_queue: frozenset[str] = frozenset()
    sources: tuple[Mapping[str, Any], ...] = ()

    @property
    def on_aws(self) -> bool:
        """Whether the region is one of AWS's, and tables, queues, bucket and keys are its services."""
        return self.home == "aws"


def names() -> list[str]:
    """Name the profiles there are."""
    return sorted(f.name.removesuffix(".toml") for f in files(__package__).iterdir() if f.name.endswith(".toml"))


@cache
def profile(name: str) -> EngineProfile:
    """Return the profile of an engine.

    Raises:
        Misconfigured: there is none of this name.
    """
    if name not in names():
        raise Misconfigured(f"WAYBILL_ENGINE is one of {', '.join(names())}")
    return read(name, (files(__package__) / f"{name}.toml").read_text("utf-8"))


def read(name: str, text: str) -> EngineProfile:
    """Read a profile.

    Raises:
        Misconfigured: it does not say of every capability, and of no other, whether it is there.
    """
    document = tomllib.loads(text)
    told = document["capabilities"]
    if set(told) != set(CAPABILITIES):
        raise Misconfigured(f"the profile {name} tells of {', '.join(sorted(set(told) ^ set(CAPABILITIES)))} wrongly")
    tables = document["tables"]
    return EngineProfile(
        name=name,
        title=document["title"],
        checked_on=document["checked_on"],
        capabilities=frozenset(c for c, there in told.items() if there),
        home=document["home"]["by"],
        regions=document["home"].get("regions", {}),
        limits=document["limits"],
        projections=tuple(tables["projections"]),
        create_table=frozenset(tables.get("create", ())),
        table_tags=tables.get("tags", {}),
        create_queue=frozenset(document.get("queues", {}).get("create", ())),
        sources=tuple(document["source"]),
    )


def check(one: EngineProfile, settings: Settings) -> None:
    """Refuse settings under which the cell cannot stand on an engine.

    Raises:
        Misconfigured: a capability is missing, or the settings are of another country or another engine; the text names
            it and what to do.
        WrongRegion: the region is none of AWS's, where it must be.
    """
    for capability, remedy in REQUIRED.items():
        if capability not in one.capabilities:
            raise Misconfigured(f"{one.name} lacks {capability}: {remedy}")
    if settings.insert == "partiql" and "insert_only_partiql" not in one.capabilities:
        raise Misconfigured(f"{one.name} lacks insert_only_partiql: leave WAYBILL_INSERT away, or set it to put")
    _check_country(one, settings)
    _check_endpoints(one, settings)
    _check_keys(one, settings)


def _check_country(one: EngineProfile, settings: Settings) -> None:
    region, country = settings.region, settings.country
    if one.home == "declared":
        if country not in COUNTRIES:
            raise Misconfigured("WAYBILL_COUNTRY is an ISO 3166-1 alpha-2 code, such as RU")
        if region in law.region_countries():
            raise Misconfigured(
                f"the region {region} is one of AWS's: {one.name} is elsewhere, and has a name of its own"
            )
        if not region.startswith(f"{country.lower()}-"):
            raise Misconfigured(f"AWS_REGION names the country first where there is no region: {country.lower()}-home1")
        return
    if one.on_aws and country in COUNTRIES and country not in law.region_countries().values():
        others = ", ".join(n for n in names() if n != one.name)
        raise Misconfigured(f"AWS has no region in {country}: set WAYBILL_ENGINE to a store in the country ({others})")
    home = law.region_country(region) if one.on_aws else one.regions.get(region)
    if home is None:
        raise Misconfigured(f"{one.name} has no region {region}: AWS_REGION is one of {', '.join(sorted(one.regions))}")
    if country != home:
        raise Misconfigured(f"the region {region} is in {home}: set WAYBILL_COUNTRY to it")


def _check_endpoints(one: EngineProfile, settings: Settings) -> None:
    if one.on_aws:
        if settings.endpoints:
            raise Misconfigured(
                f"{ENDPOINTS[min(settings.endpoints)]} is for engines other than {one.name}: leave it away"
            )
        return
    missing = [name for service, name in ENDPOINTS.items() if service not in settings.endpoints]
    if missing:
        raise Misconfigured(f"set {', '.join(missing)}: {one.name} has no addresses of its own")
    for service, url in settings.endpoints.items():
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if any(host == domain or host.endswith(f".{domain}") for domain in AWS_DOMAINS):
            raise Misconfigured(f"{ENDPOINTS[service]} is an address of AWS, which has no region in {settings.country}")
        if parts.scheme == "http" and not _near(host):
            raise Misconfigured(
                f"{ENDPOINTS[service]} is not encrypted: use https, or the address of a private network"
            )


def _near(host: str) -> bool:
    """Return whether a host is an address of this machine or of a private network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or any(address in network for network in _PRIVATE if network.version == address.version)


_PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]


def _check_keys(one: EngineProfile, settings: Settings) -> None:
    if "key_service" in one.capabilities:
        if settings.master_key:
            raise Misconfigured(f"WAYBILL_MASTER_KEY is for engines without a key service: {one.name} has one")
        return
    files_of = {"WAYBILL_MASTER_KEY": settings.master_key, "WAYBILL_SEAL_SEED": settings.seal_seed}
    missing = [name for name, path in files_of.items() if not path]
    if missing:
        raise Misconfigured(f"{one.name} lacks key_service: set {' and '.join(missing)} to files of mode 0600")
