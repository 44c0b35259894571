"""A cell on moto for tests of the API: requests go through API Gateway's event into the Chalice app."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from chalicelib.api import gateway
from chalicelib.runtime import Runtime
from infra.cell import feeders, local, local_server
from tests.support.described import differences

DIGEST = "sha256:" + "ab" * 32
ALL_CLASSES = ["identifier", "contact", "name", "content", "media", "location", "behaviour", "technical"]
TENANT = {
    "name": "Nord",
    "edition": "enterprise",
    "tenant_class": "general",
    "retention": {"default_days": 30},
    "controller": {"legal_name": "Nord GmbH", "country": "DE", "contact": "privacy@nord.example"},
}
RECIPIENT = {
    "legal_name": "Nord CRM GmbH",
    "contact": "dpo@crm.example",
    "entity_country": "DE",
    "processing_countries": ["DE"],
    "role": "processor",
    "contract": {"id": "dpa-7", "sha256": "ab" * 32, "valid_from": "2026-01-01", "valid_until": None},
    "classes": ALL_CLASSES,
    "onward": [],
    "granted": True,
}
SOURCE = {
    "channel": "telegram",
    "name": "shop bot",
    "secret": {"secret_token": "s3cret"},
    "subject_country": "DE",
    "special": [],
}
US_RECIPIENT = {**RECIPIENT, "legal_name": "Far Inc", "entity_country": "US", "processing_countries": ["US"]}


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Clock:
    """A clock that tests move."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class Api:
    """The API of a cell, as one key sees it."""

    runtime: Runtime
    operator_key: str
    clock: Clock
    engine: Any
    key: str | None = None
    made: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        key: str | None = "own",
        **headers: str,
    ) -> Answer:
        """Make a request. ``headers`` are written with underscores; ``key`` None sends none."""
        import app

        path, _, query = path.partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        secret = self.key if key == "own" else key
        if secret is not None:
            named.setdefault("Authorization", f"Bearer {secret}")
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        if content:
            named.setdefault("Content-Type", "application/json")
        answer = gateway.handle(app.app, method, path, query, list(named.items()), content)
        found = Answer(answer["statusCode"], dict(answer["headers"]), answer["body"])
        undescribed = differences(method, path, found.status, found.headers, found.text)
        assert not undescribed, undescribed
        return found

    def get(self, path: str, **query: Any) -> Answer:
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any = None, **headers: Any) -> Answer:
        return self.call("POST", path, body, **headers)

    def made_by(self, path: str, body: Any) -> dict[str, Any]:
        """Make something that must succeed."""
        answer = self.post(path, body)
        assert answer.status == 201, answer.text
        result: dict[str, Any] = answer.json
        return result

    def as_operator(self, method: str, path: str, body: Any = None, **headers: Any) -> Answer:
        return self.call(method, path, body, key=self.operator_key, **headers)

    def new_tenant(self, **changes: Any) -> Api:
        """Return the API as a new tenant's first key sees it."""
        answer = self.as_operator("POST", "/v1/tenants", {**TENANT, **changes})
        assert answer.status == 201, answer.text
        made = {"tenant": answer.json["tenant"]["id"], "key": answer.json["key"]["id"]}
        return Api(self.runtime, self.operator_key, self.clock, self.engine, answer.json["key"]["secret"], made)

    def with_key(self, **settings: Any) -> Api:
        """Return the API as another key of the same tenant sees it."""
        made = self.made_by("/v1/keys", {"name": "another", **settings})
        return Api(
            self.runtime, self.operator_key, self.clock, self.engine, made["secret"], {**self.made, "key": made["id"]}
        )

    def connect(self, recipient: dict[str, Any] = RECIPIENT, source: dict[str, Any] = SOURCE) -> dict[str, str]:
        """Declare the first flow; return its ids."""
        ids = {"source": self.made_by("/v1/sources", source)["id"]}
        for kind in ("instruction", "contract"):
            basis = {"kind": kind, "valid_from": "2026-01-01", "valid_until": None, "evidence": DIGEST}
            ids[kind] = self.made_by("/v1/bases", basis)["id"]
        ids["recipient"] = self.made_by("/v1/recipients", recipient)["id"]
        destination = {
            "name": "crm",
            "kind": "http",
            "config": {"url": "http://127.0.0.1:9000/in"},
            "recipient": ids["recipient"],
            "retry": {"delays_s": [5, 300]},
        }
        ids["destination"] = self.made_by("/v1/destinations", destination)["id"]
        route = {
            "name": "messages",
            "pattern": {"kind": ["message"]},
            "destination": ids["destination"],
            "purpose": "customer_support",
            "mode": "replicate",
        }
        ids["route"] = self.made_by("/v1/routes", route)["id"]
        self.made.update(ids)
        return ids

    def hook(self, text: str = "hello", number: int = 1, chat: int = 77) -> None:
        """Post a Telegram message and route it; nothing is delivered yet."""
        import app

        update = {
            "update_id": number,
            "message": {
                "message_id": number,
                "date": int(self.clock.at.timestamp()),
                "from": {"id": chat, "is_bot": False, "first_name": "Ada"},
                "chat": {"id": chat, "type": "private"},
                "text": text,
            },
        }
        headers = [("content-type", "application/json"), ("x-telegram-bot-api-secret-token", "s3cret")]
        path = f"/hooks/{self.made['source']}"
        event = local_server.http_api_event("POST", path, "", headers, json.dumps(update).encode())
        assert app.hooks(event, None)["statusCode"] == 200
        self.feed("inbox", app.route)

    def deliver(self) -> None:
        """Process the outbox; no receiver listens, so that attempts fail."""
        import app

        self.feed("outbox", app.deliver)

    def feed(self, name: str, handler: Any) -> None:
        queue = f"waybill-{local.CELL}-{name}.fifo"
        sqs = self.runtime.clients.get("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        while feeders.feed_once(sqs, url, self.runtime.settings.region, queue, handler):
            pass


def acts(tenant: Api, kind: str = "config_changed") -> list[dict[str, Any]]:
    """Return every entry of a kind in the tenant's log, by time."""
    found, query = [], {"kind": kind, "limit": 250}
    answer = tenant.get("/v1/audit/entries", **query).json
    found += answer["data"]
    while answer["next"]:
        answer = tenant.get("/v1/audit/entries", **query, cursor=answer["next"]).json
        found += answer["data"]
    return sorted((e["entry"] for e in found), key=lambda e: e["at"])
