"""``waybill preflight``: planned flows from a file, one decision without data for each subject country and data class.

Reads its file and the law files, and nothing else: no network, no store, no credentials.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from .. import law as laws
from ..channels import KINDS
from ..core import times
from ..core.decide.plan import Cell
from ..core.errors import WaybillError, WrongRegion
from ..core.event.event import DataClass
from ..core.explain.readiness import readiness
from ..core.law.loader import Law
from ..core.law.residency import Decider
from ..core.pattern import redaction
from ..core.tenant.configuration import Configuration
from ..core.tenant.records import (
    Basis,
    BasisSettings,
    Code,
    Country,
    Destination,
    Label,
    Mode,
    Purpose,
    Recipient,
    RecipientSettings,
    Record,
    Route,
    Source,
    SourceSettings,
    Tenant,
    TenantSettings,
    Transform,
)
from ..core.validation import nearest, of_validation
from .decide import load
from .parser import CommandParser

T = TypeVar("T", bound=BaseModel)
EXITS: Mapping[str, int] = {"allowed": 0, "redacted": 0, "held": 1, "refused": 2}
"""By the strictest decision."""
WRONG = 3
_REGIONLESS = "none"
_TABLES: Mapping[str, str] = {
    "cell": "one table", "tenant": "one table", "at": "a time", "source": "tables", "recipient": "tables", "basis": "tables",
    "route": "tables",
}  # fmt: skip


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = WRONG
    parser.add_argument("routes", type=Path, metavar="PLAN.toml", help="the planned flows")
    parser.add_law()
    parser.add_json()
    parser.explain(
        "One TOML file with the tables cell, tenant, source, recipient, basis and route; each has the fields of the "
        "API call (docs/cli.md has a whole file). The clock is read where the file has no `at`. No network, no store.",
        '[[route]]\nname = "support"\nrecipient = "crm"\nsubjects = ["DE", "FR"]\n'
        'classes = ["identifier", "name", "content"]\npurpose = "customer_support"',
        {
            0: "all flows may be sent, or redacted",
            1: "one is held",
            2: "one is refused",
            3: "the file, the rules or the usage are wrong; standard error names each fault",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    try:
        law = load(arguments.law)
        plan = read(arguments.routes.read_text(encoding="utf-8"), datetime.now(UTC))
    except (WaybillError, WrongFile, OSError, UnicodeDecodeError) as error:
        print(f"waybill preflight: {error}", file=sys.stderr)
        return WRONG
    report = examine(plan, law)
    print(json.dumps(report, ensure_ascii=True, indent=2) if arguments.json else as_text(report))
    return exit_code(report)


class WrongFile(Exception):
    """The file cannot be used; ``faults`` names every place."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class PlannedCell(Record):
    """Where the flows begin: an AWS region, or a country for a home without one."""

    region: str | None = None
    country: Country | None = None


class PlannedSource(SourceSettings):
    """A source, and the name that routes know it by."""

    id: Code


class PlannedRecipient(RecipientSettings):
    """A recipient, and the name that routes and bases know it by."""

    id: Code


class PlannedBasis(BasisSettings):
    """A basis, and the name that routes know it by where they name their bases."""

    id: Code | None = None


class PlannedRoute(Record):
    """A flow: from which sources, about people of which countries, with which data classes, to whom, for what."""

    name: Label
    recipient: Code
    sources: tuple[Code, ...] = Field(default=(), max_length=50)
    subjects: tuple[Country, ...] = Field(min_length=1, max_length=50)
    classes: tuple[DataClass, ...] = Field(min_length=1)
    purpose: Purpose
    mode: Mode = "replicate"
    bases: tuple[Code, ...] | None = None
    transform: Transform = Field(default_factory=Transform)


@dataclass(frozen=True)
class PreflightPlan:
    """What a file declares."""

    at: datetime
    cell: Cell
    configuration: Configuration
    routes: tuple[PlannedRoute, ...]


