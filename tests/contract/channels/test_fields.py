"""The readers of untrusted values: the values they accept, the values they refuse, and that no other error comes out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.channels import fields
from chalicelib.core import times
from chalicelib.core.errors import MalformedPayload

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"7",
        b"[]",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
    ],
)
def test_body_is_malformed_when_no_platform_would_send_it(body: bytes) -> None:
    with pytest.raises(MalformedPayload) as caught:
        fields.parse_json(body)

    # The parser's own error keeps the document: it must not travel along.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_integers_are_exact_when_large() -> None:
    assert fields.parse_json(b'{"a": %d}' % 2**4096) == {"a": 2**4096}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"\ud83c\udf4f", "\U0001f34f"),
        (r"\uD83C\uDF4F", "\U0001f34f"),
        (r"\ud83c", "\ufffd"),
        (r"\uDF4Fx\ud83c", "\ufffdx\ufffd"),
        (r"\\ud83c", r"\ud83c"),
        (r"\\ud83c\udf4f", "\\ud83c\ufffd"),
        (r"\ud83c\ud83c\udf4f\udf4f", "\ufffd\U0001f34f\ufffd"),
        ("\U0001f34f é", "\U0001f34f é"),
        (r"a\u0000b", "a\0b"),
    ],
)
def test_lone_surrogates_are_replaced_and_nothing_else(sent: str, read: str) -> None:
    assert fields.parse_json(f'{{"{sent}": ["{sent}"]}}'.encode()) == {read: [read]}


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (
            b"event=plum&data%5Bmessage%5D%5Bid%5D=7&data[message][text]=",
            {"event": "plum", "data": {"message": {"id": "7", "text": ""}}},
        ),
        (b"a%5B0%5D%5Bb%5D=1&a%5B1%5D%5Bb%5D=2", {"a": {"0": {"b": "1"}, "1": {"b": "2"}}}),
        (b"a=1&a[b]=2&a[b][c]=3", {"a": "1"}),
        (b"a[b]=2&a=1", {"a": {"b": "2"}}),
        (b"a[=1&b]=2&[c]=3", {"a": {"": "1"}, "b": "2", "": {"c": "3"}}),
        (b"", {}),
    ],
)
def test_form_of_paths_becomes_objects(body: bytes, document: dict[str, Any]) -> None:
    assert fields.parse_bracketed_form(body) == document


def test_form_of_paths_is_refused_when_it_nests_too_deep() -> None:
    assert fields.parse_bracketed_form(b"a" + b"[b]" * fields.MAX_DEPTH + b"=1")
    with pytest.raises(MalformedPayload):
        fields.parse_bracketed_form(b"a" + b"[b]" * (fields.MAX_DEPTH + 1) + b"=1")


@given(ANYTHING)
def test_parsed_document_can_always_be_written_again(value: Any) -> None:
    try:
        document = fields.parse_json(json.dumps({"a": value}).encode())
    except MalformedPayload:
        return

    assert json.loads(json.dumps(document, ensure_ascii=False).encode()) == document


READERS: tuple[Callable[[Any], object], ...] = (
    *(fields.mapping, fields.listing, fields.items, fields.text, fields.optional_id, fields.integer, fields.number),
    *(fields.seconds, fields.millis, fields.instant, fields.phone, fields.word),
)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@given(value=ANYTHING)
@example(value=math.nan)
def test_reader_never_raises(reader: Callable[[Any], object], value: Any) -> None:
    json.dumps(reader(value), default=times.text)


def read_back(at: datetime | None) -> int | None:
    return None if at is None else times.millis(at)


@given(st.integers(min_value=0, max_value=4_102_444_799_999))
def test_times_are_read_back_to_the_millisecond(millis: int) -> None:
    assert read_back(fields.millis(millis)) == millis
    assert read_back(fields.millis(str(millis))) == millis
    assert read_back(fields.seconds(f"{millis // 1000}.{millis % 1000:03d}999")) == millis


@pytest.mark.parametrize(
    "value", [-1, 4_102_444_800, "4102444800", 10**400, "9" * 18, "", None, True, "12:00", 1e300, "²"]
)
def test_time_is_none_when_outside_1970_to_2100(value: Any) -> None:
    assert fields.seconds(value) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-03-02T09:30:00Z", "2026-03-02T09:30:00.000Z"),
        ("2026-03-02T09:30:00.1239", "2026-03-02T09:30:00.123Z"),
        ("2026-03-02T12:30:00.5+0300", "2026-03-02T09:30:00.500Z"),
    ],
)
def test_time_is_in_utc_when_it_has_no_offset(value: str, read: str) -> None:
    at = fields.instant(value)

    assert at is not None
    assert times.text(at) == read


@pytest.mark.parametrize(
    "value", ["", None, 1772443800, "1969-12-31", "2100-01-01", "0001-01-01T00:00:00+14:00", "9:30"]
)
def test_time_is_none_when_it_is_not_iso_8601_of_our_time(value: Any) -> None:
    assert fields.instant(value) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [(7, "7"), (2**63, "9223372036854775808"), (-(2**63), "-9223372036854775808"), ("x", "x"), (0, "0")],
)
def test_id_is_exact(value: Any, read: str) -> None:
    assert fields.optional_id(value) == read


@pytest.mark.parametrize("value", [None, "", True, 1.0, 2**64, -(2**70), "x" * 513, [], {}])
def test_id_is_none_when_it_is_no_id(value: Any) -> None:
    assert fields.optional_id(value) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, []),
        ([], []),
        ([{"a": 1}, 5, None], [{"a": 1}, {"odd": 5}, {"odd": None}]),
        ({"a": 1}, [{"a": 1}]),
        (5, [{"odd": 5}]),
    ],
)
def test_items_lose_no_item_when_one_is_no_object(value: Any, read: list[Any]) -> None:
    assert fields.items(value) == read


@pytest.mark.parametrize(
    ("parts", "name"), [((None, "edited", 1), ""), (("m1",), "m1"), (("m1", "edited", None, 7), "m1:edited:7")]
)
def test_occurrence_has_no_name_when_it_has_no_id(parts: tuple[Any, ...], name: str) -> None:
    assert fields.occurrence(*parts) == name


@pytest.mark.parametrize(("value", "read"), [("", None), ("x", "x"), (7, "7"), (1.5, "1.5"), (True, None), ([], None)])
def test_text_is_kept_when_it_is_a_number(value: Any, read: str | None) -> None:
    assert fields.text(value) == read


@pytest.mark.parametrize("value", [-1, "12 kB", 1.5, True, None, "", [], 2**63])
def test_whole_number_is_none_when_it_is_none(value: Any) -> None:
    assert fields.integer(value) is None


@pytest.mark.parametrize(
    ("value", "international", "read"),
    [
        ("+39 333 000-2222", False, "+393330002222"),
        ("393330002222", True, "+393330002222"),
        ("393330002222", False, "393330002222"),
        ("8 (495) 000-00-00", True, "8 (495) 000-00-00"),
        ("112", True, "112"),
        ("US.900100", True, "US.900100"),
        ("", True, None),
        (None, True, None),
    ],
)
def test_phone_is_e164_when_the_number_is_international(value: Any, international: bool, read: str | None) -> None:
    assert fields.phone(value, international=international) == read


@pytest.mark.parametrize(
    ("given", "expected", "equal"),
    [
        ("abc", "abc", True),
        ("abd", "abc", False),
        ("", "", False),
        ("", "abc", False),
        (None, "abc", False),
        (["abc"], "abc", False),
        ("\ud800", "?", False),
        ("é", "é", True),
    ],
)
def test_proof_equals_only_a_proof_that_is_there(given: Any, expected: str, equal: bool) -> None:
    assert fields.same(given, expected) is equal


def test_first_of_repeated_form_fields_counts() -> None:
    assert fields.parse_form(b"a=1&b=%FF&a=2") == {"a": "1", "b": "\ufffd"}


def test_form_is_malformed_when_it_has_too_many_fields() -> None:
    with pytest.raises(MalformedPayload):
        fields.parse_form(b"&".join(b"a=1" for _ in range(1001)))


@pytest.mark.parametrize(
    ("value", "read"), [("message", "message"), ("a b", "unknown"), ("x" * 65, "unknown"), (7, "unknown")]
)
def test_word_is_unknown_when_it_does_not_look_like_one(value: Any, read: str) -> None:
    assert fields.word(value) == read
