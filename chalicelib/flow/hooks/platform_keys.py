"""The keys that platforms publish: fetched from their own hosts only, over the vetted connection, and cached for a while.

A channel names the keys that a request needs (``keys_needed``). This module fetches them, or the webhook is answered 503
so that the platform posts again. No request is ever accepted unverified because a key is missing. The address may come
from an unverified request, so it is not trusted, and neither is how often it changes: hosts are a table, fetches are few.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...channels.base import Channel, Inbound, KeyRequest
from ...core.errors import DeliveryError, Unavailable
from .key_addresses import ISSUER, is_own

if TYPE_CHECKING:  # what sends is loaded by ``fetch``
    from cryptography.x509 import Certificate

    from ...destinations.base import SendingClients
    from ...runtime import Runtime

LIFETIME_S = 6 * 3600.0
REFRESH_S = 60.0  # for a key that is not among those known: it may be new, or made up
FETCHES_A_MINUTE = 10
KEPT_MAX = 32
RESOLVE_S, CONNECT_S, TOTAL_S = 1.5, 2.0, 4.0  # the platform waits for its answer meanwhile

Fetch = Callable[[str], bytes]
"""Returns the body at an address. Raises ``Unavailable``."""


@dataclass(frozen=True, slots=True)
class _CachedKeys:
    value: Any
    names: frozenset[str]
    fetched_at: float
    tried_at: float
    failed: bool = False


class PublishedKeys:
    """The keys that this process has fetched.

    Args:
        monotonic: a clock of seconds.
        roots: returns the certificates that a signing certificate must lead to.
    """

    def __init__(
        self,
        fetch: Fetch,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        roots: Callable[[], list[Certificate]],
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._now = now
        self._roots = roots
        self._kept: dict[str, _CachedKeys] = {}
        self._fetches: deque[float] = deque(maxlen=FETCHES_A_MINUTE)

    def get(self, wanted: KeyRequest) -> Any:
        """Return the value for the secret's field.

        A name that is not among keys fetched less than a minute ago is not looked for again: then the keys are
        returned without it, and verification fails.

        Raises:
            Unavailable: the keys cannot be had now.
        """
        now = self._monotonic()
        kept = self._kept.get(wanted.url)
        if kept is not None and now - kept.fetched_at < LIFETIME_S:
            if wanted.name is None or wanted.name in kept.names:
                return kept.value
            if now - kept.tried_at < REFRESH_S:
                if kept.failed:
                    raise Unavailable("the platform's keys cannot be had now")
                return kept.value
        try:
            made = self._fetched(wanted, now)
        except Unavailable:
            if kept is not None:
                self._kept[wanted.url] = replace(kept, tried_at=now, failed=True)
            raise
        if wanted.url not in self._kept and len(self._kept) >= KEPT_MAX:
            del self._kept[min(self._kept, key=lambda url: self._kept[url].fetched_at)]
        self._kept[wanted.url] = made
        return made.value

    def complete(self, channel: Channel, request: Inbound, secrets: Sequence[Any]) -> list[Any]:
        """Return the secrets with the published keys that a request needs.

        Raises:
            Unavailable: they cannot be had now.
        """
        needed = channel.CAPABILITIES.keys_needed
        if needed is None:
            return list(secrets)
        wanted = [(secret, needed(request, secret)) for secret in secrets]
        return [s if w is None else s.model_copy(update={w.field: self.get(w)}) for s, w in wanted]

    def confirm(self, channel: Channel, request: Inbound) -> None:
        """Call the address that confirms a verified handshake, where the channel has one.

        Raises:
            Unavailable: it does not answer with success; the platform asks again.
        """
        confirmation = channel.CAPABILITIES.confirmation
        url = None if confirmation is None else confirmation(request)
        if url is not None:
            self._fetch(url)

    def _fetched(self, wanted: KeyRequest, now: float) -> _CachedKeys:
        if len(self._fetches) == FETCHES_A_MINUTE and now - self._fetches[0] < 60:
            raise Unavailable("the platform's keys were fetched too often")
        self._fetches.append(now)
        content = self._fetch(wanted.url)
        if wanted.field == "jwks":
            value, names = _key_set(content)
        else:
            value, names = self._certificate(content, wanted.names), frozenset[str]()
        return _CachedKeys(value, names, now, now)

    def _certificate(self, content: bytes, names: tuple[str, ...]) -> str:
        from .signing_certificates import checked  # loads cryptography, as below

        return checked(content, names, self._now(), self._fetch, self._roots)


def _key_set(content: bytes) -> tuple[Any, frozenset[str]]:
    from ...channels.jwt import KeySet  # loads cryptography, which only these channels need

    try:
        found = KeySet.model_validate(json.loads(content))
    except (ValueError, RecursionError):
        raise Unavailable("the platform's published document is no key set") from None
    return found, frozenset(key.kid for key in found.keys if key.kid)


def fetch(clients: SendingClients, url: str) -> bytes:
    """Fetch the body at a platform's own address, over the vetted connection; the cell's local exceptions do not count.

    Raises:
        Unavailable: another host, no answer in time, or anything but a whole 200.
    """
    # Few channels publish keys, and the others need nothing that sends.
    from ...destinations import vetted
    from ...destinations.address import ForbiddenAddress, Policy, check_url

    if not is_own(url):
        raise Unavailable("the address is not one of a platform's own")
    deadline, policy = vetted.deadline_in(TOTAL_S), Policy(allow_http=ISSUER.fullmatch(url) is not None)
    try:
        target = check_url(url, policy)
        addresses = vetted.resolve(target, policy, clients.resolver, RESOLVE_S)
        answer = vetted.request(target, addresses, "GET", {}, None, deadline, connect_s=CONNECT_S, tls=clients.tls)
    except (DeliveryError, ForbiddenAddress):
        raise Unavailable("the platform's address does not answer") from None
    if answer.status != 200 or answer.truncated:
        raise Unavailable("the platform's address answers otherwise than expected")
    return answer.body


_OF: list[tuple[Runtime, PublishedKeys]] = []


def of(runtime: Runtime) -> PublishedKeys:
    """Return the keys that this process has fetched for its shell; another shell starts empty."""
    if not _OF or _OF[0][0] is not runtime:
        _OF[:] = [(runtime, _made(runtime))]
    return _OF[0][1]


def _made(runtime: Runtime) -> PublishedKeys:
    def roots() -> list[Certificate]:
        from .signing_certificates import roots_of

        return roots_of(runtime.destination_clients.tls())

    return PublishedKeys(
        lambda url: fetch(runtime.destination_clients, url), runtime.monotonic, lambda: runtime.now(), roots
    )
