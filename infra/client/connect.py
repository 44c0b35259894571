"""Connect a channel: make the source, subscribe it at its platform, wait for its first webhook, show the result.

Secrets come from a file, standard input or a prompt, never from the command line, which other users of a machine can read.
"""

from __future__ import annotations

import base64
import getpass
import json
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chalicelib import platforms
from chalicelib.channels import CHANNELS
from chalicelib.channels.base import UrlTokenSecret

from . import console_steps
from .report.asking import Cell, NotAnswered, opened

DONE: Final = 0
NOT_YET: Final = 1
NOT_ANSWERED: Final = 2
WRONG: Final = 3
LOOK_EVERY_S: Final = 2.0
STANDARD_INPUT: Final = "-"


class BadValue(Exception):
    """A value is missing, or cannot be read. The text names the value and does not hold it."""


def _alphanumeric(length: int) -> str:
    return "".join(
        secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") for _ in range(length)
    )


def _aes_key() -> str:
    while True:
        found = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        if found.isalnum():
            return found


MADE: Final[Mapping[tuple[str, str], Callable[[], str]]] = {
    ("email_postmark", "username"): lambda: "waybill",
    ("email_postmark", "password"): lambda: _alphanumeric(40),
    ("instagram", "verify_token"): lambda: _alphanumeric(40),
    ("livechat", "secret_key"): lambda: _alphanumeric(40),
    ("matrix", "hs_token"): lambda: _alphanumeric(64),
    ("mattermost", "token"): lambda: _alphanumeric(40),
    ("max", "secret"): lambda: _alphanumeric(40),
    ("messenger", "verify_token"): lambda: _alphanumeric(40),
    ("rocketchat", "token"): lambda: _alphanumeric(40),
    ("standard_webhooks", "secret"): lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    ("telegram", "secret_token"): lambda: _alphanumeric(40),
    ("vk", "secret"): lambda: _alphanumeric(24),
    ("vk", "confirmation"): lambda: _alphanumeric(8),
    ("wechat", "token"): lambda: _alphanumeric(32),
    ("wechat", "encoding_aes_key"): _aes_key,
    ("whatsapp", "verify_token"): lambda: _alphanumeric(40),
}
"""Values of a secret that the tenant chooses, or that are replaced once the platform shows them. Made unless given."""


HINTS: Final[Mapping[str, str]] = {
    "switched_off": "switch the webhook on in the platform's console",
    "unconfirmed": "the platform has not confirmed the address yet: run this again with --source in a minute",
}
"""What to do about an error of a subscription."""


@dataclass(frozen=True)
class ConnectRequest:
    """The options of ``waybill connect``.

    Args:
        values: a file of JSON with fields of the secret and of the credentials, or ``-`` for standard input.
        source: an existing source to subscribe, in place of a new one.
        wait_s: how long the first webhook is waited for.
    """

    channel: str
    name: str
    country: str | None = None
    special: tuple[str, ...] | None = None
    values: str | None = None
    source: str | None = None
    keep: bool = False
    replace: bool = False
    api_url: str | None = None
    wait_s: float = 0
    as_json: bool = False


@dataclass
class Connected:
    """The result. ``url`` and ``steps`` may hold secrets of the tenant's: they are for its eyes."""

    source: str
    url: str = field(repr=False)
    subscription: dict[str, Any] | None = None
    steps: list[str] = field(default_factory=list, repr=False)
    webhook_received: bool | None = None


def fields_of(channel: str) -> tuple[list[str], list[str]]:
    """Return the names of a channel's fields: of its secret, and of the credentials of its platform's API."""
    secret = [name for name in CHANNELS[channel].Secret.model_fields if name not in UrlTokenSecret.model_fields]
    platform = platforms.of_channel(channel)
    return secret, [] if platform is None else list(platform.Credentials.model_fields)


