"""The installed law: one TOML file a jurisdiction, and the country of every AWS region."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ..core.errors import WrongRegion

if TYPE_CHECKING:
    from ..core.explain.profile import FormProfile
    from ..core.law.derived import BulkCounts
    from ..core.law.loader import Law
    from ..core.law.thresholds import Threshold

REGIONS = "regions.toml"


def texts() -> dict[str, str]:
    """Return the installed law files by name."""
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in files(__package__).iterdir()
        if entry.name.endswith(".toml")
    }


@cache
def profiles() -> Mapping[str, FormProfile]:
    """Return the installed profiles by name.

    Raises:
        Misconfigured: one of them is none.
    """
    from ..core.explain.profile import load  # few requests are about profiles

    folder = files(__package__) / "profiles"
    found = (load(entry.read_text(encoding="utf-8")) for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return {profile.name: profile for profile in sorted(found, key=lambda profile: profile.name)}


@cache
def installed() -> Law:
    """Return the installed law, compiled once a process.

    Raises:
        LawRefused: a file has a fault.
    """
    from ..core.law.loader import load_law  # the compiler of rules: hooks asks for its region only

    return load_law(texts())


def bulk() -> BulkCounts:
    """Return the numbers of bulk data under US law, for laws that come from a bundle."""
    from ..core.law.derived import bulk_counts

    return bulk_counts(tomllib.loads((files(__package__) / "thresholds.toml").read_text(encoding="utf-8")))


@cache
def thresholds() -> tuple[Threshold, ...]:
    """Return the numbers of people from which something else follows.

    Raises:
        Misconfigured: the file has a fault.
    """
    from ..core.law.thresholds import load  # loaded when a person is counted, which few events do

    return load((files(__package__) / "thresholds.toml").read_text(encoding="utf-8"))


@cache
def _regions() -> dict[str, dict[str, str]]:
    return tomllib.loads((files(__package__) / REGIONS).read_text(encoding="utf-8"))


@cache
def region_countries() -> dict[str, str]:
    """Return the country of every AWS region in which a store can be."""
    return {region: country for partition in _regions().values() for region, country in partition.items()}


def region_partition(region: str) -> str | None:
    """Return the partition of AWS that a region belongs to, such as ``aws-cn``; None where the region is not known."""
    return next((partition for partition, regions in _regions().items() if region in regions), None)


def region_country(region: str) -> str:
    """Return the country in which an AWS region lies.

    Raises:
        WrongRegion: not a region in which a store can be: unknown, or a pseudo region such as ``aws-global``.
    """
    country = region_countries().get(region)
    if country is None:
        raise WrongRegion("the country of this region is not known: see chalicelib/law/regions.toml")
    return country
