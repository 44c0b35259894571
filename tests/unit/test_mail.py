"""Shared parts of e-mail channels: MIME within limits, headers, addresses, threads."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.channels import mail
from chalicelib.channels.mail_html import plain_text
from chalicelib.core.event.event import Draft

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

MIXED = b"""From: =?utf-8?B?0JfQvtGPINCaLg==?= <Zoya@Plum.Example>
To: orders@orchard.example, "Depot, East" <east@orchard.example>
Subject: =?utf-8?Q?=D0=A1=D0=BB=D0=B8=D0=B2=D1=8B?=
 =?utf-8?Q?_=F0=9F=AB=90?=
Message-ID: <3@plum.example>
In-Reply-To: <2@orchard.example>
References: <1@plum.example>
 <2@orchard.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: quoted-printable

=F0=D2=C9=D7=C5=D4
--inner
Content-Type: text/html; charset=utf-8

<p>not this</p>
--inner--
--outer
Content-Type: image/png; name*=utf-8''%D1%81%D0%B0%D0%B4.png
Content-Disposition: attachment
Content-ID: <pic@plum.example>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--outer
Content-Type: message/rfc822

Subject: inner

inner text
--outer--
"""


def draft(source: bytes, **more: Any) -> Draft:
    return mail.draft(mail.parse(source), "inbound", dedupe_id="d1", occurred_at=None, raw=None, **more)


def test_mail_becomes_an_event_when_it_has_text_files_and_a_thread() -> None:
    event = draft(MIXED)

    assert event.sender is not None
    assert (event.sender.id, event.sender.name, event.sender.is_bot) == ("zoya@plum.example", "Зоя К.", False)
    conversation = event.conversation
    assert (conversation.id, conversation.direct) == ("zoya@plum.example", False)
    assert (conversation.thread, conversation.title) == ("<1@plum.example>", "Сливы 🫐")
    assert event.message is not None
    assert (event.message.id, event.message.reply_to) == ("<3@plum.example>", "<2@orchard.example>")
    assert event.message.text == "Привет"
    picture, forwarded = event.message.attachments
    assert picture.model_dump(exclude_none=True) == {
        "type": "image",
        "ref": "pic@plum.example",
        "mime": "image/png",
        "name": "сад.png",
        "size_bytes": 8,
    }
    assert (forwarded.type, forwarded.mime) == ("file", "message/rfc822")


def test_event_is_direct_and_a_machines_when_one_is_addressed_and_an_autoresponder_answers() -> None:
    event = draft(
        b"From: a@plum.example\nTo: b@orchard.example\nAuto-Submitted: auto-replied (away)\n\nback on Monday\n"
    )

    assert event.conversation.direct is True
    assert event.sender is not None
    assert event.sender.is_bot is True
    assert event.message is not None
    assert event.message.id == "d1"
    assert event.conversation.thread is None


def test_envelope_names_the_sender_when_no_header_does() -> None:
    event = draft(b"To: b@orchard.example\n\nx", envelope_sender="Bounce@Plum.example")

    assert event.conversation.id == "bounce@plum.example"


@pytest.mark.parametrize("sender", ["", "<>", "undisclosed-recipients:;", "Kim Lee <>"])
def test_sender_is_unknown_when_no_header_names_one(sender: str) -> None:
    event = draft(b"From: " + sender.encode() + b"\n\nx", envelope_sender="<>")

    assert event.conversation.id is None
    assert (event.sender.name if event.sender else None) == (sender[:-3] or None if "Kim" in sender else None)


def test_sender_is_who_sent_it_when_the_author_has_no_address() -> None:
    source = b"Return-Path: <back@plum.example>\nFrom: Kim Lee\n"

    assert [name(draft(source + b"\nx")), name(draft(source + b"Sender: Zoya <z@plum.example>\n\nx"))] == [
        ("back@plum.example", "Kim Lee"),
        ("z@plum.example", "Kim Lee"),
    ]


def name(event: Draft) -> tuple[str | None, str | None]:
    assert event.sender is not None
    return event.sender.id, event.sender.name


def test_address_to_answer_is_told_when_it_is_another() -> None:
    source = b"From: form@orchard.example\nReply-To: Kim <Kim@Plum.example>\n\nx"
    sender, same = draft(source).sender, draft(source.replace(b"Kim@Plum", b"Form@Orchard")).sender

    assert sender is not None
    assert [one.model_dump() for one in sender.alt_ids] == [{"kind": "reply_to", "contact": "kim@plum.example"}]
    assert same is not None
    assert same.alt_ids == ()


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Two <b>plums</b>,\n please</p><p>Now</p>", "Two plums, please\n\nNow"),
        ("<head><title>t</title><style>p{}</style></head>a&amp;b&nbsp;c<br/>d", "a&b c\nd"),
        ("<table><tr><td>1<td>2</table>", "1 2"),
        ("<!-- no --><SCRIPT>if (a<b) {}</SCRIPT>yes", "yes"),
        ("2 < 3 and <3", "2 < 3 and <3"),
        ("open <!-- never closed", "open"),
        ("open <script>never closed", "open"),
        ("open <a href=", "open"),
        ("&#1057;ад", "Сад"),
    ],
)
def test_text_is_made_of_html_when_there_is_no_other(html: str, text: str) -> None:
    found = mail.parse(b"Content-Type: text/html; charset=utf-8\n\n" + html.encode())

    assert found.text == text
    assert plain_text(html) == text


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        ("text/plain; charset=shift_jis", "梅".encode("shift_jis"), "梅"),
        ("text/plain; charset=x-nobody-knows", "слива".encode(), "слива"),
        ("text/plain; charset=punycode", b"a-b", "a-b"),
        ("text/plain; charset*=nobody''%ff", b"a", "a"),
        ("text/plain", b"\xff", "ÿ"),
        ("text/plain; charset=utf-16", b"\x00\xd8", "\ufffd"),
    ],
)
def test_text_is_readable_when_the_charset_is_odd(head: str, body: bytes, text: str) -> None:
    assert mail.parse(f"Content-Type: {head}\n\n".encode() + body).text == text


NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(60))


@pytest.mark.parametrize(
    ("source", "attachments"),
    [
        (NESTED, ["unsupported"]),
        (NESTED + b"a\n" * 150_000, ["unsupported"]),
        (
            NESTED.replace(b"/mixed; ", b"/mixed;\n\t").replace(b"Content-Type: ", b"content-TYPE:\n "),
            ["unsupported"],
        ),
        (b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\na\n" * 600 + b"--b--", ["unsupported"]),
        (b"\n" + b"\n" * 400_000, []),
        (b"Subject: " + b"=?a?q?" * 2000 + b"\n\nx", []),
        (b"From: " + b"x" * 9000 + b"\n\nx", []),
        (b"A: b\n" * 1001 + b"\nx", []),
    ],
)
def test_mail_is_read_as_far_as_it_goes_when_it_would_cost_too_much(source: bytes, attachments: list[str]) -> None:
    begin = time.process_time()

    found = mail.parse(source)

    assert time.process_time() - begin < 1
    assert [one.type for one in found.attachments] == attachments
    assert found.text in (None, "x", "\n".join("a" * (mail.MAX_PARTS - 1)))


@pytest.mark.parametrize(
    "hostile", ["<", "<!--", "<a ", "<![", "&#", "<script><", "<style></style>", '<a x="', "</script <script>"]
)
def test_html_is_read_in_one_pass_when_it_is_hostile(hostile: str) -> None:
    begin = time.process_time()

    plain_text(hostile * (200_000 // len(hostile)))

    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Thu, 15 Jan 2026 15:00:00 +0300", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("Thu, 15 Jan 2026 15:00:00 -0000", datetime(2026, 1, 15, 15, tzinfo=UTC)),
        ("Thu, 15 Jan 2099 15:00:00 +0300", None),
        ("Thu, 15 Jan 0001 15:00:00 +9999", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_date_counts_when_it_is_one_and_past(value: str | None, expected: datetime | None) -> None:
    assert mail.sent_at(value, NOW) == expected
