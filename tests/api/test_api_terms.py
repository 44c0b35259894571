"""Destinations' formats, signatures, consent and tests, through the API; and a route's selection."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.fixtures.destinations.loopback import Server, serving
from tests.support.api_cell import RECIPIENT, Api

AGREES = b"HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: hooks.example\r\nWebHook-Allowed-Rate: 120\r\nContent-Length: 4\r\n\r\ntext"


def body(api: Api, url: str = "http://127.0.0.1:9000/in", config: dict[str, Any] | None = None, **more: Any) -> Any:
    if "recipient" not in api.made:
        api.made["recipient"] = api.made_by("/v1/recipients", RECIPIENT)["id"]
    recipient = api.made["recipient"]
    return {"name": "crm", "kind": "http", "config": {"url": url, **(config or {})}, "recipient": recipient, **more}


def made(api: Api, *given: Any, **more: Any) -> dict[str, Any]:
    return api.made_by("/v1/destinations", body(api, *given, **more))


def heard(server: Server) -> tuple[dict[str, str], bytes]:
    """Return the last request's headers, with names as libraries like them, and its body."""
    head, _, content = server.requests[-1].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}, content


def tried(api: Api, destination: str) -> dict[str, Any]:
    answer = api.post(f"/v1/destinations/{destination}/test")
    assert answer.status == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def verified(public_key: str, headers: dict[str, str], content: bytes) -> bool:
    signed = [base64.b64decode(s[4:]) for s in headers["webhook-signature"].split(" ") if s.startswith("v1a,")]
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    for signature in signed:
        try:
            key.verify(signature, text)
            return True
        except InvalidSignature:
            continue
    return False


def takes(secret: str, headers: dict[str, str], content: bytes) -> bool:
    try:
        Webhook(secret).verify(content, headers, json_parse=False)
    except WebhookVerificationError as refusal:
        assert "timestamp" not in str(refusal)
        return False
    return True


def test_example_is_sent_marked_and_signed_when_a_destination_is_tried(tenant: Api) -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel\xfflo"[:-1]) as server:
        destination = made(tenant, f"http://127.0.0.1:{server.port}/in", enabled=False)

        answer = tried(tenant, destination["id"])
        headers, content = heard(server)

    document = json.loads(content)
    assert (answer["outcome"], answer["code"], answer["status"], answer["response"]) == (
        "delivered",
        "http_200",
        200,
        "hel\ufffdl",
    )
    assert headers["waybill-test"] == "1"
    assert takes(destination["signing_secret"], headers, content)
    assert (document["type"], document["data"]["test"]) == ("waybill.system", True)
    assert "test of Waybill" in document["data"]["message"]["text"]
    assert document["data"]["sender"] is None and document["data"]["conversation"]["id"] is None


@pytest.mark.parametrize(
    ("response", "outcome", "code", "status"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\ntext", "failed", "http_503", 503),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ntext", "failed", "http_410", 410),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 4\r\n\r\ntext", "failed", "redirect", None),
        (b"nonsense\r\n\r\n", "failed", "protocol", None),
    ],
)
def test_answer_is_told_and_nothing_changes_when_a_test_fails(
    tenant: Api, response: bytes, outcome: str, code: str, status: int | None
) -> None:
    with serving(response) as server:
        destination = made(tenant, f"http://127.0.0.1:{server.port}/in")
        answer = tried(tenant, destination["id"])

    assert (answer["outcome"], answer["code"], answer["status"]) == (outcome, code, status)
    assert answer["response"] == ("text" if code != "protocol" else "")
    assert tenant.get(f"/v1/destinations/{destination['id']}").json["enabled"] is True


def test_a_delivery_counts_and_its_answer_is_explained_when_the_rest_is_cut(tenant: Api) -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nhalf") as server:
        answer = tried(tenant, made(tenant, f"http://127.0.0.1:{server.port}/in")["id"])

    assert (answer["outcome"], answer["code"], answer["response"]) == ("delivered", "http_200", "half")
    assert "cut after its status" in answer["detail"]


