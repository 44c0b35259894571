"""Damage to genuine requests: values that no platform sends, in place of those that it does."""

from __future__ import annotations

import base64
import copy
import json
import random
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from .cases import Case, raw_body
from .signing import sign

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**53 + 1, 2**64, -(2**70), 2**4096, 1e308, -0.0, 0.5, float("nan"), float("inf")),
    *("", " ", "0", "-1", "9" * 300, "1e9", "NaN", "x" * 70_000, "\ud800", "\udfff\ud83d", "a\0b", "\u202e\u2066"),
    *("2026-13-45T99:99:99Z", "../../etc/passwd", '{"a":1}', [], {}, [[]], [None], [1, "a", {}], {"": ""}, {"id": {}}),
)
NESTED = "@nested@"


def damaged(case: Case, chance: random.Random) -> dict[str, Any]:
    """Return a fixture whose body was damaged and which was then signed again."""
    fixture = copy.deepcopy(dict(case.fixture))
    body = raw_body(fixture)
    if fixture["method"] == "GET" and fixture["query"]:
        name = chance.choice(list(fixture["query"]) or ["a"])
        fixture["query"][name] = chance.choice(["", "\ud800", "x" * 9000, "-1"])
    elif body[:1] == b"{":
        _put(fixture, _json(body.decode(), chance))
    elif body[:1] == b"<":
        _put(fixture, _xml(body.decode(), chance))
    elif body[:2] == b"--":
        _put(fixture, _multipart(body, chance))
    elif b"=" in body:
        _put(fixture, _form(body.decode(), chance))
    else:
        _put(fixture, bytes(chance.randrange(256) for _ in range(40)))
    sign(case.kind, fixture)
    return fixture


def flipped(case: Case, at: int) -> dict[str, Any]:
    """Return a fixture with one bit of its body changed and the old proof."""
    fixture = copy.deepcopy(dict(case.fixture))
    body = bytearray(raw_body(fixture))
    body[at % len(body)] ^= 1
    _put(fixture, bytes(body))
    return fixture


def _put(fixture: dict[str, Any], body: bytes) -> None:
    fixture.pop("body", None)
    fixture["body_base64"] = base64.b64encode(body).decode()


def _json(text: str, chance: random.Random) -> bytes:
    try:
        document = json.loads(text)
    except ValueError:
        return text[: chance.randrange(len(text))].encode()
    texts = [path for path in _places(document) if _is_json(_at(document, path))]
    if texts and chance.random() < 0.7:  # JSON within JSON
        path = chance.choice(texts)
        return json.dumps(_replaced(document, path, _json(_at(document, path), chance).decode())).encode()
    depth = 0
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        path = chance.choice(_places(document))
        if not path or chance.random() < 0.03:
            document, depth = _replaced(document, path, NESTED), chance.choice((100, 1500, 20_000))
        elif chance.random() < 0.15:
            holder = _at(document, path[:-1])
            del holder[path[-1]]
        else:
            document = _replaced(document, path, chance.choice(HOSTILE))
    return json.dumps(document).replace(f'"{NESTED}"', "[" * depth + "]" * depth).encode()


def _is_json(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{")


def _form(text: str, chance: random.Random) -> bytes:
    fields = dict(parse_qsl(text, keep_blank_values=True))
    name = chance.choice(list(fields))
    if fields[name][:1] == "{":
        fields[name] = _json(fields[name], chance).decode()
    elif chance.random() < 0.3:
        del fields[name]
    else:
        fields[name] = str(chance.choice([value for value in HOSTILE if not isinstance(value, int)]))
    return urlencode(fields, errors="surrogatepass").encode()


def _xml(text: str, chance: random.Random) -> bytes:
    element = chance.choice(re.findall(r"<(\w+)>(?!<)", text) or ["xml"])
    damage = chance.random()
    if damage < 0.1:
        return text[: chance.randrange(len(text))].encode()
    if damage < 0.2:
        return text.replace(f"<{element}>", f"<{element}>" + "<a>" * chance.choice((3, 100, 20_000)), 1).encode()
    if damage < 0.3:
        return f"<!DOCTYPE x [<!ENTITY e '{'z' * 99}'>]>{text}".replace(f"<{element}>", f"<{element}>&e;", 1).encode()
    if damage < 0.5:
        return re.sub(f"<{element}>.*?</{element}>", "", text, count=1, flags=re.DOTALL).encode()
    value = escape(str(chance.choice([v for v in HOSTILE if not isinstance(v, int)])))
    new = f"<{element}>{value}</{element}>"
    found = re.sub(f"<{element}>.*?</{element}>", lambda _: new, text, count=1, flags=re.DOTALL)
    return found.encode("utf-8", "surrogatepass")


def _multipart(body: bytes, chance: random.Random) -> bytes:
    parts = body.split(b"\r\n--")
    at = chance.randrange(len(parts) - 1)
    head, _, content = parts[at].partition(b"\r\n\r\n")
    if content[:1] in (b"[", b"{"):
        content = _json(content.decode(), chance)
    elif chance.random() < 0.5:
        value = str(chance.choice([value for value in HOSTILE if not isinstance(value, int)]))
        content = value.encode("utf-8", "surrogatepass")
    else:
        place = chance.randrange(len(head))
        head = head[:place] + bytes(chance.randrange(256) for _ in range(3)) + head[place + 1 :]
    return b"\r\n--".join((*parts[:at], head + b"\r\n\r\n" + content, *parts[at + 1 :]))


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        found += _places(item, (*path, name))
    return found


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _replaced(document: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    _at(document, path[:-1])[path[-1]] = copy.deepcopy(new)
    return document
