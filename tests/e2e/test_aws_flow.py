"""Events that go to a queue of a tenant's AWS account: the queue's place decides, for any recipient."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import boto3

from chalicelib.destinations import of_kind
from chalicelib.flow.state import Batch
from tests.support.world import World, world

ACCOUNT = "999988887777"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/waybill-events"


def queue_of_the_tenant(region: str) -> tuple[Any, str, str]:
    """A FIFO queue in an account of the tenant's; its owner's client, its URL and its ARN."""
    given = boto3.client("sts", region_name=region).assume_role(RoleArn=ROLE, RoleSessionName="owner")["Credentials"]
    owner = boto3.client(
        "sqs",
        region_name=region,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    url = owner.create_queue(QueueName="events.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    return owner, url, f"arn:aws:sqs:{region}:{ACCOUNT}:events.fifo"


def connect(w: World, region: str) -> tuple[Any, str]:
    owner, url, arn = queue_of_the_tenant(region)
    config = {"role_arn": ROLE, "arn": arn}
    kind = of_kind("sqs")
    place = kind.place(kind.Config(**config))
    w.connect(destination={"kind": "sqs", "place": place, "external_id": "wbx_of-this-destination"}, config=config)
    return owner, url


def texts(owner: Any, url: str) -> list[str]:
    found = owner.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    return [json.loads(message["Body"])["message"]["text"] for message in found.get("Messages", [])]


def test_delivered_in_order_when_the_queue_is_where_the_recipient_is() -> None:
    with world() as w:
        owner, url = connect(w, "eu-central-1")

        w.post(1)
        w.post(2)
        w.run(timedelta(minutes=1))

        assert texts(owner, url) == ["m1", "m2"]
        assert [(e["outcome"], e["code"]) for e in w.of_kind("attempted")] == [("delivered", "accepted")] * 2
        (recipient,) = {json.dumps(r["recipient"]) for e in w.of_kind("decided") for r in e["routes"]}
        assert json.loads(recipient) == {"id": w.recipient, "country": "DE", "processing": ["DE"]}


def test_held_as_a_transfer_abroad_when_the_queue_is_in_another_country() -> None:
    with world() as w:
        owner, url = connect(w, "us-east-1")

        w.post(1)
        w.run(timedelta(minutes=1))

        assert texts(owner, url) == []
        (entry,) = w.of_kind("decided")
        (route,) = entry["routes"]
        assert route["decision"] == "held"
        assert "EU.44" in {rule["id"] for rule in route["rules"]}
        assert route["recipient"] == {"id": w.recipient, "country": "DE", "processing": ["DE", "US"]}
        assert w.of_kind("attempted") == []
        snapshot = Batch(w.runtime).snapshot(w.tenant)
        assert snapshot is not None
        (declared,) = snapshot.configuration.document["destinations"]
        assert declared == {"id": w.destination, "recipient": route["recipient"]}
        assert entry["config_hash"] == snapshot.configuration.hash


def test_waits_for_its_role_when_the_destination_is_not_proved_yet() -> None:
    with world() as w:
        owner, url = connect(w, "eu-central-1")
        w.change(w.destination, enabled=False, disabled_because="role")

        w.post(1)
        w.run(timedelta(minutes=1))
        before = texts(owner, url)
        w.change(w.destination, enabled=True, disabled_because=None)
        w.run(
            timedelta(hours=26), every=timedelta(minutes=30)
        )  # pump wakes a lane of a disabled destination now and then

        assert before == []
        assert texts(owner, url) == ["m1"]
