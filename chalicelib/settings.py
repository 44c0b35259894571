"""Settings of a cell, read once from the environment.

| variable | meaning |
|---|---|
| ``WAYBILL_CELL`` | the cell's name; every table, queue and key is named from it |
| ``AWS_REGION`` | the region the process runs in |
| ``WAYBILL_REGION`` | the cell's home region; refused where the process runs in another |
| ``WAYBILL_COUNTRY`` | the home region's country; refused where it is not the region's |
| ``WAYBILL_OPERATOR_KEY_SHA256`` | SHA-256 of the operator's key, hex |
| ``WAYBILL_HOOKS_URL`` | public base address of the hook door, for the ``url`` of a source |
| ``WAYBILL_API_URL`` | public base address of the API, for pull links; the hook door's unless given |
| ``WAYBILL_INSERT`` | ``partiql`` (INSERT) or ``put`` (conditional put), how the audit log is appended to |
| ``WAYBILL_ALLOW_CIDRS`` | local cell only: address ranges that destinations may name as literals |
| ``WAYBILL_EXTRA_PORTS`` | further ports that destinations may use |
| ``WAYBILL_OWN_DOMAINS`` | the cell's own domains, which destinations may not name |
| ``WAYBILL_ACCOUNT`` | the cell's own AWS account, which destinations may not name; without it there are none in AWS |
| ``WAYBILL_KEY_RATE_PER_S`` | requests a second that one API key may make of one process |
| ``WAYBILL_SOURCE_RATE_PER_S`` | webhooks a second that one process takes for one source |
| ``WAYBILL_OFF_RECORD_S`` | how long the attempts at an event off the record may take in all, in seconds |
| ``WAYBILL_EVIDENCE_BUCKET`` | the bucket that sealed logs are published in |
| ``WAYBILL_EXPORTS_BUCKET`` | the bucket that results of jobs are in, for a day |
| ``WAYBILL_CONTENTS_BUCKET`` | the bucket that contents of large events are in; without it they are refused |
| ``WAYBILL_EXPORTS_URL`` | such a home only: public base address of a proxy before the exports bucket, for links to results |
| ``WAYBILL_OPERATOR_DOMAIN`` | the domain in the names of logs, ``audit.{domain}/{region}/{tenant}/{year}``; never changed |
| ``WAYBILL_OPERATOR_NAME`` | the legal entity that runs the cell, who answers for the router's own duties |
| ``WAYBILL_OPERATOR_CONTACT`` | how the operator is reached about data |
| ``WAYBILL_OPERATOR_COUNTRY`` | where the operator is established; unknown unless given |
| ``WAYBILL_SEAL_S`` | how long an entry waits at most to be sealed, in seconds, where its tenant says nothing else |
| ``WAYBILL_EVIDENCE_COMPACT`` | 1: the evidence bucket holds each entry once, compressed. Earlier releases cannot read that |
| ``WAYBILL_WITNESSES`` | verifier keys of witnesses that cosign checkpoints, each with its address behind it |
| ``WAYBILL_SEAL_SEED`` | development and other clouds only: a file with the seed of the key that signs checkpoints |
| ``WAYBILL_ENGINE`` | what the store is: ``dynamodb`` on AWS, or a home without a region: ``ydb``, ``alternator``, ``dynoxide`` |
| ``WAYBILL_DYNAMODB_URL`` | such a home only: where its tables are |
| ``WAYBILL_SQS_URL`` | such a home only: where its queues are |
| ``WAYBILL_S3_URL`` | such a home only: where its evidence bucket is |
| ``WAYBILL_RESTORED_TABLES`` | tables that were restored under another name, ``data=r1``: the table is then ``…-data-r1`` |
| ``WAYBILL_MASTER_KEY`` | such a home only: a file with the key that tenants' keys are wrapped under |
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from .core.errors import Misconfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Settings:
    """The cell's settings."""

    cell: str
    region: str
    country: str
    operator_key_sha256: str = ""
    hooks_url: str = ""
    api_url: str = ""
    insert: Literal["partiql", "put"] = "partiql"
    allow_cidrs: tuple[Network, ...] = ()
    extra_ports: frozenset[int] = frozenset()
    own_domains: frozenset[str] = frozenset()
    account: str = ""
    key_rate_per_s: int = 50
    source_rate_per_s: int = 500
    off_record_s: float = 8
    evidence_bucket: str = ""
    exports_bucket: str = ""
    contents_bucket: str = ""
    exports_url: str = ""
    operator_domain: str = "waybill.localhost"
    operator_name: str = ""
    operator_contact: str = ""
    operator_country: str | None = None
    seal_s: float = 300
    evidence_compact: bool = False
    seal_seed: str = ""
    witnesses: tuple[tuple[str, str], ...] = ()
    """Verifier keys, each with the address to submit checkpoints to; empty where the cell no longer asks the witness."""
    engine: str = "dynamodb"
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Base addresses by service, of a home without a region; on AWS there are none."""
    master_key: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    restored: Mapping[str, str] = field(default_factory=dict)
    """The suffix of each restored table, by the table."""

    @property
    def prefix(self) -> str:
        """The prefix of the names of the cell's tables and queues."""
        return f"waybill-{self.cell}"

    def table(self, name: str) -> str:
        """Return the full name of a table."""
        suffix = self.restored.get(name)
        return f"{self.prefix}-{name}" if suffix is None else f"{self.prefix}-{name}-{suffix}"

    @property
    def links_url(self) -> str:
        """The base address of pull links; empty where no public address is known."""
        return self.api_url or self.hooks_url


