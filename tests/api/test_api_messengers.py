"""Messengers behind brokers: what a source declares, and what the law of Russia says of it."""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from chalicelib.runtime import Runtime, install
from chalicelib.store.region import Clients
from infra.cell import local, local_server
from infra.cell.local_options import Options
from tests.support.api_cell import DIGEST, RECIPIENT, SOURCE, Api, Clock

HOOKS = "https://hooks.example"
TWILIO = {**SOURCE, "channel": "twilio", "secret": {"auth_token": "t0ken"}, "subject_country": "RU"}
RUSSIAN = {"legal_name": "Sever OOO", "country": "RU", "contact": "dpo@sever.example"}


@pytest.fixture(scope="module")
def cell() -> Iterator[Api]:
    """A cell in Russia."""
    os.environ["WAYBILL_CELL"] = local.CELL
    options = Options(country="RU", settings={"hooks_url": HOOKS})
    with local.resources(options) as (engine, settings, operator_key):
        clock = Clock()
        clients = Clients(settings.region, make=engine.make_client)
        runtime = Runtime(settings, clients, now=clock, monotonic=clock.monotonic, sleep=lambda _: None)
        install(runtime)
        yield Api(runtime, operator_key, clock, engine)
        install(None)


@pytest.fixture
def bank(cell: Api) -> Api:
    """A Russian bank."""
    cell.clock.at = datetime.now(UTC)
    return cell.new_tenant(tenant_class="bank", controller=RUSSIAN)


def post_twilio(tenant: Api, source: str, sender: str, number: int) -> None:
    """Post a message through Twilio and route it."""
    import app

    form = {"MessageSid": f"SM{number:032}", "From": sender, "To": "whatsapp:+15550001111", "Body": "hello"}
    path = f"/hooks/{source}"
    signed = HOOKS + path + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.digest(b"t0ken", signed.encode(), "sha1")).decode()
    headers = [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature)]
    event = local_server.http_api_event("POST", path, "", headers, urlencode(form).encode())
    assert app.hooks(event, None)["statusCode"] == 200
    tenant.feed("inbox", app.route)


def connected(tenant: Api, **source: Any) -> str:
    """Declare a flow to a recipient in Russia; return the source."""
    recipient = {**RECIPIENT, "entity_country": "RU", "processing_countries": ["RU"]}
    ids = tenant.connect(recipient, {**TWILIO, **source})
    consent = {"kind": "consent", "law": "RU", "recipient": ids["recipient"], "valid_from": "2026-01-01"}
    stated = {"given_on": "2026-01-01", "separate_document": True, "evidence": DIGEST}
    tenant.made_by("/v1/bases", {**consent, **stated})
    return ids["source"]


@pytest.mark.parametrize("messenger", ["whatsapp", "viber", "telegram"])
@pytest.mark.parametrize("channel", ["twilio", "matrix"])
def test_source_is_refused_when_it_declares_a_forbidden_messenger(bank: Api, channel: str, messenger: str) -> None:
    secret = {"twilio": {"auth_token": "t0ken"}, "matrix": {"hs_token": "x" * 40}}[channel]
    source = {**TWILIO, "channel": channel, "secret": secret, "messengers": ["sms", messenger]}

    answer = bank.post("/v1/sources", source)

    assert answer.status == 451, answer.text
    assert [rule["id"] for rule in answer.json["rules"]] == ["RU.41FZ"]


def test_source_waits_for_its_messengers_when_a_broker_declares_none(bank: Api) -> None:
    made = bank.made_by("/v1/sources", TWILIO)

    assert "messenger" in made["missing"]
    assert made["messengers"] == []


def test_message_of_an_undeclared_messenger_is_held_when_the_law_forbids_it(bank: Api) -> None:
    source = connected(bank, messengers=["sms"])

    post_twilio(bank, source, "whatsapp:+79161234567", 1)
    post_twilio(bank, source, "+79161234567", 2)

    transfers = {t["decision"]: t for t in bank.get("/v1/transfers").json["data"]}
    assert set(transfers) == {"held", "allowed"}, transfers
    assert [rule["id"] for rule in transfers["held"]["rules"]] == ["RU.41FZ-undeclared"]
    messengers = {e["messenger"] for e in bank.get("/v1/events").json["data"]}
    assert messengers == {"whatsapp", "sms"}