def test_response_is_cut_when_it_is_long(tenant: Api) -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000) as server:
        answer = tried(tenant, made(tenant, f"http://127.0.0.1:{server.port}/in")["id"])

    assert answer["response"] == "x" * 4096


def test_nobody_is_asked_and_nothing_noted_when_a_test_may_not_be_sent(tenant: Api) -> None:
    destination = made(tenant, "https://name-that-is-nowhere.example/in")
    reader = tenant.with_key(scopes=["read"])
    before = len(tenant.get("/v1/audit/entries").json["data"])

    refused = reader.post(f"/v1/destinations/{destination['id']}/test")
    missing = tenant.post("/v1/destinations/dst_00000000000000000000000000/test")
    other = tenant.new_tenant().post(f"/v1/destinations/{destination['id']}/test")
    answer = tried(tenant, destination["id"])

    assert (refused.status, missing.status, other.status) == (403, 404, 404)
    assert (answer["outcome"], answer["code"], answer["response"]) == ("failed", "dns", "")
    assert len(tenant.get("/v1/audit/entries").json["data"]) == before


@pytest.mark.parametrize("name", ["standard", "cloudevents_structured", "cloudevents_binary"])
def test_old_secrets_and_keys_count_for_a_day_when_they_are_rotated(tenant: Api, name: str) -> None:
    with serving(AGREES) as server:
        url = f"http://127.0.0.1:{server.port}/in"
        old = made(tenant, url, {"signature": "both"}, format=name)
        new = tenant.post(f"/v1/destinations/{old['id']}/secret/rotate").json

        tried(tenant, old["id"])
        within = heard(server)
        shown = tenant.get(f"/v1/destinations/{old['id']}").json["public_keys"]
        tenant.clock.at += timedelta(hours=24, minutes=-1)
        tried(tenant, old["id"])
        almost = heard(server)
        tenant.clock.at += timedelta(minutes=2)
        tried(tenant, old["id"])
        after = heard(server)
        left = tenant.get(f"/v1/destinations/{old['id']}").json["public_keys"]

    assert old["signing_secret"] != new["signing_secret"]
    assert shown == new["public_keys"] == [new["public_keys"][0], *old["public_keys"]]
    assert left == new["public_keys"][:1]
    assert all(verified(new["public_keys"][0], *sent) for sent in (within, almost, after))
    assert verified(old["public_keys"][0], *within) and verified(old["public_keys"][0], *almost)
    assert not verified(old["public_keys"][0], *after)
    assert [len(h["webhook-signature"].split(" ")) for h, _ in (within, almost, after)] == [4, 4, 2]
    assert takes(old["signing_secret"], *within) and takes(new["signing_secret"], *within)
    assert old["signing_secret"] not in tenant.get(f"/v1/destinations/{old['id']}").text


def test_no_secret_is_shown_when_only_public_keys_verify(tenant: Api) -> None:
    with serving(AGREES) as server:
        destination = made(tenant, f"http://127.0.0.1:{server.port}/in", {"signature": "v1a"})
        tried(tenant, destination["id"])
        headers, content = heard(server)
    changed = tenant.call("PATCH", f"/v1/destinations/{destination['id']}", {"config": {"signature": "v1"}})

    assert destination["signing_secret"] is None
    assert headers["webhook-signature"].startswith("v1a,") and " " not in headers["webhook-signature"]
    assert verified(destination["public_keys"][0], headers, content)
    assert changed.status == 200
    assert tenant.post(f"/v1/destinations/{destination['id']}/secret/rotate").json["signing_secret"]


def test_secrets_are_the_same_when_a_request_is_tried_again(tenant: Api) -> None:
    wanted = body(tenant)

    first, second = (tenant.post("/v1/destinations", wanted, Idempotency_Key="one") for _ in range(2))

    assert first.json == second.json