ENDPOINTS = {"dynamodb": "WAYBILL_DYNAMODB_URL", "sqs": "WAYBILL_SQS_URL", "s3": "WAYBILL_S3_URL"}
"""The settings that name a home's addresses, by service."""


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def is_base_address(text: str) -> bool:
    """Say whether a text is an address that paths can be put behind: with a host, and without a user, query or fragment."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return good and "@" not in parts.netloc and not parts.query and not parts.fragment


def _endpoints(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for service, name in ENDPOINTS.items():
        text = environ.get(name, "").rstrip("/")
        if not text:
            continue
        if not is_base_address(text):
            raise Misconfigured(f"{name} is a base address such as https://tables.example:8000")
        found[service] = text
    return found


def restored_tables(text: str) -> dict[str, str]:
    """Read the suffixes of restored tables, ``config=r1 data=r1``.

    Only these two can be restored: ``people`` has no backup, and entries of the log are never taken back.

    Raises:
        Misconfigured: the text has another form.
    """
    found = dict(re.findall(r"(config|data)=([a-z0-9]{1,20})(?= |\Z)", text))
    if " ".join(f"{name}={suffix}" for name, suffix in found.items()) != " ".join(text.split()):
        raise Misconfigured(
            "WAYBILL_RESTORED_TABLES is config=… or data=… or both, with a suffix of letters and digits"
        )
    return found


_WITNESS_KEY = re.compile(r"[^\s,+]+\+[0-9a-f]{8}\+B[A-P][A-Za-z0-9+/]{42}", re.ASCII)
"""A verifier key of algorithm 4. Source: https://c2sp.org/tlog-cosignature (read 2026-11-30)."""


