"""The metrics that there are: those of AWS that a cell watches, and those that the product counts."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Sources: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html,
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html,
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html and
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html (read 2026-11-30).
OF_AWS = frozenset(
    {
        ("AWS/SQS", "QueueName", "ApproximateAgeOfOldestMessage"),
        ("AWS/SQS", "QueueName", "ApproximateNumberOfMessagesVisible"),
        ("AWS/Lambda", "FunctionName", "Invocations"),
        ("AWS/Lambda", "FunctionName", "Errors"),
        ("AWS/Lambda", "FunctionName", "Throttles"),
        ("AWS/ApiGateway", "ApiId", "5xx"),  # an HTTP API
        ("AWS/ApiGateway", "ApiName", "5XXError"),  # a REST API
        ("AWS/DynamoDB", "TableName", "ReadThrottleEvents"),
        ("AWS/DynamoDB", "TableName", "WriteThrottleEvents"),
    }
)
"""The metrics of AWS that alarms may watch, each with its namespace and the dimension of one thing."""


@functools.cache
def counted() -> frozenset[tuple[str, frozenset[str]]]:
    """Return the metrics that the product counts, each with its dimensions."""
    return frozenset(_counted())


def _counted() -> Iterator[tuple[str, frozenset[str]]]:
    for path in (ROOT / "chalicelib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                continue
            if node.func.id in ("count", "measure"):
                dimensions = frozenset(keyword.arg or "" for keyword in node.keywords)
                for part in ast.walk(node.args[0]):  # a metric may be one of two
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value, dimensions
