"""Access tokens that are renewed by a refresh token, where each renewal may end the refresh token that it was made with.

    1 remembered         a pair whose access token has not been refused yet
    2 claim              else ``contended``: somebody is renewing at this moment
    3 remembered         what whoever had the claim before has put there
    4 renew              with the remembered pair's refresh token; the first time with the configuration's
    5 remember           the new pair, before its first use
    6 release            always

A pair is remembered under the refresh token that the tenant has given, so that a new one begins anew. A process that dies
between 4 and 5 loses the only pair that is good: the next renewal is refused (``credentials``) and the tenant has to give
a new refresh token, where the service's refresh tokens are good for one use only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, SecretStr

from . import base, calls, vetted
from .base import Memory

CLAIM_S = 30
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


class Tokens:
    """The access token of one attempt.

    Args:
        keep_s: for how long the service takes a refresh token that is not used.
    """

    def __init__(self, app: OAuthApp, memory: Memory, renew: Renew, keep_s: int) -> None:
        self._first = app.refresh_token.get_secret_value()
        self._name = f"{PREFIX}{app.client_id}:{self._first}"
        self._memory = memory
        self._renew = renew
        self._keep_s = keep_s

    def access(self, refused: str | None = None) -> str:
        """Return an access token, another one than ``refused``: steps 1 to 6.

        Raises:
            DeliveryError: ``contended``, ``credentials``, or what the service came to.
        """
        pair = self._remembered()  # 1
        if pair is not None and pair[0] != refused:
            return pair[0]
        if not self._memory.claim(self._name, CLAIM_S):  # 2
            raise vetted.failure("contended", sent=refused is not None)
        try:
            pair = self._remembered()  # 3
            if pair is not None and pair[0] != refused:
                return pair[0]
            answer = self._renew(pair[1] if pair else self._first)  # 4
            if not answer.ok:
                raise calls.fault_of(answer, REFUSED)
            content = answer.object()
            access, refresh = content.get("access_token"), content.get("refresh_token")
            if not _token(access) or not _token(refresh):
                raise calls.failure("protocol", answer)
            self._memory.put(self._name, json.dumps([access, refresh]), self._keep_s)  # 5
            return str(access)
        finally:
            self._memory.release(self._name)  # 6

    def _remembered(self) -> tuple[str, str] | None:
        kept = self._memory.get(self._name)
        if kept is None:
            return None
        access, refresh = json.loads(kept)
        return access, refresh


def authorised(
    send: Callable[[str], calls.ApiResponse], tokens: Tokens, expired: Callable[[calls.ApiResponse], bool]
) -> calls.ApiResponse:
    """Make a call with the access token; where the service says that it has expired, once more with a new one."""
    access = tokens.access()
    answer = send(access)
    return send(tokens.access(refused=access)) if expired(answer) else answer


def _token(value: Any) -> bool:
    """Say whether a value can be a token; what cannot stand in a header is none."""
    return isinstance(value, str) and 0 < len(value) <= TOKEN_MAX and value.isascii() and value.isprintable()
