"""The dashboard shows metrics that exist, and the saved queries read fields that log lines have."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from chalicelib.observe import NAMESPACE
from infra.deploy import dashboard, template
from infra.deploy.template import Cell
from tests.support.metrics import OF_AWS, counted

TABLE = tomllib.loads(dashboard.TABLE.read_text("utf-8"))
RESOURCES = template.fragment(Cell("eu1", "eu-central-1", "DE"))["Resources"]
SHOWN = OF_AWS | {
    ("AWS/ApiGateway", "ApiId", "Count"), ("AWS/ApiGateway", "ApiId", "4xx"), ("AWS/ApiGateway", "ApiName", "Count"),
    ("AWS/ApiGateway", "ApiName", "4XXError"), ("AWS/Lambda", "FunctionName", "Duration"),
    ("AWS/Lambda", "FunctionName", "ConcurrentExecutions"), ("AWS/DynamoDB", "TableName", "ConsumedReadCapacityUnits"),
    ("AWS/DynamoDB", "TableName", "ConsumedWriteCapacityUnits"), ("AWS/Logs", "LogGroupName", "IncomingBytes"),
}  # fmt: skip
"""The metrics of AWS that a widget may show. Sources: see ``OF_AWS``, and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html (read 2026-11-30).
"""
FIELDS = {
    "level", "message", "fault", "code", "where", "detail", "tenant", "source", "event_id", "transfer", "message_id",
    "request_id", "webhooks", "channel", "verdict",
}  # fmt: skip
"""The fields of log lines that queries may read."""
WORDS = {
    "fields", "filter", "sort", "limit", "stats", "count", "by", "as", "desc", "asc", "in", "like", "and", "or", "sum", "max",
    "pct", "latest", "count_distinct", "ispresent", "strcontains", "bin", "lines", "tenants", "last", "number", "runs",
    "longest_ms", "p99_ms", "memory_mb", "timed_out", "coalesce", "ms", "mb",
}  # fmt: skip
"""Words of the query language, and names that the queries give."""

REPORTED = {"type", "record", "metrics", "durationMs", "maxMemoryUsedMB"}
"""The fields of Lambda's reports of runs, where a function logs JSON."""


@pytest.mark.parametrize("widget", TABLE["widget"], ids=lambda widget: widget["title"])
def test_a_widget_shows_metrics_that_exist(widget: dict[str, object]) -> None:
    for text in [*widget.get("metrics", ()), *widget.get("searches", ())]:  # type: ignore[misc]
        namespace, metric, *dimensions = text.split()
        names = [dimension.partition("=")[0] for dimension in dimensions]

        if namespace == NAMESPACE:
            assert (metric, frozenset(names)) in counted()
        else:
            assert (namespace, *names, metric) in SHOWN


def test_the_body_is_one_that_cloudwatch_takes() -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]

    assert set(re.findall(r"\$\{([^}]*)\}", body)) == {"HooksApi"}
    widgets = json.loads(body)["widgets"]
    assert len({(widget["x"], widget["y"]) for widget in widgets}) == len(widgets) == len(TABLE["widget"])
    assert "{cell}" not in body


@pytest.mark.parametrize("query", TABLE["query"], ids=lambda query: query["name"])
def test_a_query_reads_fields_that_log_lines_have(query: dict[str, str]) -> None:
    plain = re.sub(r'"[^"]*"|/[^/]*/|@\w+', " ", query["text"])

    assert set(re.findall(r"\b[a-z]\w*\b", plain)) - WORDS <= FIELDS | REPORTED | {"m"}


def test_a_query_reads_the_logs_of_functions_that_exist() -> None:
    groups = {
        r["Properties"]["LogGroupName"]
        for n, r in RESOURCES.items()
        if n.endswith("LogGroup") and n != "TripwireLogGroup"
    }

    assert {f"/aws/lambda/waybill-eu1-{name}" for name in dashboard.FUNCTIONS} == groups
