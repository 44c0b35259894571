"""The home of a local cell: a region and a country that do not fit end in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cli
from infra.cell.local_options import misfit, tunnel_misfit


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


@pytest.mark.parametrize("url", ["", "https://name.example", "http://127.0.0.1:4040", "https://name.example/cell"])
def test_tunnel_is_taken_when_it_is_a_base_address(url: str) -> None:
    assert tunnel_misfit(url) is None


@pytest.mark.parametrize(
    "url", ["name.example", "ftp://name.example", "https://a@name.example", "https://", "https://x.example?a=1"]
)
def test_tunnel_is_refused_in_one_sentence_when_it_is_no_base_address(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("WAYBILL_HOOKS_URL", url)

    assert cli.main(["local"]) == 1
    assert "WAYBILL_HOOKS_URL is the base address" in capsys.readouterr().err


REFUSED = [
    ["local", "--engine", "floppy"],
    ["local", "--state", "somewhere"],
    ["local", "--region", "mars-north-1"],
    ["local", "--country", "Atlantis"],
    ["serve"],
    ["serve", "--check"],
    ["serve", "--init"],
]


def test_cell_is_not_loaded_when_an_option_or_a_setting_is_refused() -> None:
    script = (
        "import os, sys, cli\n"
        "os.environ.pop('WAYBILL_CELL', None)\n"
        f"codes = [cli.main(arguments) for arguments in {REFUSED!r}]\n"
        "heavy = {'boto3', 'botocore', 'chalice', 'moto', 'pydantic'} & set(sys.modules)\n"
        "print(codes, heavy)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )

    assert done.stdout == f"{[1] * len(REFUSED)} set()\n"
    assert len(done.stderr.splitlines()) == len(REFUSED)
