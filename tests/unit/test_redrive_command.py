"""``waybill redrive``: letters are listed tenant by tenant, and sent again by one request that is watched to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cli
from infra.client import redrive
from tests.support.prepared_cell import Cell, cell

__all__ = ["cell"]

KEY = "wb_operator"


def letter(name: str) -> dict[str, Any]:
    return {"queue": "inbox", "event": name, "transfer": None, "parked_at": "2026-11-30T09:00:00.000Z"}


def progress(state: str, sent: int, stays: int) -> dict[str, Any]:
    part = {"tenant": "tnt_a", "sent": sent, "stays": stays, "error": None}
    return {"id": "job_1", "state": state, "sent": sent, "stays": stays, "tenants": [part]}


@pytest.fixture
def given(cell: Cell, tmp_path: Path) -> list[str]:
    (tmp_path / "key").write_text(f"{KEY}\n")
    return ["redrive", "--url", cell.url, "--key-file", str(tmp_path / "key")]


def test_letters_of_every_tenant_are_listed_from_page_to_page(
    cell: Cell, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    cell.answers = {
        "/v1/tenants": [{"data": [{"id": "tnt_a"}], "next": "more"}],
        "/v1/tenants?cursor=more": [{"data": [{"id": "tnt_b"}], "next": None}],
        "/v1/tenants/tnt_a/dead-letters": [{"data": [letter("evt_1")], "next": None}],
        "/v1/tenants/tnt_b/dead-letters": [{"data": [letter("evt_2")], "next": None}],
    }

    assert cli.main(given) == 0

    assert capsys.readouterr().out.splitlines() == [
        "2026-11-30T09:00:00.000Z  tnt_a  inbox  evt_1",
        "2026-11-30T09:00:00.000Z  tnt_b  inbox  evt_2",
    ]
    assert {key for _, _, key, _ in cell.asked} == {f"Bearer {KEY}"}


def test_one_request_sends_all_and_is_watched_to_its_end(
    cell: Cell, given: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "ASK_EVERY_S", 0)
    cell.answers = {
        "/v1/redrives": [progress("running", 0, 0)],
        "/v1/redrives/job_1": [progress("running", 1, 0), progress("done", 2, 1)],
    }

    assert cli.main([*given, "--send", "--operator", "duty"]) == 1

    assert capsys.readouterr().out == "tnt_a  2 sent again, 1 stay\n"
    assert [(method, path) for method, path, _, _ in cell.asked][:2] == [
        ("POST", "/v1/redrives"),
        ("GET", "/v1/redrives/job_1"),
    ]
    assert json.loads(cell.asked[0][3]) == {"operator": "duty"}


@pytest.mark.parametrize(
    ("more", "code"), [(["tnt_none"], 2), (["--url", "http://far.example"], 3), (["--key-file", "/nowhere"], 3)]
)
def test_exit_code_says_why_nothing_was_listed(
    given: list[str], more: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*given, *more]) == code

    out, said = capsys.readouterr()
    assert (out, said.count("\n")) == ("", 1)
    assert KEY not in said
