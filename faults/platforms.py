"""Messengers: people who write, and platforms that post each message until it is accepted, sometimes once more later."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .world import World

WORD = "Kanarienvogel"
"""In every name and text of a person: it must be in nothing that the cell prints or keys by."""
DIGITS = "77007700"
"""In every number of a person."""
TRIES = 400
Json = dict[str, Any]


@dataclass
class Source:
    """A tenant's account at a messenger."""

    id: str
    channel: str
    secret: Json
    closed: bool = False


@dataclass
class Person:
    """A person who writes to a source, in a conversation of their own. ``accepted`` are the accepted numbers, in their order."""

    source: Source
    number: int
    written: int = 0
    accepted: list[int] = field(default_factory=list)

    @property
    def digits(self) -> int:
        """The number that a platform knows them by."""
        return int(f"{DIGITS}{self.number:04d}")


def _json(document: Json) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _text(person: Person, number: int) -> str:
    return f"{WORD} {person.number}/{number}: call me on +49 {person.digits}"


def _hmac(key: str, content: bytes) -> str:
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def telegram(secret: Json, person: Person, number: int, at: int, now: int) -> tuple[bytes, Mapping[str, str]]:
    """A private message to a bot."""
    who = {"id": person.digits, "is_bot": False, "first_name": f"{WORD} {person.number}"}
    chat = {"id": person.digits, "type": "private", "first_name": who["first_name"]}
    message = {"message_id": number, "from": who, "chat": chat, "date": at, "text": _text(person, number)}
    update = person.number * 100_000 + number
    return _json({"update_id": update, "message": message}), {"X-Telegram-Bot-Api-Secret-Token": secret["secret_token"]}


def whatsapp(secret: Json, person: Person, number: int, at: int, now: int) -> tuple[bytes, Mapping[str, str]]:
    """A text from a phone."""
    message = {
        "from": str(person.digits), "id": f"wamid.{person.number}.{number}", "timestamp": str(at), "type": "text",
        "text": {"body": _text(person, number)},
    }  # fmt: skip
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "4930000000", "phone_number_id": "1"},
        "contacts": [{"profile": {"name": f"{WORD} {person.number}"}, "wa_id": str(person.digits)}],
        "messages": [message],
    }
    change = {"field": "messages", "value": value}
    body = _json({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})
    return body, {"X-Hub-Signature-256": f"sha256={_hmac(secret['app_secret'], body)}"}


def slack(secret: Json, person: Person, number: int, at: int, now: int) -> tuple[bytes, Mapping[str, str]]:
    """A direct message in a workspace."""
    event = {
        "type": "message", "channel": f"D{person.digits}", "channel_type": "im", "user": f"U{person.digits}",
        "text": _text(person, number), "ts": f"{at}.{number:06d}",
    }  # fmt: skip
    body = _json(
        {
            "type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event": event,
            "event_id": f"Ev{person.number}x{number}", "event_time": at,
        }
    )  # fmt: skip
    signature = f"v0={_hmac(secret['signing_secret'], b'v0:%d:%b' % (now, body))}"
    return body, {"X-Slack-Request-Timestamp": str(now), "X-Slack-Signature": signature}


def viber(secret: Json, person: Person, number: int, at: int, now: int) -> tuple[bytes, Mapping[str, str]]:
    """A text to a bot."""
    body = _json(
        {
            "event": "message", "timestamp": at * 1000, "message_token": person.number * 1_000_000 + number,
            "sender": {"id": f"{person.digits}==", "name": f"{WORD} {person.number}", "api_version": 10},
            "message": {"type": "text", "text": _text(person, number)}, "silent": False,
        }
    )  # fmt: skip
    return body, {"X-Viber-Content-Signature": _hmac(secret["auth_token"], body)}


