"""Destination kind ``sqs``: a message in a queue of the tenant's account; the event is its body, ids are its attributes.

A FIFO queue's group is the conversation and its deduplication id the delivery, so that a delivery made twice within five
minutes is one message.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from . import aws
from .base import Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients

KIND = "sqs"
CAPABILITIES = DestinationCapabilities(selects=True, prove=aws.prove)
# 1 MiB of body and attributes; a queue's MaximumMessageSize can be less, and was 256 KiB at most until 2025.
CALL = aws.AwsCall("sqs", "send_message", limit_bytes=1_048_576, usual_bytes=262_144)

check, place = aws.check, aws.place


class Config(aws.ThingConfig):
    """A queue, and the role that may send to it."""

    arn: Annotated[str, aws.thing("sqs", r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")]


def render(document: Any, delivery: Delivery) -> aws.AwsMessage:
    """Make the message of an event.

    Raises:
        DeliveryError: ``render``, where the document is not JSON.
    """
    body = aws.written(document)
    return aws.with_attributes(delivery, body, {"MessageBody": body.decode()})


def send(message: aws.AwsMessage, clients: SendingClients) -> DeliveryReceipt:
    """Send the message once.

    Raises:
        DeliveryError: the queue did not take it.
    """
    target = aws.read_arn(message.config.arn)

    def address(client: Any) -> Mapping[str, Any]:
        # What GetQueueUrl would answer, without the call and the right to make it.
        return {"QueueUrl": f"{client.meta.endpoint_url}/{target.account}/{target.resource}"}

    return aws.receipt(aws.make(message, clients, CALL, address))
