"""Subscribing a source at its platform, its daily check, and the end of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import app
from chalicelib.flow import subscriptions
from chalicelib.flow.retention import subscription_checks
from infra.cell import local_server
from tests.fixtures.destinations.vendor import Reply, running
from tests.fixtures.platforms.base import CANARY, ELSEWHERE, TOKEN, StandIn
from tests.fixtures.platforms.messengers import ViberHooks
from tests.fixtures.platforms.russian import OkHooks, VkHooks
from tests.fixtures.platforms.telegram import TelegramHooks
from tests.support.api_cell import SOURCE, Answer, Api

DAY = timedelta(hours=24)


@pytest.fixture
def telegram() -> Iterator[TelegramHooks]:
    with running(TelegramHooks()) as vendor:
        yield vendor


@pytest.fixture
def source(tenant: Api) -> dict[str, Any]:
    return tenant.made_by("/v1/sources", SOURCE)


def subscribe(tenant: Api, source: dict[str, Any], vendor: TelegramHooks, **more: Any) -> Answer:
    body = {"credentials": {"bot_token": TOKEN}, "api_url": vendor.url, **more}
    answer = tenant.post(f"/v1/sources/{source['id']}/subscribe", body)
    assert CANARY not in answer.text
    return answer


def shown(tenant: Api, source: dict[str, Any]) -> Any:
    found = tenant.get(f"/v1/sources/{source['id']}").json
    listed = [one for one in tenant.get("/v1/sources").json["data"] if one["id"] == source["id"]]
    assert [one["subscription"] for one in listed] == [found["subscription"]]
    return found["subscription"]


def check(tenant: Api) -> None:
    record = tenant.runtime.config.tenant(tenant.made["tenant"]).record
    subscription_checks.handle(tenant.runtime, [record], lambda: 1000)


def told(tenant: Api) -> list[Any]:
    tenant.feed("inbox", app.route)
    found = tenant.get("/v1/events").json["data"]
    return [e["raw"] for e in reversed(found) if e["native_kind"] == "source.unsubscribed"]


def test_the_webhook_is_set_and_shown_when_a_source_is_subscribed(
    tenant: Api,
    source: dict[str, Any],
    telegram: TelegramHooks,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert shown(tenant, source) is None

    answer = subscribe(tenant, source, telegram)

    assert answer.status == 200, answer.text
    assert telegram.set_to["url"] == source["url"]
    assert telegram.set_to["secret_token"] == SOURCE["secret"]["secret_token"]  # type: ignore[index]
    assert {"message", "message_reaction", "chat_member"} <= set(telegram.set_to["allowed_updates"])
    assert (answer.json["state"], answer.json["error"], answer.json["kept"]) == ("active", None, False)
    assert shown(tenant, source) == answer.json
    assert subscribe(tenant, source, telegram).json["state"] == "active"
    assert CANARY not in "".join(capfd.readouterr()) + caplog.text


def test_another_webhook_stays_until_the_tenant_says_that_it_is_replaced(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    telegram.set_one(ELSEWHERE)

    refused = subscribe(tenant, source, telegram)
    assert (refused.status, refused.json["code"]) == (409, "subscribed_elsewhere")
    assert telegram.webhooks == [ELSEWHERE]
    assert shown(tenant, source) is None

    assert subscribe(tenant, source, telegram, replace=True).status == 200
    assert telegram.webhooks == [source["url"]]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (Reply(401, {"ok": False, "description": CANARY}), 422, "platform_refused"),
        (Reply(400, {"ok": False, "description": CANARY}), 422, "platform_refused"),
        (Reply(500, CANARY.encode()), 502, "platform_unavailable"),
        (Reply(200, CANARY.encode()), 502, "platform_unavailable"),
    ],
)
def test_a_refusal_is_a_problem_without_the_platform_s_words(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks, reply: Reply, status: int, code: str
) -> None:
    telegram.next_replies = [reply] * 9

    answer = subscribe(tenant, source, telegram, keep=True)

    assert (answer.status, answer.json["code"]) == (status, code)
    assert shown(tenant, source) is None


def test_a_webhook_that_the_platform_does_not_show_is_not_claimed(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    telegram.set_one = lambda url: None  # type: ignore[method-assign]

    assert subscribe(tenant, source, telegram).status == 502


def test_wrong_requests_are_refused(tenant: Api, source: dict[str, Any], telegram: TelegramHooks) -> None:
    path = f"/v1/sources/{source['id']}/subscribe"

    assert tenant.post(path, {}).json["errors"][0]["loc"] == "body.credentials.bot_token"
    assert tenant.post(path, {"credentials": {"bot_token": "no"}}).status == 422
    assert tenant.post(path, {"credentials": {"bot_token": TOKEN, "more": 1}}).status == 422
    elsewhere = subscribe(tenant, source, telegram, api_url="https://10.0.0.1")
    assert elsewhere.json["errors"][0]["loc"] == "body.api_url"
    kakao = tenant.made_by("/v1/sources", {"channel": "kakaotalk", "name": "k", "secret": {}})
    assert subscribe(tenant, kakao, telegram).json["code"] == "conflict"
    own = next(one for one in tenant.get("/v1/sources").json["data"] if one["channel"] == "waybill")
    assert subscribe(tenant, own, telegram).status == 409
    assert tenant.with_key(scopes=["read"]).post(path, {}).status == 403
    assert telegram.requests == []


def test_a_lost_subscription_is_told_once_when_the_daily_check_finds_it(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    assert subscribe(tenant, source, telegram, keep=True).json["kept"] is True
    asked = len(telegram.requests)
    check(tenant)
    assert len(telegram.requests) == asked  # not due yet

    tenant.clock.at += DAY
    check(tenant)
    assert (shown(tenant, source)["state"], told(tenant)) == ("active", [])

    for number, (url, state) in enumerate([(ELSEWHERE, "elsewhere"), ("", "absent")], start=1):
        telegram.set_one(url)
        for _ in range(2):
            tenant.clock.at += DAY
            check(tenant)
        assert shown(tenant, source)["state"] == state
        found = told(tenant)
        assert [(e["source"], e["state"]) for e in found][number - 1 :] == [(source["id"], state)]

    telegram.set_one(source["url"])
    tenant.clock.at += DAY
    check(tenant)
    assert shown(tenant, source)["state"] == "active"
    assert len(told(tenant)) == 2


def test_errors_of_the_platform_are_told_as_codes(tenant: Api, source: dict[str, Any], telegram: TelegramHooks) -> None:
    subscribe(tenant, source, telegram, keep=True)
    tenant.clock.at += DAY
    telegram.last_error = {
        "pending_update_count": 3,
        "last_error_date": int(tenant.clock.at.timestamp()) - 60,
        "last_error_message": f"Wrong response from the webhook: 503 Service Unavailable {CANARY}",
    }
    check(tenant)

    assert (shown(tenant, source)["state"], shown(tenant, source)["error"]) == ("failing", "http_503")
    assert [(e["state"], e["error"]) for e in told(tenant)] == [("failing", "http_503")]


def test_an_outage_of_the_platform_is_no_loss_and_a_refusal_is_one(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    subscribe(tenant, source, telegram, keep=True)
    tenant.clock.at += DAY
    before = shown(tenant, source)["checked_at"]
    telegram.next_replies = [Reply(500, b"")]
    check(tenant)
    assert shown(tenant, source) == {"state": "active", "checked_at": before, "error": "unavailable", "kept": True}

    telegram.next_replies = [telegram.refusal()]
    check(tenant)  # the next hour tries again
    assert (shown(tenant, source)["state"], shown(tenant, source)["error"]) == ("unknown", "credentials")
    assert [e["state"] for e in told(tenant)] == ["unknown"]


def test_credentials_are_stored_only_where_the_tenant_says_so_and_never_in_the_clear(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    def rows() -> list[dict[str, Any]]:
        return list(tenant.runtime.config._table.query("pk = :p", {":p": tenant.made["tenant"]}))

    subscribe(tenant, source, telegram)
    assert not [row for row in rows() if row["sk"].startswith("sub#")]
    tenant.clock.at += DAY
    asked = len(telegram.requests)
    check(tenant)
    assert len(telegram.requests) == asked

    subscribe(tenant, source, telegram, keep=True)
    assert [row["sk"] for row in rows() if row["sk"].startswith("sub#")] == [f"sub#{source['id']}#credentials"]
    assert CANARY.encode() not in b"".join(row.get("sealed") or b"" for row in rows())
    assert CANARY not in json.dumps(rows(), default=str)

    subscribe(tenant, source, telegram)  # without keep they are forgotten
    assert not [row for row in rows() if row["sk"].startswith("sub#")]


def test_nothing_is_left_when_the_source_is_closed(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    subscribe(tenant, source, telegram, keep=True)
    store = subscriptions.store_of(tenant.runtime)
    keys = tenant.runtime.config.keys_of(tenant.made["tenant"])
    assert store.credentials(tenant.made["tenant"], source["id"], keys) is not None

    assert tenant.call("DELETE", f"/v1/sources/{source['id']}").status == 204

    assert store.credentials(tenant.made["tenant"], source["id"], keys) is None
    assert list(store.of_tenant(tenant.made["tenant"])) == []
    asked = len(telegram.requests)
    tenant.clock.at += DAY
    check(tenant)
    assert len(telegram.requests) == asked


def connected(tenant: Api, vendor: StandIn, **secret: Any) -> dict[str, Any]:
    body = {**SOURCE, "channel": vendor.channel, "secret": {**vendor.secret, **secret}}
    return tenant.made_by("/v1/sources", body)


def test_vk_gets_the_string_that_it_wants_back(tenant: Api) -> None:
    with running(VkHooks()) as community:
        community.code = "fr0mVK"
        made = connected(tenant, community, confirmation="unknown")
        body = {"credentials": dict(community.credentials), "api_url": community.url}
        answer = tenant.post(f"/v1/sources/{made['id']}/subscribe", body)
        version = tenant.get(f"/v1/sources/{made['id']}").headers["ETag"]
        assert tenant.post(f"/v1/sources/{made['id']}/subscribe", body).status == 200

    assert answer.json["state"] == "active", answer.text
    assert tenant.get(f"/v1/sources/{made['id']}").headers["ETag"] == version  # the same secret is not stored again
    event = {"type": "confirmation", "group_id": 777, "secret": community.secret["secret"]}
    headers = [("content-type", "application/json")]
    asked = local_server.http_api_event("POST", f"/hooks/{made['id']}", "", headers, json.dumps(event).encode())
    assert app.hooks(asked, None)["body"] == "fr0mVK"


def test_a_source_whose_own_secret_opens_the_api_is_always_checked(tenant: Api) -> None:
    with running(ViberHooks()) as bot:
        made = connected(tenant, bot)
        answer = tenant.post(f"/v1/sources/{made['id']}/subscribe", {"api_url": bot.url})
        assert (answer.json["state"], answer.json["kept"]) == ("active", True), answer.text
        bot.set_one("")
        tenant.clock.at += DAY
        check(tenant)

    assert shown(tenant, made)["state"] == "absent"
    assert [e["state"] for e in told(tenant)] == ["absent"]


def test_the_token_of_an_address_is_in_the_webhook_and_in_no_answer(tenant: Api) -> None:
    with running(OkHooks()) as group:
        made = tenant.made_by("/v1/sources", {**SOURCE, "channel": "ok", "secret": {}})
        body = {"credentials": dict(group.credentials), "api_url": group.url}
        answer = tenant.post(f"/v1/sources/{made['id']}/subscribe", body)

    assert answer.status == 200, answer.text
    assert group.webhooks == [made["url"]] and "?token=" in made["url"]
    assert made["url"].partition("=")[2] not in answer.text + tenant.get(f"/v1/sources/{made['id']}").text


def test_kept_credentials_are_read_after_the_master_key_was_rotated(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    subscribe(tenant, source, telegram, keep=True)
    runtime, owner = tenant.runtime, tenant.made["tenant"]
    place = {"pk": owner, "sk": f"sub#{source['id']}#credentials"}
    before = runtime.config._table.get(place)
    runtime.keys.rotate(owner, runtime.random, "job_" + "0" * 26)
    tenant.clock.at += timedelta(days=2)
    done, _ = runtime.wraps.secrets(owner, runtime.config.keys_of(owner), "", 500)

    after = runtime.config._table.get(place)
    assert done >= 2 and before is not None and after is not None and before["sealed"] != after["sealed"]
    kept = subscriptions.store_of(runtime).credentials(owner, source["id"], runtime.config.keys_of(owner))
    assert kept["credentials"] == {"bot_token": TOKEN}


def test_one_source_whose_check_fails_keeps_no_other_from_its_own(
    tenant: Api, telegram: TelegramHooks, caplog: pytest.LogCaptureFixture
) -> None:
    made = [tenant.made_by("/v1/sources", SOURCE) for _ in range(3)]
    for one in made:
        subscribe(tenant, one, telegram, keep=True, replace=True)
    place = {"pk": tenant.made["tenant"], "sk": f"sub#{made[0]['id']}#credentials"}
    tenant.runtime.config._table.update(place, "SET sealed = :s", {":s": b"not sealed by anyone"})
    tenant.clock.at += DAY

    check(tenant)

    assert [shown(tenant, one)["state"] for one in made] == ["active", "elsewhere", "active"]
    assert "subscription_not_checked" in caplog.text and CANARY not in caplog.text


def test_a_run_without_time_leaves_the_checks_to_the_next(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks, capfd: pytest.CaptureFixture[str]
) -> None:
    subscribe(tenant, source, telegram, keep=True)
    telegram.set_one("")
    tenant.clock.at += DAY
    record = tenant.runtime.config.tenant(tenant.made["tenant"]).record

    subscription_checks.handle(tenant.runtime, [record], lambda: 0)
    assert shown(tenant, source)["state"] == "active"
    assert "subscription_checks_late" in "".join(capfd.readouterr())

    check(tenant)
    assert shown(tenant, source)["state"] == "absent"


def test_a_subscription_that_came_after_the_end_of_its_source_is_deleted(
    tenant: Api, source: dict[str, Any], telegram: TelegramHooks
) -> None:
    subscribe(tenant, source, telegram, keep=True)
    store, owner = subscriptions.store_of(tenant.runtime), tenant.made["tenant"]
    found, keys = store.get(owner, source["id"]), tenant.runtime.config.keys_of(owner)
    assert found is not None and tenant.call("DELETE", f"/v1/sources/{source['id']}").status == 204
    store.keep(owner, source["id"], keys, {"credentials": {}, "api_url": None})
    store.put(owner, source["id"], found)
    tenant.clock.at += DAY

    check(tenant)

    assert (store.get(owner, source["id"]), store.credentials(owner, source["id"], keys)) == (None, None)