def test_format_is_refused_when_the_kind_has_another(tenant: Api) -> None:
    wanted = body(tenant, kind="telegram", config={"bot_token": "1:a", "chat_id": "1"}, format="cloudevents_binary")

    answer = tenant.post("/v1/destinations", wanted)

    assert answer.status == 422
    assert (answer.json["errors"][0]["loc"], answer.json["errors"][0]["code"]) == ("body.format", "not_of_this_kind")


def test_destination_is_asked_at_creation_change_and_enabling_and_named_in_deliveries(tenant: Api) -> None:
    with serving(AGREES) as server:
        url = f"http://127.0.0.1:{server.port}/in"
        too_fast = tenant.post("/v1/destinations", body(tenant, url, {"handshake": True}, rate_limit_per_s=3))
        destination = made(tenant, url, {"handshake": True}, rate_limit_per_s=2)
        path = f"/v1/destinations/{destination['id']}"
        asked = [len(server.requests)]
        for method, place, change in (
            ("PATCH", path, {"name": "other"}),
            ("PATCH", path, {"config": {"url": url + "/more"}}),
            ("PATCH", path, {"rate_limit_per_s": 1}),
            ("POST", f"{path}/disable", None),
            ("POST", f"{path}/enable", None),
        ):
            assert tenant.call(method, place, change).status == 200
            asked.append(len(server.requests))
        tried(tenant, destination["id"])
        headers, _ = heard(server)

    assert too_fast.status == 422
    assert "at most 2" in too_fast.json["detail"]
    assert asked == [2, 2, 3, 4, 4, 5]
    assert headers["webhook-request-origin"] == "hooks.example"


def test_destination_is_not_enabled_when_it_agrees_no_more(tenant: Api) -> None:
    with serving(AGREES) as server:
        port = server.port
        destination = made(tenant, f"http://127.0.0.1:{port}/in", {"handshake": True}, rate_limit_per_s=1)
    path = f"/v1/destinations/{destination['id']}"
    tenant.post(f"{path}/disable")

    answer = tenant.post(f"{path}/enable")

    assert answer.status == 422
    assert answer.json["errors"][0]["code"] == "handshake"
    assert tenant.get(path).json["enabled"] is False


# A route's selection

ROUTE = {"name": "some", "pattern": {"kind": ["message"]}, "purpose": "customer_support", "mode": "replicate"}


def test_route_is_refused_with_its_place_when_its_select_is_no_expression(tenant: Api) -> None:
    destination = made(tenant)["id"]

    for method in ("POST", "PUT"):
        path = "/v1/routes"
        if method == "PUT":
            path += "/" + tenant.made_by("/v1/routes", {**ROUTE, "destination": destination})["id"]
        answer = tenant.call(method, path, {**ROUTE, "destination": destination, "transform": {"select": "a b"}})

        assert (answer.status, answer.json["code"]) == (422, "invalid_transform")
        assert answer.json["errors"][0]["loc"] == "body.transform.select"
        assert "character 2" in answer.json["errors"][0]["msg"]


def test_route_is_refused_when_it_selects_for_a_kind_with_its_own_form(tenant: Api) -> None:
    config = {"token": "123456789:" + "a" * 35, "chat_id": 5}
    destination = tenant.made_by("/v1/destinations", {**body(tenant), "kind": "telegram", "config": config})["id"]
    route = {**ROUTE, "destination": destination}

    answer = tenant.post("/v1/routes", {**route, "transform": {"select": "message"}})

    assert answer.status == 422
    assert answer.json["errors"][0]["code"] == "own_form"
    assert tenant.post("/v1/routes", route).status == 201


