"""Destination kind ``firehose``: a record in a Data Firehose stream of the tenant's account, one event a line.

Source: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecord.html (read 2026-11-22).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import model_validator

from . import aws
from .base import Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients

KIND = "firehose"
CAPABILITIES = DestinationCapabilities(selects=True, prove=aws.prove)
# 1,000 KiB of data, the line's end included.
CALL = aws.AwsCall("firehose", "put_record", limit_bytes=1_024_000, usual_bytes=1_024_000)

check, place = aws.check, aws.place


class Config(aws.ThingConfig):
    """A Firehose stream, and the role of the same account that may put records into it."""

    arn: Annotated[str, aws.thing("firehose", r"deliverystream/[A-Za-z0-9_.-]{1,64}")]

    @model_validator(mode="after")
    def _own(self) -> Config:
        # The call takes a name only, and looks for it in the role's account.
        if self.target.account != self.role.account:
            raise ValueError("the role and the stream must be of one account")
        return self


def render(document: Any, delivery: Delivery) -> aws.AwsMessage:
    """Make the record of an event: its JSON and a newline, since Firehose joins records as they are.

    Raises:
        DeliveryError: ``render``, where the document is not JSON.
    """
    body = aws.written(document) + b"\n"
    name = delivery.config.target.resource.removeprefix("deliverystream/")
    return aws.aws_message(delivery, body, {"DeliveryStreamName": name, "Record": {"Data": body}})


def send(message: aws.AwsMessage, clients: SendingClients) -> DeliveryReceipt:
    """Put the record once.

    Raises:
        DeliveryError: the stream did not take it.
    """
    return aws.receipt(aws.make(message, clients, CALL))
