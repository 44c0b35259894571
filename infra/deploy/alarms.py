"""The alarms of a cell: the table ``alarms.toml``, and the CloudFormation resource of each alarm."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).with_name("alarms.toml")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm; the head of the table explains the fields. ``of`` is one logical id, and ``id`` the alarm's own."""

    id: str
    name: str
    namespace: str
    metric: str
    statistic: str
    period: int
    threshold: int
    text: str
    page: str = ""
    of: str | None = None
    periods: int = 1
    heartbeat: bool = False

    @property
    def runbook(self) -> str:
        """The path of the page that says what to do."""
        return f"docs/operations/{self.page or self.name}.md"


def table() -> dict[str, Alarm]:
    """Read the alarms, by logical id. An alarm of an audit table has ``${Year}`` in its id and names.

    Raises:
        TypeError: A row lacks a column, or has one that no alarm has.
    """
    rows = tomllib.loads(TABLE.read_text("utf-8"))
    return {alarm.id: alarm for key, row in rows.items() for alarm in _alarms(key, row)}


def _alarms(key: str, row: Mapping[str, Any]) -> Iterator[Alarm]:
    of = row.get("of")
    if not isinstance(of, dict):
        yield Alarm(key, **row)
        return
    for thing, word in of.items():
        yield Alarm(f"{thing}{key}", **{**row, "of": thing, "name": row["name"].replace("{}", word)})


def resources(cell: str) -> dict[str, dict[str, Any]]:
    """Make the alarm resources of a cell, by logical id, as CloudFormation takes them. ``${Year}`` is left in them.

    A period without data does not ring, because a quiet cell reports none. Of a heartbeat it does.

    Source: https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_cloudwatch.TreatMissingData.html (read
    2026-11-30): ``notBreaching`` takes missing data as within the threshold, ``breaching`` as beyond it.
    """
    return {name: _resource(alarm, cell) for name, alarm in table().items()}


def _resource(alarm: Alarm, cell: str) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": f"waybill-{cell}-{alarm.name}",
            "AlarmDescription": f"{alarm.text}. {alarm.runbook}",
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            **({} if alarm.of is None else {"Dimensions": [_dimension(alarm.namespace, alarm.of, cell)]}),
            "Statistic": alarm.statistic,
            "Period": alarm.period,
            "EvaluationPeriods": alarm.periods,
            "Threshold": alarm.threshold,
            "ComparisonOperator": "LessThanThreshold" if alarm.heartbeat else "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "breaching" if alarm.heartbeat else "notBreaching",
            "AlarmActions": [{"Ref": "AlarmTopic"}],
        },
    }


def rest_api(cell: str) -> str:
    """Return the name of a cell's REST API, by which its metrics go."""
    return f"waybill-{cell}-api"


def _dimension(namespace: str, of: str, cell: str) -> Mapping[str, Any]:
    if of == "RestAPI":
        return {"Name": "ApiName", "Value": rest_api(cell)}
    # A Ref to a queue gives its URL, but its metrics carry its name.
    return {
        "AWS/SQS": {"Name": "QueueName", "Value": {"Fn::GetAtt": [of, "QueueName"]}},
        "AWS/Lambda": {"Name": "FunctionName", "Value": {"Ref": of}},
        "AWS/ApiGateway": {"Name": "ApiId", "Value": {"Ref": of}},
        "AWS/DynamoDB": {"Name": "TableName", "Value": {"Ref": of}},
    }[namespace]
