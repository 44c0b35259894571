"""Make a cell's tables, queues and bucket through their APIs, for homes without a template; existing ones stay."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.store.items import code_of

from ..deploy.template import Bucket, Queue, Table

WAIT = {"Delay": 1, "MaxAttempts": 300}


def make_tables(dynamodb: Any, tables: Iterable[Table]) -> None:
    """Make tables, and wait until they can be used: an engine may make them in the background."""
    tables = list(tables)
    for table in tables:
        with contextlib.suppress(dynamodb.exceptions.ResourceInUseException):
            dynamodb.create_table(**table.create)
    for table in tables:
        name = table.create["TableName"]
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig=WAIT)
        if table.ttl is not None:
            found = dynamodb.describe_time_to_live(TableName=name).get("TimeToLiveDescription", {})
            # Asked for again while it is being switched on, it is refused.
            if found.get("TimeToLiveStatus", "DISABLED") == "DISABLED":
                dynamodb.update_time_to_live(**table.ttl)


def make_queues(sqs: Any, queues: Iterable[Queue]) -> None:
    """Make queues in the order given: each names its dead-letter queue as the service calls it."""
    for queue in queues:
        name, attributes = queue.create["QueueName"], dict(queue.create["Attributes"])
        try:
            sqs.get_queue_url(QueueName=name)
        except sqs.exceptions.QueueDoesNotExist:
            if "RedrivePolicy" in attributes:
                policy = json.loads(attributes["RedrivePolicy"])
                dead = sqs.get_queue_url(QueueName=policy["deadLetterTargetArn"].rpartition(":")[2])["QueueUrl"]
                arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
                attributes["RedrivePolicy"] = json.dumps({**policy, "deadLetterTargetArn": arn})
            sqs.create_queue(**{**queue.create, "Attributes": attributes})


def make_bucket(s3: Any, bucket: Bucket) -> None:
    """Make a bucket in which objects can be locked."""
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(**bucket.create)


def lock_bucket(s3: Any, name: str, mode: str, years: int) -> None:
    """Make a bucket keep every version of every object for some years; in mode ``COMPLIANCE`` no one can undo it."""
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    retention = {"Mode": mode, "Years": years}
    s3.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )


def expire_in_bucket(s3: Any, name: str, days: int) -> None:
    """Make a bucket remove everything after some days, unfinished uploads too.

    A bucket of a make without lifecycles stays as it is: the sweep deletes what is old.
    """
    rule = {
        "ID": "expire",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }
    try:
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    except ClientError as fault:
        if code_of(fault) != "NotImplemented":
            raise
