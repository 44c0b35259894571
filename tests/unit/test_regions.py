"""Every region of AWS has a country, and every country a region that exists."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.countries import COUNTRIES
from chalicelib.core.errors import WrongRegion
from chalicelib.law import region_countries, region_country
from infra.deploy.regions import TARGET, regions, text


def test_regions_are_those_of_botocore_when_compared_both_ways() -> None:
    known = {name for names in regions().values() for name in names}

    assert set(region_countries()) == known
    assert set(region_countries().values()) <= COUNTRIES


def test_file_is_what_is_made_when_made_anew() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(regions())


@pytest.mark.parametrize(
    ("region", "country"),
    [("eu-central-1", "DE"), ("eusc-de-east-1", "DE"), ("cn-north-1", "CN"), ("us-gov-west-1", "US"), ("ap-east-2", "TW")],
)  # fmt: skip
def test_region_has_its_country_when_asked(region: Any, country: Any) -> None:
    assert region_country(region) == country


@pytest.mark.parametrize("region", ["aws-global", "aws-cn-global", "us-iso-east-1", "", "mars-north-1"])
def test_region_is_refused_when_pseudo_or_unknown(region: Any) -> None:
    with pytest.raises(WrongRegion):
        region_country(region)


def test_making_stops_when_a_region_has_no_country() -> None:
    with pytest.raises(KeyError):
        text({"aws": ["mars-north-1"]})
