"""The rate limits that vendors document, and how a kind keeps to them.

A kind names its vendor's limits in its ``CAPABILITIES``. All destinations of a tenant that a limit counts together share
its turns: each call of an attempt takes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.errors import DeliveryError


@dataclass(frozen=True, slots=True)
class VendorLimit:
    """One limit of a vendor.

    Args:
        by: what the vendor counts by, in words: "account", "chat".
        vendor: the documented limit, in words: "7 calls a second".
        per_s: the calls a second that Waybill makes, below the vendor's limit.
        key: what tells one counted thing from another, of a configuration; None where the limit does not apply.
        method: the calls that the limit counts, by the name that the kind gives them; empty for all calls.
    """

    by: str
    vendor: str
    per_s: float
    key: Callable[[Any], str | None]
    method: str = ""


class Pace(Protocol):
    """Paces the calls of one attempt. ``method`` is that of the last call."""

    method: str

    def wait(self, method: str = "") -> float:
        """Wait until a call may be made. Return the seconds that it took.

        Raises:
            NoTurn: no turn is near.
        """


class NoTurn(DeliveryError):
    """Other deliveries to the account use up its limit at present. No vendor said so."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("throttled", retryable=True, retry_after_s=wait_s, sent=False)
