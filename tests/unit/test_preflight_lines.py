"""``waybill preflight``: a file of planned flows, one decision for each country and class, and an exit code for a pipeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import cli
from chalicelib.commands.preflight import WrongFile, as_text, examine, exit_code, read
from chalicelib.law import installed
from tests.support.nord import IN_RUSSIA, NORD

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
ABROAD = NORD.replace(
    'entity_country = "DE"\nprocessing_countries = ["DE"]', 'entity_country = "US"\nprocessing_countries = ["US"]'
)


def subjects(text: Any, *countries: Any) -> Any:
    return text.replace('subjects = ["DE", "FR"]', f"subjects = {json.dumps(countries)}")


def report_of(text: Any) -> Any:
    return examine(read(text, NOW), installed())


def test_one_decision_is_made_for_each_country_and_class_when_all_is_declared() -> None:
    report = report_of(NORD)

    assert [(r["subject_country"], r["class"]) for r in report["data"]] == [
        (country, name) for country in ("DE", "FR") for name in ("identifier", "name", "content")
    ]
    assert {r["decision"] for r in report["data"]} == {"allowed"}
    assert (exit_code(report), report["days_needed"], report["next"]) == (0, 0, None)
    assert all(r["settled"] and r["confidence"] == "verified" for row in report["data"] for r in row["rules"])


def test_every_gap_is_named_when_recipient_is_abroad() -> None:
    report = report_of(ABROAD)

    assert exit_code(report) == 1
    assert [g["path"] for g in report["data"][0]["missing"]] == [
        "basis:EU.44:crm",
        "basis:EU.transfer-impact-assessment:crm",
    ]
    assert "basis:EU.44:crm" in as_text(report)


def test_what_pulls_lack_is_named_when_a_route_restricts() -> None:
    restricting = 'purpose = "customer_support"', 'purpose = "customer_support"\nmode = "restrict"'

    here, abroad = report_of(NORD.replace(*restricting)), report_of(ABROAD.replace(*restricting))

    assert {(r["decision"], r["pull"]["decision"]) for r in here["data"]} == {("redacted", "allowed")}
    assert "pulls" not in as_text(here)
    assert {(r["decision"], r["pull"]["decision"]) for r in abroad["data"]} == {("redacted", "held")}
    assert [row["pull"]["missing"] for row in abroad["data"]] == [row["missing"] for row in report_of(ABROAD)["data"]]
    assert exit_code(abroad) == 0
    assert "What is missing" not in as_text(abroad)
    assert "Missing for pulls:\n  basis:EU.44:crm" in as_text(abroad)


def test_refusal_wins_when_one_country_is_refused() -> None:
    report = report_of(subjects(NORD, "DE", "RU"))

    assert (exit_code(report), report["decision"]) == (2, "refused")
    assert [r["decision"] for r in report["data"]] == ["allowed"] * 3 + ["refused"] * 3
    assert "RU.18.5@2025-07-01" in as_text(report)


def test_days_of_a_wait_are_counted_over_rest_days_when_a_filing_is_still_to_be_made() -> None:
    text = subjects(IN_RUSSIA, "RU").replace('entity_country = "DE"', 'entity_country = "US"')

    (row, *_) = report_of(text)["data"]

    # 2026-11-22 is a Sunday: ten working days end on Friday the 4th of December, and the day after it is free to send.
    title = "A notice is filed, and ten working days have passed"
    assert row["formalities"] == [
        {"rule": "RU.12.other", "ref": "152-FZ art. 12(9)-(11)", "kind": "wait", "days": 13, "title": title}
    ]
    assert report_of(text)["days_needed"] == 13
    assert "filed_on" in next(g["supply"] for g in row["missing"] if g["path"] == "basis:RU.12:crm")


def test_rest_of_a_wait_is_counted_when_the_filing_is_made() -> None:
    filed = '[[basis]]\nkind = "notification-filed"\nlaw = "RU"\nrecipient = "crm"\nvalid_from = 2026-11-16\nfiled_on = 2026-11-16\nevidence = "sha256:ab"\n'
    text = subjects(IN_RUSSIA, "RU").replace('entity_country = "DE"', 'entity_country = "US"') + filed

    (row, *_) = report_of(text)["data"]

    # Filed on a Monday: the tenth working day after it is Monday the 30th, and it is over at midnight in Moscow.
    assert [(f["kind"], f["days"]) for f in row["formalities"]] == [("wait", 9)]


def test_days_for_a_filing_are_counted_when_clauses_are_still_to_be_signed() -> None:
    text = NORD.replace('country = "DE", contact', 'country = "TR", contact')

    formalities = {f["rule"]: f for row in report_of(subjects(text, "TR"))["data"] for f in row["formalities"]}

    assert formalities["TR.9.5-notify"]["kind"] == "file"
    assert formalities["TR.9.5-notify"]["days"] == 5


def test_supply_says_it_in_words_when_a_country_has_no_law_file() -> None:
    report = report_of(subjects(NORD, "JP"))

    gap = next(g for g in report["data"][0]["missing"] if g["path"] == "law:JP")
    assert gap["supply"].startswith("no declaration helps: there is no law file for JP")
    assert exit_code(report) == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("[cell]", "[cel]"), "cel: unknown"),
        (('region = "eu-central-1"', 'region = "eu-nowhere-1"'), "cell.region: "),
        (('region = "eu-central-1"', 'region = "eu-central-1"\ncountry = "DE"'), "cell: give either"),
        (('recipient = "crm"', 'recipient = "cmr"'), "route support: there is no recipient cmr"),
        (('channel = "telegram"', 'channel = "telegraph"'), "source bot: unknown channel telegraph"),
        (('kind = "contract"', 'kind = "handshake"'), "basis.2.kind: "),
        (('purpose = "customer_support"', 'purpose = "customer_support"\nbases = ["b"]'), "route support: there is no basis b"),
        (('classes = ["identifier", "name", "content"]\npurpose', 'classes = []\npurpose'), "route.1.classes: "),
        (('at = 2026-11-22T09:00:00Z', 'at = 2026-11-22'), "at: "),
        (('[[route]]', '[route]'), "route: write [[route]]"),
        (('granted = true', 'granted = "yes"'), "recipient.1.granted: "),
        (('[[source]]', '[[source'), "not TOML: "),
        (('purpose = "customer_support"', 'purpose = "customer_support"\n[route.transform]\nredact = [{class = "name", action = "drop"}]'), 'route support: transform.redact needs mode "redact"'),
        (('purpose = "customer_support"', 'purpose = "customer_support"\nmode = "restrict"\ntransform = {select = "kind"}'), 'route support: mode "restrict" sends nothing of the event'),
    ],
)  # fmt: skip
def test_fault_is_named_when_file_is_wrong(change: Any, fault: Any) -> None:
    text = NORD.replace(*change)
    assert text != NORD

    with pytest.raises(WrongFile) as wrong:
        read(text, NOW)

    assert any(said.startswith(fault) for said in wrong.value.faults), wrong.value.faults


def test_redacted_flow_may_be_sent_when_route_redacts() -> None:
    text = NORD.replace(
        'purpose = "customer_support"',
        'purpose = "customer_support"\nmode = "redact"\ntransform = {redact = [{class = "name", action = "mask"}]}',
    )

    report = report_of(text)

    assert (report["decision"], exit_code(report)) == ("redacted", 0)


@pytest.mark.parametrize(("text", "code"), [(NORD, 0), (ABROAD, 1), (subjects(NORD, "RU"), 2), ("", 3)])
def test_exit_code_tells_a_pipeline_when_command_has_run(
    text: Any, code: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "routes.toml"
    path.write_text(text, encoding="utf-8")

    assert cli.main(["preflight", str(path), "--json"]) == code

    out, err = capsys.readouterr()
    assert json.loads(out)["data"] if code != 3 else (not out and "tenant" in err)


def test_exit_code_is_that_of_a_wrong_file_when_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["preflight", str(tmp_path / "none.toml")]) == 3
    assert capsys.readouterr().err.startswith("waybill preflight: ")
