"""The tenants, messengers and recipients of the journey, and the decision expected for each recipient."""

from __future__ import annotations

from dataclasses import dataclass

from .messengers import Json

# The situations


@dataclass(frozen=True)
class Recipient:
    """A legal person behind a destination, and the decision expected for it."""

    name: str
    country: str
    decision: str
    granted: bool = True
    redact: tuple[Json, ...] = ()
    article: str = ""
    mode: str = "replicate"


@dataclass(frozen=True)
class Situation:
    """A tenant with its messengers and recipients."""

    name: str
    channels: tuple[str, ...]
    recipients: tuple[Recipient, ...]


MASKED: tuple[Json, ...] = ({"class": "identifier", "action": "pseudonymise"}, {"class": "content", "action": "mask"})
SITUATIONS = (
    Situation(
        "Nordwind Versand GmbH",
        ("telegram", "whatsapp"),
        (
            Recipient("Nordwind CRM GmbH", "DE", "allowed", article="GDPR art. 28(3)"),
            Recipient("Lakeshore Analytics Inc.", "US", "held", article="GDPR art. 44"),
            Recipient("Seaside Support Inc.", "US", "redacted", article="GDPR art. 5(1)(c)", mode="restrict"),
        ),
    ),
    Situation(
        "Rosenthal Apotheken AG",
        ("slack", "viber"),
        (Recipient("Adtrace Ltd.", "FR", "refused", granted=False, article="GDPR art. 6(1)"),),
    ),
    Situation(
        "Balkan Reisen GmbH",
        ("vk",),
        (Recipient("Statistik Kontor GmbH", "AT", "redacted", True, MASKED, "GDPR art. 5(1)(c)", "redact"),),
    ),
)
