"""The dashboard and the saved log queries of a cell: the table ``dashboard.toml``, and its CloudFormation resources."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).with_name("dashboard.toml")
COLUMNS: Final = 3
WIDTH: Final = 24 // COLUMNS
"""A dashboard has 24 columns.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html (read
2026-11-30).
"""
HEIGHT: Final = 6
FUNCTIONS: Final = (
    "hooks", "api", "route", "deliver", "dead-inbox", "dead-outbox", "pump", "jobs", "collect", "seal", "sweep",
)  # fmt: skip
"""The functions whose logs a query reads unless it names others."""


def resources(cell: str, region: str) -> dict[str, dict[str, Any]]:
    """Make the dashboard and the queries of a cell, by logical id, as CloudFormation takes them."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    body = {"widgets": list(_widgets(table["widget"], cell, region))}
    found: dict[str, dict[str, Any]] = {
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardName": f"waybill-{cell}", "DashboardBody": {"Fn::Sub": json.dumps(body)}},
        }
    }
    for query in table["query"]:
        found[f"Query{query['name'].title().replace(' ', '')}"] = {
            "Type": "AWS::Logs::QueryDefinition",
            "Properties": {
                "Name": f"waybill-{cell}/{query['name']}",
                "QueryString": query["text"].strip(),
                "LogGroupNames": [f"/aws/lambda/waybill-{cell}-{group}" for group in query.get("groups", FUNCTIONS)],
            },
        }
    return found


def _widgets(rows: list[Mapping[str, Any]], cell: str, region: str) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        metrics: list[Any] = [_metric(text, cell) for text in row.get("metrics", ())]
        metrics += [[{"expression": _search(text, row)}] for text in row.get("searches", ())]
        yield {
            "type": "metric",
            "x": number % COLUMNS * WIDTH,
            "y": number // COLUMNS * HEIGHT,
            "width": WIDTH,
            "height": HEIGHT,
            "properties": {
                "title": row["title"],
                "region": region,
                "stat": row["statistic"],
                "period": row["period"],
                "metrics": metrics,
            },
        }


def _metric(text: str, cell: str) -> list[str]:
    namespace, metric, *dimensions = text.replace("{cell}", cell).split()
    return [namespace, metric, *(part for dimension in dimensions for part in dimension.split("=", 1))]


def _search(text: str, row: Mapping[str, Any]) -> str:
    namespace, metric, *dimensions = text.split()
    schema = ",".join([namespace, *dimensions])
    return f"SEARCH('{{{schema}}} MetricName=\"{metric}\"', '{row['statistic']}', {row['period']})"
