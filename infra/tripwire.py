"""Name an audit entry that was changed or removed.

The template carries this file's text as the body of a function that the audit tables' streams call, filtered to MODIFY and
REMOVE. Entries are only ever inserted, so to be called at all is the alarm. It writes the key, never an image: a key holds
refs only, and whoever looks into it finds the rest under point-in-time recovery.
"""

import json
from typing import Any


def handler(event: dict[str, Any], context: object) -> None:
    """Write one line for each record: what was done to which entry of which table."""
    for record in event["Records"]:
        change = record["dynamodb"]
        line = {
            "level": "ERROR",
            "message": "audit entry changed",
            "change": record["eventName"],
            "table": record["eventSourceARN"].split("/")[1],
            "pk": change["Keys"]["pk"]["S"],
            "sk": change["Keys"]["sk"]["S"],
            "sequence": change["SequenceNumber"],
        }
        print(json.dumps(line))
