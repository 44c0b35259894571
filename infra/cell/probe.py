"""Check that a home's engine, queues and bucket work as their profile says, before a cell uses them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from hashlib import md5
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.core.errors import Misconfigured, Unavailable
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store.engines import profile
from chalicelib.store.items import Table, code_of
from chalicelib.store.local_keys import from_file

from ..deploy.template import Queue
from .feeders import FEEDERS, receive

OBJECT = "checks/written-once"
RECEIVES = 20
"""How often the check asks for its two messages. Messages of checks in other processes may come first."""
WAIT_S = 1
OPERATOR = {
    "WAYBILL_OPERATOR_KEY_SHA256": "the SHA-256 of a key that you draw and keep, in hex: without it no tenant can be created",
    "WAYBILL_OPERATOR_NAME": "the legal name of the operator: answers about data name the accountable party",
    "WAYBILL_OPERATOR_CONTACT": "an address at which people reach the operator about their data",
    "WAYBILL_OPERATOR_DOMAIN": "a domain of yours for the names of logs, for ever (waybill.localhost where logs have that name)",
}
"""The settings that a served cell needs beyond those of every process, and what to set them to."""


def check(cell: Runtime, environ: Mapping[str, str]) -> None:
    """Check the home of a cell.

    Args:
        environ: the environment that the settings come from; it tells a chosen value from a default.

    Raises:
        Misconfigured: a setting or a resource is missing, or lacks a needed ability; the text names it and the remedy.
    """
    _operator(environ)
    _keys(cell)
    for what, ask in (("tables", _tables), ("queues", _queues), ("order of the queues", _order), ("buckets", _bucket)):
        try:
            ask(cell)
        except ClientError as fault:
            raise Misconfigured(
                f"the {what} cannot be used ({code_of(fault)}): waybill serve --init makes them"
            ) from fault
        except BotoCoreError as fault:
            raise Misconfigured(f"the {what} cannot be reached ({type(fault).__name__})") from fault


def _operator(environ: Mapping[str, str]) -> None:
    missing = [f"{name} to {value}" for name, value in OPERATOR.items() if not environ.get(name, "").strip()]
    if missing:
        raise Misconfigured("; ".join(f"set {one}" for one in missing))
    if not re.fullmatch("[0-9a-f]{64}", environ["WAYBILL_OPERATOR_KEY_SHA256"]):
        raise Misconfigured("WAYBILL_OPERATOR_KEY_SHA256 has another form: it has 64 digits, 0-9 and a-f")


def _tables(cell: Runtime) -> None:
    settings = cell.settings
    client = cell.clients.get("dynamodb")
    table = Table(client, f"{settings.prefix}-config", settings.region)
    key = {"pk": f"check#{cell.random(8).hex()}", "sk": "check"}
    table.insert(key)
    try:
        if table.insert(key):
            raise Misconfigured(f"{settings.engine} lacks conditional_put: it put an item that was there already")
    finally:
        table.delete(key)
    for name in ("data", "people", f"audit-{cell.now().year}"):
        client.describe_table(TableName=f"{settings.prefix}-{name}")


def _queues(cell: Runtime) -> None:
    sqs, prefix = cell.clients.get("sqs"), cell.settings.prefix
    for name in FEEDERS:
        url = sqs.get_queue_url(QueueName=f"{prefix}-{name}.fifo")["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        if found.get("FifoQueue") != "true":
            raise Misconfigured(f"the queue {name} keeps no order: make it as a FIFO queue")
    sqs.get_queue_url(QueueName=f"{prefix}-seal-requests")


def queue(settings: Settings) -> Queue:
    """Return the queue of the check of order, which nothing else uses."""
    attributes = {"FifoQueue": "true", "MessageRetentionPeriod": "60"}
    return Queue({"QueueName": f"{settings.prefix}-check.fifo", "Attributes": attributes})


def _order(cell: Runtime) -> None:
    """Send two messages of one group, and compare the numbers with which they come back."""
    if profile(cell.settings.engine).on_aws:
        return  # a deployment makes no such queue, and SQS documents the order
    sqs, group = cell.clients.get("sqs"), f"check-{cell.random(8).hex()}"
    url = sqs.get_queue_url(QueueName=queue(cell.settings).create["QueueName"])["QueueUrl"]
    for body in ("first", "second"):
        sent = {"MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": f"{group}-{body}"}
        sqs.send_message(QueueUrl=url, **sent)
    found = _received(sqs, url, group)
    if [body for body, _ in found] != ["first", "second"]:
        told = ", ".join(body for body, _ in found) or "neither"
        raise Misconfigured(f"the queues keep no order: of two messages of one group there came {told}")
    numbers = [number for _, number in found]
    if not all(number.isdecimal() for number in numbers):
        raise Misconfigured(
            "the queues give messages no SequenceNumber: take queues that number the messages of a group"
        )
    if int(numbers[0]) >= int(numbers[1]):
        raise Misconfigured("the SequenceNumber of the queues does not grow: take queues that count up")


def _received(sqs: Any, url: str, group: str) -> list[tuple[str, str]]:
    """Receive and delete the messages of a group. Return their bodies and numbers, in the order of receipt."""
    found: list[tuple[str, str]] = []
    for _ in range(RECEIVES):
        for message in receive(sqs, url, WAIT_S):
            attributes, handle = message["Attributes"], message["ReceiptHandle"]
            if attributes.get("MessageGroupId") == group:
                found.append((message["Body"], attributes.get("SequenceNumber", "")))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
            else:  # of a check in another process; what a dead process left ends with the queue's retention
                sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        if len(found) == 2:
            break
    return found


def _keys(cell: Runtime) -> None:
    if "key_service" in profile(cell.settings.engine).capabilities:
        return
    from_file(Path(cell.settings.master_key))
    _ = cell.signer.public_key


def _bucket(cell: Runtime) -> None:
    settings, s3 = cell.settings, cell.clients.get("s3")
    if not (settings.evidence_bucket and settings.exports_bucket):
        raise Misconfigured("set WAYBILL_EVIDENCE_BUCKET and WAYBILL_EXPORTS_BUCKET to the cell's buckets")
    if _write_once(s3, settings.evidence_bucket) and _write_once(s3, settings.evidence_bucket):
        raise Misconfigured("the evidence bucket overwrites objects: it must honour If-None-Match")
    if "deny_per_action" not in profile(settings.engine).capabilities:
        try:
            found = s3.get_object_lock_configuration(Bucket=settings.evidence_bucket)["ObjectLockConfiguration"]
        except ClientError as fault:
            if code_of(fault) != "ObjectLockConfigurationNotFoundError":
                raise
            found = {}
        if not found.get("Rule"):
            raise Misconfigured(
                "the evidence bucket has no default lock, and no other protection of the log exists: give it one"
            )
    s3.head_bucket(Bucket=settings.exports_bucket)
    if settings.contents_bucket:  # a home of the release before has none yet: it refuses large events
        _contents(cell)


def _contents(cell: Runtime) -> None:
    """Make each call that large events need."""
    name, copy = f"checks/{cell.random(8).hex()}", f"checks/{cell.random(8).hex()}"
    try:
        cell.contents.put(name, b"a copy is wanted\n")
        cell.contents.copy(name, copy)
        copied = cell.contents.get(copy)
        next(cell.contents.over(cell.now()), None)
        for each in (name, copy):
            cell.contents.delete(each)
    except Unavailable as fault:
        raise Misconfigured(f"the contents bucket lacks a call that large events need: {fault.detail}") from fault
    if copied != b"a copy is wanted\n":
        raise Misconfigured("the contents bucket copied an object to other bytes")


def _write_once(s3: Any, bucket: str) -> bool:
    """Write an object unless it is there. Return whether the bucket took it."""
    body = b"written once\n"
    checksum = base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()  # a locked object needs one
    try:
        s3.put_object(Bucket=bucket, Key=OBJECT, Body=body, ContentMD5=checksum, IfNoneMatch="*")
    except ClientError as fault:
        if code_of(fault) not in ("PreconditionFailed", "412"):
            raise
        return False
    return True
