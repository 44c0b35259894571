"""Destination kind ``kinesis``: a record in a data stream of the tenant's account; the event is its data.

The partition key is the conversation, so that a shard keeps a conversation's order.

Source: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html (read 2026-11-22).
"""

from __future__ import annotations

from typing import Annotated, Any

from . import aws
from .base import Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients

KIND = "kinesis"
CAPABILITIES = DestinationCapabilities(selects=True, prove=aws.prove)
# 10 MiB of data and partition key where the stream's maximum record size allows it, which is 1 MiB unless it was raised.
CALL = aws.AwsCall("kinesis", "put_record", limit_bytes=10_485_760, usual_bytes=1_048_576)

check, place = aws.check, aws.place


class Config(aws.ThingConfig):
    """A data stream, and the role that may put records into it."""

    arn: Annotated[str, aws.thing("kinesis", r"stream/[A-Za-z0-9_.-]{1,128}")]


def render(document: Any, delivery: Delivery) -> aws.AwsMessage:
    """Make the record of an event.

    Raises:
        DeliveryError: ``render``, where the document is not JSON.
    """
    body, key = aws.written(document), aws.lane_of(delivery)
    arguments = {"StreamARN": delivery.config.arn, "PartitionKey": key, "Data": body}
    return aws.aws_message(delivery, body, arguments, len(body) + len(key))


def send(message: aws.AwsMessage, clients: SendingClients) -> DeliveryReceipt:
    """Put the record once.

    Raises:
        DeliveryError: the stream did not take it.
    """
    return aws.receipt(aws.make(message, clients, CALL))
