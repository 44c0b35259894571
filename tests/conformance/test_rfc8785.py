"""The canonical form of JSON by the examples of RFC 8785, in both verifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785

from chalicelib.core.log import leaf
from tests.support.bundles import second

SORTED = (
    {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
     "\U0001f600": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"},
    ["Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign", "Emoji: Grinning Face",
     "Hebrew Letter Dalet With Dagesh"],
)  # fmt: skip
"""https://www.rfc-editor.org/rfc/rfc8785#section-3.2.3 (read 2026-11-22): names, and values in the order they come to."""
WRITTEN = [
    ('\u20ac$\x0f\nA\'B"\\\\"/', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),  # section 3.2.2
    ([None, True, False], "[null,true,false]"),
    ("\b\t\n\f\r\x00\x1f\x7f\u2028", '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\u2028"'),
    ({"a": {"b": [], "a": {}}, "": 0}, '{"":0,"a":{"a":{},"b":[]}}'),
    ([2**53 - 1, -(2**53) + 1, 0], "[9007199254740991,-9007199254740991,0]"),
]


def ours(value: Any) -> bytes:
    return leaf.canonical(value)


def theirs(value: Any) -> bytes:
    return str(second.canonical(value)).encode()


WRITERS = pytest.mark.parametrize("write", [ours, theirs, rfc8785.dumps], ids=["ours", "second", "reference"])
Write = Callable[[Any], bytes]


@WRITERS
def test_names_are_in_the_order_of_utf_16_when_written(write: Write) -> None:
    values, order = SORTED

    assert list(json.loads(write(values)).values()) == order


@WRITERS
@pytest.mark.parametrize(("value", "text"), WRITTEN)
def test_a_value_has_its_one_form_when_written(value: Any, text: str, write: Write) -> None:
    assert write(value) == text.encode()


@WRITERS
def test_reading_and_writing_again_changes_nothing(write: Write) -> None:
    for value, _ in [*WRITTEN, SORTED]:
        assert write(json.loads(write(value))) == write(value)
