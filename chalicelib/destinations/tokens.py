"""Access tokens that are renewed by a refresh token, where each renewal may end the refresh token that it was made with.

The pair belongs to the integration: all destinations of a tenant that were given the same refresh token, for the same
account, use one pair, and one renewal is under way at a time.

    1 remembered         the integration's pair, if its access token has not been refused yet
    2 claim              else ``contended``: another delivery renews the pair
    3 remembered         the pair of the delivery that had the claim before, or of the release before
    4 renew              with the remembered pair's refresh token; the first time with the configuration's
    5 remember           the new pair, before its first use; until then the old one stays
    6 release            always

A renewal has a deadline of its own, since a lost answer may cost the pair. Where the answer is lost all the same, the next
renewal uses the old refresh token again. A service whose refresh tokens are good for one use refuses it (``credentials``), and
the tenant has to give a new one. A pair is remembered under the refresh token that the tenant has given, so that a new one
has no remembered pair.

The release before this one knows the pair of a destination only: it is read where it is newer, and kept up to date.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import Field, SecretStr

from . import base, calls, vetted
from .base import Memory, SendingClients

CLAIM_S = 60
"""Longer than an attempt with a renewal may take."""
RENEWAL_S = 20.0
"""The time for a renewal. With the rest of an attempt it ends before a function's process does."""
BEGINS_WITHIN_S = 12.0
"""An attempt that is older begins no renewal."""
SPENT_KEPT = 8
TOKEN_MAX = 8192
PREFIX = "tokens:"
"""What the names of remembered tokens begin with; all else that is remembered of a destination is about people."""

REFUSED: Mapping[int, str] = {400: "credentials"}
"""How services answer a refresh token that is spent, expired or revoked (RFC 6749, 5.2: ``invalid_grant``)."""


class OAuthApp(base.Config):
    """What a tenant gives of an OAuth application that it has installed."""

    client_id: str = Field(min_length=1, max_length=200)
    client_secret: SecretStr = Field(min_length=1, max_length=500)
    refresh_token: SecretStr = Field(min_length=1, max_length=TOKEN_MAX)


Renew = Callable[[str], calls.ApiResponse]
"""Asks the service for a new pair, by a refresh token."""


@dataclass(frozen=True)
class TokenPair:
    """An access token and the refresh token that renews it. ``spent`` are hashes of refresh tokens before it."""

    access: str
    refresh: str
    spent: tuple[str, ...] = ()


class Tokens:
    """The access token of one attempt.

    Args:
        account: what tells the account from others that the same integration may be installed in.
        service: the service that the tokens open.
        keep_s: for how long the service takes a refresh token that is not used.
    """

    def __init__(
        self,
        app: OAuthApp,
        account: str,
        clients: SendingClients,
        memory: Memory,
        service: calls.Service,
        renew: Renew,
        keep_s: int,
    ) -> None:
        self._first = app.refresh_token.get_secret_value()
        self._own_name = f"{PREFIX}{app.client_id}:{self._first}"
        self._name = f"{PREFIX}{account}\n{app.client_id}\n{self._first}"
        self._own = memory
        self._shared = clients.integrations or memory
        self._service = service
        self._renew = renew
        self._keep_s = keep_s

    def access(self, refused: str | None = None) -> str:
        """Return an access token, another one than ``refused``: steps 1 to 6.

        Raises:
            DeliveryError: ``contended``, ``credentials``, or what the service came to.
        """
        pair = self._remembered()  # 1
        if pair is not None and pair.access != refused:
            return pair.access
        if self._service.age_s > BEGINS_WITHIN_S:
            raise vetted.failure("contended", sent=self._service.reached)
        try:
            if not (self._shared.claim(self._name, CLAIM_S) and self._own.claim(self._own_name, CLAIM_S)):  # 2
                raise vetted.failure("contended", sent=self._service.reached)
            pair = self._newest()  # 3
            if pair is None or pair.access == refused:
                pair = self._renewed(pair)
        finally:
            self._shared.release(self._name)  # 6
            self._own.release(self._own_name)
        if self._service.late:  # the pair is there for the next attempt
            raise vetted.failure("contended", sent=self._service.reached)
        return pair.access

    def _renewed(self, pair: TokenPair | None) -> TokenPair:
        old = pair.refresh if pair else self._first
        answer = self._renew(old)  # 4
        if not answer.ok:
            raise calls.fault_of(answer, REFUSED)
        content = answer.object()
        access, refresh = content.get("access_token"), content.get("refresh_token")
        if not _token(access) or not _token(refresh):
            raise calls.failure("protocol", answer)
        spent = pair.spent if pair else ()
        made = TokenPair(access, refresh, spent if refresh == old else (*spent, _hash(old))[-SPENT_KEPT:])
        self._remember(made)  # 5
        return made

    def _remember(self, pair: TokenPair) -> None:
        self._shared.put(self._name, json.dumps([pair.access, pair.refresh, list(pair.spent)]), self._keep_s)
        self._own.put(self._own_name, json.dumps([pair.access, pair.refresh]), self._keep_s)

    def _remembered(self) -> TokenPair | None:
        kept = self._shared.get(self._name)
        if kept is None:
            return None
        access, refresh, spent = json.loads(kept)
        return TokenPair(access, refresh, tuple(spent))

    def _newest(self) -> TokenPair | None:
        """Return the integration's pair, or the destination's own where the release before has renewed that since."""
        pair, kept = self._remembered(), self._own.get(self._own_name)
        if kept is None:
            return pair
        access, refresh = json.loads(kept)
        if pair is not None and (refresh == pair.refresh or _hash(refresh) in pair.spent):
            return pair
        newer = TokenPair(access, refresh, (*pair.spent, _hash(pair.refresh))[-SPENT_KEPT:] if pair else ())
        self._remember(newer)
        return newer


def authorised(
    send: Callable[[str], calls.ApiResponse], tokens: Tokens, expired: Callable[[calls.ApiResponse], bool]
) -> calls.ApiResponse:
    """Make a call with the access token; where the service says that it has expired, once more with a new one."""
    access = tokens.access()
    answer = send(access)
    return send(tokens.access(refused=access)) if expired(answer) else answer


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _token(value: Any) -> TypeGuard[str]:
    """Say whether a value can be a token; what cannot stand in a header is none."""
    return isinstance(value, str) and 0 < len(value) <= TOKEN_MAX and value.isascii() and value.isprintable()
