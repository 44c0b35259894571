"""Address headers: the author is the address of a mailbox, never a part of a display name."""

from __future__ import annotations

import pytest

from chalicelib.channels.mailboxes import MAX_CHARACTERS, Mailbox, author, mailboxes, single

ALICE, BOB = "alice@example.org", "bob@example.com"


@pytest.mark.parametrize(
    ("header", "name", "address"),
    [
        ("kim@plum.example", None, "kim@plum.example"),
        ("Kim Lee <Kim@Plum.example>", "Kim Lee", "kim@plum.example"),
        ('"Lee, Kim" <kim@plum.example>', "Lee, Kim", "kim@plum.example"),
        ('"Kim \\"K\\" Lee" <kim@plum.example>', 'Kim "K" Lee', "kim@plum.example"),
        ("kim@plum.example (Kim (K) Lee)", "Kim (K) Lee", "kim@plum.example"),
        ("kim @ plum . example", None, "kim@plum.example"),
        ("<kim(home)@plum.example>", None, "kim@plum.example"),
        ("<@relay.example,@b.example:kim@plum.example>", None, "kim@plum.example"),
        ("kim@[192.0.2.1]", None, "kim@[192.0.2.1]"),
        ("зоя@сад.рф", None, "зоя@сад.рф"),
        ("kim..lee.@docomo.example", None, "kim..lee.@docomo.example"),
        # one of several, and of groups (RFC 6854)
        ("Kim <kim@plum.example>, x@y.example", "Kim", "kim@plum.example"),
        ('Staff: kim@plum.example, "D E" <d@e.example>;', None, "kim@plum.example"),
        ("undisclosed-recipients:;", None, None),
        # addresses in names
        ("ceo@bank.example <kim@plum.example>", "ceo@bank.example", "kim@plum.example"),
        ('"ceo@bank.example" <kim@plum.example>', "ceo@bank.example", "kim@plum.example"),
        ('"ceo@bank.example, " <kim@plum.example>', "ceo@bank.example,", "kim@plum.example"),
        ('"<ceo@bank.example>" <kim@plum.example>', "<ceo@bank.example>", "kim@plum.example"),
        ("(ceo@bank.example) kim@plum.example", "ceo@bank.example", "kim@plum.example"),
        ("=?utf-8?Q?ceo=40bank.example=2C?= <kim@plum.example>", "ceo@bank.example,", "kim@plum.example"),
        ("=?utf-8?Q?Lee,_Kim?= <kim@plum.example>", "Lee, Kim", "kim@plum.example"),
        ("=?utf-8?Q?Lee, Kim?= <kim@plum.example>", "Lee, Kim", "kim@plum.example"),
        ("=?utf-8?Q?<ceo@bank.example>?= <kim@plum.example>", "<ceo@bank.example>", "kim@plum.example"),
        ("=?utf-8?Q?ceo=40bank.example?=", "ceo@bank.example", None),
        ("ceo@bank.example <>", "ceo@bank.example", None),
        ("ceo@bank.example <kim lee@plum.example>", "ceo@bank.example", None),
        # local parts
        ('"john doe"@plum.example', None, '"john doe"@plum.example'),
        ('"john"@plum.example', None, "john@plum.example"),
        ('"a@b"@plum.example', None, '"a@b"@plum.example'),
        ('"a\\"b"@plum.example', None, '"a\\"b"@plum.example'),
        ('""@plum.example', None, '""@plum.example'),
        ("root", None, "root"),
        ("<root>", None, "root"),
        ("MAILER-DAEMON (Mail Delivery System)", "Mail Delivery System", "mailer-daemon"),
        ("Lee, Kim <kim@plum.example>", "Kim", "kim@plum.example"),
        ("Kim Lee", "Kim Lee", None),
        ("<>", None, None),
        ("", None, None),
        (None, None, None),
        # faults with one reading
        ("Kim <kim@plum.example", "Kim", "kim@plum.example"),
        ("kim@plum.example>", None, "kim@plum.example"),
        ("kim@plum.example;", None, "kim@plum.example"),
        ("Kim kim@plum.example", "Kim", "kim@plum.example"),
        ('Kim "K <kim@plum.example>', 'Kim "K', "kim@plum.example"),
        ("Re: Kim <kim@plum.example>", "Kim", "kim@plum.example"),
        # faults with several
        ("<ceo@bank.example, <kim@plum.example>", None, None),
        ('"ceo@bank.example, <kim@plum.example>', None, None),
        ("<ceo@bank.example> <kim@plum.example>", None, None),
        ("ceo@bank.example;<ceo@bank.example><kim@plum.example>", None, None),
        ("<ceo@bank.example@plum.example>", None, None),
        ("ceo@bank.example " + "x" * MAX_CHARACTERS + " <kim@plum.example>", None, None),
    ],
)
def test_author_is_the_first_address(header: str | None, name: str | None, address: str | None) -> None:
    assert author(header) == Mailbox(name, address)


@pytest.mark.parametrize(
    "between", ["(", ")", "<", ">", "@", ".", '"', "[", "]", ";", ":", "\\", " ", "(<", '"<', "()"]
)
@pytest.mark.parametrize("form", ["{a}{x}<{b}>", '"{a}{x}<{b}>', "({a}{x}<{b}>", "{a}({x}<{b}>"])
def test_author_is_the_last_address_or_none_when_the_name_is_broken(form: str, between: str) -> None:
    found = author(form.format(a=ALICE, b=BOB, x=between))

    assert found.address in (BOB, None)


@pytest.mark.parametrize("between", list('()>@.;"[]\\ ,:'))
def test_text_of_two_addresses_is_none(between: str) -> None:
    assert single(ALICE + between + BOB).address is None


def test_mailboxes_are_all_that_a_header_holds() -> None:
    found = mailboxes('=?utf-8?B?0JfQvtGPLCDQmi4=?= <A@B.example>, "X, Y" <a@b.EXAMPLE>, no address; c@d.example')

    assert found == [
        Mailbox("Зоя, К.", "a@b.example"),
        Mailbox("X, Y", "a@b.example"),
        Mailbox("no address", None),
        Mailbox(None, "c@d.example"),
    ]


def test_single_keeps_a_comma_in_a_decoded_name() -> None:
    assert single("Lee, Kim <kim@plum.example>") == Mailbox("Lee, Kim", "kim@plum.example")
    assert single("ceo@bank.example, <kim@plum.example>") == Mailbox("ceo@bank.example,", "kim@plum.example")
