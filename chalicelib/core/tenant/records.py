"""The records that a tenant declares.

Records are frozen values. Secrets are never in them: the store keeps secrets encrypted beside the record.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ..countries import COUNTRIES
from ..event.event import DataClass, Time
from ..event.messengers import CARRIERS, MESSENGERS, Messenger
from ..law.bases import BasisKind
from .dates import Day, Instant, Once
from .rates import Rate


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("not an ISO 3166-1 alpha-2 country code, such as DE")
    return code


Country = Annotated[str, AfterValidator(_country), Field(json_schema_extra={"format": "country"})]
"""The API's description lists the codes for this format."""
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _seen(text: str) -> str:
    # A zero-width space is neither white space nor seen.
    if not any(c.isprintable() and not c.isspace() for c in text):
        raise ValueError("must not be blank: the accountable party answers by this name")
    return text


Answerable = Annotated[Label, AfterValidator(_seen)]
"""The name or contact of a party that answers for data; never blank."""

Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:#/-]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Evidence = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{2,64}$")]
Purpose = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Special = Literal[
    "race", "politics", "religion", "union", "health", "sex_life", "biometric", "genetic", "convictions", "financial"
]
Role = Literal["controller", "joint", "processor", "sub_processor", "third_party", "staff", "foreign_authority"]
TenantClass = Literal[
    "general", "state_body", "state_owned", "bank", "financial", "telecom", "large_platform", "marketplace",
    "classified_ads", "ori", "ciio", "sdf",
]  # fmt: skip
Scope = Literal["admin", "write", "read", "audit"]
Mode = Literal["replicate", "redact", "restrict"]
Format = Literal["standard", "cloudevents_structured", "cloudevents_binary"]

RETENTION_DAYS_MAX = 3650
HOLD_HOURS_MAX = 72
"""The longest that a transfer waits for its basis; the law's own limit, which a tenant may shorten."""


class Record(BaseModel):
    """A frozen declaration that refuses unknown fields and never shows its input in an error."""

    # Built when first used: each function reads a few of these models, and waits for all that it builds.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class Controller(Record):
    """The legal entity that answers for the tenant's data; none of it may be blank."""

    legal_name: Answerable
    country: Country
    contact: Answerable


class Retention(Record):
    """How long events are kept unless a source says otherwise, in days."""

    default_days: int = Field(ge=1, le=RETENTION_DAYS_MAX)


class TenantSettings(Record):
    """The settings of a tenant, by the operator and the tenant itself.

    ``strict_plus7``: a number in +7 may be Russia's or Kazakhstan's, whatever its range. ``collected_in``: under the tenant's
    written procedure, people without any other signal are in the controller's country.
    """

    name: Label
    edition: Literal["enterprise", "teams"]
    controller: Controller
    tenant_class: TenantClass = Field(
        description="The kind of organisation, for duties of its own: a state body (state_body), a company more than half "
        "owned by a state (state_owned), a credit organisation (bank), another financial organisation (financial), a telecom "
        "operator (telecom), a site with over 500,000 daily users in Russia (large_platform), a marketplace, a service of "
        "classified advertisements (classified_ads), a Russian organiser of the dissemination of information (ori), a Chinese "
        "operator of critical infrastructure (ciio), an Indian significant data fiduciary (sdf), or none of these (general)."
    )
    zone: Literal["DIFC", "ADGM"] | None = None
    requires: Annotated[tuple[BasisKind, ...], Once] = ()
    strict_plus7: bool = False
    collected_in: bool = False
    retention: Retention
    seal_minutes: int | None = Field(default=None, ge=1, le=60)
    hold_hours: int = Field(default=HOLD_HOURS_MAX, ge=1, le=HOLD_HOURS_MAX)


class Tenant(TenantSettings):
    """A customer organisation; the unit of isolation."""

    id: str
    state: Literal["active", "closed"] = "active"
    created_at: Time


class KeySettings(Record):
    """The settings of an API key. ``country`` is where it is used: the controller's unless given."""

    name: Label
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=4)
    expires_at: Instant | None = None
    country: Country | None = None


class ApiKey(KeySettings):
    """A key's record; of the secret only its SHA-256 is stored."""

    id: str
    secret_sha256: str = ""
    created_at: Time


class ProfileReference(Record):
    """The profile that made a record, the declaration it is in that profile, and the digest of the accepted form."""

    name: Code
    digest: Evidence
    declaration: Code


