"""``waybill what-if``: what a draft of the law would have changed for the transfers that a bundle of evidence tells of."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from .. import law as laws
from ..core import times
from ..core.errors import AuditBroken
from ..core.explain import what_if
from ..core.law.loader import Law, load_law
from ..core.law.residency import Decider
from ..core.tenant.configuration import Configuration
from ..core.verify.faults import Faults
from ..core.verify.form import BundleEvidence, read
from ..core.verify.redecide import configuration_of
from .terminal import escaped


class BadBundle(Exception):
    """A bundle cannot be read."""


def draft(folder: Path) -> Law:
    """Load a draft: the installed law with the files of a folder in the place of those of the same name, or beside them.

    Raises:
        LawRefused: with every fault.
        OSError: the folder cannot be read.
        UnicodeDecodeError: a file is not UTF-8.
    """
    given = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.suffix == ".toml"}
    return load_law({**laws.texts(), **given})


def of_files(bundles: Iterable[Path], law: Law, since: str, until: datetime | None = None) -> dict[str, Any]:
    """Say what a draft would change of the transfers in bundles.

    Args:
        since: a period, counted back from ``until``, or from when the newest bundle was made.

    Raises:
        BadBundle: one is no bundle, or damaged.
        ValueError: ``since`` is no period.
    """
    documents = [_evidence(path) for path in bundles]
    made = max(times.parse(evidence.manifest["made_at"]) for evidence in documents)
    # A millisecond more, so that what was decided as the bundle was made is in it.
    before = until or made + timedelta(milliseconds=1)
    configurations: dict[str, Mapping[str, Any]] = {}
    for evidence in documents:
        configurations |= evidence.configurations

    @cache
    def configuration(digest: str) -> Configuration | None:
        try:
            return configuration_of(configurations[digest])
        except (KeyError, AuditBroken):
            return None

    asked = what_if.WhatIfReport(Decider(law).decide, configuration, what_if.since(since, before), before)
    for evidence in documents:
        for _, entry in evidence.entries():
            if entry is None:
                raise BadBundle("an entry is not in its form; waybill verify says more")
            asked.take(entry)
        if evidence.faults.found:
            raise BadBundle("the bundle is larger than a bundle may be")
    return {**asked.report(), "rules_version": law.version, "rules_hash": law.hash}


def _evidence(path: Path) -> BundleEvidence:
    faults = Faults()
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise BadBundle(f"there is no file {path}") from None
    except (OSError, ValueError):  # no right to it, nothing in it
        raise BadBundle(f"{path} cannot be read") from None
    evidence = read(data, faults)
    if evidence is None or faults.found:
        raise BadBundle("the bundle is damaged; waybill verify says where")
    return evidence


def as_text(report: Mapping[str, Any]) -> str:
    """Lay a report out for a person."""
    lines = [
        f"Transfers decided again  {report['decided']}, from {report['after']} to {report['before']}",
        f"Would be refused         {report['would_deny']}",
        f"Would be held            {report['would_hold']}",
    ]
    if report["not_decided"]:
        lines.append(
            f"Not decided again        {report['not_decided']}: a switch refused them, or the log does not hold enough"
        )
    if not report["changed"]:
        return escaped("\n".join([*lines, "", "Nothing would change."]))
    heads = ("rule", "from", "to", "count", "countries", "recipients")
    rows = [
        (
            row["rule"],
            row["from"],
            row["to"],
            str(row["count"]),
            " ".join(f"{country} {count}" for country, count in row["by_country"].items()),
            " ".join(row["recipients"]),
        )
        for row in report["changed"]
    ]
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads) - 1)]
    lines.append("")
    lines += ["  ".join((*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1])) for row in (heads, *rows)]
    return escaped("\n".join(lines))
