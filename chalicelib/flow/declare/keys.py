"""Create and delete a tenant's API keys."""

from __future__ import annotations

import hashlib

from ...core import ids
from ...core.errors import Conflict
from ...core.tenant.records import (
    ApiKey,
    KeySettings,
    Scope,
)
from ..request import Request
from .changes import hash_now, invalid, noted, stored

# Keys


def create_key(request: Request, settings: KeySettings) -> tuple[ApiKey, str]:
    """Make an API key; return it and its secret, of which only the SHA-256 is stored.

    Raises:
        Invalid: it would have expired already.
    """
    if settings.expires_at is not None and settings.expires_at <= request.at:
        raise invalid("body.expires_at", "in_the_past", "expires_at must be in the future")
    secret = "wb_" + ids.encode(int.from_bytes(request.bytes_for("secret"), "big"), 52)
    key = ApiKey(**dict(settings), id=request.new_id("key"), created_at=request.at)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    key = key.model_copy(update={"secret_sha256": digest})
    stored(request, key)
    request.runtime.config.insert_lookup(f"hash#{digest}", request.tenant.id, key.id)
    return key, secret


def delete_key(request: Request, key_id: str) -> None:
    """Delete a key: it opens nothing from the next request on.

    Raises:
        Conflict: it is the last one that can make keys.
    """
    config, tenant = request.runtime.config, request.tenant.id
    key: ApiKey | None = config.to_change(tenant, key_id).record
    admins = [r.record.id for r in config.list(tenant, "key") if admin_at(r.record, request)]
    if admins == [key_id]:
        raise Conflict("this is the last key with the scope admin; make another one first")
    before = hash_now(request)
    if key is not None:
        config.delete_lookup(f"hash#{key.secret_sha256}")
    config.delete(tenant, key_id)
    noted(request, key_id, "removed", before)


def admin_at(key: ApiKey, request: Request) -> bool:
    """Say whether a key can make keys now."""
    admin: Scope = "admin"
    return admin in key.scopes and (key.expires_at is None or key.expires_at > request.at)