class NumberRange(Record):
    """A prefix of telephone numbers and the country of their holders. It is shorter than any number, so that it names no person."""

    prefix: Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,6}$")]
    country: Country


Accepted = Literal["receipts", "typing", "standby", "ignored"]
"""Parts of a channel's requests that a source may take or leave: receipts but for failures, and things that are no event."""
ACCEPTED: tuple[Accepted, ...] = ("receipts", "typing", "standby")


class SourceSettings(Record):
    """The settings of one account on a channel. Null ``subject_country`` or ``special`` is unknown.

    The longest of the ``number_ranges`` that fits counts, before ``subject_country``. ``messengers`` are those whose messages a
    broker, bridge or relay passes on. ``expires_on`` is the first day without the platform's subscription, plan or token.
    Until ``debug_until`` an event keeps ``raw`` where the channel cannot read a part of it.
    """

    channel: str
    messengers: tuple[Messenger, ...] = Field(default=(), max_length=len(MESSENGERS))
    name: Label
    purpose: Purpose = "message_routing"
    retention_days: int | None = Field(default=None, ge=1, le=RETENTION_DAYS_MAX)
    keep_raw: bool = False
    debug_until: Instant | None = None
    accepts: Annotated[tuple[Accepted, ...], Once] = ACCEPTED
    subject_country: Country | None = None
    number_ranges: tuple[NumberRange, ...] = Field(default=(), max_length=50)
    special: Annotated[tuple[Special, ...], Once] | None = None
    expires_on: Day | None = None

    @model_validator(mode="after")
    def _ranges(self) -> SourceSettings:
        if len({r.prefix for r in self.number_ranges}) != len(self.number_ranges):
            raise ValueError("each prefix of number_ranges may be there once")
        if self.messengers and self.channel not in CARRIERS:
            raise ValueError(f"only sources of {', '.join(sorted(CARRIERS))} declare messengers")
        if len(set(self.messengers)) != len(self.messengers):
            raise ValueError("each of the messengers may be there once")
        return self


class Source(SourceSettings):
    """One account of a tenant on a channel. A closed one takes no webhook; its events are still decided by it."""

    id: str
    created_at: Time
    closed_at: Time | None = None


class Contract(Record):
    """The contract with a recipient; valid while ``valid_from <= day < valid_until``."""

    id: Label
    sha256: Digest
    valid_from: Day
    valid_until: Day | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Contract:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError("valid_until must be after valid_from")
        return self


class Party(Record):
    """A legal person that gets data, and where it keeps them. Null means not declared."""

    entity_country: Country | None = None
    processing_countries: tuple[Country, ...] = Field(default=(), max_length=50)
    role: Role | None = None
    granted: bool = False


class OnwardParty(Party):
    """A further recipient, to which a recipient passes data on."""

    id: Code


class LegalStatus(Record):
    """The status of a recipient under a country's law."""

    status: Literal["prohibited", "restricted", "allowed"]
    ref: Label
    date: Day


class RecipientSettings(Party):
    """The settings of a recipient. ``onward: []`` declares no onward party, null is unknown."""

    legal_name: Answerable
    contact: Answerable
    contract: Contract | None = None
    classes: Annotated[tuple[DataClass, ...], Once] | None = None
    onward: tuple[OnwardParty, ...] | None = Field(default=None, max_length=50)
    dsr_endpoint: str | None = Field(default=None, max_length=2000, pattern=r"^https://[^\s]+$")
    legal_status: dict[Country, LegalStatus] = Field(default_factory=dict)


class Recipient(RecipientSettings):
    """The legal person that operates a destination; a change makes a new version."""

    id: str
    version: int = 1
    granted_at: Time | None = None
    granted_by: str | None = None
    created_at: Time
    profile: ProfileReference | None = None


class Retry(Record):
    """The waits between attempts in seconds: one more attempt than waits."""

    delays_s: tuple[Annotated[int, Field(ge=1, le=86_400)], ...] = Field(max_length=20)


class DestinationSettings(Record):
    """The settings of a destination, without its configuration, which may hold secrets."""

    name: Label
    kind: str
    recipient: str
    format: Format = "standard"
    ordering: Literal["lane", "none"] = "lane"
    retry: Retry | None = None
    rate_limit_per_s: Rate | None = None
    enabled: bool = True


