"""Platforms whose own API sets the address of a webhook: one module each, imported when it is first used.

May import ``destinations``, which has the vetted connection, ``channels`` and ``core``.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # the base loads TLS, which not every process needs
    from .base import Platform

KINDS = frozenset(
    {
        "avito", "discord", "email_mailgun", "email_postmark", "instagram", "line", "max", "messenger", "ok", "telegram",
        "twilio", "viber", "vk", "vonage", "whatsapp",
    }
)  # fmt: skip
"""The channels whose platform has such an API. Each is also the name of its module."""


@functools.cache
def of_channel(channel: str) -> Platform | None:
    """Return the module of a channel's platform; None where the platform has no such API."""
    return cast("Platform", importlib.import_module(f".{channel}", __name__)) if channel in KINDS else None
