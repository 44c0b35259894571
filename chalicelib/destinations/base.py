"""What a destination kind is: a module with ``KIND``, ``Config``, ``check``, ``place``, ``render`` and ``send``.

Rendering is pure, sending is the one effect. A kind fails with ``DeliveryError`` and an attempt code, never with words
of the destination.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, SecretStr

from . import vetted
from .address import Policy
from .limits import Pace, VendorLimit

if TYPE_CHECKING:  # botocore: only the kinds that act under a role load it
    from .aws_client import RoleClients
    from .proof import Proof

KEPT_RESPONSE_BYTES = 4096

Countries = tuple[str, ...]
"""ISO 3166-1 alpha-2 codes of where a destination keeps what it is sent."""


class Config(BaseModel):
    """What a tenant gives when making a destination of a kind. Unknown fields are refused, no error shows a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def secrets_in(config: BaseModel) -> dict[tuple[str, ...], SecretStr]:
    """Return the secrets of a configuration by their places: the names that lead to each."""
    return dict(_secrets(config, ()))


def _secrets(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], SecretStr]]:
    if isinstance(value, SecretStr):
        yield place, value
    elif isinstance(value, BaseModel | Mapping):
        for name, inner in value.items() if isinstance(value, Mapping) else value:
            yield from _secrets(inner, (*place, name))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to bring one event to one destination.

    ``secrets`` are the signing secrets, the current one first, then those in their rotation grace; ``kind``, ``channel``
    and ``occurred_at`` are the event's, whatever a transform has left of its document; ``now`` is the time of this attempt.
    ``conversation`` is the conversation's ref (``cnv_…``), never the platform's id; None where the event has none.
    ``external_id`` is what the tenant's role demands of us, for kinds that act under one (``prove``).
    ``origin`` is the sender's name that the destination agreed to, where it was asked (``handshake``). ``test`` says that
    the event is an example of ours.
    """

    delivery_id: str
    transfer_id: str
    event_id: str
    tenant_id: str
    destination_id: str
    channel: str
    conversation: str | None
    kind: str
    occurred_at: datetime
    attempt: int
    now: datetime
    config: Any = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    format: str = "standard"
    source_id: str | None = None
    external_id: str | None = None
    origin: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """A destination took a delivery. ``response`` is the beginning of its answer, at most 4 KiB.

    ``note`` is a word of ``vetted.NOTES`` where the answer did not come whole.
    """

    code: str
    status: int | None = None
    response: bytes = field(default=b"", repr=False)
    note: str | None = None


class Memory(Protocol):
    """What a kind remembers of one destination between deliveries: sealed at rest, found by a keyed hash, gone after a time.

    It is a shortcut, never the truth: what is forgotten must be found again at the destination itself.
    """

    def get(self, name: str) -> str | None:
        """Return what was put under a name and has not passed its time (one consistent read)."""

    def put(self, name: str, value: str, for_s: int) -> None:
        """Remember a value for a time, in place of what was there."""

    def claim(self, name: str, for_s: int) -> bool:
        """Take a name for oneself; False while somebody else has it. A claim that was never given back ends by its time."""

    def release(self, name: str) -> None:
        """Give back what this process claimed."""


@dataclass(frozen=True, slots=True)
class SendingClients:
    """What kinds send through. Made once, without any I/O; the TLS context is made at its first use.

    ``memory`` is that of the destination being sent to; None where nothing is remembered, as at creation. ``aws`` reaches
    tenants' AWS accounts; None where nothing does, as in the tests of other kinds. ``pace`` keeps to the vendor's limits;
    None where there are none. ``integrations`` is the memory of the tenant's integrations, which its destinations share.
    """

    policy: Policy = field(default_factory=Policy)
    resolver: vetted.Resolver = vetted.system_resolver
    tls: Callable[[], ssl.SSLContext] = vetted.tls_context
    limits: vetted.Limits = field(default_factory=vetted.Limits)
    memory: Memory | None = None
    aws: RoleClients | None = None
    pace: Pace | None = None
    integrations: Memory | None = None


@dataclass(frozen=True, slots=True)
class DestinationCapabilities:
    """What a kind can do. The usual one writes a form of its own, in the format ``standard``, unsigned.

    Args:
        selects: the body is the document as ``select`` leaves it, any JSON value.
        formats: the formats that a destination may have.
        memory: sending uses the stored state of the destination, ``SendingClients.memory``.
        limits: the rate limits of the vendor. A throttle slows the first one, so the narrowest stands first.
        signs: deliveries are signed with the destination's secrets, so a tenant is shown them.
        address_fields: the configuration's fields that decide to which host its secrets are sent. A change of one needs
            all secrets of the configuration again.
        prove: the kind acts under a role of the tenant's, which has to demand the destination's external id. The function
            checks that, given the configuration, the external id, a name for the session and the clients. The
            destination is disabled until the role is proved.
        agree: asks a destination whether it takes deliveries, given the configuration, the clients, the sender's name and
            the rate limit. Returns the name that it agreed to, or None if the configuration wants no handshake. Raises
            ``Invalid`` and ``Misconfigured``.
    """

    selects: bool = False
    formats: tuple[str, ...] = ("standard",)
    memory: bool = False
    limits: tuple[VendorLimit, ...] = ()
    signs: bool = False
    address_fields: tuple[str, ...] = ()
    prove: Callable[[Any, str, str, SendingClients], Proof] | None = None
    agree: Callable[[Any, SendingClients, str | None, float | None], str | None] | None = None


class DestinationKind(Protocol):
    """Satisfied by a module. A request is the kind's own type: what ``render`` makes and ``send`` takes; it has a ``body``.

    ``CAPABILITIES`` names the functions that only some modules have.
    """

    @property
    def KIND(self) -> str:  # noqa: N802  (a constant or class of the module)
        """The kind's name in the API."""

    @property
    def CAPABILITIES(self) -> DestinationCapabilities:  # noqa: N802  (a constant or class of the module)
        """What the kind can do."""

    @property
    def Config(self) -> type[BaseModel]:  # noqa: N802  (a constant or class of the module)
        """The configuration of a destination of this kind."""

    def check(self, config: Any, clients: SendingClients) -> None:
        """Refuse at creation what every attempt would refuse. Raises ``Invalid``."""

    def place(self, config: Any) -> Countries | None:
        """Return where the destination keeps data, or None for the recipient's declared processing countries. Pure."""

    def render(self, document: Mapping[str, Any], delivery: Delivery) -> Any:
        """Make the request: the same arguments give the same request. Pure. Raises ``DeliveryError`` (``render``)."""

    def send(self, request: Any, clients: SendingClients) -> DeliveryReceipt:
        """Send a request once. Raises ``DeliveryError`` and nothing else."""
