"""The home of a local cell: a region and a country that do not fit end in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

import cli
from infra.cell.local import misfit


@pytest.mark.parametrize(
    ("engine", "region", "country"),
    [
        ("moto", None, None),
        ("moto", None, "RU"),
        ("moto", "eu-central-1", None),
        ("moto", "eu-central-1", "DE"),
        ("http://127.0.0.1:8000", "ru-central1", "RU"),
    ],
)
def test_home_is_taken_when_region_and_country_fit(engine: str, region: str | None, country: str | None) -> None:
    assert misfit(engine, region, country) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--region", "ru-central1", "--country", "RU"), "`waybill local --country RU`"),
        (("--region", "ru-central1"), "is no AWS region"),
        (("--region", "aws-global"), "is no AWS region"),
        (("--region", "us-east-1", "--country", "RU"), "us-east-1 is in US, not in RU"),
        (("--country", "Russia"), "give one of ISO 3166-1 alpha-2, such as DE"),
        (("--engine", "http://127.0.0.1:1", "--region", "ru-central1"), "is no AWS region"),
    ],
)
def test_home_is_refused_in_one_sentence_when_it_makes_no_sense(
    capsys: Any, arguments: tuple[str, ...], said: str
) -> None:
    code = cli.main(["local", *arguments])

    written = capsys.readouterr().err
    assert code == 1
    assert said in written
    assert written.count("\n") == 1
