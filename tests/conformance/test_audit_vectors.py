"""RFC 8785 by vectors, and zlib at its bounds."""

from __future__ import annotations

import random
import zlib

import pytest

from chalicelib.core.errors import AuditBroken, Misconfigured
from chalicelib.core.log import leaf

VECTORS = [
    ({}, b"{}"),
    ([], b"[]"),
    ({"b": 1, "a": [True, False, None]}, b'{"a":[true,false,null],"b":1}'),
    ({"10": 1, "1": 2, "9": 3, "": 4}, b'{"":4,"1":2,"10":1,"9":3}'),
    ({"aa": 1, "a": 2, "A": 3, "_": 4}, b'{"A":3,"_":4,"a":2,"aa":1}'),
    (2**53 - 1, b"9007199254740991"),
    (-(2**53) + 1, b"-9007199254740991"),
    (0, b"0"),
    ("\b\t\n\f\r", rb'"\b\t\n\f\r"'),
    ("\x00\x0f\x1f\x7f", b'"\\u0000\\u000f\\u001f\x7f"'),
    ("\"\\/'<>&", b'"\\"\\\\/\'<>&"'),
    ("\u2028\u2029\u20ac", '"\u2028\u2029\u20ac"'.encode()),
    ("\u0061\u0308", '"\u0061\u0308"'.encode()),  # never composed
    ("\U0001f600", '"\U0001f600"'.encode()),
    # UTF-16 sorts D83D DE00 before FB33 and FFFF, code points sort it after them
    (
        {"\ufb33": 1, "\U0001f600": 2, "\uffff": 3, "\u20ac": 4, "\r": 5, "\u0080": 6, "\u00f6": 7, "1": 8},
        '{"\\r":5,"1":8,"\u0080":6,"\u00f6":7,"\u20ac":4,"\U0001f600":2,"\ufb33":1,"\uffff":3}'.encode(),
    ),
    ({"\ue000": {"\U0010ffff": 1, "\uf000": 2}}, '{"\ue000":{"\U0010ffff":1,"\uf000":2}}'.encode()),
]


@pytest.mark.parametrize(("value", "data"), VECTORS, ids=range(len(VECTORS)))
def test_bytes_are_those_of_rfc_8785_when_written(value: object, data: bytes) -> None:
    assert leaf.canonical(value) == data


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, float("nan"), object()])
def test_a_value_is_refused_when_json_has_no_form_for_it(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        leaf.canonical(value)


@pytest.mark.parametrize("length", [0, 1, 255, 32_767, 32_768, 65_534, 65_535])
def test_a_leaf_comes_back_when_it_is_as_long_as_it_may_be(length: int) -> None:
    for data in (b"x" * length, random.Random(length).randbytes(length)):
        assert leaf.inflate(leaf.deflate(data)) == data


def raw(data: bytes, **given: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15, **given)  # type: ignore[arg-type]
    return deflater.compress(data) + deflater.flush()


def test_a_leaf_is_refused_when_it_is_one_byte_too_long() -> None:
    with pytest.raises(Misconfigured):
        leaf.deflate(b"x" * 65_536)
    with pytest.raises(AuditBroken):
        leaf.inflate(raw(b"x" * 65_536))


def test_a_stream_is_refused_when_it_is_a_bomb_cut_followed_or_of_another_kind() -> None:
    stored = leaf.deflate(b'{"schema":"waybill.audit/1"}')
    flushed = zlib.compressobj(9, zlib.DEFLATED, -15)
    unfinished = flushed.compress(b"x" * 100) + flushed.flush(zlib.Z_SYNC_FLUSH)

    for broken in (
        raw(bytes(50_000_000)), stored[:-1], stored + b"\x00", stored + stored, unfinished, b"",
        zlib.compress(b"x"), zlib.compress(b"x" * 100)[2:], b"\xff" * 20,
    ):  # fmt: skip
        with pytest.raises(AuditBroken):
            leaf.inflate(broken)


def test_other_bytes_are_seen_when_the_dictionary_is_another() -> None:
    data = leaf.dictionary()[-500:]
    other = raw(data, zdict=leaf.dictionary()[::-1] + leaf.dictionary()[:-9])

    try:
        assert leaf.inflate(other) != data
    except AuditBroken:
        return


def test_the_stored_form_is_plain_deflate_when_read_with_the_published_dictionary() -> None:
    data = b'{"kind":"attempted","schema":"waybill.audit/1"}'

    assert zlib.decompressobj(-15, zdict=leaf.dictionary()).decompress(leaf.deflate(data)) == data
