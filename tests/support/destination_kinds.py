"""The fixture of each destination kind, and a delivery to it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from datetime import UTC, datetime
from typing import Any

from chalicelib.core.delivery import signature
from chalicelib.destinations import of_kind
from chalicelib.destinations.base import Delivery
from tests.support import tenant_aws

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures/destinations"
NOW = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
SIGNING_SECRET = signature.make_secret(b"\x07" * 24)
DOCUMENT: dict[str, Any] = {
    "schema": "waybill.event/1",
    "id": "evt_00000000000000000000000001",
    "kind": "message",
    "occurred_at": "2026-03-01T11:59:58.000Z",
    "sender": {"name": "p-e-r-s-o-n"},
    "message": {"text": "c-o-n-t-e-n-t Привет 👋"},
}
AWS_KINDS = ("eventbridge", "firehose", "kinesis", "s3", "sns", "sqs")


def fixture(kind: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FIXTURES / f"{kind}.json").read_text())
    return read


def delivery(kind: str, **changes: Any) -> Delivery:
    made = Delivery(
        delivery_id="dlv_00000000000000000000000001",
        transfer_id="trf_00000000000000000000000001",
        event_id="evt_00000000000000000000000001",
        tenant_id="tnt_00000000000000000000000001",
        destination_id="dst_00000000000000000000000001",
        channel="telegram",
        conversation="cnv_00000000000000000000000001",
        kind="message",
        occurred_at=datetime(2026, 3, 1, 11, 59, 58, tzinfo=UTC),
        attempt=1,
        now=NOW,
        config=of_kind(kind).Config.model_validate(fixture(kind)["config"]),
        secrets=(SIGNING_SECRET,),
        external_id=tenant_aws.EXTERNAL_ID,
    )
    return dataclasses.replace(made, **changes)
