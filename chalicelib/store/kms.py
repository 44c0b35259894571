"""Calls of KMS: each one that fails is counted, because a disabled key stops the whole cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..observe import count
from .items import call


def call_kms(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call KMS as ``items.call`` calls AWS, and raise the same errors."""
    try:
        return call(function, **arguments)
    except Exception:
        count("kms_failed")
        raise
