"""New keys for rows that an earlier release has parked under the plain number of a queue that counts from 1.

As text these sort 1, 10, 2. Homes on SQS have none of them.
"""

from __future__ import annotations

import json

from ..core import times
from ..core.delivery import lane_order
from .items import Item, Table


def renumbered(table: Table, lane: str) -> bool:
    """Give the rows of a lane that have plain numbers their place. Return whether there were any.

    Only the process that drains the lane may call this. If it dies in between, the next call completes the work: a row that
    stands twice is a transfer that has ended when its second row is looked at.
    """
    bound = {":p": f"lane#{lane}", ":a": "p#1", ":b": "p#:"}  # ":" comes after "9"
    found = [
        item
        for item in table.query("pk = :p AND sk BETWEEN :a AND :b", bound)
        if lane_order.is_of_before(item["sk"].removeprefix("p#"))
    ]
    at_ms = 0
    for item in sorted(found, key=_number):
        # The row does not say when its message was sent: after its event was received, and after the row before.
        received = json.loads(item["waiting"]).get("received_at")
        at_ms = max(at_ms, times.millis(times.parse(received)) if received else 0)
        table.insert({**item, "sk": f"p#{lane_order.place(str(_number(item)), at_ms)}"})
        table.delete({"pk": item["pk"], "sk": item["sk"]})
    return bool(found)


def _number(item: Item) -> int:
    return int(item["sk"].removeprefix("p#"))
