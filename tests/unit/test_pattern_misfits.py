"""Patterns that no event can match are refused, with the nearest right word; nothing that an event can have is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.channels import KINDS
from chalicelib.core.errors import InvalidPattern
from chalicelib.core.event.event import OPERATIONAL
from chalicelib.core.event.event_fields import FIELDS
from chalicelib.core.pattern.compiler import MAX_BYTES, Pattern
from chalicelib.core.pattern.misfits import compile_fitting, misfits
from tests.contract.channels.cases import cases, run

CHANNELS = (*KINDS, OPERATIONAL)

NEVER: dict[str, tuple[dict[str, Any], str, str]] = {
    "a field": ({"chanel": ["whatsapp"]}, "$.chanel", "did you mean channel?"),
    "a field's last word": ({"message": {"txt": ["x"]}}, "$.message.txt", "did you mean message.text?"),
    "a field's place": ({"text": ["x"]}, "$.text", "did you mean message.text?"),
    "a channel": ({"channel": ["whatsap"]}, "$.channel[0]", "did you mean whatsapp?"),
    "one channel of two": ({"channel": ["vk", "telegramm"]}, "$.channel[1]", "did you mean telegram?"),
    "a kind": ({"kind": ["messages"]}, "$.kind[0]", "did you mean message?"),
    "a kind by prefix": ({"kind": [{"prefix": "msg"}]}, "$.kind[0]", "kind is one of consent_changed, conversation_updated"),
    "a kind by suffix": ({"channel": [{"suffix": "gramm"}]}, "$.channel[0]", "channel is one of"),
    "a channel that is let out": ({"channel": [{"anything-but": ["whatsap"]}]}, "$.channel[0]", "did you mean whatsapp?"),
    "a type of attachment": ({"message": {"attachments": {"type": ["photo"]}}}, "$.message.attachments.type[0]", "never"),
    "a number for a text": ({"sender": {"id": [77]}}, "$.sender.id[0]", "sender.id is a text or null"),
    "a text for a flag": ({"sender": {"is_bot": ["true"]}}, "$.sender.is_bot[0]", "sender.is_bot is true or false"),
    "a range of a text": ({"occurred_at": [{"numeric": [">", 0]}]}, "$.occurred_at[0]", "occurred_at is a text"),
    "a beginning of a number": (
        {"message": {"attachments": {"size_bytes": [{"prefix": "1"}]}}},
        "$.message.attachments.size_bytes[0]",
        "is a number or null",
    ),
    "an object's own value": ({"message": ["hello"]}, "$.message[0]", "name a field inside it"),
    "what is never null": ({"kind": [None]}, "$.kind[0]", "kind is never null"),
    "one of two sides": ({"$or": [{"kind": ["message"]}, {"knd": ["x"]}]}, "$.$or[1].knd", "did you mean kind?"),
}  # fmt: skip

MAY: tuple[dict[str, Any], ...] = (
    {"raw": ["anything"]},
    {"raw": {"no": {"such": ["thing"]}}},
    {"message": [None]},
    {"message": [{"exists": False}]},
    {"members": [{"exists": False}]},
    {"message": {"text": [None, "", {"wildcard": "*x*"}]}},
    {"native_kind": ["destination.opened"]},
    {"channel": [{"anything-but": {"prefix": "tele"}}]},
    {"channel": [{"equals-ignore-case": "TELEGRAM"}]},
    {"sender": {"name": [{"anything-but": 7}]}},
    {"sender": {"id": [{"cidr": "10.0.0.0/8"}]}},
    {"otr": [True]},
    {"message": {"attachments": {"latitude": [{"numeric": [">", 1.5]}, 2]}}},
    {"message": {"emoji": ["👍"]}},
    {"schema": ["waybill.event/1"]},
    {"source": ["src_1"]},
)


@pytest.mark.parametrize("name", sorted(NEVER))
def test_refused_with_the_nearest_right_word_when_no_event_can_match(name: str) -> None:
    document, place, says = NEVER[name]
    Pattern.compile(document)  # the language itself allows it, and a stored pattern still compiles

    with pytest.raises(InvalidPattern) as refused:
        compile_fitting(document, CHANNELS)

    (fault,) = refused.value.errors
    assert (fault["loc"], fault["code"]) == (place, "invalid_pattern")
    assert says in fault["msg"]


@pytest.mark.parametrize("document", MAY, ids=json.dumps)
def test_taken_when_an_event_may_match(document: dict[str, Any]) -> None:
    compile_fitting(document, CHANNELS)


def test_every_place_is_named_when_several_can_never_match() -> None:
    with pytest.raises(InvalidPattern) as refused:
        compile_fitting({"chanel": ["x"], "kind": ["messages", "typing", "x" * 99]}, CHANNELS)

    assert [fault["loc"] for fault in refused.value.errors] == ["$.chanel", "$.kind[0]", "$.kind[2]"]
    assert "x" * 99 not in str(refused.value.errors)


def test_every_field_of_an_event_is_known() -> None:
    for field in FIELDS:
        path = [step for step in field.path if step != "*"]
        document: Any = [{"exists": True}]
        for step in reversed(path):
            document = {step: document}
        compile_fitting(document, CHANNELS)


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Any:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, path)
    else:
        yield path, node


def test_no_value_of_a_genuine_event_is_refused() -> None:
    documents = [event for kind in KINDS for case in cases(kind) for event in run(case)[1]]
    assert len(documents) > 100

    leaves = {(path, value) for document in documents for path, value in _leaves(document)}
    for path, value in (leaf for leaf in leaves if len(json.dumps(leaf)) < MAX_BYTES):
        pattern: Any = [value]
        for step in reversed(path):
            pattern = {step: pattern}
        assert list(misfits(Pattern.compile(pattern), CHANNELS)) == []