class Destination(DestinationSettings):
    """A configured place that events go to.

    ``place`` is where the destination keeps data, as its kind derives it from the configuration. It is never declared, and
    empty where only the recipient's record says it. ``external_id`` is the id that a tenant's role must require from us.
    """

    id: str
    created_at: Time
    place: tuple[Country, ...] = ()
    external_id: str | None = None
    disabled_because: Literal["gone", "failing", "role"] | None = None
    profile: ProfileReference | None = None


class Redaction(Record):
    """One thing to remove: a data class or a path, and how."""

    model_config = ConfigDict(populate_by_name=True)

    data_class: DataClass | None = Field(default=None, alias="class")
    path: str | None = Field(default=None, max_length=200)
    action: Literal["drop", "mask", "pseudonymise"]

    @model_validator(mode="after")
    def _one(self) -> Redaction:
        if (self.data_class is None) == (self.path is None):
            raise ValueError("give exactly one of class and path")
        return self

    def document(self) -> dict[str, str]:
        """Return the redaction as the evaluator reads it."""
        where = {"class": self.data_class.value} if self.data_class is not None else {"path": str(self.path)}
        return {**where, "action": self.action}


class Transform(Record):
    """The changes to an event before it leaves: first redaction, then ``select`` (JMESPath) on the rest."""

    redact: tuple[Redaction, ...] = Field(default=(), max_length=50)
    select: str | None = Field(default=None, min_length=1, max_length=1000)

    def misfit(self, mode: Mode) -> str | None:
        """Say why this has no place in a mode; None where it has one."""
        if mode == "restrict" and (self.redact or self.select is not None):
            return 'mode "restrict" sends nothing of the event: leave transform out'
        if mode == "replicate" and self.redact:
            return 'transform.redact needs mode "redact"'
        return None


class RouteSettings(Record):
    """A tenant's rule: what matches ``pattern`` goes to ``destination`` for ``purpose``.

    ``bases`` null means all of the tenant's bases that match; ``mode`` replicate sends the whole event, redact what
    ``transform.redact`` and the recipient's classes leave, restrict nothing but a link by which the recipient pulls the event
    once within ``pull_hours`` (null is 24).
    """

    name: Label
    pattern: dict[str, Any]
    destination: str
    purpose: Purpose
    bases: tuple[str, ...] | None = Field(default=None, max_length=100)
    mode: Mode = "replicate"
    pull_hours: int | None = Field(default=None, ge=1, le=72)
    transform: Transform = Field(default_factory=Transform)
    enabled: bool = True

    @model_validator(mode="after")
    def _fits(self) -> RouteSettings:
        if misfit := self.transform.misfit(self.mode):
            raise ValueError(misfit)
        if self.pull_hours is not None and self.mode != "restrict":
            raise ValueError('pull_hours needs mode "restrict"')
        return self


class Route(RouteSettings):
    """A rule of a tenant."""

    id: str
    created_at: Time
    profile: ProfileReference | None = None


class BasisSettings(Record):
    """Evidence for a ground that a transfer stands on. Rows are never changed; a withdrawal is a row of its own."""

    kind: BasisKind
    law: Code | None = None
    recipient: Code | None = None
    valid_from: Day | None = None
    valid_until: Day | None = None
    evidence: Evidence | None = None
    scheme: Code | None = None
    status: Code | None = None
    unmodified: bool | None = None
    signed_on: Day | None = None
    notified_on: Day | None = None
    filed_on: Day | None = None
    given_on: Day | None = None
    separate_document: bool | None = None
    written: bool | None = None
    special: bool | None = None
    occasional: bool | None = None

    @model_validator(mode="after")
    def _ordered(self) -> BasisSettings:
        if self.valid_from is not None and self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError("valid_until must be after valid_from")
        return self


class Basis(BasisSettings):
    """A basis with its id, and the time of its withdrawal if it was withdrawn."""

    id: str
    created_at: Time
    withdrawn_at: Time | None = None
    profile: ProfileReference | None = None

    def document(self) -> dict[str, Any]:
        """Return the basis as the evaluator reads it, without absent fields other than the four that it always reads."""
        whole = self.model_dump(mode="json", exclude={"created_at", "profile"})
        always = ("id", "kind", "law", "recipient", "valid_from", "valid_until", "evidence")
        return {k: v for k, v in whole.items() if v is not None or k in always}
