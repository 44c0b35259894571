"""Refuse a change that would send a destination's kept secrets to another host.

A key that may change destinations may not read their secrets. It could otherwise let the cell send them to a host of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import Invalid
from ...core.validation import place
from ...destinations import of_kind
from ...destinations.base import secrets_in


def check_secrets_given(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any], read: Any, given: Mapping[str, Any]
) -> None:
    """Demand every secret of a configuration again where its address changes.

    Args:
        old: the configuration so far.
        new: the configuration to come; ``read`` is the same as its kind reads it.
        given: the configuration's fields in the request, before they are merged with the kept ones.

    Raises:
        Invalid: the request names no value for a secret that would be kept; each with its place.
    """
    changed = [name for name in of_kind(kind).CAPABILITIES.address_fields if old.get(name) != new.get(name)]
    kept = [where for where in secrets_in(read) if not _names(given, where)] if changed else []
    if not kept:
        return
    text = f"give this secret again: config.{changed[0]} changes, and with it the host that gets the secret"
    errors = [{"loc": place(where, "body.config"), "code": "secret_needed", "msg": text} for where in kept]
    raise Invalid("another address needs the secrets of the configuration again; errors names each", errors)


def _names(given: Any, where: tuple[str, ...]) -> bool:
    for name in where:
        given = given.get(name) if isinstance(given, Mapping) else None
    return given is not None
