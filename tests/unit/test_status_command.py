"""``waybill status``: the table of a served cell, of one that is not ready, of a cell on AWS, and of none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

import cli
from infra.cell.census import Census
from infra.cell.metrics import Metrics
from infra.cell.readiness import Readiness
from infra.client import status
from tests.support.served import Engine, cell, gone

HEALTH = (200, json.dumps({"status": "ok", "cell": "ru1", "region": "ru-home1", "country": "RU"}))
AT = datetime.fromtimestamp(1000 + 7200, UTC)


def pages(engine: Engine) -> dict[str, tuple[int, str]]:
    """Return the pages of a served cell on an engine."""
    readiness = Readiness(cell(engine))
    readiness.look()
    answers = {"/readyz": readiness.answer(), "/metrics": Metrics(readiness, Census(readiness.cell)).answer()}
    return {"/healthz": HEALTH} | {path: (code, body.decode()) for path, (code, _, body) in answers.items()}


def shown(found: dict[str, tuple[int, str]]) -> tuple[int, str]:
    code, lines = status.table(lambda path: found.get(path, (404, "{}")), AT)
    return code, "\n".join(lines)


def test_table_shows_queues_lanes_breakers_and_jobs_when_the_cell_is_ready() -> None:
    code, text = shown(pages(Engine()))

    assert code == status.READY
    for line in (
        "cell      ru1 in ru-home1 (RU)",
        "ready     yes",
        "inbox                       3        2        0",
        "lanes     0 due, 0 waiting; lag 0 s",
        "breakers  0 open, 0 waking, 0 waiting",
        "sweep     ended 2.0 h ago",
    ):
        assert line in text.splitlines(), text


def test_table_says_why_when_the_cell_is_not_ready() -> None:
    engine = Engine()
    vars(engine)["get_queue_attributes"] = gone

    code, text = shown(pages(engine))

    assert code == status.NOT_READY
    assert "          queues: unreachable (EndpointConnectionError)" in text


def test_cell_on_aws_shows_where_it_is() -> None:
    code, text = shown({"/healthz": HEALTH})

    assert code == status.READY
    assert "ru1 in ru-home1" in text and "only waybill serve" in text


def test_command_says_in_one_sentence_when_no_cell_answers(capsys: Any) -> None:
    code = cli.main(["status", "--url", "http://127.0.0.1:1"])

    written = capsys.readouterr()
    assert (code, written.out) == (status.NOT_ANSWERED, "")
    assert written.err.count("\n") == 1 and "does not answer" in written.err


@pytest.mark.parametrize("url", ["http://cell.example", "file:///etc/passwd", "https://me:secret@cell.example"])
def test_command_refuses_addresses_that_are_not_safe(url: str, capsys: Any) -> None:
    assert cli.main(["status", "--url", url]) == status.WRONG


def test_table_refreshes_until_the_command_is_interrupted(capsys: Any) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    code = status.run("http://127.0.0.1:1", 5, sleep, lambda: AT)

    assert (code, slept) == (status.NOT_ANSWERED, [5, 5, 5])
    assert capsys.readouterr().out.count("does not answer") == 3
