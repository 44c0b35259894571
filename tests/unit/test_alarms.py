"""Every alarm of a cell can ring, and both pages for operators name it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chalicelib.observe import NAMESPACE
from infra.deploy import alarms, template
from infra.deploy.alarms import Alarm
from infra.deploy.template import Cell

ROOT = Path(__file__).parents[2]
CELL = Cell("eu1", "eu-central-1", "DE")
TABLE = alarms.table()
RESOURCES = template.fragment(CELL)["Resources"]
ALARMS: Mapping[str, Mapping[str, Any]] = {
    found["Properties"]["AlarmName"].removeprefix("waybill-eu1-"): found["Properties"]
    for found in RESOURCES.values()
    if found.get("Type") == "AWS::CloudWatch::Alarm"
}
RULES = {
    found["Properties"]["Name"].removeprefix("waybill-eu1-")
    for found in RESOURCES.values()
    if found.get("Type") == "AWS::Events::Rule"
}

# Sources: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# and https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html (read 2026-11-30).
OF_AWS: Mapping[str, tuple[str, frozenset[str]]] = {
    "AWS/SQS": (
        "QueueName",
        frozenset(
            {
                "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesDelayed",
                "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesVisible", "NumberOfEmptyReceives",
                "NumberOfMessagesDeleted", "NumberOfMessagesReceived", "NumberOfMessagesSent", "SentMessageSize",
            }
        ),
    ),
    "AWS/Lambda": (
        "FunctionName",
        frozenset({"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "DeadLetterErrors"}),
    ),
}  # fmt: skip
"""The namespace → the dimension of one queue or function, and its metrics."""


def counted() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the metrics that the product counts, each with its dimensions."""
    for path in (ROOT / "chalicelib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count" and node.args:
                dimensions = frozenset(keyword.arg or "" for keyword in node.keywords)
                for part in ast.walk(node.args[0]):  # a metric may be one of two
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value, dimensions


def section(page: str, heading: str) -> str:
    """Return the text under a heading, up to the next heading of its level."""
    _, _, rest = (ROOT / "docs" / page).read_text("utf-8").partition(f"\n## {heading}\n")
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def documented(page: str, heading: str) -> set[str]:
    """Return the alarms in the first column of the table under a heading."""
    cells = re.findall(r"^\| (?!alarm \|)([^|]*`[^|]*) \|", section(page, heading), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


PAGES = {
    "infrastructure.md": documented("infrastructure.md", "Alarms"),
    "operations.md": documented("operations.md", "When an alarm rings"),
}


def pattern(name: str) -> str:
    """Return the row that stands for the alarms of several functions."""
    return re.sub(r"^.*-(errors|throttles)$", r"{function}-\1", name)


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_watches_a_metric_that_is_counted(name: str) -> None:
    alarm = ALARMS[name]
    dimensions = frozenset(dimension["Name"] for dimension in alarm.get("Dimensions", ()))

    if alarm["Namespace"] == NAMESPACE:
        assert (alarm["MetricName"], dimensions) in set(counted())
    else:
        dimension, metrics = OF_AWS[alarm["Namespace"]]
        assert dimensions == {dimension}
        assert alarm["MetricName"] in metrics


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", [*ALARMS, *RULES])
def test_alarm_has_its_row_on_both_pages(name: str, page: str) -> None:
    assert {name, pattern(name)} & PAGES[page]


@pytest.mark.parametrize("alarm", TABLE.values(), ids=lambda alarm: alarm.name)
def test_the_row_says_when_the_alarm_rings(alarm: Alarm) -> None:
    rows = [line.split(" | ") for line in section("infrastructure.md", "Alarms").splitlines()]
    periods = f"{alarm.periods} × " if alarm.periods > 1 else ""

    names = {alarm.name, pattern(alarm.name)}
    (condition,) = [row[1] for row in rows if len(row) == 4 and names & set(re.findall(r"`([^`]+)`", row[0]))]

    assert condition == f"`{alarm.metric}` ≥ {alarm.threshold} in {periods}{alarm.period} s"


@pytest.mark.parametrize("page", PAGES)
def test_no_row_is_about_an_alarm_that_does_not_exist(page: str) -> None:
    names = {*ALARMS, *RULES}

    assert PAGES[page] - names - set(map(pattern, names)) == set()