def split(
    channel: str, given: Mapping[str, Any], ask: Callable[[str], str] | None, *, new: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the secret and the credentials: given, made, or asked for.

    Args:
        ask: prompts for a value; None where there is nobody to ask.
        new: the source is new, and needs a secret.

    Raises:
        BadValue: a value is missing, or its name is none of the channel's.
    """
    secret_names, credential_names = fields_of(channel)
    unknown = sorted(set(given) - {*secret_names, *credential_names})
    if unknown:
        known = ", ".join([*secret_names, *credential_names])
        raise BadValue(f"{channel} has no value {', '.join(unknown)}; it has {known or 'none'}")
    platform = platforms.of_channel(channel)
    models = [(secret_names, CHANNELS[channel].Secret)] if new else []
    models += [(credential_names, platform.Credentials)] if platform is not None else []
    found = dict(given)
    for names, model in models:
        for name in (n for n in names if n not in found):
            made = MADE.get((channel, name))
            if made is not None:
                found[name] = made()
            elif model.model_fields[name].is_required():
                if ask is None:
                    raise BadValue(f"{name} is missing: give --values FILE with a JSON object, or run at a terminal")
                found[name] = ask(name)
    return ({n: found[n] for n in secret_names if n in found}, {n: found[n] for n in credential_names if n in found})


def read_values(place: str | None) -> dict[str, Any]:
    """Read the values of a file or of standard input.

    Raises:
        BadValue: there is no JSON object.
    """
    if place is None:
        return {}
    try:
        text = sys.stdin.read() if place == STANDARD_INPUT else Path(place).read_text("utf-8")
        found = json.loads(text)
    except (OSError, ValueError):
        raise BadValue("--values cannot be read as a JSON object") from None
    if not isinstance(found, dict):
        raise BadValue("--values cannot be read as a JSON object")
    return found


def connect(cell: Cell, wanted: ConnectRequest, secret: Mapping[str, Any], credentials: Mapping[str, Any]) -> Connected:
    """Make the source, unless there is one, and subscribe it, if its platform has an API for that.

    Raises:
        NotAnswered: the cell refuses, or does not answer.
    """
    if wanted.source is None:
        body: dict[str, Any] = {"channel": wanted.channel, "name": wanted.name, "secret": dict(secret)}
        body |= {"subject_country": wanted.country} if wanted.country is not None else {}
        body |= {"special": list(wanted.special)} if wanted.special is not None else {}
        made = _post(cell, "/v1/sources", body, {"Idempotency-Key": secrets.token_hex(16)})
    else:
        made = cell.json(f"/v1/sources/{wanted.source}")
        if made.get("channel") != wanted.channel:
            raise NotAnswered(f"{wanted.source} is a source of another channel")
    result = Connected(str(made["id"]), str(made["url"]))
    if platforms.of_channel(wanted.channel) is not None:
        body = {"credentials": dict(credentials), "keep": wanted.keep, "replace": wanted.replace}
        body |= {"api_url": wanted.api_url} if wanted.api_url is not None else {}
        try:
            result.subscription = _post(cell, f"/v1/sources/{result.source}/subscribe", body)
        except NotAnswered as fault:
            raise NotAnswered(f"{fault}. The source is there: try again with --source {result.source}") from None
    elif wanted.source is None:
        result.steps = console_steps.steps(wanted.channel, result.url, secret)
    else:
        raise NotAnswered(f"{wanted.channel} has no API for webhooks, and --source does not show the secret again")
    return result


def _post(cell: Cell, path: str, body: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    return cell.post(path, json.dumps(body).encode(), "application/json", headers)


def wait(cell: Cell, source: str, wait_s: float, sleep: Callable[[float], None], now: Callable[[], float]) -> bool:
    """Wait for the first genuine webhook of a source. Return whether one came.

    Raises:
        NotAnswered: the cell does not answer.
    """
    until = now() + wait_s
    while True:
        found = cell.json(f"/v1/sources/{source}")
        counts = found.get("last_24_hours") or {}
        if any(counts.get(word) for word in ("accepted", "ignored", "handshake")):
            return True
        if now() >= until:
            return False
        sleep(LOOK_EVERY_S)


def run(
    url: str,
    key_file: Path,
    wanted: ConnectRequest,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
    prompt: Callable[[str], str] = getpass.getpass,
) -> int:
    """Connect a channel, and print the result. Return the exit code."""
    try:
        cell = opened(url, key_file, sleep)
        asks = (lambda name: prompt(f"{name}: ")) if sys.stdin.isatty() and wanted.values != STANDARD_INPUT else None
        new = wanted.source is None
        secret, credentials = split(wanted.channel, read_values(wanted.values), asks, new=new)
    except (BadValue, NotAnswered) as fault:
        _say(str(fault))
        return WRONG
    try:
        result = connect(cell, wanted, secret, credentials)
        if not wanted.as_json:
            print("\n".join(lines(result)), flush=True)
        if wanted.wait_s:
            result.webhook_received = wait(cell, result.source, wanted.wait_s, sleep, now)
    except NotAnswered as fault:
        _say(str(fault))
        return NOT_ANSWERED
    if wanted.as_json:
        print(json.dumps(vars(result)))
    elif result.webhook_received is not None:
        print("the first webhook came" if result.webhook_received else "no webhook came yet")
    return DONE if result.webhook_received is not False else NOT_YET


def lines(result: Connected) -> list[str]:
    """Return the result for people."""
    found = [f"source   {result.source}", f"webhook  {result.url}"]
    if result.subscription is not None:
        error = f", last error {result.subscription['error']}" if result.subscription["error"] else ""
        kept = "checked every day" if result.subscription["kept"] else "not checked: give --keep for a daily check"
        found.append(f"platform {result.subscription['state']}{error}; {kept}")
        hint = HINTS.get(str(result.subscription["error"]))
        found += [f"next     {hint}"] if hint is not None else []
    for number, step in enumerate(result.steps, 1):
        found += ["", f"{number}. {step}"]
    return found


def _say(line: str) -> None:
    print(f"waybill connect: {line}", file=sys.stderr, flush=True)