def previewed(api: Api, destination: str, select: str, **more: Any) -> dict[str, Any]:
    (event,) = api.get("/v1/events").json["data"]
    route = {**ROUTE, "destination": destination, **more}
    route["transform"] = {**route.get("transform", {}), "select": select}
    answer = api.post("/v1/routes/preview", {"event_id": event["id"], "route": route})
    assert answer.status == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def test_preview_shows_the_body_of_each_format_when_a_route_redacts_and_selects(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("hello")
    redacts = {"mode": "redact", "transform": {"redact": [{"class": "name", "action": "mask"}]}}
    select = "{text: message.text, who: sender.name}"

    bodies = {
        name: previewed(tenant, made(tenant, format=name)["id"], select, **redacts)["body"]
        for name in ("standard", "cloudevents_structured", "cloudevents_binary")
    }

    data = {"text": "hello", "who": "***"}
    assert bodies["cloudevents_binary"] == data
    assert (bodies["standard"]["data"], bodies["standard"]["type"]) == (data, "waybill.message")
    structured = bodies["cloudevents_structured"]
    assert (structured["data"], structured["specversion"]) == (data, "1.0")
    assert structured["source"] == f"/waybill/telegram/{tenant.made['source']}"


def test_preview_says_why_when_nothing_would_be_rendered(tenant: Api) -> None:
    tenant.connect()
    tenant.hook("hello")

    shown = previewed(tenant, tenant.made["destination"], "length(sender.phone)")

    assert shown["body"] is None
    assert shown["fault"]["code"] == "render"
    assert "a function gets a value" in shown["fault"]["detail"]


def test_selected_body_is_delivered_and_a_failing_one_rejected_until_the_route_is_changed(tenant: Api) -> None:
    with serving(AGREES) as server:
        tenant.connect()
        path = f"/v1/routes/{tenant.made['route']}"
        place = f"/v1/destinations/{tenant.made['destination']}"
        assert tenant.call("PATCH", place, {"config": {"url": f"http://127.0.0.1:{server.port}/in"}}).status == 200
        assert tenant.call("PATCH", path, {"transform": {"select": "message.text"}}).status == 200
        tenant.hook("hello")
        tenant.deliver()
        _, content = heard(server)
        assert tenant.call("PATCH", path, {"transform": {"select": "sender.phone"}}).status == 200
        tenant.hook("again", number=2)
        tenant.deliver()
        came = len(server.requests)

    newest, oldest = tenant.get("/v1/transfers").json["data"]
    assert json.loads(content)["data"] == "hello"
    assert came == 1
    assert oldest["outcome"] == "delivered"
    assert [(a["outcome"], a["code"]) for a in newest["attempts"]] == [("rejected", "render")]


ROLE = {
    "role_arn": "arn:aws:iam::999988887777:role/waybill-events",
    "arn": "arn:aws:sqs:eu-central-1:999988887777:events",
}


@pytest.mark.parametrize(
    ("kind", "config", "loc"),
    [
        ("pigeon", {"url": "https://crm.example/in"}, "body.kind"),
        ("http", {"url": "https://10.1.1.1/"}, "body.config.url"),
        ("http", {"url": "https://crm.example/in", "headers": {"host": "x"}}, "body.config.headers"),
        ("sqs", ROLE, "body.config.role_arn"),  # the cell of these tests does not know its account
    ],
)
def test_destination_is_refused_at_its_place_in_the_body(
    tenant: Api, kind: str, config: dict[str, Any], loc: str
) -> None:
    answer = tenant.post("/v1/destinations", {**body(tenant), "kind": kind, "config": config})

    assert (answer.status, [e["loc"] for e in answer.json["errors"]]) == (422, [loc])


def test_preview_is_refused_at_its_place_when_an_event_has_no_schema(tenant: Api) -> None:
    answer = tenant.post("/v1/routes/preview", {"event": {}, "route": {**ROUTE, "destination": made(tenant)["id"]}})

    assert answer.status == 422
    assert answer.json["errors"][0]["loc"] == "body.event.schema"
