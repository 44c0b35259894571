"""Conversations of a world off the record."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

from chalicelib.channels.base import Inbound, Reply
from chalicelib.core import ids
from chalicelib.core.tenant.intervals import EFFECT
from chalicelib.flow.ask import read
from chalicelib.flow.declare import conversations
from chalicelib.flow.request import Request
from tests.support.world import World, raw

MINUTE = timedelta(minutes=1)


SECRET_WORDS = (
    b"secret-text",
    b"Canary",
    b"Hidden",
    b"secret-name",
    b"secret_file",
    b"4455667788",
    b"+4915155500",
    b"900900",
)
"""The content of the message of ``said``: text, names, file, chat, phone, message id."""


def asked(w: World, **changes: Any) -> Request:
    row = w.runtime.config.tenant(w.tenant)
    number = len(w.effects)
    values: dict[str, Any] = {
        "runtime": w.runtime, "tenant": row.record, "version": row.version, "keys": w.runtime.config.keys_of(w.tenant),
        "actor": ("key", "key_" + "0" * 26), "country": None, "at": w.clock, "id": f"req_{number:026d}", "seed": b"s",
    }  # fmt: skip
    return Request(**(values | changes))


def said(w: World, number: int = 1, text: str = "secret-text", chat: int = 4455667788, at: Any = None) -> Reply:
    """Post a secret message: one text, two names, a user name, a phone number and a file."""
    person = {"id": chat, "is_bot": False, "first_name": "Canary", "last_name": "Hidden", "username": "secret-name"}
    message = {
        "message_id": 900900 + number, "date": int((at or w.clock).timestamp()), "chat": {"id": chat, "type": "private"},
        "from": person, "text": f"{text} {number}",
        "document": {"file_id": "secret_file_id", "file_unique_id": "u", "file_name": "secret_file.pdf"},
        "contact": {"phone_number": "+4915155500", "first_name": "Canary"},
    }  # fmt: skip
    body = json.dumps({"update_id": 900900 + number, "message": message}).encode()
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": "hook-secret"}
    return w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock))


def conversation(w: World) -> str:
    """The ref of the conversation that was heard of first."""
    first = min(w.of_kind("decided"), key=lambda e: str(e["at"]))
    return str(first["receipt"]["conversation"])


def off(w: World, on_record: bool = False) -> str:
    """Take the conversation off the record, and wait until that counts."""
    ref = conversation(w)
    conversations.turn(asked(w), ref, not on_record)
    w.clock += EFFECT
    return ref


def begun(w: World, chat: int = 4455667788, **declared: Any) -> str:
    """A conversation that is off the record from now on; its earlier messages hold nothing secret."""
    w.connect(**declared)
    w.post(1, text="hello", chat=chat)
    w.run(MINUTE)
    w.receiver.requests.clear()
    return off(w)


def everything(w: World, capture: str = "") -> dict[str, bytes]:
    """All data of the cell outside its processes' memory: tables, queues, buckets, logs and metrics."""
    from chalicelib.core.log import leaf

    found = {"logged": capture.encode()}
    client = w.engine.make_client("dynamodb", "eu-central-1")
    for table in client.list_tables()["TableNames"]:
        for page in client.get_paginator("scan").paginate(TableName=table):
            for number, row in enumerate(page["Items"]):
                text = raw(row) + (leaf.inflate(row["leaf"]["B"]) if "leaf" in row else b"")
                found[f"{table}/{number}"] = text + _opened(w, row)
    queues = {"inbox": w.inbox, "outbox": w.outbox, "dead_inbox": w.dead_inbox, "dead_outbox": w.dead_outbox}
    for name, queue in queues.items():
        for number, message in enumerate(queue.messages):
            sealed = json.loads(message.body).get("sealed", "")
            found[f"{name}/{number}"] = (message.body + message.group).encode() + (b"a sealed body" if sealed else b"")
    s3 = w.engine.make_client("s3", "eu-central-1")
    for bucket in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ()):
            found[item["Key"]] = s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read()
    return found


