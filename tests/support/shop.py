"""A tenant of a home in RU: its declarations, its messenger, and its recipient."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass

from infra.demo.gateway import Gateway, Tenant
from infra.demo.journey import CLASSES, CONTRACT, EVIDENCE
from infra.demo.messengers import telegram
from infra.demo.sink import Sink


@dataclass
class Shop:
    """A tenant of RU that sends messages to a recipient of RU."""

    tenant: Tenant
    source: str
    secret: dict[str, str]
    name: str

    def post(self, door: Gateway, number: int, text: str) -> int:
        """Be the messenger: all messages are of one conversation."""
        post = telegram(self.secret, 1, int(time.time()))
        document = json.loads(post.body)
        document["update_id"] += number
        document["message"] |= {"message_id": number, "text": text}
        status, _, _ = door.call("POST", f"/hooks/{self.source}", json.dumps(document).encode(), post.headers)
        return status


def shop(api: Gateway, sink: Sink, operator_key: str) -> Shop:
    """Set a tenant up, as the README does."""
    controller = {"legal_name": "Sever OOO", "country": "RU", "contact": "privacy@sever.example"}
    created = Tenant(api, operator_key)(
        "POST",
        "/v1/tenants",
        {
            "name": "Sever", "edition": "enterprise", "tenant_class": "general", "retention": {"default_days": 30},
            "controller": controller,
        },
    )  # fmt: skip
    tenant = Tenant(api, created["key"]["secret"])
    secret = {"secret_token": secrets.token_hex(16)}
    source = tenant(
        "POST",
        "/v1/sources",
        {"channel": "telegram", "name": "bot", "secret": secret, "subject_country": "RU", "special": []},
    )
    for kind in ("instruction", "contract"):
        tenant(
            "POST", "/v1/bases", {"kind": kind, "valid_from": "2026-01-01", "valid_until": None, "evidence": EVIDENCE}
        )
    recipient = tenant(
        "POST",
        "/v1/recipients",
        {
            "legal_name": "Sever CRM OOO", "contact": "dpo@crm.example", "entity_country": "RU",
            "processing_countries": ["RU"], "role": "processor", "contract": CONTRACT, "classes": CLASSES, "onward": [],
            "granted": True,
        },
    )  # fmt: skip
    # The law of RU asks, besides, on what ground this one recipient may have the data.
    tenant(
        "POST",
        "/v1/bases",
        {
            "kind": "contract-necessity", "law": "RU", "recipient": recipient["id"], "valid_from": "2026-01-01",
            "valid_until": None, "evidence": EVIDENCE,
        },
    )  # fmt: skip
    name = created["tenant"]["id"]
    destination = tenant(
        "POST",
        "/v1/destinations",
        {"name": "crm", "kind": "http", "config": {"url": f"{sink.url}/{name}"}, "recipient": recipient["id"]},
    )
    sink.secrets[name] = destination["signing_secret"]
    route = {
        "name": "messages", "pattern": {"kind": ["message"]}, "destination": destination["id"],
        "purpose": "customer_support", "mode": "replicate",
    }  # fmt: skip
    made = tenant("POST", "/v1/routes", route)
    (line,) = tenant("GET", f"/v1/preflight?route={made['id']}")["data"]
    assert line["ready"], line["missing"]
    return Shop(tenant, source["id"], secret, name)
