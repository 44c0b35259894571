"""A count is one line of the embedded metric format."""

from __future__ import annotations

import json

import pytest

from chalicelib.observe import count


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
