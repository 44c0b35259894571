"""What a destination kind is: a module with ``KIND``, ``Config``, ``check``, ``place``, ``render`` and ``send``.

Rendering is pure, sending is the one effect. A kind fails with ``DeliveryError`` and an attempt code, never with words
of the destination.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from . import vetted
from .address import Policy

KEPT_RESPONSE_BYTES = 4096

Countries = tuple[str, ...]
"""ISO 3166-1 alpha-2 codes of where a destination keeps what it is sent."""


class Config(BaseModel):
    """What a tenant gives when making a destination of a kind. Unknown fields are refused, no error shows a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to bring one event to one destination.

    ``secrets`` are the signing secrets, the current one first, then those in their rotation grace; ``kind`` and
    ``occurred_at`` are the event's, whatever a transform has left of its document; ``now`` is the time of this attempt.
    """

    delivery_id: str
    transfer_id: str
    event_id: str
    kind: str
    occurred_at: datetime
    attempt: int
    now: datetime
    config: Any = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    format: str = "standard"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A destination took a delivery. ``response`` is the beginning of its answer, at most 4 KiB."""

    code: str
    status: int | None = None
    response: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Clients:
    """What kinds send through. Made once, without any I/O; the TLS context is made at its first use."""

    policy: Policy = field(default_factory=Policy)
    resolver: vetted.Resolver = vetted.system_resolver
    tls: Callable[[], ssl.SSLContext] = vetted.tls_context
    limits: vetted.Limits = field(default_factory=vetted.Limits)


class Kind(Protocol):
    """Satisfied by a module. A parcel is the kind's own type: what ``render`` makes and ``send`` takes."""

    KIND: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    @staticmethod
    def check(config: Any, clients: Clients) -> None:
        """Refuse at creation what every attempt would refuse. Raises ``Invalid``."""

    @staticmethod
    def place(config: Any) -> Countries | None:
        """Return where the destination keeps data, or None for the recipient's declared processing countries. Pure."""

    @staticmethod
    def render(document: Mapping[str, Any], delivery: Delivery) -> Any:
        """Make the parcel: the same arguments give the same parcel. Pure. Raises ``DeliveryError`` (``render``)."""

    @staticmethod
    def send(parcel: Any, clients: Clients) -> Receipt:
        """Send a parcel once. Raises ``DeliveryError`` and nothing else."""
