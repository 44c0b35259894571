"""Spellings that one verifier might read and the other refuse: both give the same exit code."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.audit import make
from tests.fixtures.audit.make import Log
from tests.support.bundles import LAW, SIZE, USUAL, first_main, forged, full, raw_tar, run, second, selection, unpacked

FIRST = 0
"""Where the header of the manifest begins."""


def header(place: int, text: bytes, checksum: bytes = b"%06o\0 ") -> bytes:
    """The usual bundle, its first header with other bytes at a place and a checksum that fits."""
    data = bytearray(make.tar(full()))
    data[place : place + len(text)] = text
    data[148:156] = checksum % (sum(data[:148]) + sum(data[156:512]) + 8 * ord(" "))
    return bytes(data)


def split() -> bytes:
    """The usual bundle, the name of its law parted at the slash as ustar lets names be."""
    data = bytearray(make.tar(full()))
    place = data.rindex(LAW.encode())  # the manifest names it first
    folder, _, name = LAW.encode().partition(b"/")
    data[place : place + 100] = name.ljust(100, b"\0")
    data[place + 345 : place + 345 + len(folder)] = folder
    data[place + 148 : place + 156] = b" " * 8
    data[place + 148 : place + 156] = b"%06o\0 " % sum(data[place : place + 512])
    return bytes(data)


def sized(form: str) -> bytes:
    """The usual bundle, the size of its manifest in another spelling."""
    size = len(unpacked(make.tar(full()))[0][1])
    return header(124, form.format(size).encode().ljust(12, b"\0"))


def base256() -> bytes:
    size = len(unpacked(make.tar(full()))[0][1])
    return header(124, b"\x80" + size.to_bytes(11, "big"))


def made(at: str) -> bytes:
    return make.tar(full(), made_at=at)


def asked(*names: str, **query: object) -> bytes:
    return make.tar(
        make.members(copy.deepcopy(USUAL), chosen=range(SIZE)), query={**query, **dict.fromkeys(names, "x")}
    )


def last_day(log: Log) -> None:
    log.entries[0].update(at="9999-12-31T23:59:59.999Z")


TRICKS: dict[str, tuple[Callable[[], bytes], int]] = {
    "size: padded with spaces": (lambda: sized("{:>11o}"), 0),
    "size: ended by a space": (lambda: sized("{:011o} "), 0),
    "size: base 256": (base256, 0),
    "size: base 256, negative": (lambda: header(124, b"\xff" * 12), 4),
    "size: base 256, beyond the file": (lambda: header(124, b"\x80" + b"\xff" * 11), 4),
    "size: 0o": (lambda: sized("0o{:o}"), 4),
    "size: plus": (lambda: sized("+{:o}"), 4),
    "size: minus": (lambda: sized("-{:o}"), 4),
    "size: underscore": (lambda: sized("0_{:o}"), 4),
    "size: a tab before it": (lambda: sized("\t{:o}"), 4),
    "size: a NUL before it": (lambda: sized("\0{:o}"), 4),
    "size: something behind it": (lambda: sized("{:o}\0\0x"), 4),
    "size: none": (lambda: header(124, bytes(12)), 4),
    "checksum: 0o": (lambda: header(0, b"", b"0o%05o\0"), 4),
    "checksum: plus": (lambda: header(0, b"", b"+%06o\0"), 4),
    "checksum: seven digits": (lambda: header(0, b"", b"%07o\0"), 0),
    "checksum: spaces": (lambda: header(0, b"", b"%7o "), 0),
    "name: a prefix": (lambda: header(345, b"folder"), 4),
    "name: its folder as a prefix": (split, 4),
    "name: latin-1": (lambda: header(0, b"manifest.js\xf6n\0"), 4),
    "name: something behind the NUL": (lambda: header(20, b"x"), 4),
    "name: an Arabic digit": (lambda: raw_tar(*unpacked(make.tar(full())), ("checkpoints/\u0664", b"x")), 4),
    "type: NUL": (lambda: header(156, b"\0"), 0),
    "type: a directory": (lambda: header(156, b"5"), 4),
    "magic: a later version": (lambda: header(257, b"ustar\x0001"), 4),
    "end: a block of zeros missing": (lambda: make.tar(full()).rstrip(b"\0").ljust(len(make.tar(full())) - 10_240, b"\0"), 4),
    "end: a record of zeros more": (lambda: make.tar(full()) + bytes(10_240), 0),
    "end: zeros without end": (lambda: make.tar(full()) + bytes(2**20), 4),
    "made_at: year 1 before UTC": (lambda: made("0001-01-01T00:00:00+01:00"), 4),
    "made_at: year 1": (lambda: made("0001-01-01T00:00:00+00:00"), 0),
    "made_at: year 9999 after UTC": (lambda: made("9999-12-31T23:59:59-01:00"), 4),
    "made_at: year 9999": (lambda: made("9999-12-31T23:59:59Z"), 0),
    "made_at: no offset": (lambda: made("2026-05-01T00:00:00.000000"), 4),
    "made_at: a day": (lambda: made("2026-05-01"), 4),
    "made_at: a week": (lambda: made("2026-W18-5T00:00:00+00:00"), 0),
    "made_at: Z between": (lambda: made("2026-05-01Z00:00:00+00:00"), 0),
    "made_at: short": (lambda: made("20260501T000000Z"), 4),
    "query: none of a selection": (lambda: make.tar(full(), mode="selection", query=None), 4),
    "query: some of a full bundle": (lambda: make.tar(full(), query={}), 4),
    "query: an unknown name": (lambda: asked("everybody"), 4),
    "query: a number": (lambda: asked(event=7), 4),
    "query: a list": (lambda: asked(subject=["x"]), 4),
    "query: no time": (lambda: asked("after"), 4),
    "query: year 9999": (lambda: selection({"after": "9999-12-31T23:59:59Z"}), 0),
    "query: before year 9999": (lambda: selection({"before": "9999-12-31T23:59:59Z"}, *range(SIZE)), 0),
    "query: before year 1": (lambda: selection({"before": "0001-01-01T00:00:00Z"}), 0),
    "query: a microsecond": (lambda: selection({"before": "2026-03-02T09:30:00.000001Z"}, 0, 1, 2), 2),
    "query: a millisecond": (lambda: selection({"before": "2026-03-02T09:30:00.001Z"}, 0, 1, 2), 0),
    "entry: the last day": (lambda: forged(last_day), 0),
}  # fmt: skip


@pytest.mark.parametrize(("trick", "code"), TRICKS.values(), ids=TRICKS)
def test_both_verifiers_say_the_same(trick: Callable[[], bytes], code: int, tmp_path: Path) -> None:
    data = trick()

    assert [run(main, data, tmp_path) for main in (first_main, second.main)] == [code, code]
