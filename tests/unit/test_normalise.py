"""``lines.normalise.answer``, and the page that describes the event."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.commands.normalise import answer, write
from chalicelib.core.event.event import EventKind
from chalicelib.core.event.event_fields import FIELDS

SECRET = {"secret_token": "orchard-hook_41"}
UPDATE = {
    "update_id": 9007199254740993,
    "message": {"message_id": 1, "date": 1772443800, "chat": {"id": 5, "type": "private"}, "text": "Груша \U0001f350"},
}
PAGE = (Path(__file__).parents[2] / "docs" / "event.md").read_text(encoding="utf-8")


def line(**changed: Any) -> str:
    request = {
        "channel": "telegram",
        "method": "POST",
        "url": "https://cell.example/hooks/src_a",
        "headers": {"X-Telegram-Bot-Api-Secret-Token": SECRET["secret_token"]},
        "query": {},
        "body": json.dumps(UPDATE, ensure_ascii=False),
        "secret": SECRET,
        "now": "2026-03-02T09:30:00Z",
        **changed,
    }
    return json.dumps({name: value for name, value in request.items() if value is not ...})


def test_events_are_complete_when_a_request_is_genuine() -> None:
    given = answer(line())

    assert (given["verdict"], given["ignored"], given["error"]) == ("accepted", [], None)
    assert given["reply"] == {"status": 200, "headers": {}, "body": ""}
    (event,) = given["events"]
    assert event["schema"] == "waybill.event/1"
    assert event["channel"] == "telegram"
    assert event["dedupe_id"] == "9007199254740993"
    assert event["occurred_at"] == "2026-03-02T09:30:00.000Z"
    assert [event[name] for name in ("id", "tenant", "source", "received_at")] == [None] * 4
    assert "raw" not in event


def test_every_field_of_the_model_is_in_the_answer() -> None:
    (event,) = answer(line())["events"]

    tops = {field.path[0] for field in FIELDS}
    assert set(event) == tops - {"raw", "messenger", "consent", "standby"}  # there only where they are known


def test_body_is_the_same_when_given_in_base64() -> None:
    body = json.dumps(UPDATE, ensure_ascii=False).encode()

    assert answer(line(body=..., body_base64=base64.b64encode(body).decode())) == answer(line())


def test_headers_are_found_when_their_case_differs() -> None:
    assert answer(line(headers={"x-TELEGRAM-bot-api-secret-token": SECRET["secret_token"]}))["verdict"] == "accepted"


def test_time_falls_back_to_now_when_the_platform_gives_none() -> None:
    update = {"update_id": 1, "callback_query": {"id": "1", "from": {"id": 5}, "data": "x"}}

    (event,) = answer(line(body=json.dumps(update), now="2026-03-02T11:30:00.250+02:00"))["events"]

    assert (event["occurred_at"], event["occurred_at_is_receipt"]) == ("2026-03-02T09:30:00.250Z", True)


def test_ignored_is_listed_when_nothing_is_an_event() -> None:
    given = answer(line(body='{"update_id": 1, "poll": {}}'))

    assert (given["verdict"], given["events"]) == ("ignored", [])
    assert [entry["native_kind"] for entry in given["ignored"]] == ["poll"]


def test_request_is_rejected_when_no_secret_is_configured() -> None:
    given = answer(line(secret={}))

    assert (given["verdict"], given["reply"]["status"], given["error"]["code"]) == ("rejected", 401, "not_genuine")
    assert json.loads(given["reply"]["body"])["status"] == 401


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "bad_line"),
        ("null", "bad_line"),
        ("[]", "bad_line"),
        ("{}", "bad_line"),
        ('{"channel": NaN}', "bad_line"),
        ("[" * 20_000 + "]" * 20_000, "bad_line"),
        (line(channel=7), "bad_line"),
        (line(headers=[]), "bad_line"),
        (line(headers={"a": 1}), "bad_line"),
        (line(query={"a": None}), "bad_line"),
        (line(body={}), "bad_line"),
        (line(body_base64="%%%"), "bad_line"),
        (line(secret="x"), "bad_line"),
        (line(now="yesterday"), "bad_line"),
        (line(now="2026-03-02T09:30:00"), "bad_line"),
        (line(now=...), "bad_line"),
        (line(channel="pigeon_post"), "unknown_channel"),
        (line(channel="base"), "unknown_channel"),
        (line(channel="../core/event"), "unknown_channel"),
        (line(secret={"secret_token": ""}), "bad_secret"),
        (line(secret={"secret_token": 5}), "bad_secret"),
        (line(secret={"other": "x"}), "bad_secret"),
    ],
)
def test_answer_is_malformed_with_a_code_when_a_line_cannot_be_judged(given: str, code: str) -> None:
    told = answer(given)

    assert (told["verdict"], told["events"], told["ignored"]) == ("malformed", [], [])
    assert told["error"]["code"] == code
    assert (told["reply"]["status"], told["reply"]["headers"]["Content-Type"]) == (400, "application/problem+json")


def test_no_secret_is_repeated_when_a_secret_does_not_fit() -> None:
    told = write(answer(line(secret={"hunter2-as-a-name": "hunter2", "secret_token": ["hunter2"]})))

    assert "hunter2" not in told
    assert "secret_token" in told


@pytest.mark.parametrize("name", ["body", "headers", "query", "url"])
def test_lone_surrogates_do_no_harm_wherever_they_are(name: str) -> None:
    bad = "\ud800"
    values: dict[str, Any] = {
        "body": bad,
        "headers": {"X-Telegram-Bot-Api-Secret-Token": bad},
        "query": {bad: bad},
        "url": bad,
    }

    told = write(answer(line(**{name: values[name]})))

    assert told.encode()


def test_answer_is_one_line_when_texts_have_line_ends() -> None:
    update = {**UPDATE, "message": {**UPDATE["message"], "text": "a\r\nb\u2028c"}}  # type: ignore[dict-item]

    told = write(answer(line(body=json.dumps(update))))

    assert told.count("\n") == 0
    assert json.loads(told)["events"][0]["message"]["text"] == "a\r\nb\u2028c"


# --- docs/event.md


def test_page_names_every_field_with_its_class() -> None:
    rows = [row.split("|")[1:3] for row in PAGE.splitlines() if row.startswith("| `")]
    told = {name.strip().strip("`"): declared.strip() for name, declared in rows}

    expected = {".".join(field.path).replace(".*", "[]"): field.data_class.value for field in FIELDS}
    assert {name: told.get(name) for name in expected} == expected


def test_page_names_every_kind() -> None:
    assert [kind.value for kind in EventKind if f"| `{kind.value}` |" not in PAGE] == []
