"""Destination kind ``s3``: one object an event in a bucket of the tenant's account, never in place of another.

The object of an event is ``prefix/yyyy/mm/dd/{event id}.json``. Where that is taken, by an earlier attempt, another route
or a replay, whose content can differ, the object also names its transfer; where that is taken too it is this very one.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html (read 2026-11-22).
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

from . import aws
from .base import Delivery, DeliveryReceipt, DestinationCapabilities, SendingClients

KIND = "s3"
CAPABILITIES = DestinationCapabilities(selects=True, prove=aws.prove)
# 5 GiB in one call, far over what an event can hold.
CALL = aws.AwsCall("s3", "put_object", limit_bytes=5_368_709_120, usual_bytes=5_368_709_120)
TAKEN = frozenset({"PreconditionFailed"})
PREFIX_MAX = 512

check, place = aws.check, aws.place


def _prefix(text: str) -> str:
    if text and any(part in ("", ".", "..") for part in text.split("/")):
        raise ValueError("must be parts with / between them, none of them empty, . or ..")
    return text


class Config(aws.RoleConfig):
    """A bucket of the role's account and the region it is in, what its keys begin with, and the role that may put objects.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html (read 2026-11-22). Names with dots
    are refused: no certificate of S3's fits their hosts.
    """

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$")]
    prefix: Annotated[
        str, StringConstraints(max_length=PREFIX_MAX, pattern=r"^[A-Za-z0-9!_.*'()/=-]*$"), AfterValidator(_prefix)
    ] = ""

    @property
    def home(self) -> tuple[str, str]:
        """The region and the account of the bucket."""
        return self.region, self.role.account


def render(document: Any, delivery: Delivery) -> aws.AwsMessage:
    """Make the object of an event.

    Raises:
        DeliveryError: ``render``, where the document is not JSON.
    """
    body, config = aws.written(document), delivery.config
    day = delivery.occurred_at.astimezone(UTC).strftime("%Y/%m/%d")
    stem = "/".join(part for part in (config.prefix, day, delivery.event_id) if part)
    arguments = {
        "Bucket": config.bucket,
        "Key": f"{stem}.json",
        "Body": body,
        "ContentType": "application/json",
        "IfNoneMatch": "*",
        # A name that was given up can be taken by anybody, in any account.
        "ExpectedBucketOwner": config.role.account,
        "Metadata": {f"waybill-{name.replace('_', '-')}": value for name, value in aws.ids_of(delivery).items()},
    }
    return aws.aws_message(delivery, body, arguments)


def send(message: aws.AwsMessage, clients: SendingClients) -> DeliveryReceipt:
    """Put the object, once under the event's key, and once more under the transfer's where that is taken.

    Raises:
        DeliveryError: the bucket did not take it.
    """
    answer = aws.make(message, clients, CALL, passes=TAKEN)
    if "Error" in answer:
        stem = message.arguments["Key"].removesuffix(".json")
        key = {"Key": f"{stem}.{message.arguments['Metadata']['waybill-transfer-id']}.json"}
        answer = aws.make(message, clients, CALL, lambda _: key, passes=TAKEN)
    return aws.receipt(answer)