def _opened(w: World, row: dict[str, Any]) -> bytes:
    """An event's row, read with all the keys: sealed content is stored content, too."""
    if not row["pk"]["S"].startswith(f"{w.tenant}#evt_") or "body" not in row:
        return b""
    stored = w.runtime.data.event(w.tenant, row["pk"]["S"].partition("#")[2], w.clock)
    assert stored is not None
    people = w.runtime.people.get_many([(stored.owner or "", w.runtime.config.keys_of(w.tenant))])
    return json.dumps(stored.open(people[stored.owner or ""].key, "eu-central-1", w.runtime.contents.get)).encode()


def nowhere(w: World, capture: str = "", words: tuple[bytes, ...] = SECRET_WORDS) -> None:
    """No words said off the record are stored anywhere, and no event of them either."""
    found = everything(w, capture)
    assert [
        (place, word) for place, text in found.items() for word in words if word in text and b"hello" not in text
    ] == []
    unkept = {e["event"] for e in w.of_kind("decided") if e["facts"].get("otr")}
    kept = [row["pk"]["S"] for row in w.rows("data") if row["pk"]["S"].startswith(f"{w.tenant}#evt_")]
    assert [pk for pk in kept if pk.partition("#")[2] in unkept] == []
    assert [place for place in found if "inbox/" in place or "outbox/" in place] == []


def ends(w: World) -> list[tuple[str, str, str]]:
    """How each transfer off the record ended: decision, outcome and the code of its one attempt."""
    told: list[tuple[str, str, str]] = []
    request = asked(w)
    for entry in (e for e in w.of_kind("decided") if e["facts"].get("otr")):
        for decided in entry["routes"]:
            one = read.transfer(request, decided["transfer"])
            assert len(one.attempts) <= 1
            told.append((one.decision, one.outcome, one.attempts[0].code if one.attempts else ""))
    return told


def waiting(w: World) -> list[str]:
    """The lanes in which something off the record waits, if only for its end."""
    lanes = [row for row in w.rows("data") if row["pk"]["S"].startswith("lane#")]
    return [
        row["pk"]["S"]
        for row in lanes
        if '"otr": true' in row.get("waiting", {}).get("S", "") or "#dlv_" in row["pk"]["S"]
    ]


def line_secret(w: World) -> tuple[Any, int, Any]:
    row = w.runtime.config.get(w.tenant, w.source)
    return row.record, row.version, [{"secret": {"channel_secret": "hook-secret"}, "until": None}]


def line(w: World, *said: tuple[str, str]) -> Reply:
    events = [
        {
            "type": "message", "mode": "active", "timestamp": int(w.clock.timestamp() * 1000), "replyToken": f"r{text}",
            "webhookEventId": f"{user}-{text}", "deliveryContext": {"isRedelivery": False},
            "source": {"type": "user", "userId": user},
            "message": {"type": "text", "id": f"{user}-{text}", "quoteToken": "q", "text": text},
        }
        for user, text in said
    ]  # fmt: skip
    body = json.dumps({"destination": "B", "events": events}).encode()
    proof = base64.b64encode(hmac.digest(b"hook-secret", body, "sha256")).decode()
    headers = {"content-type": "application/json", "x-line-signature": proof}
    return w.hook(Inbound("POST", f"https://h/hooks/{w.source}", headers, {}, body, w.clock))


def two_routes(w: World) -> None:
    """The same events go to a second destination of the same recipient."""
    second = w.runtime.config.get(w.tenant, w.destination)
    secrets = w.runtime.config.secrets(w.tenant, w.destination, second.sealed)
    made = second.record.model_copy(update={"id": ids.sortable("dst", w.clock, w.randomness.randbytes(11))})
    w.runtime.config.insert(w.tenant, made, secrets)
    declared = w.runtime.config.get(w.tenant, w.route).record
    declared = declared.model_copy(
        update={"id": ids.sortable("rte", w.clock, w.randomness.randbytes(11)), "destination": made.id}
    )
    w.runtime.config.insert(w.tenant, declared)