def read(text: str, now: datetime) -> PreflightPlan:
    """Read a file of planned flows.

    Args:
        now: the day to decide on where the file has no ``at``.

    Raises:
        WrongFile: with every fault.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise WrongFile([f"not TOML: {fault}"]) from None
    faults = [f"{key}: unknown; there are {', '.join(_TABLES)}" for key in document if key not in _TABLES]
    at = document.get("at", now)
    if not isinstance(at, datetime) or at.tzinfo is None:
        faults.append("at: a time with its offset, such as 2026-11-22T09:00:00Z")
        at = now
    cell = _cell(_one(PlannedCell, "cell", document.get("cell", {}), faults), faults)
    tenant = _one(TenantSettings, "tenant", document.get("tenant", {}), faults)
    sources = list(_many(PlannedSource, "source", document, faults))
    recipients = list(_many(PlannedRecipient, "recipient", document, faults))
    bases = list(_many(PlannedBasis, "basis", document, faults))
    routes = list(_many(PlannedRoute, "route", document, faults))
    faults += _unknown(sources, recipients, bases, routes)
    if not routes and not any(fault.startswith("route") for fault in faults):
        faults.append("route: there is none")
    if faults or tenant is None or cell is None:
        raise WrongFile(sorted(set(faults)))
    since = {"created_at": times.EARLIEST}
    named = [basis.model_copy(update={"id": basis.id or f"basis-{n}"}) for n, basis in enumerate(bases, 1)]
    configuration = Configuration(
        Tenant(**dict(tenant), id="planned", **since),
        0,
        sources={s.id: Source(**dict(s), **since) for s in sources},
        recipients={r.id: Recipient(**dict(r), **since) for r in recipients},
        destinations={
            r.id: Destination(id=r.id, name="planned", kind="planned", recipient=r.id, **since) for r in recipients
        },
        bases={str(b.id): Basis(**dict(b), **since) for b in named},
    )
    return PreflightPlan(at.astimezone(UTC), cell, configuration, tuple(routes))


def _cell(planned: PlannedCell | None, faults: list[str]) -> Cell | None:
    if planned is None:
        return None
    if (planned.region is None) == (planned.country is None):
        faults.append("cell: give either region or country")
        return None
    if planned.country is not None:
        return Cell(_REGIONLESS, planned.country)
    region = str(planned.region)
    try:
        return Cell(region, laws.region_country(region))
    except WrongRegion as fault:
        faults.append(f"cell.region: {fault.detail}")
        return None


def _one(model: type[T], place: str, table: object, faults: list[str]) -> T | None:
    try:
        return model.model_validate_json(json.dumps(table, default=_text), strict=True)
    except ValidationError as error:
        faults += [f"{fault['loc']}: {fault['msg']}" for fault in of_validation(error, place).errors]
    except TypeError:
        faults.append(f"{place}: has a field that no record has")
    return None


def _many(model: type[T], name: str, document: Mapping[str, Any], faults: list[str]) -> Iterator[T]:
    rows = document.get(name, [])
    if not isinstance(rows, list):
        faults.append(f"{name}: write [[{name}]]")
        return
    for number, row in enumerate(rows, 1):
        read = _one(model, f"{name}.{number}", row, faults)
        if read is not None:
            yield read


def _text(value: object) -> str:
    if isinstance(value, date):  # and with it a time
        return value.isoformat()
    raise TypeError


def _unknown(
    sources: list[PlannedSource],
    recipients: list[PlannedRecipient],
    bases: list[PlannedBasis],
    routes: list[PlannedRoute],
) -> Iterator[str]:
    """Yield each name that two have, or that nothing has."""
    known: dict[str, set[str]] = {}
    for kind, records in (("source", sources), ("recipient", recipients), ("basis", bases)):
        ids = [str(record.id) for record in records if record.id is not None]
        yield from (f"{kind}: two are called {id}" for id in sorted(ids) if ids.count(id) > 1)
        known[kind] = set(ids)
    yield from (
        f"source {s.id}: unknown channel {s.channel}{nearest(s.channel, KINDS)}"
        for s in sources
        if s.channel not in KINDS
    )
    hops = {"store", *known["recipient"], *(o.id for r in recipients for o in r.onward or ())}
    for basis in bases:
        if basis.recipient is not None and basis.recipient not in hops:
            yield f"basis: there is no recipient {basis.recipient}"
    for route in routes:
        asked = {"recipient": (route.recipient,), "source": route.sources, "basis": route.bases or ()}
        for kind, names in asked.items():
            yield from (f"route {route.name}: there is no {kind} {id}" for id in names if id not in known[kind])
        rules = [r.document() for r in route.transform.redact]
        yield from (f"route {route.name}: {fault}" for fault in redaction.check_redactions(rules))
        if misfit := route.transform.misfit(route.mode):
            yield f"route {route.name}: {misfit}"


def examine(plan: PreflightPlan, law: Law) -> dict[str, Any]:
    """Decide each flow for each source, subject country and data class; the shape is that of ``GET /v1/preflight``."""
    decider = Decider(law)
    rows = [row for planned in plan.routes for row in _rows(plan, planned, law, decider)]
    strictest = max((row["decision"] for row in rows), key=lambda decision: EXITS[decision])
    days = {f["rule"]: f["days"] for row in rows for f in row["formalities"]}
    return {
        "data": rows,
        "next": None,
        "decision": strictest,
        "days_needed": sum(days.values()),
        "rules_version": law.version,
        "rules_hash": law.hash,
    }


def _rows(plan: PreflightPlan, planned: PlannedRoute, law: Law, decider: Decider) -> Iterator[dict[str, Any]]:
    route = Route.model_validate(
        {
            **planned.model_dump(exclude={"recipient", "sources", "subjects", "classes"}, by_alias=True),
            "id": "planned",
            "created_at": times.EARLIEST,
            "pattern": {},
            "destination": planned.recipient,
        }
    )
    for source_id in planned.sources or sorted(plan.configuration.sources):
        for country in planned.subjects:
            declared = plan.configuration.sources[source_id].model_copy(update={"subject_country": country})
            configuration = replace(
                plan.configuration,
                sources={**plan.configuration.sources, source_id: declared},
                routes={route.id: route},
            )
            for data_class in planned.classes:
                shown = readiness(
                    configuration,
                    declared,
                    route,
                    plan.cell,
                    classes=[data_class.value],
                    now=plan.at,
                    law=law,
                    decide=decider.decide,
                    names={"source": f"{{{source_id}}}", "recipient": f"{{{planned.recipient}}}", "route": "{route}"},
                )
                flow = {"route": planned.name, "source": source_id, "recipient": planned.recipient}
                yield {**flow, "subject_country": country, "class": data_class.value, **shown}


def exit_code(report: Mapping[str, Any]) -> int:
    """Return the exit code of a report."""
    return EXITS[report["decision"]]


def as_text(report: Mapping[str, Any]) -> str:
    """Lay a report out for a person: flows that come to the same, class by class, are one line."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in report["data"]:
        why = "; ".join(dict.fromkeys(_mark(rule) for rule in row["rules"]))
        key = (row["route"], row["source"], row["recipient"], row["subject_country"], row["decision"], why)
        alike.setdefault(key, []).append(row["class"])
    heads = ("route", "source", "recipient", "subject", "decision", "data", "why")
    rows = [(*key[:-1], _classes(classes), key[-1]) for key, classes in alike.items()]
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads) - 1)]
    lines = ["  ".join((*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1])) for row in (heads, *rows)]
    lines += _missing("Missing:", report["data"])
    lines += _missing("Missing for pulls:", [row["pull"] for row in report["data"] if "pull" in row])
    refused = {r["id"]: r for row in report["data"] for r in row["refused"]}
    if refused:
        lines += ["", "Refused in any case:", *(f"  {_titled(id, refused[id])}" for id in sorted(refused))]
    formalities = {f["rule"]: f for row in report["data"] for f in row["formalities"]}
    if formalities:
        lines += ["", f"Days needed: {report['days_needed']}"]
        lines += [f"  {f['days']:3} {f['kind']}  {_titled(rule, f)}" for rule, f in sorted(formalities.items())]
    obligations = {o["rule"]: o for row in report["data"] for o in row["obligations"]}
    if obligations:
        lines += ["", "Obligations:", *(f"  {_titled(rule, o)}" for rule, o in sorted(obligations.items()))]
    if any(_doubtful(rule) for row in report["data"] for rule in row["rules"]):
        lines += ["", "* lawyers read this rule differently, or its reading is not verified"]
    return "\n".join(lines)


def _missing(title: str, rows: list[dict[str, Any]]) -> list[str]:
    gaps = {g["path"]: g for row in rows for g in row["missing"]}
    lines = ["", title] if gaps else []
    for path in sorted(gaps):
        gap = gaps[path]
        lines += [f"  {path}  {_titled(gap['rule'], gap)}", *([f"      {gap['supply']}"] if gap["supply"] else [])]
    return lines


def _titled(rule: str, of: Mapping[str, Any]) -> str:
    return f"{of['title']} ({rule}: {of['ref']})" if of.get("title") else f"({rule}: {of['ref']})"


def _doubtful(rule: Mapping[str, Any]) -> bool:
    return not rule.get("settled", True) or rule.get("confidence", "verified") != "verified"


def _mark(rule: Mapping[str, Any]) -> str:
    return f"{rule['id']}{'*' if _doubtful(rule) else ''} {rule['ref']}"


def _classes(found: list[str]) -> str:
    return "all classes" if set(found) == {c.value for c in DataClass} else " ".join(dict.fromkeys(found))
