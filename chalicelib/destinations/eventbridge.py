"""Destination kind ``eventbridge``: an event on a bus of the tenant's account; the event is its detail.

Sources: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html (read 2026-11-22).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

from . import aws
from .aws_client import code_of, word_of
from .base import Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients
from .vetted import failure

KIND = "eventbridge"
CAPABILITIES = DestinationCapabilities(selects=True, prove=aws.prove)
# 1 MiB an entry; regions that have not been raised yet refuse what is over 256 KiB.
CALL = aws.AwsCall("events", "put_events", limit_bytes=1_048_576, usual_bytes=262_144)
TIME_BYTES = 14
"""What the time of an entry counts, however it is written."""

check, place = aws.check, aws.place


def _source(text: str) -> str:
    if text.startswith("aws."):
        raise ValueError("must not begin with aws., which is AWS's own")
    return text


class Config(aws.ThingConfig):
    """A bus, the role that may put events on it, and the source that they name."""

    arn: Annotated[str, aws.thing("events", r"event-bus/[A-Za-z0-9/_.-]{1,256}")]
    source: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/_.-]{1,256}$"), AfterValidator(_source)]


def render(document: Any, delivery: Delivery) -> aws.AwsMessage:
    """Make the entry of an event. The transfer and the delivery are named in its ``resources``.

    Raises:
        DeliveryError: ``render``, where the document is not a JSON object, which a detail has to be.
    """
    if not isinstance(document, dict):
        raise failure("render", sent=False)
    body, source, kind = aws.written(document), delivery.config.source, f"waybill.{delivery.kind}"
    resources = [delivery.transfer_id, delivery.delivery_id]
    entry = {
        "Time": delivery.occurred_at,
        "Source": source,
        "DetailType": kind,
        "Detail": body.decode(),
        "Resources": resources,
        "EventBusName": delivery.config.arn,
    }
    size = TIME_BYTES + len(body) + sum(len(text) for text in (source, kind, *resources))
    return aws.aws_message(delivery, body, {"Entries": [entry]}, size)


def send(message: aws.AwsMessage, clients: SendingClients) -> DeliveryReceipt:
    """Put the entry once. A call that succeeds can still say that its entry failed.

    Raises:
        DeliveryError: the bus did not take it.
    """
    answer = aws.make(message, clients, CALL)
    if answer["FailedEntryCount"]:
        raise failure(code_of(word_of({"Code": answer["Entries"][0].get("ErrorCode", "")}), 400))
    return aws.receipt(answer)
