"""What a channel is, and the one procedure by which every request of every channel is judged.

A channel is a module with ``KIND``, ``Secret``, ``verify``, ``challenge``, ``normalise`` and ``acknowledge``. All four are
pure: they get the request and the secret, and return values or raise. Nothing but ``verify`` looks at a body before it is
verified, and nobody has to remember that: ``receive`` is the only caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ..core.errors import MalformedPayload, NotGenuine
from ..core.event.event import UNSUPPORTED, Draft, EventKind, Message
from .fields import same

Verdict = Literal["accepted", "handshake", "ignored", "rejected", "malformed"]


@dataclass(frozen=True, slots=True)
class Inbound:
    """A webhook request. ``headers`` have lower-case names; ``body`` is the exact bytes; ``now`` is the clock."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    now: datetime
    path: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in the platform's words. ``body`` is text; empty for none."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A genuine thing that is no event of a conversation: acknowledged, counted, and kept only where the source asks for it.

    ``raw`` is the platform's own object.
    """

    native_kind: str
    reason: str
    raw: Any = None


class Secret(BaseModel):
    """What a tenant gives when connecting a source of this channel. Unknown fields are refused."""

    # Built when first used, as a process starts by importing it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


Line = Annotated[str, StringConstraints(min_length=1, max_length=512)]
SecretText = Annotated[Line, Field(repr=False)]
"""A secret of one line. An empty secret would verify everything, so there is none."""


class UrlTokenSecret(Secret):
    """The unguessable part of the source's address, its query parameter ``token``, for platforms that prove nothing.

    The cell makes it; a tenant gives only what a channel adds to it.
    """

    url_token: SecretText


def verify_url_token(request: Inbound, secret: UrlTokenSecret) -> None:
    """Compare the token in the address: ``verify`` of channels whose platform proves nothing.

    Raises:
        NotGenuine: it is missing or wrong.
    """
    if not same(request.query.get("token"), secret.url_token):
        raise NotGenuine("the token in the address is missing or wrong")


class KeyRequest(NamedTuple):
    """Keys that a platform publishes and ``verify`` needs: the secret's field they belong into, and where they are.

    ``name`` is the one that a request asks for, if it says: where it is not among the keys that are known, they are old.
    ``names`` are those that a certificate may be of; one of another name is no key of the platform.
    """

    field: Literal["jwks", "signing_cert"]
    url: str
    name: str | None = None
    names: tuple[str, ...] = ()


BODY_MAX_BYTES = 4_400_000
"""The largest body of any channel. Lambda takes an event of 6 MB, in which the gateway writes a body as base64 and adds the
headers (at most 10,240 bytes) and its own context. The gateway itself refuses a larger event, and no line is logged.

