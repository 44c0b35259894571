"""Every alarm of a cell watches a metric that exists, and has its rows and its runbook."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chalicelib.observe import NAMESPACE
from infra.deploy import alarms, template
from infra.deploy.alarms import Alarm
from infra.deploy.template import Cell
from tests.support.metrics import OF_AWS, counted

ROOT = Path(__file__).parents[2]
CELL = Cell("eu1", "eu-central-1", "DE")
TABLE = {name: alarm for key, alarm in alarms.table().items() for name in [alarm.name.replace("${Year}", "2026")]}
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
    """Return the row that stands for the alarms of several functions or tables."""
    for end, thing in ((r"(?:read|write)-throttles", "table"), (r"errors|throttles", "function")):
        if found := re.search(f"-({end})$", name):
            return f"{{{thing}}}-{found[1]}"
    return name


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_watches_a_metric_that_is_counted(name: str) -> None:
    alarm = ALARMS[name]
    dimensions = frozenset(dimension["Name"] for dimension in alarm.get("Dimensions", ()))

    if alarm["Namespace"] == NAMESPACE:
        assert (alarm["MetricName"], dimensions) in counted()
    else:
        (dimension,) = dimensions
        assert (alarm["Namespace"], dimension, alarm["MetricName"]) in OF_AWS


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

    sign = "<" if alarm.heartbeat else "≥"
    assert condition == f"`{alarm.metric}` {sign} {alarm.threshold} in {periods}{alarm.period} s"


@pytest.mark.parametrize("page", PAGES)
def test_no_row_is_about_an_alarm_that_does_not_exist(page: str) -> None:
    names = {*ALARMS, *RULES}

    assert PAGES[page] - names - set(map(pattern, names)) == set()


@pytest.mark.parametrize("name", [*ALARMS, *RULES])
def test_the_alarm_leads_to_its_runbook(name: str) -> None:
    runbook = f"docs/operations/{name}.md" if name in RULES else TABLE[name.replace("-2027", "-2026")].runbook
    page = (ROOT / runbook).read_text("utf-8")

    assert name in RULES or str(ALARMS[name]["AlarmDescription"]).endswith(f" {runbook}")
    assert {f"`{name}`", f"`{pattern(name)}`"} & set(re.findall(r"`[^`]+`", page))
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == ["Meaning", "Look at", "Do"]


def scheduled() -> set[str]:
    """Return the functions that a clock runs, as ``app.py`` declares them."""
    return {
        str(keyword.value.value)
        for node in ast.walk(ast.parse((ROOT / "app.py").read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "app.schedule"
        for keyword in decorator.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }


def test_every_function_rings_when_it_fails_and_every_clock_when_it_stands_still() -> None:
    functions = json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]
    names = {"api" if name == "api_handler" else name.replace("_", "-") for name in functions} | {"tripwire"}

    assert {f"{name}-errors" for name in names} == {name for name in ALARMS if name.endswith("-errors")}
    assert {f"{name}-silent" for name in scheduled()} == {name for name in ALARMS if name.endswith("-silent")}


def test_every_table_rings_when_it_throttles() -> None:
    tables = {
        r["Properties"]["TableName"].removeprefix("waybill-eu1-")
        for r in RESOURCES.values()
        if r.get("Type") == "AWS::DynamoDB::Table"
    }

    for kind in ("read", "write"):
        assert {f"{name}-{kind}-throttles" for name in tables} == {
            a for a in ALARMS if a.endswith(f"-{kind}-throttles")
        }
