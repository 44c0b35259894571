"""Dead letters of a cell that tests reach by its API."""

from __future__ import annotations

import json

import pytest

from chalicelib.flow import dead
from tests.support.api_cell import Api


def dead_letter(tenant: Api, number: int = 1) -> str:
    """Dead-letter an event before it is routed. Return its id."""
    sqs = tenant.runtime.clients.get("sqs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Api, "feed", lambda *_: None)
        tenant.hook(f"m{number}", number, chat=number)
    (message,) = sqs.receive_message(QueueUrl="waybill-local-inbox.fifo", MaxNumberOfMessages=10)["Messages"]
    body = json.loads(message["Body"])
    dead.end_event(tenant.runtime, body, message["Attributes"]["MessageGroupId"])
    entries = [{"Id": "0", "ReceiptHandle": message["ReceiptHandle"]}]
    sqs.delete_message_batch(QueueUrl="waybill-local-inbox.fifo", Entries=entries)
    return str(body["event"])