Sources (read 2026-11-30): https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html,
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html.
"""


@dataclass(frozen=True, slots=True)
class ChannelCapabilities:
    """What sets a channel apart from the usual one.

    Args:
        body_limit_bytes: the largest request that the channel accepts.
        keeps_raw: an event always stores the platform's own object, because it means nothing without it.
        answer_within_s: how long the platform waits for an answer, where that is less than ten seconds.
        unsubscribes_after_h: the hours of failures after which the platform ends the webhook's subscription; None where it
            does not, or does not say after how long.
        secret_ends: returns when a secret of the channel ends by itself, or None.
        url_token: the platform proves nothing, so the channel's ``Secret`` is a ``UrlTokenSecret``.
        keys_needed: returns the keys that ``verify`` needs beyond the secret, or None. It sees an unverified request and
            decides nothing.
        opened: returns a verified request with its body decrypted, for ``normalise``. Raises ``MalformedPayload``.
        secret_defaults: fields that a new secret gets where its tenant does not state them.
        confirmation: returns the address that confirms the handshake of a verified request, or None. Raises
            ``MalformedPayload``.
        empty_messages: a message without content is whole, as an e-mail that is only a subject.
    """

    body_limit_bytes: int = 1024 * 1024
    keeps_raw: bool = False
    answer_within_s: float | None = None
    unsubscribes_after_h: int | None = None
    secret_ends: Callable[[Any], datetime | None] | None = None
    url_token: bool = False
    secret_defaults: Mapping[str, Any] = field(default_factory=dict)
    keys_needed: Callable[[Inbound, Any], KeyRequest | None] | None = None
    opened: Callable[[Inbound, Any], Inbound] | None = None
    confirmation: Callable[[Inbound], str | None] | None = None
    empty_messages: bool = False


class Channel(Protocol):
    """Satisfied by a module. ``CAPABILITIES`` names the functions that only some modules have."""

    @property
    def KIND(self) -> str:  # noqa: N802  (a constant or class of the module)
        """The channel's name, which is the name of its module."""

    @property
    def CAPABILITIES(self) -> ChannelCapabilities:  # noqa: N802  (a constant or class of the module)
        """What sets the channel apart."""

    @property
    def Secret(self) -> type[BaseModel]:  # noqa: N802  (a constant or class of the module)
        """The secret of a source of this channel."""

    def verify(self, request: Inbound, secret: Any) -> None:
        """Raise ``NotGenuine`` unless the request proves its origin."""

    def challenge(self, request: Inbound, secret: Any) -> Reply | None:
        """Answer the platform's subscription handshake, or return None. Called on verified requests only."""

    def normalise(self, request: Inbound) -> Iterator[Draft | Ignored]:
        """Yield the content of a request. Raises ``MalformedPayload`` for a body that is no document, and nothing else."""

    def acknowledge(self, request: Inbound) -> Reply:
        """Return success in the platform's words."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """What became of a request. ``drafts`` is non-empty exactly when the verdict is ``accepted``.

    ``verified`` says that the request proved its origin, even if it is malformed or ignored.
    """

    verdict: Verdict
    reply: Reply
    drafts: tuple[Draft, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    code: str | None = None
    detail: str = ""
    verified: bool = True


_TITLES: Mapping[Verdict, str] = {"rejected": "Not genuine", "malformed": "Malformed payload"}


def refusal(verdict: Verdict, status: int, code: str, detail: str, verified: bool = True) -> ReceivedRequest:
    """Refuse a request with a short RFC 9457 problem that repeats nothing of the request."""
    problem = {"title": _TITLES[verdict], "status": status, "code": code, "detail": detail}
    reply = Reply(status, json.dumps(problem), {"Content-Type": "application/problem+json"})
    return ReceivedRequest(verdict, reply, code=code, detail=detail, verified=verified)


def _refused(
    verdict: Verdict, status: int, error: MalformedPayload | NotGenuine, verified: bool = True
) -> ReceivedRequest:
    return refusal(verdict, status, error.code, error.detail, verified)


def receive(channel: Channel, request: Inbound, secrets: Sequence[Any]) -> ReceivedRequest:
    """Judge one request: 1 verify, 2 handshake, 3 normalise, 4 answer in the platform's words.

    Args:
        secrets: the current secret and those still in their rotation grace; one that verifies is enough.

    Never raises for anything a sender can do.
    """
    fault: NotGenuine | None = None
    for secret in secrets:
        try:
            channel.verify(request, secret)  # 1
        except NotGenuine as error:
            fault = fault or error
            continue
        except MalformedPayload as error:
            return _refused("malformed", 400, error, verified=False)
        return judge(channel, request, secret)
    fault = fault or NotGenuine("no secret is configured for this source")
    return _refused("rejected", fault.reply_status, fault, verified=False)


def judge(channel: Channel, request: Inbound, secret: Any) -> ReceivedRequest:
    """Judge a verified request: steps 2 to 4 of ``receive``."""
    try:
        handshake = channel.challenge(request, secret)  # 2
        if handshake is not None:
            return ReceivedRequest("handshake", handshake)
        if channel.CAPABILITIES.opened is not None:
            request = channel.CAPABILITIES.opened(request, secret)
        drafts: dict[str, Draft] = {}
        ignored: list[Ignored] = []
        for item in channel.normalise(request):  # 3
            if isinstance(item, Ignored):
                ignored.append(item)
            else:
                draft = named(_said(item, channel.CAPABILITIES))
                drafts.setdefault(draft.dedupe_id, draft)
    except MalformedPayload as error:
        return _refused("malformed", 400, error)
    reply = channel.acknowledge(request)  # 4
    return ReceivedRequest("accepted" if drafts else "ignored", reply, tuple(drafts.values()), tuple(ignored))


def _said(draft: Draft, capabilities: ChannelCapabilities) -> Draft:
    """Mark a message without any content as unsupported: its content is of a form that the channel does not know."""
    if draft.kind is not EventKind.MESSAGE or capabilities.empty_messages:
        return draft
    message = draft.message or Message()
    if not message.is_empty:
        return draft
    return draft.model_copy(update={"message": message.model_copy(update={"attachments": (UNSUPPORTED,)})})


def named(draft: Draft) -> Draft:
    """Name an occurrence without an id by the platform's own object: a repeat of it has the same name."""
    return draft if draft.dedupe_id else draft.model_copy(update={"dedupe_id": derived_id(draft)})


def derived_id(draft: Draft) -> str:
    """Return the SHA-256 of what the platform says of an occurrence, for one without an id."""
    about = draft.model_dump(mode="json", exclude={"dedupe_id"})
    canonical = json.dumps(about, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return "sha256:" + sha256(canonical.encode()).hexdigest()
