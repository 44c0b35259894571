"""Redaction: the removed and the kept parts, and that nothing slips through."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.event.event import DataClass, from_document
from chalicelib.core.event.event_fields import FIELDS, classes_of
from chalicelib.core.pattern.redaction import check_redactions, redact

KEY = b"k" * 32


def event() -> Any:
    document = {
        "schema": "waybill.event/1", "id": "evt_1", "tenant": "tnt_1", "source": "src_1", "channel": "telegram",
        "kind": "message", "native_kind": "message", "dedupe_id": "d1", "occurred_at": "2026-11-16T10:00:00.000Z",
        "received_at": "2026-11-16T10:00:01.000Z",
        "conversation": {"id": "c1", "direct": True, "thread": None, "title": "Order 7", "successor": "c2",
                         "alt_ids": [{"kind": "user_id", "id": "x-1"}, {"kind": "phone", "contact": "+491701234567"}]},
        "sender": {"id": "u1", "name": "Erika", "username": "erika_m", "phone": "+49 170 1234567",
                   "alt_ids": [{"kind": "username", "id": "erika_m"}, {"kind": "email", "contact": "erika@example.org"}], "successor": "u9"},
        "message": {
            "id": "m1", "text": "Hello there", "emoji": ["eyes", "ok"],
            "attachments": [
                {"type": "image", "ref": "file1", "caption": "one", "latitude": 52.5, "native_type": "photo"},
                {"type": "contact", "phone": "erika@example.org", "caption": "two", "native_type": "card",
                 "phones": ["+49 170 1234567"], "emails": ["erika@example.org"]},
                {"type": "file", "name": "cv.pdf", "caption": "four", "native_type": "doc", "options": ["a long one"]},
            ],
            "group_id": "g1", "quotes": [{"id": "m0", "sender": "u3", "name": "Olga", "text": "What time?"}],
            "fields": [{"name": "size", "value": "large"}],
            "referral": {"source": "ad", "id": "a1", "url": "https://a.example/1", "title": "Sale", "text": "Now",
                         "click_id": "k1", "payload": "spring"},
        },
        "members": [{"id": "u2", "name": "Max", "alt_ids": [{"kind": "phone", "contact": "+491701234567"},
                                                              {"kind": "user_id", "id": "x-9"}]}],
        "consent": {"state": "given", "topic": "news"}, "standby": True,
        "raw": {"text": "Hello there"},
    }  # fmt: skip
    return from_document(document).document()


def by_class(name: Any, action: Any = "drop") -> Any:
    return {"class": name, "action": action}


def by_path(path: Any, action: Any = "drop") -> Any:
    return {"path": path, "action": action}


def test_event_stays_when_nothing_is_redacted() -> None:
    assert redact(event(), [], KEY) == event()


def test_event_given_stays_as_it_was_when_redacted() -> None:
    given_event = event()

    redact(given_event, [by_class("content"), by_path("$.message.attachments[*]")], KEY)

    assert given_event == event()


@pytest.mark.parametrize("name", [c.value for c in DataClass if c is not DataClass.TECHNICAL])
def test_class_is_gone_and_others_stay_when_dropped(name: Any) -> None:
    before = event()

    after = redact(before, [by_class(name)], KEY)

    assert set(classes_of(after)) == set(classes_of(before)) - {name}
    assert "raw" not in after


def test_raw_goes_when_anything_is_redacted() -> None:
    assert "raw" not in redact(event(), [by_class("behaviour", "mask")], KEY)


@pytest.mark.parametrize(
    ("path", "value", "masked"),
    [
        ("$.sender.name", "Erika", "E***a"),
        ("$.sender.name", "Eri", "***"),
        ("$.sender.phone", "+49 170 1234567", "+** *** *****67"),
        ("$.sender.phone", "1234", "****"),
        ("$.sender.phone", "erika7@example.org", "e****************g"),
        ("$.message.text", "", ""),
    ],
)
def test_text_keeps_its_length_when_masked(path: Any, value: Any, masked: Any) -> None:
    document = event()
    _, holder, name = path.split(".")
    document[holder][name] = value

    assert redact(document, [by_path(path, "mask")], KEY)[holder][name] == masked


def test_number_goes_when_masked() -> None:
    after = redact(event(), [by_class("location", "mask")], KEY)

    assert after["message"]["attachments"][0]["latitude"] is None


def test_items_are_masked_each_when_field_is_a_list() -> None:
    assert redact(event(), [by_class("behaviour", "mask")], KEY)["message"]["emoji"] == ["****", "**"]


def test_pseudonym_is_stable_and_of_one_recipient_when_made() -> None:
    one = redact(event(), [by_class("identifier", "pseudonymise")], KEY)["sender"]["id"]
    again = redact(event(), [by_class("identifier", "pseudonymise")], KEY)["sender"]["id"]
    other = redact(event(), [by_class("identifier", "pseudonymise")], b"o" * 32)["sender"]["id"]

    assert one == again != other
    assert one.startswith("psn_")
    assert len(one) == 30


def test_equal_values_of_two_classes_differ_when_pseudonymised() -> None:
    document = event()
    document["sender"]["name"] = document["sender"]["username"]

    after = redact(document, [by_class("identifier", "pseudonymise"), by_class("name", "pseudonymise")], KEY)

    assert after["sender"]["name"] != after["sender"]["username"]


def test_list_items_go_by_their_first_places_when_several_are_dropped() -> None:
    after = redact(event(), [by_path("$.message.attachments[0]"), by_path("$.message.attachments[1]")], KEY)

    assert [a["caption"] for a in after["message"]["attachments"]] == ["four"]


def test_object_is_null_and_all_items_go_when_dropped_by_path() -> None:
    after = redact(event(), [by_path("$.sender"), by_path("$.message.attachments[*]"), by_path("$.members")], KEY)

    assert after["sender"] is None
    assert after["members"] is None
    assert after["message"]["attachments"] == []


def test_field_of_every_item_is_null_when_dropped_by_path() -> None:
    after = redact(event(), [by_path("$.message.attachments[*].caption")], KEY)

    assert {a["caption"] for a in after["message"]["attachments"]} == {None}


def test_technical_fields_stay_when_path_names_or_covers_them() -> None:
    before = {**event(), "messenger": "whatsapp"}

    after = redact(before, [by_path("$.kind"), by_path("$.message", "mask"), by_path("$.id", "pseudonymise")], KEY)

    technical = [f.path for f in FIELDS if f.data_class is DataClass.TECHNICAL]
    for path in technical:
        assert _at(after, path) == _at(before, path), path


def _at(value: Any, path: Any) -> Any:
    for n, step in enumerate(path):
        if step == "*":
            return [_at(item, path[n + 1 :]) for item in value]
        if value is None:
            return None
        value = value[step]
    return value


def test_strongest_action_counts_when_several_meet() -> None:
    weak_first = [by_class("name", "mask"), by_path("$.sender.name", "drop")]

    assert redact(event(), weak_first, KEY)["sender"]["name"] is None
    assert redact(event(), weak_first[::-1], KEY)["sender"]["name"] is None


ACTIONS = st.sampled_from(["drop", "mask", "pseudonymise"])
REDACTIONS = st.lists(
    st.one_of(
        st.builds(by_class, st.sampled_from([c.value for c in DataClass if c != "technical"]), ACTIONS),
        st.builds(
            by_path,
            st.sampled_from(
                ["$.sender", "$.sender.name", "$.message.attachments[1]", "$.message.attachments[*].caption", "$.members[0]",
                 "$.message.emoji[0]", "$.message.emoji", "$.conversation.title", "$.raw", "$.message.attachments[9]"]
            ),
            ACTIONS,
        ),
    ),
    max_size=6,
)  # fmt: skip


@given(REDACTIONS, st.randoms())
def test_result_is_the_same_when_order_changes(redactions: Any, chance: Any) -> None:
    shuffled = copy.copy(redactions)
    chance.shuffle(shuffled)

    assert redact(event(), shuffled, KEY) == redact(event(), redactions, KEY)
    assert check_redactions(redactions) == []


@given(REDACTIONS)
def test_no_dropped_value_is_left_when_redacted(redactions: Any) -> None:
    after = json.dumps(redact(event(), redactions, KEY))

    dropped = {r.get("class") for r in redactions if r["action"] == "drop"}
    values = {"content": "Hello there", "name": 'Erika"', "contact": "1234567", "media": "file1"}
    for name, value in values.items():
        assert name not in dropped or value not in after


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"class": "name", "path": "$.sender", "action": "drop"}, "class: must be given, or path"),
        ({"action": "drop"}, "class: must be given, or path"),
        ({"class": "name"}, "action: must be one of"),
        ({"class": "name", "action": "blur"}, "action: must be one of"),
        ({"class": "secrets", "action": "drop"}, "class: must be one of"),
        ({"class": "technical", "action": "drop"}, "class: must be one of"),
        ({"path": "$..name", "action": "drop"}, "path: must be made of"),
        ({"path": "sender", "action": "drop"}, "path: must be made of"),
        ({"path": "$.a[-1]", "action": "drop"}, "path: must be made of"),
        ({"path": "$", "action": "drop"}, "path: the whole event"),
        ({"path": "$.sender.nose", "action": "drop"}, "path: no event has such a field"),
        ({"path": "$.message.text.x", "action": "drop"}, "path: no event has such a field"),
        ({"path": "$.message.text[0]", "action": "drop"}, "path: no event has such a field"),
        ({"path": "$.occurred_at[*]", "action": "drop"}, "path: no event has such a field"),
        ({"path": "$.message.emoji[0][0]", "action": "drop"}, "path: no event has such a field"),
        ({"path": "$.kind", "action": "drop"}, "path: technical fields"),
        ({"path": "$.message.attachments[0].type", "action": "mask"}, "path: technical fields"),
        ({"class": "name", "action": "drop", "why": "x"}, "a redaction has an action"),
    ],
)
def test_redaction_is_refused_when_wrong(item: Any, said: Any) -> None:
    (problem,) = check_redactions([by_class("name"), item])

    assert problem.startswith(f"[1].{said}")


def test_redactions_are_refused_when_too_many() -> None:
    assert check_redactions([by_class("name")] * 101) == ["at most 100 redactions"]
