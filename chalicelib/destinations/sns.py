"""Destination kind ``sns``: a message to a topic of the tenant's account; the event is its body, ids are its attributes.

A FIFO topic's group is the conversation and its deduplication id the delivery.

Sources: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html and
https://docs.aws.amazon.com/sns/latest/dg/large-message-payloads.html (read 2026-11-22).
"""

from __future__ import annotations

from typing import Annotated, Any

from . import aws
from .base import Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients

KIND = "sns"
CAPABILITIES = DestinationCapabilities(selects=True, prove=aws.prove)
# 1 MiB of body and attributes where the topic's MaximumMessageSize allows it, which is 256 KiB unless it was raised.
CALL = aws.AwsCall("sns", "publish", limit_bytes=1_048_576, usual_bytes=262_144)

check, place = aws.check, aws.place


class Config(aws.ThingConfig):
    """A topic, and the role that may publish to it."""

    arn: Annotated[str, aws.thing("sns", r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")]


def render(document: Any, delivery: Delivery) -> aws.AwsMessage:
    """Make the message of an event.

    Raises:
        DeliveryError: ``render``, where the document is not JSON.
    """
    body = aws.written(document)
    return aws.with_attributes(delivery, body, {"TopicArn": delivery.config.arn, "Message": body.decode()})


def send(message: aws.AwsMessage, clients: SendingClients) -> DeliveryReceipt:
    """Publish the message once.

    Raises:
        DeliveryError: the topic did not take it.
    """
    return aws.receipt(aws.make(message, clients, CALL))
