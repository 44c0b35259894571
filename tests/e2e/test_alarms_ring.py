"""Each fault of a cell rings its alarms, each alarm has a fault that rings it, and a cell without a fault is quiet."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from chalicelib.observe import NAMESPACE
from tests.support.cell_faults import FAULTS
from tests.support.watched import ALARMS, RESOURCES, watched

OF_MESSAGES = {
    "route_failed", "deliver_failed", "not_given_back", "dead_letter_not_ended", "dead_letter_unreadable", "notice_not_sent",
}  # fmt: skip
"""Lines about messages of a queue. Each names its message, and the event, transfer or lane in it."""
OF_THE_OPERATOR = {"api_failed"}
"""Lines about a call that may be the operator's, who has no tenant."""


def unnamed(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines about faults that do not say whose they are, of what, and in which invocation."""
    found = []
    for line in lines:
        if line["levelno"] < logging.WARNING:
            continue
        fine = bool(line.get("request_id"))
        if line["msg"] not in OF_THE_OPERATOR and "slot" not in line:  # a slot is of people of many tenants
            fine &= bool(line.get("tenant") or line.get("source"))
        if line["msg"] in OF_MESSAGES:
            fine &= bool(line.get("message_id") and (line.get("event_id") or line.get("transfer") or line.get("lane")))
        if line.get("where"):  # none has a fault that a store returned, and did not raise
            fine &= bool(re.fullmatch(r"[a-z_.]+:\d+", line["where"]))
        if not fine:
            found.append(line["msg"])
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_alarms_ring_and_lines_name_the_work_when_there_is_a_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drive, alarms = FAULTS[name]
    with watched(monkeypatch) as cell:
        drive(cell)

        assert alarms - cell.ringing() == set()
        assert unnamed(cell.lines.found) == []


def test_every_alarm_of_the_template_has_a_fault() -> None:
    assert set().union(*(alarms for _, alarms in FAULTS.values())) == set(ALARMS)


def test_no_alarm_rings_when_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(monkeypatch) as cell:
        for chat in range(3):
            assert cell.post(chat=chat) == 200
        cell.run(61)

        assert cell.ringing() == set()
        assert len(cell.w.receiver.requests) == 3
        assert {point[1] for point in cell.cloudwatch.points} >= {"seal_lag_s", "entries_sealed", "Invocations"}


def test_an_idle_cell_sends_no_metric_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each would be billed for the hours in which it is sent, and the price of an idle cell has none.
    with watched(monkeypatch) as cell:
        cell.run(61)

        assert {point[:2] for point in cell.cloudwatch.points if point[0] == NAMESPACE} == set()


def test_the_rule_matches_a_use_of_break_glass() -> None:
    pattern = RESOURCES["BreakGlassUsed"]["Properties"]["EventPattern"]
    event = {
        "source": "aws.sts",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {
            "eventName": "AssumeRole",
            "requestParameters": {"roleArn": "arn:aws:iam::000000000000:role/waybill-test-break-glass"},
        },
    }

    def matches(wanted: object, found: object) -> bool:
        if isinstance(wanted, dict):
            return isinstance(found, dict) and all(matches(value, found.get(key)) for key, value in wanted.items())
        return isinstance(wanted, list) and found in wanted

    assert matches(pattern, event), json.dumps(pattern)