def vk(secret: Json, person: Person, number: int, at: int, now: int) -> tuple[bytes, Mapping[str, str]]:
    """A message to a community."""
    message = {
        "id": number, "date": at, "peer_id": person.digits, "from_id": person.digits, "text": _text(person, number),
        "attachments": [], "conversation_message_id": number, "out": 0, "fwd_messages": [],
    }  # fmt: skip
    update = {
        "type": "message_new", "event_id": f"{person.number:x}-{number:x}", "v": "5.199", "group_id": 1,
        "object": {"message": message, "client_info": {}}, "secret": secret["secret"],
    }  # fmt: skip
    return _json(update), {}


def standard_webhooks(secret: Json, person: Person, number: int, at: int, now: int) -> tuple[bytes, Mapping[str, str]]:
    """A system's own webhook, which is of no conversation."""
    body = _json({"type": "order.paid", "data": {"id": f"o-{number}", "note": _text(person, number)}})
    id = f"msg_{person.number}_{number}"
    key = base64.b64decode(secret["secret"].removeprefix("whsec_"))
    signed = base64.b64encode(hmac.digest(key, f"{id}.{now}.".encode() + body, "sha256")).decode()
    return body, {"webhook-id": id, "webhook-timestamp": str(now), "webhook-signature": f"v1,{signed}"}


POSTS: Mapping[str, Callable[[Json, Person, int, int, int], tuple[bytes, Mapping[str, str]]]] = {
    "telegram": telegram, "whatsapp": whatsapp, "slack": slack, "viber": viber, "vk": vk,
    "standard_webhooks": standard_webhooks,
}  # fmt: skip
WITHOUT_CONVERSATION = frozenset({"standard_webhooks"})


def new_secret(channel: str, randomness: bytes) -> Json:
    """Make up the data that a messenger's console would show."""
    token = randomness.hex()
    return {
        "telegram": {"secret_token": token},
        "whatsapp": {"app_secret": token, "verify_token": token[:8]},
        "slack": {"signing_secret": token},
        "viber": {"auth_token": token},
        "vk": {"secret": token, "confirmation": token[:8]},
        "standard_webhooks": {"secret": "whsec_" + base64.b64encode(randomness * 2).decode()},
    }[channel]


class Platforms:
    """Posts what people write. A person's next message is posted when the one before was taken."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.people: list[Person] = []
        self.taken = 0
        self.refused = 0
        self.busy = 0

    def write(self, person: Person, pauses_s: list[float]) -> None:
        """Make a person write now and then. A task."""
        self.busy += 1
        try:
            for pause_s in pauses_s:
                self.world.scheduler.pause(pause_s)
                if person.source.closed:
                    return
                self._message(person)
        finally:
            self.busy -= 1

    def _message(self, person: Person) -> None:
        person.written += 1
        number, at = person.written, self.world.now()
        for attempt in range(TRIES):
            status = self._post(person, number, at)
            if status == 200:
                person.accepted.append(number)
                self.taken += 1
                break
            if person.source.closed:
                return
            self.world.scheduler.pause(min(60.0, 2.0 ** min(attempt, 6)) * self.world.random.uniform(0.5, 1.5))
        else:
            self.refused += 1
            return
        if self.world.faults.draws("webhook_twice"):
            world = self.world
            later = world.random.choice((0.0, 20.0, 200.0, 400.0, 2400.0))
            world.faults.note(world.tick, world.scheduler.now_s, "webhook_twice", person.source.channel)
            self.busy += 1
            world.scheduler.spawn(lambda: self._again(person, number, at), after_s=later)

    def _again(self, person: Person, number: int, at: datetime) -> None:
        try:
            self._post(person, number, at)
        finally:
            self.busy -= 1

    def _post(self, person: Person, number: int, at: datetime) -> int:
        source = person.source
        make = POSTS[source.channel]
        now = int(self.world.now().timestamp())
        body, headers = make(source.secret, person, number, int(at.timestamp()), now)
        return self.world.hook(source.id, "", {"Content-Type": "application/json", **headers}, body)
