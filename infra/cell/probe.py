"""Check that a home's engine, queues and bucket work as their profile says, before a cell uses them."""

from __future__ import annotations

import base64
from hashlib import md5
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.core.errors import Misconfigured
from chalicelib.runtime import Runtime
from chalicelib.store.engines import profile
from chalicelib.store.items import Table, code_of
from chalicelib.store.local_keys import from_file

from .feeders import FEEDERS

OBJECT = "checks/written-once"


def check(cell: Runtime) -> None:
    """Check the home of a cell.

    Raises:
        Misconfigured: a resource is missing, or lacks a needed ability; the text names it and the remedy.
    """
    _keys(cell)
    for what, ask in (("tables", _tables), ("queues", _queues), ("buckets", _bucket)):
        try:
            ask(cell)
        except ClientError as fault:
            raise Misconfigured(
                f"the {what} cannot be used ({code_of(fault)}): waybill serve --init makes them"
            ) from fault
        except BotoCoreError as fault:
            raise Misconfigured(f"the {what} cannot be reached ({type(fault).__name__})") from fault


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
