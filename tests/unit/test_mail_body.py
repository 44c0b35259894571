"""The body of an e-mail is the text that a mail program shows."""

from __future__ import annotations

import pytest

from chalicelib.channels import mail

PLAIN, HTML = "text/plain", "text/html"
FILE = "text/plain\nContent-Disposition: attachment; filename=a.txt"


def part(kind: str, content: str) -> str:
    return f"Content-Type: {kind}\nContent-Transfer-Encoding: 8bit\n\n{content}"


def multipart(subtype: str, *parts: str) -> str:
    boundary = f"b{subtype}{len(''.join(parts))}"
    body = "".join(f"--{boundary}\n{one}\n" for one in parts)
    return f"Content-Type: multipart/{subtype}; boundary={boundary}\n\n{body}--{boundary}--\n"


def mixed(*parts: str) -> str:
    return multipart("mixed", *parts)


def either(*parts: str) -> str:
    return multipart("alternative", *parts)


BLANKS = ("", " \r\n", "\u00a0\n\u00a0", "\u200b\ufeff", "\t\u2003\u3000", "\u00ad\u2060")


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("join", [mixed, either])
def test_text_is_that_of_the_html_when_the_plain_part_shows_nothing(join: object, blank: str) -> None:
    assert callable(join)

    assert shown(join(part(PLAIN, blank), part(HTML, "<p>plums</p>"))) == ("plums", [])
    assert mail.body(blank, "<p>plums</p>") == "plums"


@pytest.mark.parametrize("blank", BLANKS)
def test_text_is_null_when_no_part_shows_anything(blank: str) -> None:
    assert shown(either(part(PLAIN, blank), part(HTML, f"<p>{blank}&nbsp;<img src=x></p>"))) == (None, [])
    assert mail.body(blank, f"<p>{blank}</p>") is None


@pytest.mark.parametrize(
    ("source", "text", "files"),
    [
        (either(part(PLAIN, "one"), part(HTML, "<p>two</p>")), "one", []),
        (either(part(HTML, "<p>one</p>"), part(HTML, "<p>two</p>")), "two", []),
        (mixed(part(HTML, "<p>one</p>"), part(PLAIN, "footer")), "one\nfooter", []),
        (mixed(part(PLAIN, "one"), part("image/png", "x"), part(PLAIN, "two")), "one\ntwo", ["image/png"]),
        (mixed(either(part(PLAIN, "one"), part(HTML, "<p>no</p>")), part(PLAIN, "footer")), "one\nfooter", []),
        (mixed(either(part(PLAIN, " "), part(HTML, "<p>one</p>")), part(PLAIN, "footer")), "one\nfooter", []),
        (
            either(part(PLAIN, ""), multipart("related", part(HTML, "one"), part("image/gif", "x"))),
            "one",
            ["image/gif"],
        ),
        (either(part(PLAIN, "one"), mixed(part(HTML, "no"), part("application/pdf", "x"))), "one", ["application/pdf"]),
        (either(part(PLAIN, ""), mixed(part(HTML, "one"), part(HTML, "two"))), "one\ntwo", []),
        (
            either(part(PLAIN, "one"), part("text/calendar", "x"), part("text/x-amp-html", "no")),
            "one",
            ["text/calendar"],
        ),
        (
            multipart("signed", part(PLAIN, "one"), part("application/pgp-signature", "x")),
            "one",
            ["application/pgp-signature"],
        ),
        (
            multipart("report", part(PLAIN, "it came back"), part("message/delivery-status", "x")),
            "it came back",
            ["message/delivery-status"],
        ),
        (mixed(part(PLAIN, "one"), part("message/rfc822", part(PLAIN, "no"))), "one", ["message/rfc822"]),
        # named and inline parts
        (part("text/plain; name=body.txt", "one"), "one", []),
        (part("text/html; name=body.html\nContent-Disposition: inline; filename=body.html", "<p>one</p>"), "one", []),
        (either(part("text/plain; name=a.txt", "one"), part("text/html; name=a.html", "two")), "one", []),
        (either(part("text/plain; name=a.txt", ""), part("text/html; name=a.html", "two")), "two", []),
        (mixed(part("text/plain; name=a.txt", "one"), part(FILE, "no")), "one", ["text/plain"]),
        (mixed(part(PLAIN, "one"), part("text/plain; name=a.txt", "no")), "one", ["text/plain"]),
        (
            mixed(part(PLAIN, "one"), part("text/plain; name=a\nContent-Disposition: inline", "two")),
            "one\ntwo",
            ["text/plain"],
        ),
        (mixed(part(PLAIN, " "), part("text/html; name=a.html", "one")), "one", []),
        (part(FILE, "no"), None, ["text/plain"]),
        # no parts where some are announced
        ("Content-Type: multipart/mixed; boundary=b\n\nno part", "no part", []),
        ("Content-Type: multipart/mixed\n\nno boundary", "no boundary", []),
    ],
)
def test_text_is_all_that_is_shown(source: str, text: str | None, files: list[str]) -> None:
    assert shown(source) == (text, files)


def shown(source: str) -> tuple[str | None, list[str | None]]:
    found = mail.parse(b"From: a@plum.example\n" + source.encode())
    return found.text, [one.mime for one in found.attachments]


def test_header_is_in_the_charset_of_the_body_when_it_declares_none() -> None:
    source = "Subject: Слива\nContent-Type: text/plain; charset=windows-1251\n\nСад".encode("cp1251")

    found = mail.parse(source)

    assert (found.headers["subject"], found.text) == ("Слива", "Сад")


def test_html_is_in_the_charset_of_its_meta_element_when_the_part_declares_none() -> None:
    for meta in (
        '<meta charset="windows-1251">',
        "<META http-equiv=Content-Type content='text/html; charset=WINDOWS-1251'>",
    ):
        html = f"<html><head>{meta}</head><p>Слива</p>"
        for charset in ("cp1251", "utf-8"):
            assert mail.parse(b"Content-Type: text/html\n\n" + html.encode(charset)).text == "Слива"


def test_all_references_count_when_they_are_many() -> None:
    source = b"References: " + b" ".join(b"<%d@plum.example>" % number for number in range(1000)) + b"\n\nx"

    assert len(mail.ids(mail.parse(source).headers["references"])) == 1000
