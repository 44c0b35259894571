"""A count is one line of the embedded metric format; a log line carries the ids of the work that it is about."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.observe import about, also_about, count, error, warning
from chalicelib.threads import PROCESS_THREADS


def test_one_line_names_metric_and_dimensions_when_something_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    count("webhooks", 3, channel="telegram", verdict="accepted")

    (line,) = capsys.readouterr().out.splitlines()
    written = json.loads(line)
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "waybill",
        "Dimensions": [["channel", "verdict"]],
        "Metrics": [{"Name": "webhooks", "Unit": "Count"}],
    }
    assert written["_aws"]["Timestamp"] > 1_700_000_000_000
    assert (written["webhooks"], written["channel"], written["verdict"]) == (3, "telegram", "accepted")


TENANT, EVENT = "tnt_" + "0" * 26, "evt_" + "1" * 26
REQUEST = "8f3c1d2e-0a1b-4c2d-9e3f-001122334455"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """Return the fields of each line that was logged."""
    logger = logging.getLogger("waybill")  # its records stop here once a test has made the functions' logger
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    monkeypatch.setattr(logger, "propagate", False)
    caplog.set_level(logging.INFO, "waybill")
    return lambda: [vars(record) for record in caplog.records]


def test_a_line_carries_the_ids_of_the_blocks_around_it(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with about(request_id=REQUEST):
        with about(tenant=TENANT):
            also_about(event_id=EVENT)
            warning("inside")
        warning("outside")

    inside, outside = lines()
    assert (inside["request_id"], inside["tenant"], inside["event_id"]) == (REQUEST, TENANT, EVENT)
    assert outside["request_id"] == REQUEST and "tenant" not in outside and "event_id" not in outside


@pytest.mark.parametrize("value", ["Ada", "+4915112345678", "42", "", None, 7, f"{EVENT} Ada", EVENT.upper(), "tnt_1"])
def test_a_value_that_is_no_id_is_left_out(value: object, lines: Callable[[], list[dict[str, Any]]]) -> None:
    with about(source=value, tenant=TENANT):
        warning("inside")

    (inside,) = lines()
    assert "source" not in inside and inside["tenant"] == TENANT


def test_a_lane_is_an_id(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with about(lane=f"{TENANT}#dst_{'2' * 26}#-"):
        warning("inside")

    assert lines()[0]["lane"].endswith("#-")


@pytest.mark.parametrize("way", ["run", "map"])
def test_calls_at_once_log_the_ids_of_their_caller(way: str, lines: Callable[[], list[dict[str, Any]]]) -> None:
    with about(request_id=REQUEST):
        if way == "run":
            PROCESS_THREADS.run("test", 2, [lambda: warning("a"), lambda: warning("b")])
        else:
            list(PROCESS_THREADS.map(2, warning, ["a", "b"]))

    assert [line["request_id"] for line in lines()] == [REQUEST, REQUEST]


def test_an_error_names_our_innermost_line_when_a_library_raised(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        times.parse("no time at all")
    except ValueError as fault:
        error("failed", fault)

    assert re.fullmatch(r"core\.times:\d+", lines()[0]["where"])
