"""CloudWatch as far as a cell's alarms need it: points of metrics, the embedded metric format, and when an alarm rings.

Sources (read 2026-11-30):
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Key = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, metric, and dimensions with their values."""
STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {"Sum": sum, "Maximum": max}


class CloudWatch:
    """The metrics of one cell. Times are in seconds since the start of the world."""

    def __init__(self) -> None:
        self.points: dict[Key, list[tuple[float, float]]] = defaultdict(list)

    def add(self, namespace: str, metric: str, value: float, at_s: float, **dimensions: str) -> None:
        """Add a point."""
        self.points[namespace, metric, frozenset(dimensions.items())].append((at_s, value))

    def read(self, output: str, at_s: float) -> None:
        """Read what a function wrote: each line in the embedded metric format becomes points."""
        for line in output.splitlines():
            written = json.loads(line) if line.startswith("{") else {}
            for directive in written.get("_aws", {}).get("CloudWatchMetrics", ()):
                for names in directive["Dimensions"]:
                    dimensions = {name: written[name] for name in names}
                    for metric in directive["Metrics"]:
                        self.add(directive["Namespace"], metric["Name"], written[metric["Name"]], at_s, **dimensions)

    def rings(self, alarm: Mapping[str, Any], since_s: float, until_s: float) -> bool:
        """Say whether an alarm rang between two times.

        Args:
            alarm: the properties of its resource, resolved.
        """
        dimensions = frozenset((one["Name"], one["Value"]) for one in alarm.get("Dimensions", ()))
        points = self.points.get((alarm["Namespace"], alarm["MetricName"], dimensions), [])
        period, row = alarm["Period"], 0
        for start in range(int(since_s), int(until_s) - period + 1, period):
            values = [value for at, value in points if start <= at < start + period]
            row = row + 1 if _beyond(alarm, values) else 0
            if row >= alarm["EvaluationPeriods"]:
                return True
        return False


def _beyond(alarm: Mapping[str, Any], values: Sequence[float]) -> bool:
    if not values:
        return {"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]
    value = STATISTICS[alarm["Statistic"]](values)
    beyond: Mapping[str, bool] = {
        "GreaterThanOrEqualToThreshold": value >= alarm["Threshold"],
        "LessThanThreshold": value < alarm["Threshold"],
    }
    return beyond[alarm["ComparisonOperator"]]