def witnesses(text: str) -> tuple[tuple[str, str], ...]:
    """Read verifier keys of witnesses, each with its address behind it, or with none.

    Raises:
        Misconfigured: the text has another form, or names a key twice.
    """
    found: dict[str, str] = {}
    key = ""
    for word in _words(text):
        if _WITNESS_KEY.fullmatch(word) and word not in found:
            key = word
            found[key] = ""
        elif re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", word) and found.get(key) == "":
            found[key] = word.rstrip("/")
        else:
            raise Misconfigured(
                "WAYBILL_WITNESSES is verifier keys of witnesses, each with its https address behind it"
            )
    return tuple(found.items())


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        Misconfigured: one is missing or cannot be read; the text names it.
    """
    missing = [n for n in ("WAYBILL_CELL", "AWS_REGION", "WAYBILL_COUNTRY") if not environ.get(n)]
    if missing:
        raise Misconfigured(f"set {', '.join(missing)} in the environment")
    if environ.get("WAYBILL_REGION", environ["AWS_REGION"]) != environ["AWS_REGION"]:
        raise Misconfigured("AWS_REGION is not the cell's home region: deploy the cell where WAYBILL_REGION says")
    engine = environ.get("WAYBILL_ENGINE") or "dynamodb"
    insert = environ.get("WAYBILL_INSERT") or ("partiql" if engine == "dynamodb" else "put")
    if insert not in ("partiql", "put"):
        raise Misconfigured("WAYBILL_INSERT is partiql or put")
    account = environ.get("WAYBILL_ACCOUNT", "")
    if account and not (len(account) == 12 and account.isascii() and account.isdigit()):
        raise Misconfigured("WAYBILL_ACCOUNT is the twelve digits of the AWS account that the cell is in")
    try:
        cidrs = tuple(ipaddress.ip_network(w) for w in _words(environ.get("WAYBILL_ALLOW_CIDRS", "")))
        ports = frozenset(int(w) for w in _words(environ.get("WAYBILL_EXTRA_PORTS", "")))
        key_rate = int(environ.get("WAYBILL_KEY_RATE_PER_S", "50"))
        source_rate = int(environ.get("WAYBILL_SOURCE_RATE_PER_S", "500"))
        seal_s = float(environ.get("WAYBILL_SEAL_S", "300"))
        off_record_s = float(environ.get("WAYBILL_OFF_RECORD_S", "8"))
    except ValueError as error:
        raise Misconfigured(f"WAYBILL_ALLOW_CIDRS, WAYBILL_EXTRA_PORTS or a rate cannot be read: {error}") from error
    if not 1 <= off_record_s <= 12:
        raise Misconfigured("WAYBILL_OFF_RECORD_S is from 1 to 12 seconds: the hook door ends after 15")
    return Settings(
        cell=environ["WAYBILL_CELL"],
        region=environ["AWS_REGION"],
        country=environ["WAYBILL_COUNTRY"],
        operator_key_sha256=environ.get("WAYBILL_OPERATOR_KEY_SHA256", ""),
        hooks_url=environ.get("WAYBILL_HOOKS_URL", "").rstrip("/"),
        api_url=environ.get("WAYBILL_API_URL", "").rstrip("/"),
        insert="put" if insert == "put" else "partiql",
        allow_cidrs=cidrs,
        extra_ports=ports,
        own_domains=frozenset(w.lower() for w in _words(environ.get("WAYBILL_OWN_DOMAINS", ""))),
        account=account,
        key_rate_per_s=key_rate,
        source_rate_per_s=source_rate,
        off_record_s=off_record_s,
        evidence_bucket=environ.get("WAYBILL_EVIDENCE_BUCKET", ""),
        exports_bucket=environ.get("WAYBILL_EXPORTS_BUCKET", ""),
        contents_bucket=environ.get("WAYBILL_CONTENTS_BUCKET", ""),
        exports_url=environ.get("WAYBILL_EXPORTS_URL", "").rstrip("/"),
        operator_domain=environ.get("WAYBILL_OPERATOR_DOMAIN", "waybill.localhost").lower(),
        operator_name=environ.get("WAYBILL_OPERATOR_NAME", "").strip(),
        operator_contact=environ.get("WAYBILL_OPERATOR_CONTACT", "").strip(),
        operator_country=environ.get("WAYBILL_OPERATOR_COUNTRY") or None,
        seal_s=seal_s,
        evidence_compact=environ.get("WAYBILL_EVIDENCE_COMPACT", "") == "1",
        seal_seed=environ.get("WAYBILL_SEAL_SEED", ""),
        witnesses=witnesses(environ.get("WAYBILL_WITNESSES", "")),
        engine=engine,
        endpoints=_endpoints(environ),
        master_key=environ.get("WAYBILL_MASTER_KEY", ""),
        restored=restored_tables(environ.get("WAYBILL_RESTORED_TABLES", "")),
    )
