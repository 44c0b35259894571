"""The alarms of a cell: the table ``alarms.toml``, and the CloudFormation resource of each row."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).with_name("alarms.toml")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One row of the table; the file's head explains the columns."""

    name: str
    namespace: str
    metric: str
    statistic: str
    period: int
    threshold: int
    text: str
    of: str | None = None
    periods: int = 1


def table() -> dict[str, Alarm]:
    """Read the alarms, by logical id.

    Raises:
        TypeError: A row lacks a column, or has one that no alarm has.
    """
    return {name: Alarm(**row) for name, row in tomllib.loads(TABLE.read_text("utf-8")).items()}


def resources(cell: str) -> dict[str, dict[str, Any]]:
    """Make the alarm resources of a cell, by logical id, as CloudFormation takes them.

    A period without data does not ring, because a quiet cell reports none.

    Source: https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_cloudwatch.TreatMissingData.html (read
    2026-11-30): ``notBreaching`` takes missing data as within the threshold.
    """
    return {name: _resource(alarm, cell) for name, alarm in table().items()}


def _resource(alarm: Alarm, cell: str) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": f"waybill-{cell}-{alarm.name}",
            "AlarmDescription": alarm.text,
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            **({} if alarm.of is None else {"Dimensions": [_dimension(alarm.namespace, alarm.of)]}),
            "Statistic": alarm.statistic,
            "Period": alarm.period,
            "EvaluationPeriods": alarm.periods,
            "Threshold": alarm.threshold,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [{"Ref": "AlarmTopic"}],
        },
    }


def _dimension(namespace: str, of: str) -> Mapping[str, Any]:
    # A Ref to a queue gives its URL, but its metrics carry its name.
    return {
        "AWS/SQS": {"Name": "QueueName", "Value": {"Fn::GetAtt": [of, "QueueName"]}},
        "AWS/Lambda": {"Name": "FunctionName", "Value": {"Ref": of}},
    }[namespace]
