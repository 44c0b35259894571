"""Laws of ``select``: nothing redacted comes back, the same input gives the same, and the bounds hold for any expression."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.errors import InvalidTransform
from chalicelib.core.pattern import transform
from chalicelib.core.pattern.redaction import redact
from chalicelib.core.pattern.transform import TransformFailed

CANARY = "c-a-n-a-r-y"
EVENT: dict[str, Any] = {
    "schema": "waybill.event/1",
    "id": "evt_1",
    "channel": "telegram",
    "kind": "message",
    "conversation": {"id": f"{CANARY}-1", "direct": True, "thread": None, "title": f"{CANARY}-2"},
    "sender": {"id": f"{CANARY}-3", "name": f"{CANARY}-4", "username": None, "phone": f"{CANARY}-5", "is_bot": False},
    "message": {
        "id": f"{CANARY}-6",
        "text": f"{CANARY}-7",
        "attachments": [{"type": "image", "ref": f"{CANARY}-8", "caption": f"{CANARY}-9", "size_bytes": 3}],
    },
    "raw": {"anything": [f"{CANARY}-10"]},
}
REDACTIONS = [
    {"class": name, "action": action}
    for name, action in (("identifier", "pseudonymise"), ("contact", "drop"), ("name", "mask"), ("media", "drop"))
] + [{"class": "content", "action": "drop"}]
NAMES = [
    "conversation",
    "sender",
    "message",
    "raw",
    "id",
    "name",
    "text",
    "title",
    "phone",
    "attachments",
    "ref",
    "anything",
]
FUNCTIONS = ["to_string", "keys", "values", "to_array", "length", "not_null", "reverse", "type", "merge", "sort"]

simple = st.sampled_from([*NAMES, "@", "*", "[*]", "[]", "[0]", "[::-1]"])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda p: f"{p[0]}.{p[1]}"),
        two.map(lambda p: f"{p[0]} | {p[1]}"),
        two.map(lambda p: f"{p[0]} || {p[1]}"),
        two.map(lambda p: f"[{p[0]}, {p[1]}]"),
        two.map(lambda p: f"{{a: {p[0]}, b: {p[1]}}}"),
        two.map(lambda p: f"{p[0]}[?{p[1]}]"),
        two.map(lambda p: f"{p[0]} == {p[1]}"),
        two.map(lambda p: f"map(&{p[0]}, {p[1]})"),
        two.map(lambda p: f"join('', {p[0]})"),
        two.map(lambda p: f"sort_by({p[0]}, &{p[1]})"),
        st.tuples(st.sampled_from(FUNCTIONS), inner).map(lambda p: f"{p[0]}({p[1]})"),
    )


expressions = st.recursive(simple, grown, max_leaves=12)


def made(expression: str, document: dict[str, Any]) -> tuple[str, str]:
    """Return the result of an expression: its value, or its error."""
    try:
        return "made", json.dumps(transform.apply(transform.compile(expression), document))
    except InvalidTransform as refusal:
        return "refused", refusal.reason
    except TransformFailed as failure:
        return "failed", failure.reason


@settings(max_examples=400)
@given(expressions)
def test_nothing_redacted_comes_back_when_any_expression_selects(expression: str) -> None:
    redacted = redact(EVENT, REDACTIONS, b"\x01" * 32)

    _, text = made(expression, redacted)

    assert CANARY not in text


def test_canary_would_be_seen_when_nothing_is_redacted() -> None:
    assert CANARY in made("to_string(message)", EVENT)[1]


@settings(max_examples=200)
@given(expressions)
def test_result_is_the_same_and_the_event_untouched_when_it_is_selected_twice(expression: str) -> None:
    before = json.dumps(EVENT)

    first, second = made(expression, EVENT), made(expression, json.loads(before))

    assert first == second
    assert json.dumps(EVENT) == before


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="a@*[]{}().,:|&!?<>=`'\"\\0-9 ", max_size=60)))
def test_any_text_is_taken_or_refused_with_a_place_when_it_is_compiled(text: str) -> None:
    try:
        compiled = transform.compile(text)
    except InvalidTransform as refusal:
        assert 0 <= refusal.position <= len(text)
        assert CANARY not in refusal.reason
    else:
        kind, _ = made(text, EVENT)
        assert compiled.expression == text
        assert kind in ("made", "failed")
