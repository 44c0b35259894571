"""Bodies that are made to cost much: each is a function of its size in bytes, of some content type.

``BODIES`` are whole bodies, which anybody can post. ``TEXTS`` stand in the place of a text in a genuine request, as a person
who writes through the platform can have it.
"""

from __future__ import annotations

import base64
import copy
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import receive

from .cases import Case, cases, raw_body
from .signing import sign

Make = Callable[[int], bytes]

JSON, FORM, XML, PLAIN = "application/json", "application/x-www-form-urlencoded", "text/xml", "text/plain"
MULTIPART = "multipart/form-data; boundary=X"


def repeated(unit: bytes, before: bytes = b"", after: bytes = b"") -> Make:
    return lambda size: before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def nested(opening: bytes, closing: bytes, core: bytes = b"0") -> Make:
    def make(size: int) -> bytes:
        depth = (size - len(core)) // (len(opening) + len(closing))
        return opening * depth + core + closing * depth

    return make


def named(form: str, before: str, after: str) -> Make:
    """Return what makes many different names."""

    def make(size: int) -> bytes:
        unit = len(form.format(1_000_000))
        return (before + "".join(form.format(n) for n in range(size // unit)) + after).encode()

    return make


def parts(header: bytes) -> Make:
    """Return what makes a form of parts with one header line of 8,000 bytes each."""

    def make(size: int) -> bytes:
        line = b'Content-Disposition: form-data; name="a' + header * (7900 // len(header))
        part = b"\r\n--X\r\n" + line + b"\r\n\r\nv"
        return part * max(size // len(part), 1) + b"\r\n--X--"

    return make


BODIES: Mapping[str, tuple[str, Make]] = {
    "json-wide": (JSON, repeated(b'{"":[]},', b'{"a":[', b"0]}")),
    "json-numbers": (JSON, repeated(b"0,", b'{"a":[', b"0]}")),
    "json-floats": (JSON, repeated(b"1.5e7,", b'{"a":[', b"0]}")),
    "json-keys": (JSON, named('"k{}":1,', "{", '"z":0}')),
    "json-same-keys": (JSON, repeated(b'"a":{},', b"{", b'"a":0}')),
    "json-deep-objects": (JSON, nested(b'{"a":', b"}")),
    "json-deep-lists": (JSON, nested(b"[", b"]")),
    "json-digits": (JSON, repeated(b"9", b'{"a":', b"}")),
    "json-surrogates": (JSON, repeated(b"\\ud800", b'{"a":"', b'"}')),
    "json-backslashes": (JSON, repeated(b"\\\\", b'{"a":"', b'"}')),
    "json-quotes": (JSON, repeated(b'\\"', b'{"a":"')),
    "json-text-of-brackets": (JSON, repeated(b"[{,", b'{"a":"', b'"}')),
    "json-spaces": (JSON, repeated(b" ", b"{", b"}")),
    "form-names": (FORM, named("k{}=1&", "", "z=")),
    "form-ampersands": (FORM, repeated(b"&")),
    "form-escapes": (FORM, repeated(b"%41", b"a=")),
    "form-signatures": (FORM, repeated(b"token=")),
    "xml-deep": (XML, nested(b"<a>", b"</a>")),
    "xml-wide": (XML, repeated(b"<a/>", b"<xml>", b"</xml>")),
    "xml-attributes": (XML, named(' a{}=""', "<xml", "/>")),
    "xml-entities": (XML, repeated(b"&lt;", b"<xml><a>", b"</a></xml>")),
    "xml-cdata": (XML, repeated(b"<![CDATA[]]>", b"<xml><a>", b"</a></xml>")),
    "xml-open": (XML, repeated(b"<")),
    "multipart-parts": (MULTIPART, repeated(b"\r\n--X\r\n\r\n")),
    "multipart-fields": (MULTIPART, repeated(b'\r\n--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nv')),
    "multipart-semicolons": (MULTIPART, parts(b";")),
    "multipart-quotes": (MULTIPART, parts(b'";a="')),
    "multipart-escapes": (MULTIPART, parts(b'\\"')),
    "multipart-continuations": (MULTIPART, parts(b"';a*0*=")),
    "multipart-words": (MULTIPART, parts(b"=?a?q?")),
    "multipart-dashes": (MULTIPART, repeated(b"\r\n-")),
    "lines": (PLAIN, repeated(b"\n")),
    "zeros": (PLAIN, repeated(b"\0")),
}

_MAIL = b"From: a@b.example\r\nTo: c@d.example\r\nMessage-ID: <1@b.example>\r\n"
_PART = _MAIL + b"Content-Type: multipart/mixed; boundary=Y\r\n\r\n--Y\r\n"
_MAILS: Mapping[str, Make] = {
    "mail-file-name": repeated(b";", _PART + b'Content-Disposition: attachment; filename="', b'"\r\n\r\na\r\n--Y--'),
    "mail-file-name-open": repeated(
        b";", _PART + b'Content-Disposition: attachment; filename="', b"\r\n\r\na\r\n--Y--"
    ),
    "mail-type-name": repeated(b'";a="', _PART + b'Content-Type: image/png; name="', b"\r\n\r\na\r\n--Y--"),
    "mail-boundary": repeated(b";", _MAIL + b'Content-Type: multipart/mixed; boundary="', b"\r\n\r\n--;\r\n\r\na"),
    "mail-boundaries": repeated(b"--Y\r\n", _PART),
    "mail-almost-boundaries": repeated(b"x--Y\r\n", _PART),
    "mail-charset": repeated(b"a-", _MAIL + b"Content-Type: text/plain; charset*=punycode''", b"\r\n\r\na"),
    "mail-lines": repeated(b"\n", _MAIL + b"\r\n"),
    "mail-headers": repeated(b"a:\n", _MAIL),
    "mail-folds": repeated(b"\n ", _MAIL + b"X: "),
    "mail-no-header": repeated(b"a", _MAIL),
    "mail-quoted": repeated(b"=", _MAIL + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"),
    "mail-html": repeated(b"<", _MAIL + b"Content-Type: text/html\r\n\r\n"),
    "mail-html-tags": repeated(b"<p>", _MAIL + b"Content-Type: text/html\r\n\r\n"),
    "mail-html-reference": repeated(b"9", _MAIL + b"Content-Type: text/html\r\n\r\n&#", b";"),
    "mail-subject": repeated(b"=?a?q?", _MAIL + b"Subject: ", b"\r\n\r\na"),
}
TEXTS: Mapping[str, Make] = {
    **_MAILS,
    **{
        f"text {unit.decode()!r}": repeated(unit)
        for unit in (
            *(
                b"<",
                b"<p>",
                b"<!--",
                b"<a ",
                b"<script>",
                b"&a",
                b"&ab",
                b"&#0",
                b"&#1234",
                b"&#",
                b"=?a?q?",
                b"=?a?q?=?=",
                b"(",
            ),
            *(
                b"a@b,",
                b"<@,",
                b'\\"',
                b"@",
                b" ",
                b"\n",
                b"\r",
                b"-",
                b"0",
                b"9",
                b"1.",
                b"/",
                b":",
                b"+1",
                b"%41",
                b"[",
                b"{",
                b"*_",
            ),
        )
    },
    "text of one reference": repeated(b"9", b"&#", b";"),
    "text of one hexadecimal reference": repeated(b"f", b"&#x", b";"),
    "text of one attribute": repeated(b"a", b"<a ", b">"),
    "text of open attributes": repeated(b'alt="', b"<img ", b">"),
    "text of quotes": repeated(b'<blockquote itemtype="schema.skype.com/Reply">'),
    "text of JSON": repeated(b'{"":[]},', b'{"a":[', b"0]}"),
}


def posted(case: Case, name: str, size: int) -> Iterator[dict[str, Any]]:
    """Yield a request with a body of ``BODIES`` that a stranger posts, and the same as the platform would sign it."""
    content_type, make = BODIES[name]
    fixture = copy.deepcopy(dict(case.fixture))
    fixture.pop("body", None)
    fixture["method"] = "POST"
    fixture["body_base64"] = base64.b64encode(make(size)).decode()
    headers = {n: v for n, v in fixture["headers"].items() if n.lower() != "content-type"}
    fixture["headers"] = {**headers, "Content-Type": content_type}
    yield copy.deepcopy(fixture)
    signed = copy.deepcopy(fixture)
    try:
        sign(case.kind, signed)
        if len(raw_body(signed)) > 2 * size:  # the proof is a field of a form, in which a character becomes three
            signed = {**copy.deepcopy(fixture), "body_base64": base64.b64encode(make(size // 3)).decode()}
            sign(case.kind, signed)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return  # there is no place for a proof in such a body
    yield signed


@functools.cache
def places(kind: str) -> Mapping[str, list[Case]]:
    """Return the names of the texts in a channel's genuine fixtures, each with the fixtures that have it."""
    found: dict[str, list[Case]] = {}
    for case in cases(kind):
        if case.expect["verdict"] == "accepted":
            for field in _fields(raw_body(case.fixture).decode("utf-8", "replace")):
                found.setdefault(field, []).append(case)
    return found


@functools.cache
def place(kind: str, field: str) -> Case:
    """Return the fixture whose event shows what a field says, or the first that has the field where none does.

    The HTML of an e-mail, for one, is read only where the e-mail has no plain text.
    """
    found = places(kind)[field]
    return next((case for case in found if MARK in _shown(_put_in(case, field, MARK))), found[0])


MARK = "a-rare-word"


def _shown(case: Case) -> str:
    drafts = receive(CHANNELS[case.kind], case.request(), [case.secret]).drafts
    return str([draft.model_copy(update={"raw": None}) for draft in drafts])


def _put_in(case: Case, field: str, text: str) -> Case:
    fixture = copy.deepcopy(dict(case.fixture))
    body = raw_body(fixture).decode("utf-8", "replace")
    fixture.pop("body_base64", None)
    fixture["body"] = _put(body, field, text)
    sign(case.kind, fixture)
    return Case(case.kind, case.name, fixture)


def said(kind: str, field: str, text: str, size: int) -> dict[str, Any]:
    """Return a genuine request with a text of ``TEXTS`` in each place of a name."""
    case = place(kind, field)
    size = size if raw_body(case.fixture)[:1] in (b"{", b"<") else size // 3  # a form writes most characters as three
    return dict(_put_in(case, field, TEXTS[text](size).decode()).fixture)


def _document(body: str) -> Any:
    try:
        return json.loads(body) if body[:1] == "{" else None
    except ValueError:
        return None


def _fields(body: str) -> list[str]:
    document = _document(body)
    if document is not None:
        return list(dict.fromkeys(_names(document)))
    if body[:1] == "<":
        return [one.partition(">")[0] for one in body.split("<")[2:] if one[:1] not in "/!"]
    return [] if body[:2] == "--" else list(dict(parse_qsl(body, keep_blank_values=True)))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                yield name
            inner = _document(item) if isinstance(item, str) else item
            yield from _names(inner)
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(_names, value))


def _put(body: str, field: str, text: str) -> str:
    document = _document(body)
    if document is not None:
        return json.dumps(_replaced(document, field, text))
    if body[:1] == "<":
        head, opening, rest = body.partition(f"<{field}>")
        return head + opening + escape(text) + rest[rest.find(f"</{field}>") :]
    return urlencode({**dict(parse_qsl(body, keep_blank_values=True)), field: text})


def _replaced(value: Any, field: str, text: str) -> Any:
    if isinstance(value, dict):
        return {n: text if n == field and isinstance(v, str) else _replaced(v, field, text) for n, v in value.items()}
    if isinstance(value, list):
        return [_replaced(item, field, text) for item in value]
    inner = _document(value) if isinstance(value, str) else None
    return value if inner is None else json.dumps(_replaced(inner, field, text))
