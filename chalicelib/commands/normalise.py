"""``waybill normalise``: a webhook request in, what Waybill makes of it out; one JSON line for one."""

from __future__ import annotations

import argparse
import base64
import binascii
import json
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from ..channels import CHANNELS
from ..channels.base import Channel, Inbound, ReceivedRequest, receive, refusal
from ..channels.fields import Json, parse_json
from ..core import times
from ..core.errors import MalformedPayload
from ..core.event.event import Draft, complete
from .json_lines import EXITS, answer_lines
from .parser import CommandParser

_EXAMPLE = r"""{"channel": "telegram", "headers": {"x-telegram-bot-api-secret-token": "s3cret"},
 "secret": {"secret_token": "s3cret"}, "body": "{}", "now": "2026-03-02T09:50:00Z"}
  (in one line)"""


def arguments(parser: CommandParser) -> None:
    """Add the command's help."""
    parser.explain(
        "JSON lines on standard input. Each line is an object: `channel`, `method` (POST), `url`, `headers`, `query`, "
        "`body` or `body_base64`, `secret` (the channel's own fields, {} for none), and `now`, the time of receipt. "
        "Each gets one JSON line on standard output, with `verdict`, `reply`, `events`, `ignored` and `error`. "
        "No network, no store.",
        _EXAMPLE,
        EXITS,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    return answer_lines(answer, write)


class _BadLine(Exception):
    """A line cannot be judged. ``args`` are the code and the detail."""


def answer(line: str) -> dict[str, Any]:
    """Judge the request in one line.

    1 read the line, 2 find the channel, 3 read its secret, 4 let the channel judge, 5 complete the events.

    Never raises: what cannot be read is answered ``malformed`` with ``error.code``.
    """
    try:
        values = _line(line)  # 1
        channel = _channel(values)  # 2
        secrets = _secrets(channel, values["secret"])  # 3
        request = _request(values)
    except _BadLine as error:
        return _document(refusal("malformed", 400, *error.args), [])
    received = receive(channel, request, secrets)  # 4
    return _document(received, [_event(channel, draft, request.now) for draft in received.drafts])  # 5


def write(document: dict[str, Any]) -> str:
    """Write an answer as one line, without its end."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _line(line: str) -> Json:
    try:
        values = parse_json(line)
    except MalformedPayload:
        raise _BadLine("bad_line", "the line is not a JSON object") from None
    for name, kind, default in FIELDS:
        if values.get(name) is None:
            values[name] = default
        if not isinstance(values[name], kind):
            raise _BadLine("bad_line", f"{name} is missing or of the wrong type")
    for name in ("headers", "query"):
        if not all(isinstance(value, str) for value in values[name].values()):
            raise _BadLine("bad_line", f"{name} must hold texts")
    return values


FIELDS: tuple[tuple[str, type, Any], ...] = (
    ("channel", str, None),
    ("method", str, "POST"),
    ("url", str, ""),
    ("headers", dict, {}),
    ("query", dict, {}),
    ("body", str, ""),
    ("body_base64", str, ""),
    ("secret", dict, {}),
    ("now", str, None),
)
"""What a line holds: name, type, and what stands for it where it is absent."""


def _channel(values: Json) -> Channel:
    try:
        return CHANNELS[values["channel"]]
    except KeyError:
        raise _BadLine("unknown_channel", "there is no channel of this kind") from None


def _secrets(channel: Channel, given: Json) -> list[Any]:
    if not given:
        return []  # none configured: whatever comes is not genuine
    try:
        return [channel.Secret.model_validate(given)]
    except ValidationError as error:
        # Only names of fields that the channel has: any other name may be somebody's secret in the wrong place.
        places = sorted({str(e["loc"][0]) for e in error.errors() if e["loc"]} & set(channel.Secret.model_fields))
        raise _BadLine(
            "bad_secret", f"the secret does not fit this channel: {', '.join(places) or 'unknown field'}"
        ) from None


def _request(values: Json) -> Inbound:
    try:
        now = times.parse(values["now"])
    except ValueError:
        raise _BadLine("bad_line", "now is not RFC 3339") from None
    try:
        body = base64.b64decode(values["body_base64"], validate=True) or values["body"].encode()
    except binascii.Error:
        raise _BadLine("bad_line", "body_base64 is not base64") from None
    return Inbound(
        method=values["method"].upper(),
        url=values["url"],
        headers={name.lower(): value for name, value in values["headers"].items()},
        query=values["query"],
        body=body,
        now=now,
    )


def _event(channel: Channel, draft: Draft, now: datetime) -> Json:
    keep_raw = channel.CAPABILITIES.keeps_raw or draft.is_unread  # here for debugging: a cell asks the source
    return complete(draft, channel=channel.KIND, received_at=now, keep_raw=keep_raw, off_line=True).document()


def _document(received: ReceivedRequest, events: list[Json]) -> dict[str, Any]:
    reply = received.reply
    return {
        "verdict": received.verdict,
        "reply": {"status": reply.status, "headers": dict(reply.headers), "body": reply.body},
        "events": events,
        "ignored": [{"native_kind": i.native_kind, "reason": i.reason} for i in received.ignored],
        "error": {"code": received.code, "detail": received.detail} if received.code else None,
    }
