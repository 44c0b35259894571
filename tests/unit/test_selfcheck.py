"""``waybill selfcheck``: the rules that are due for review."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import cli
from chalicelib.commands.selfcheck import as_text, examine, exit_code
from chalicelib.law import installed

LAW = installed()
CHECKED = min(r.checked_on for f in (LAW.any, *LAW.files) for r in (*f.permits, *f.rules))


@pytest.mark.parametrize(("days", "code"), [(90, 0), (91, 1)])
def test_rules_are_stale_when_nobody_has_checked_them_for_ninety_days(days: Any, code: Any) -> None:
    report = examine(LAW, date.fromordinal(CHECKED.toordinal() + days))

    assert exit_code(report) == code
    assert bool(report["stale"]) is bool(code)


def test_doubtful_rules_are_listed_when_lawyers_differ_or_nobody_verified() -> None:
    report = examine(LAW, CHECKED)

    assert all(not r["settled"] for r in report["unsettled"]) and report["unsettled"]
    assert all(r["confidence"] in ("memory", "unsure") for r in report["unverified"]) and report["unverified"]
    assert all(rule["id"] in as_text(report) for rule in report["unsettled"])


def test_repealed_rule_is_left_out_when_its_time_is_over() -> None:
    ids = {r["id"] for r in examine(LAW, date(2030, 1, 1))["stale"]}

    assert "RU.18.5@2025-07-01" in ids and "RU.18.5@2015-09-01" not in ids


def test_command_answers_for_a_program_and_says_by_its_code_what_it_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["selfcheck", "--json", "--today", "2026-11-22"]) == 0
    assert json.loads(capsys.readouterr().out)["stale"] == []

    assert cli.main(["selfcheck", "--today", "2027-11-22"]) == 1
    assert "RU.18.5" in capsys.readouterr().out

    (tmp_path / "xx.toml").write_text("code = 1")
    assert cli.main(["selfcheck", "--law", str(tmp_path)]) == 2
