"""The channel fixtures: read them, run them, and compare the results with the expected ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.channels import CHANNELS, KINDS
from chalicelib.channels.base import Inbound, ReceivedRequest, receive
from chalicelib.core import times
from chalicelib.core.event.event import Event, complete

FIXTURES = Path(__file__).parents[2] / "fixtures" / "channels"

ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "conversation": ("conversation", "id"),
    "direct": ("conversation", "direct"),
    "thread": ("conversation", "thread"),
    "title": ("conversation", "title"),
    "sender": ("sender", "id"),
    "sender_name": ("sender", "name"),
    "sender_phone": ("sender", "phone"),
    "username": ("sender", "username"),
    "is_self": ("sender", "is_self"),
    "is_bot": ("sender", "is_bot"),
    "alt_ids": ("sender", "alt_ids"),
    "successor": ("sender", "successor"),
    "conversation_alt_ids": ("conversation", "alt_ids"),
    "conversation_successor": ("conversation", "successor"),
    "message_id": ("message", "id"),
    **{
        name: ("message", name)
        for name in (
            *("text", "reply_to", "forwarded", "payload", "emoji", "emoji_action", "status", "error", "edited_at"),
            *("attachments", "group_id", "quotes", "fields", "referral"),
        )
    },
}
"""Where in an event the keys of an expectation are; the others are fields of the event itself."""


@dataclass(frozen=True)
class Case:
    kind: str
    name: str
    fixture: Mapping[str, Any]

    @property
    def expect(self) -> Mapping[str, Any]:
        result: Mapping[str, Any] = self.fixture["expect"]
        return result

    @property
    def secret(self) -> Any:
        return CHANNELS[self.kind].Secret.model_validate(self.fixture["secret"])

    def request(self, **changed: Any) -> Inbound:
        return inbound({**self.fixture, **changed})


def cases(kind: str) -> list[Case]:
    paths = sorted((FIXTURES / kind).glob("*.json"))
    return [Case(kind, path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in paths]


ALL = [case for kind in KINDS for case in cases(kind)]


def raw_body(fixture: Mapping[str, Any]) -> bytes:
    if "body_base64" in fixture:
        return base64.b64decode(fixture["body_base64"])
    result: bytes = fixture["body"].encode()
    return result


def inbound(fixture: Mapping[str, Any]) -> Inbound:
    return Inbound(
        method=fixture["method"],
        url=fixture["url"],
        headers={name.lower(): value for name, value in fixture["headers"].items()},
        query=fixture["query"],
        body=raw_body(fixture),
        now=times.parse(fixture["now"]),
    )


def run(case: Case, **changed: Any) -> tuple[ReceivedRequest, list[dict[str, Any]]]:
    """Judge a case; the events are completed off-line, raw kept, and have been through JSON."""
    received = receive(CHANNELS[case.kind], case.request(**changed), [case.secret])
    return received, documents(case.kind, received, case.fixture["now"])


def documents(kind: str, received: ReceivedRequest, now: str) -> list[dict[str, Any]]:
    found: list[Event] = [
        complete(draft, channel=kind, received_at=times.parse(now), keep_raw=True, off_line=True)
        for draft in received.drafts
    ]
    return [json.loads(json.dumps(event.document(), ensure_ascii=False).encode()) for event in found]


def differences(case: Case, received: ReceivedRequest, events: list[dict[str, Any]]) -> Iterator[str]:
    """Name every place where a result is not as expected."""
    expect = case.expect
    if received.verdict != expect["verdict"]:
        yield f"verdict is {received.verdict}"
    for name, want in expect.get("reply", {}).items():
        if getattr(received.reply, name) != want:
            yield f"reply.{name}"
    if "ignored" in expect and len(received.ignored) != expect["ignored"]:
        yield "ignored"
    wanted = expect.get("events", [])
    if len(wanted) != len(events):
        yield f"{len(events)} events"
    for index, (want, event) in enumerate(zip(wanted, events, strict=False)):
        for name, value in want.items():
            if not _same(name, value, event):
                yield f"events[{index}].{name}"


def _same(name: str, want: Any, event: dict[str, Any]) -> bool:
    found: Any = event
    for step in ELSEWHERE.get(name, (name,)):
        found = None if found is None else found.get(step)  # a field that few events have may be left out
    if name == "members":
        return bool(want == [member["id"] for member in found])
    if name == "attachments":
        return len(want) == len(found or []) and all(
            want_one == {key: one[key] for key in want_one} for want_one, one in zip(want, found or [], strict=True)
        )
    return want == found and type(want) is type(found)