def test_shop_may_use_any_messenger(cell: Api) -> None:
    shop = cell.new_tenant(controller=RUSSIAN)
    source = connected(shop)

    post_twilio(shop, source, "whatsapp:+79161234567", 1)

    assert [t["decision"] for t in shop.get("/v1/transfers").json["data"]] == ["allowed"]


@pytest.mark.parametrize(
    ("channel", "messengers"), [("telegram", ["whatsapp"]), ("twilio", ["whatsap"]), ("twilio", ["sms", "sms"])]
)
def test_messengers_are_refused_when_they_cannot_be(bank: Api, channel: str, messengers: list[str]) -> None:
    answer = bank.post("/v1/sources", {**TWILIO, "channel": channel, "messengers": messengers})

    assert answer.status == 422, answer.text


def test_source_shows_its_obligations_in_words(cell: Api) -> None:
    shop = cell.new_tenant(controller=RUSSIAN)

    made = shop.made_by("/v1/sources", {**SOURCE, "subject_country": "RU"})

    shown = {one["code"]: one for one in made["obligations"]}
    assert {"channel-restricted", "file-art22-notice"} <= set(shown)
    assert shown["file-art22-notice"]["ref"] == "152-FZ art. 22(1)"
    assert shown["file-art22-notice"]["title"] and shown["file-art22-notice"]["title_ru"]
    assert {one["code"] for one in shop.get(f"/v1/sources/{made['id']}").json["obligations"]} == set(shown)


def test_preflight_and_answer_show_obligations(cell: Api) -> None:
    shop = cell.new_tenant(controller=RUSSIAN)
    source = connected(shop, messengers=["whatsapp"])
    post_twilio(shop, source, "whatsapp:+79161234567", 1)
    event = shop.get("/v1/events").json["data"][0]["id"]

    flow = shop.get("/v1/preflight").json["data"][0]
    lines = shop.get("/v1/answer", event=event).json["data"][0]["lines"]

    assert {"channel-restricted", "file-art22-notice"} <= {one["code"] for one in flow["obligations"]}
    for line in lines[:2]:
        assert {"channel-restricted", "file-art22-notice"} <= {one["code"] for one in line["obligations"]}
    assert lines[0]["messenger"] == "whatsapp"
    (listed,) = shop.get("/v1/transfers").json["data"]
    shown = shop.get(f"/v1/transfers/{listed['id']}").json
    assert listed == shown
    assert shop.get("/v1/transfers", event=event).json["data"] == [shown]
    assert {"channel-restricted", "file-art22-notice"} <= {one["code"] for one in shown["obligations"]}


def test_refusal_names_the_rule_in_words_and_the_remedy(bank: Api) -> None:
    answer = bank.post("/v1/sources", {**SOURCE, "subject_country": "RU"})

    assert answer.status == 451
    title = (
        "This organisation may not use a foreign messenger with customers (41-FZ of 01.04.2025; 149-FZ art. 10(8)-(10))"
    )
    assert title in answer.json["detail"]
    assert answer.json["detail"].endswith("use a messenger of the country, or text messages")


def test_switch_on_a_messenger_stops_it_behind_a_broker(cell: Api) -> None:
    shop = cell.new_tenant(controller=RUSSIAN)
    source = connected(shop, messengers=["whatsapp", "sms"])
    shop.made_by("/v1/switches", {"scope": "channel", "value": "whatsapp", "reason": "under review"})

    post_twilio(shop, source, "whatsapp:+79161234567", 1)
    post_twilio(shop, source, "+79161234567", 2)

    decided = {t["decision"]: t for t in shop.get("/v1/transfers").json["data"]}
    assert set(decided) == {"refused", "allowed"}
    assert [rule["id"] for rule in decided["refused"]["rules"]] == ["TENANT.switch"]
    (flow,) = shop.get("/v1/preflight").json["data"]
    assert flow["decision"] == "refused"
