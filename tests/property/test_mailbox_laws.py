"""Laws of address headers: whatever stands in a display name, the author is the mailbox behind it."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.channels import mail
from chalicelib.channels.mailboxes import author, mailboxes

REAL = "kim@plum.example"
CLAIMED = "ceo@bank.example"
PIECES = st.sampled_from(
    [
        CLAIMED,
        f"<{CLAIMED}>",
        "<",
        ">",
        ",",
        ";",
        ":",
        "(",
        ")",
        "@",
        '"',
        "\\",
        "[",
        "]",
        ".",
        " ",
        "Kim",
        "=?",
        "?=",
        "é",
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encoded(text: str) -> str:
    return "=?utf-8?B?" + base64.b64encode(text.encode()).decode() + "?="


def comment(text: str) -> str:
    return "(" + "".join("\\" + character if character in "()\\" else character for character in text) + ")"


@given(TEXTS, st.sampled_from([quoted, encoded, comment]), st.booleans())
def test_author_is_never_taken_from_a_display_name(text: str, form: object, spaced: bool) -> None:
    assert callable(form)
    phrase = form(text) + (" " if spaced else "")

    found = author(f"{phrase}<{REAL}>")

    assert found.address == REAL


@given(TEXTS.filter(lambda text: "," not in text))
def test_author_is_the_mailbox_or_unknown_when_an_address_stands_before_it(between: str) -> None:
    assert author(f"{between}{CLAIMED} <{REAL}>").address in (REAL, None)
    assert author(f"{CLAIMED}{between}<{REAL}>").address in (REAL, None)


@given(st.text(max_size=300))
def test_any_header_is_read(text: str) -> None:
    for found in (*mailboxes(text), author(text)):
        assert found.address is None or 0 < len(found.address) <= 512
    mail.headers([("From", text), ("Subject", text)])
