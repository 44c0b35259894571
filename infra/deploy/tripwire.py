"""Report an audit row that was changed or removed, and keep its old image.

The archive carries this file beside the app. The audit tables' streams call it, filtered to MODIFY and REMOVE. Rows are only
inserted, so each call is an alarm. Its log names the key, which holds refs only. The old image goes to the evidence bucket,
where no principal can replace or delete it. Records that it fails for ten times are named on the alarms' topic.
"""

import functools
import json
import os
from typing import Any

import boto3
from botocore.exceptions import ClientError


@functools.cache
def client() -> Any:
    """Make the S3 client of the function's own region."""
    return boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> None:
    """Write one line for each record: the change, the row and the table. Then keep the old image.

    Raises:
        ClientError: the bucket did not take an image; the stream gives its records again.
    """
    for record in event["Records"]:
        change = record["dynamodb"]
        line = {
            "change": record["eventName"],
            "table": record["eventSourceARN"].split("/")[1],
            "pk": change["Keys"]["pk"]["S"],
            "sk": change["Keys"]["sk"]["S"],
            "sequence": change["SequenceNumber"],
        }
        print(json.dumps({"level": "ERROR", "message": "audit entry changed", **line}))
        try:
            client().put_object(
                Bucket=os.environ["WAYBILL_EVIDENCE_BUCKET"],
                Key=f"tripwire/{line['table']}/{line['sequence']}.json",
                Body=json.dumps({**line, "old": change.get("OldImage")}).encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":  # an earlier try kept it
                raise
