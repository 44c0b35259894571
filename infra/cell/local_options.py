"""The options of ``waybill local``, and why some of them fit no cell.

Imports nothing heavy: the command refuses a bad option before it loads the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib import law
from chalicelib.core.countries import COUNTRIES
from chalicelib.settings import is_base_address

REGION = "eu-central-1"
"""The region of a cell whose region is not given; with a country it stands in for a home without a region."""
ENGINES = ("moto", "ministack")


@dataclass(frozen=True)
class Options:
    """The options of ``waybill local``.

    ``hooks_url`` is the public address of a tunnel to the cell; without one the API shows the address on this machine.
    """

    port: int = 0
    engine: str = "moto"
    region: str = REGION
    country: str | None = None
    state: Path | None = None
    pump_s: float = 5
    seal_s: float = 5
    hooks_url: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def engine_misfit(engine: str, state: Path | None) -> str | None:
    """Say in one sentence why there is no such engine, or why it keeps no state; None where it fits."""
    if engine not in ENGINES and not engine.startswith(("http://", "https://")):
        return "--engine is moto, ministack or the URL of an engine"
    if state is not None and engine != "ministack":
        return "only ministack keeps its state: --engine ministack --state DIR"
    return None


def misfit(engine: str, region: str | None, country: str | None) -> str | None:
    """Say in one sentence why no local cell can have this region and country; None where one can.

    An engine by URL has regions of its own.
    """
    if country is not None and country not in COUNTRIES:
        return f"--country {country} is no country code: give one of ISO 3166-1 alpha-2, such as DE"
    known = law.region_countries()
    if region is None or (region not in known and "://" in engine and country is not None):
        return None
    if region not in known:
        home = f"waybill local --country {country or 'RU'}"
        return f"--region {region} is no AWS region: for a home without one give its country alone, `{home}`"
    if country is not None and known[region] != country:
        return f"{region} is in {known[region]}, not in {country}: leave out --region or --country"
    return None


def tunnel_misfit(url: str) -> str | None:
    """Say in one sentence why a tunnel cannot have this address; None where it can, and where there is none."""
    if not url or is_base_address(url):
        return None
    return "WAYBILL_HOOKS_URL is the base address of a tunnel, such as https://name.example"
