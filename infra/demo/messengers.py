"""Five messengers' posts: signed webhooks with a person's message, and the secrets that their consoles show."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Post:
    """A signed webhook."""

    channel: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def _json(document: Json) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def telegram(secret: Json, number: int, now: int) -> Post:
    """A private message to a bot."""
    person = {"id": 7_000_000_000 + number, "is_bot": False, "first_name": "Mira", "language_code": "de"}
    chat = {"id": person["id"], "type": "private", "first_name": "Mira"}
    message = {"message_id": number, "from": person, "chat": chat, "date": now, "text": "Wann kommt mein Paket?"}
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret["secret_token"]}
    return Post("telegram", _json({"update_id": now + number, "message": message}), headers)


def whatsapp(secret: Json, number: int, now: int) -> Post:
    """A text from a customer's phone."""
    phone = f"49151000{number:05d}"
    message = {
        "from": phone,
        "id": f"wamid.demo{number}{now}",
        "timestamp": str(now),
        "type": "text",
        "text": {"body": "Danke!"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "4930000000", "phone_number_id": "1"},
        "contacts": [{"profile": {"name": "Jonas"}, "wa_id": phone}],
        "messages": [message],
    }
    body = _json(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
        }
    )
    digest = hmac.new(secret["app_secret"].encode(), body, hashlib.sha256).hexdigest()
    return Post("whatsapp", body, {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"})


def slack(secret: Json, number: int, now: int) -> Post:
    """A message in a channel."""
    event = {
        "type": "message", "channel": "C0DEMO", "channel_type": "channel", "user": f"U{number:06d}",
        "text": "Bitte Rechnung 7 prüfen", "ts": f"{now}.000{number:03d}",
    }  # fmt: skip
    body = _json(
        {
            "type": "event_callback",
            "team_id": "T0DEMO",
            "api_app_id": "A0DEMO",
            "event": event,
            "event_id": f"Ev{now}{number}",
            "event_time": now,
        }
    )
    base = b"v0:%d:%b" % (now, body)
    digest = hmac.new(secret["signing_secret"].encode(), base, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": str(now), "X-Slack-Signature": f"v0={digest}"}
    return Post("slack", body, {"Content-Type": "application/json", **headers})


def viber(secret: Json, number: int, now: int) -> Post:
    """A text to a bot."""
    body = _json(
        {
            "event": "message", "timestamp": now * 1000, "message_token": 5_700_000_000_000_000_000 + now + number,
            "sender": {"id": f"demo{number}==", "name": "Ева", "api_version": 10, "country": "BG", "language": "bg"},
            "message": {"type": "text", "text": "Къде е поръчката?"}, "silent": False,
        }
    )  # fmt: skip
    digest = hmac.new(secret["auth_token"].encode(), body, hashlib.sha256).hexdigest()
    return Post("viber", body, {"Content-Type": "application/json", "X-Viber-Content-Signature": digest})


def vk(secret: Json, number: int, now: int) -> Post:
    """A message to a community."""
    message = {
        "id": number, "date": now, "peer_id": 700_000 + number, "from_id": 700_000 + number, "text": "Здравствуйте, мой номер +49 151 0001",
        "attachments": [], "conversation_message_id": number, "out": 0, "fwd_messages": [],
    }  # fmt: skip
    update = {
        "type": "message_new", "event_id": f"{now:x}{number:08x}", "v": "5.199", "group_id": 1,
        "object": {"message": message, "client_info": {}}, "secret": secret["secret"],
    }  # fmt: skip
    return Post("vk", _json(update), {"Content-Type": "application/json"})


POSTS: Mapping[str, Callable[[Json, int, int], Post]] = {
    "telegram": telegram, "whatsapp": whatsapp, "slack": slack, "viber": viber, "vk": vk,
}  # fmt: skip


def new_secret(channel: str) -> Json:
    """Make up the data that a messenger's console would show."""
    token = secrets.token_hex(16)
    return {
        "telegram": {"secret_token": token},
        "whatsapp": {"app_secret": token, "verify_token": token[:8]},
        "slack": {"signing_secret": token},
        "viber": {"auth_token": token},
        "vk": {"secret": token, "confirmation": token[:8]},
    }[channel]
