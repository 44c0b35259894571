"""Idempotency keys: the same request again gets the stored answer, whatever happened to the first try.

A claim row is ``{fingerprint, began_at, claimed_at, seed}`` and, once answered, the sealed ``body``. ``began_at`` and ``seed``
never change while the key lives: new ids and secrets are made of them, so that a second try after a crash finds what the first
one made. ``seed`` is random and new with each claim. The same idempotency key makes other secrets after a day.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..core import times
from ..core.envelope import NONCE_BYTES, TenantKeys, decrypt, encrypt
from ..core.errors import Invalid
from ..runtime import Runtime
from .problems import EndpointResponse, StillRunning

KEPT = timedelta(hours=24)
SEED_BYTES = 32
STALE = timedelta(seconds=60)
"""How long a request may run; the API's lambda is stopped before."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


def hash_of(header: str, scope: str) -> str:
    """Return what an idempotency key is stored under.

    Args:
        scope: who sent it: each API key has its own idempotency keys.

    Raises:
        Invalid: the header is not 1 to 255 visible ASCII characters.
    """
    if _KEY.match(header) is None:
        text = "an Idempotency-Key is 1 to 255 visible ASCII characters"
        raise Invalid(text, [{"loc": "header.idempotency-key", "code": "malformed", "msg": text}])
    return hashlib.sha256(f"{scope}\n{header}".encode()).hexdigest()


def fingerprint_of(secret: bytes, method: str, path: str, raw: bytes) -> str:
    """Tell requests apart without keeping them: keyed, since a body may hold what can be guessed."""
    return hmac.new(secret, f"reply\n{method}\n{path}\n".encode() + raw, "sha256").hexdigest()


@dataclass(frozen=True)
class IdempotencyClaim:
    """A claimed idempotency key: who claimed it, since when, and when the request first began."""

    runtime: Runtime
    owner: str
    key_hash: str
    fingerprint: str
    began_at: datetime
    claimed_at: int
    seed: bytes | None = field(repr=False)
    """None in a row of a release that made the seed of the idempotency key alone."""
    sealed: bytes | None = field(default=None, repr=False)

    def _context(self) -> str:
        return f"{self.runtime.settings.region}/{self.owner}/reply/{self.key_hash}"

    def stored(self, keys: TenantKeys) -> EndpointResponse | None:
        """Return the stored answer, where the request was answered before."""
        if self.sealed is None:
            return None
        plain = json.loads(decrypt(keys.secrets, self.sealed, self._context()))
        return EndpointResponse(plain["status"], plain["body"], plain["headers"])

    def finish(self, answer: EndpointResponse, keys: TenantKeys) -> None:
        """Store the answer. It may hold a secret that is shown once, hence sealed."""
        plain = json.dumps({"status": answer.status, "body": answer.body, "headers": dict(answer.headers)}).encode()
        sealed = encrypt(keys.secrets, self.runtime.random(NONCE_BYTES), plain, self._context())
        self.runtime.data.finish_reply(self.owner, self.key_hash, sealed)

    def drop(self) -> None:
        """Give the key back: the request was refused and has changed nothing."""
        self.runtime.data.drop_reply(self.owner, self.key_hash)

    def release(self) -> None:
        """Let the next try take over at once, from the same beginning: this one failed half-way."""
        values = {"fingerprint": self.fingerprint, "began_at": times.millis(self.began_at), "claimed_at": 0}
        self.runtime.data.take_reply(self.owner, self.key_hash, self.claimed_at, values, self.began_at + KEPT)


def claim(runtime: Runtime, owner: str, key_hash: str, fingerprint: str) -> IdempotencyClaim:
    """Claim an idempotency key, or find its answer.

    Raises:
        Invalid: it was used for another request.
        StillRunning: that request is being worked on.
    """
    now = runtime.now()
    now_ms = times.millis(now)
    seed = runtime.random(SEED_BYTES)
    values: dict[str, Any] = {"fingerprint": fingerprint, "began_at": now_ms, "claimed_at": now_ms, "seed": seed}
    fresh = IdempotencyClaim(runtime, owner, key_hash, fingerprint, times.from_millis(now_ms), now_ms, seed)
    if runtime.data.insert_reply(owner, key_hash, values, now + KEPT):
        return fresh
    seen = runtime.data.reply(owner, key_hash)
    if seen is None:
        raise StillRunning("a request with this idempotency key is being worked on; try again")
    first = times.from_millis(seen["began_at"])
    if first + KEPT <= now:  # TTL is late: the key is free again
        if runtime.data.take_reply(owner, key_hash, seen["claimed_at"], values, now + KEPT):
            return fresh
        raise StillRunning("a request with this idempotency key is being worked on; try again")
    if not hmac.compare_digest(seen["fingerprint"], fingerprint):
        text = "this idempotency key was used for another request; use a new one"
        raise Invalid(text, [{"loc": "header.idempotency-key", "code": "key_reused", "msg": text}])
    earlier = IdempotencyClaim(
        runtime, owner, key_hash, fingerprint, first, seen["claimed_at"], seen.get("seed"), seen.get("body")
    )
    if earlier.sealed is not None:
        return earlier
    if times.from_millis(seen["claimed_at"]) + STALE > now:
        raise StillRunning("the request with this idempotency key is being worked on; try again")
    values = {"fingerprint": fingerprint, "began_at": seen["began_at"], "claimed_at": now_ms}
    if not runtime.data.take_reply(owner, key_hash, seen["claimed_at"], values, first + KEPT):
        raise StillRunning("a request with this idempotency key is being worked on; try again")
    return replace(earlier, claimed_at=now_ms)
