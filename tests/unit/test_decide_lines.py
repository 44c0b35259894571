"""``waybill decide``: every line is answered, even a malformed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cli
from chalicelib.commands.decide import answer, load
from chalicelib.core.law.loader import LawRefused
from chalicelib.law import installed
from tests.fixtures.residency.building import VECTORS, facts_of

FACTS = {v["id"]: facts_of(v) for v in VECTORS}


def test_decision_is_answered_when_line_is_facts() -> None:
    shown = answer(json.dumps(FACTS["eu-us-nothing"]) + "\n", installed(), False)

    assert (shown["id"], shown["decision"], shown["error"]) == ("eu-us-nothing", "hold", None)


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "null", '{"now": NaN}', '{"op": "store", "op": "deliver"}', "[" * 100_000, '"text"', "1" * 5000],
)
def test_line_is_denied_when_not_a_facts_object(line: Any) -> None:
    shown = answer(line, installed(), False)

    assert (shown["decision"], shown["deciding"]) == ("deny", ["ANY.facts"])
    assert shown["error"]
    assert json.loads(json.dumps(shown)) == shown


def test_unsure_permit_holds_when_strict() -> None:
    line = json.dumps(FACTS["ae-contract"])

    assert answer(line, installed(), True)["deciding"] == ["ANY.unsettled"]
    assert answer(line, installed(), False)["decision"] == "allow"


def test_installed_law_is_loaded_when_no_folder_is_named() -> None:
    assert load(None) is installed()


def test_guardrails_are_the_installed_ones_when_folder_has_none(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "zz.toml").write_text("not even TOML")

    law = load(tmp_path)

    assert law.files == ()
    assert law.any.table == installed().any.table
    assert answer(json.dumps(FACTS["eu-inside"]), law, False)["missing"] == ["law:DE"]


def test_faults_are_listed_when_folder_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "xx.toml").write_text('code = "XX"')

    with pytest.raises(LawRefused) as refused:
        load(tmp_path)

    assert "xx.toml: time_zone is missing" in str(refused.value)


def test_folder_is_an_error_when_it_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("command", ["decide", "explain"])
def test_exit_is_2_and_the_folder_is_named_when_law_cannot_be_read(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent"

    code = cli.main([command, "--law", str(absent)])

    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.startswith(f"waybill {command}: ") and str(absent) in said.err


def test_command_ends_quietly_when_nobody_reads_its_output_any_more() -> None:
    reads, writes = os.pipe()
    os.close(reads)

    try:
        ended = subprocess.run([sys.executable, cli.__file__, "selfcheck"], stdout=writes, stderr=subprocess.PIPE)
    finally:
        os.close(writes)

    assert (ended.returncode, ended.stderr) == (141, b"")
