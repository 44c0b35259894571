"""``waybill transfers``: lists what a replay would take up, and watches the job that replays it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cli
from infra.client import transfers
from tests.support.prepared_cell import Cell, cell

__all__ = ["cell"]

ALL = "/v1/transfers?destination=dst_1&outcome=rejected"


def transfer(number: int, code: str | None, replayed_by: str | None = None) -> dict[str, Any]:
    return {
        "id": f"trf_{number}", "event": f"evt_{number}", "outcome": "rejected", "replayed_by": replayed_by,
        "created_at": "2026-11-30T09:00:00.000Z", "attempts": [{"code": code}] if code else [],
    }  # fmt: skip


def job(state: str, replayed: int, gone: int = 0) -> dict[str, Any]:
    skipped = {"gone": gone, "no_route": 0}
    summary = {"destination": "dst_1", "replayed": replayed, "held": 0, "refused": 0, "skipped": skipped}
    return {"id": "job_1", "state": state, "progress": {"done": replayed, "total": None}, "summary": summary}


@pytest.fixture
def given(cell: Cell, tmp_path: Path) -> list[str]:
    (tmp_path / "key").write_text("wb_canary\n")
    return ["transfers", "--destination", "dst_1", "--url", cell.url, "--key-file", str(tmp_path / "key")]


def test_transfers_that_no_replay_has_taken_up_are_listed_from_page_to_page(
    cell: Cell,
    given: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = [transfer(1, "http_422"), transfer(2, "http_422", replayed_by="trf_9")]
    cell.answers = {
        ALL: [{"data": first, "next": "more"}],
        f"{ALL}&cursor=more": [{"data": [transfer(3, "render"), transfer(4, "http_422")], "next": None}],
    }

    assert cli.main(given) == 0

    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines()] == [
        ["2026-11-30T09:00:00.000Z", f"trf_{n}", f"evt_{n}", "rejected", code]
        for n, code in ((1, "http_422"), (3, "render"), (4, "http_422"))
    ]
    assert "3 to replay, 2 of http_422, 1 of render" in told.err


def test_objects_of_the_api_are_printed_when_asked_for(
    cell: Cell,
    given: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cell.answers = {
        "/v1/transfers?destination=dst_1&outcome=gave_up&after=2026-11-30T09%3A00%3A00Z": [
            {"data": [transfer(1, None)], "next": None}
        ]
    }

    assert cli.main([*given, "--outcome", "gave_up", "--after", "2026-11-30T09:00:00Z", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == transfer(1, None)


@pytest.mark.parametrize(
    ("end", "code"),
    [(job("done", 3), 0), (job("done", 2, gone=1), 1), (job("failed", 1), 2)],
    ids=["all", "some", "failed"],
)
def test_job_replays_them_and_is_watched_to_its_end(
    cell: Cell,
    given: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    end: dict[str, Any],
    code: int,
) -> None:
    monkeypatch.setattr(transfers, "ASK_EVERY_S", 0)
    cell.answers = {
        "/v1/destinations/dst_1/replay": [job("queued", 0)],
        "/v1/jobs/job_1": [job("running", 1), end],
    }

    assert cli.main([*given, "--replay", "--before", "2026-12-01T00:00:00Z"]) == code

    assert json.loads(cell.asked[0][3]) == {"outcome": "rejected", "before": "2026-12-01T00:00:00Z"}
    assert capsys.readouterr().out.startswith(f"job_1  {end['state']}  {end['summary']['replayed']} replayed, ")


def test_code_says_so_when_the_cell_refuses_or_a_file_is_missing(given: list[str]) -> None:
    assert cli.main(given) == 2
    assert cli.main([*given, "--key-file", "/nowhere"]) == 3
