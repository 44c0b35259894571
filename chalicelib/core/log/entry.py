"""The form of an audit entry, ``waybill.audit/1``: every field of every kind, and what may stand in it.

An entry is a JSON object. It holds no content, name, phone, address, platform id or free text: people and conversations are
random refs, reasons and outcomes come from closed lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ..delivery.retry import CODES
from ..event.event import DataClass, EventKind
from ..ids import ALPHABET, LENGTH

SCHEMA = "waybill.audit/1"
INT_MAX = 2**53 - 1
ROUTES_MAX = 100
SUBJECTS_MAX = 16
FACTS_BYTES = 600
CONSENT_BYTES = 120

Verdict = Literal["allowed", "redacted", "held", "refused"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
"""From the mildest to the strictest."""

Cause = Literal["received", "replayed", "released", "rechecked"]
Outcome = Literal["delivered", "failed", "rejected", "gave_up"]
ActKind = Literal[
    "viewed", "exported", "edited", "hidden", "unhidden", "restricted", "erased", "expired", "held", "released",
    "config_changed", "replayed",
]  # fmt: skip
ACTS: tuple[str, ...] = get_args(ActKind)
ActorKind = Literal["user", "key", "operator", "service", "subject"]
Reason = Literal[
    "dead_letter",         # a queue gave a message up
    "retention",           # the lifetime is over
    "hold_expired",        # a held transfer waited as long as it may
    "subject_request",     # the person asked
    "withdrawal",          # the person withdrew a consent
    "authority_request",   # an authority asked
    "legal_claim",         # evidence for or against a claim
    "statutory_duty",      # a law demands it
    "unlawful",            # it should never have been kept
    "purpose_reached",     # no longer needed
    "controller_request",  # the tenant decided so
    "basis_given",         # what a held transfer waited for is there
    "support",             # to help the tenant
    "moderation",          # an administrator of the room decided so
    "correction",          # something was wrong
    "incident",            # a breach or a fault is being looked into
    "profile",             # records made from a profile
    "created", "changed", "removed", "rotated", "enabled", "disabled",  # what was done to a record
    "destination_gone",    # a destination answered 410
    "destination_failing", # a destination failed for days
    "off_record",          # nothing waits off the record
    "tenant_closed",
]  # fmt: skip

_REF = rf"[{ALPHABET}]{{{LENGTH}}}"


def _pattern(expression: str) -> StringConstraints:
    return StringConstraints(pattern=rf"^(?:{expression})$")


def _real(value: str) -> str:
    datetime.fromisoformat(value)
    return value


def _code(value: str) -> str:
    if value not in CODES:
        raise ValueError("not an attempt code")
    return value


def _sorted(values: list[str]) -> list[str]:
    if values != sorted(set(values)):
        raise ValueError("must be sorted, each once")
    return values


def _each_once(values: list[Any]) -> list[Any]:
    if len({getattr(v, "id", v) for v in values}) != len(values):
        raise ValueError("must be there once each")
    return values


TenantId = Annotated[str, _pattern(f"tnt_{_REF}")]
EntryId = Annotated[str, _pattern(f"ent_{_REF}")]
EventId = Annotated[str, _pattern(f"evt_{_REF}")]
SourceId = Annotated[str, _pattern(f"src_{_REF}")]
RouteId = Annotated[str, _pattern(f"rte_{_REF}")]
TransferId = Annotated[str, _pattern(f"trf_{_REF}")]
DestinationId = Annotated[str, _pattern(f"dst_{_REF}")]
RecipientId = Annotated[str, _pattern(f"rcp_{_REF}")]
Subject = Annotated[str, _pattern(f"sub_{_REF}")]
Conversation = Annotated[str, _pattern(f"cnv_{_REF}")]
Log = Annotated[str, _pattern("[0-9]{4}")]
Hash = Annotated[str, _pattern("[0-9a-f]{64}")]
Country = Annotated[str, _pattern("[A-Z]{2}")]
Word = Annotated[str, _pattern("[a-z][a-z0-9_-]{0,31}")]
Token = Annotated[str, _pattern("[A-Za-z0-9_.:#/-]{1,64}")]
RuleId = Annotated[str, _pattern("[A-Za-z0-9_.:@/-]{1,64}")]
Article = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
Time = Annotated[
    str, _pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"), AfterValidator(_real)
]
Count = Annotated[int, Field(ge=0, le=INT_MAX)]
Positive = Annotated[int, Field(ge=1, le=INT_MAX)]
Class = Annotated[str, _pattern("|".join(DataClass))]
Classes = Annotated[list[Class], AfterValidator(_sorted)]
EventKindName = Annotated[str, _pattern("|".join(EventKind))]

_FACT = re.compile(r"[A-Za-z0-9_.:#/-]{0,100}\Z")


def _facts(value: dict[str, Any]) -> dict[str, Any]:
    _check_fact(value, 8)
    return value


def _check_fact(value: Any, depth: int) -> None:
    # Facts are enumerations, dates, counts and refs. The form keeps free text, e-mail addresses and numbers with "+" out.
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        if abs(value) > INT_MAX:
            raise ValueError("an integer is beyond 2**53 - 1")
    elif isinstance(value, str):
        if _FACT.match(value) is None:
            raise ValueError("a text is no code, date or ref")
    elif isinstance(value, (dict, list)) and depth:
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str) or _FACT.match(key) is None:
                    raise ValueError("a name is no code or ref")
        for item in value.values() if isinstance(value, dict) else value:
            _check_fact(item, depth - 1)
    else:
        raise ValueError("only text, integers, booleans, null, lists and objects")


class _Model(BaseModel):
    # Built when first used, as a process starts by importing it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True)


class Store(_Model):
    """Where the event is kept."""

    region: Annotated[str, _pattern("[a-z0-9-]{1,32}")]
    country: Country


class ReceivedEvent(_Model):
    """What came in, told without its content."""

    source: SourceId
    channel: Word
    kind: EventKindName
    received_at: Time
    classes: Classes
    size_bytes: Count
    commitment: Hash
    subjects: Annotated[list[Subject], Field(max_length=SUBJECTS_MAX), AfterValidator(_each_once)]
    conversation: Conversation | None
    store: Store


class RuleEntry(_Model):
    """A rule that a decision rests on; ``ref`` is the article as the law file has it."""

    id: RuleId
    verdict: Verdict
    ref: Article


class NamedRecipient(_Model):
    """Who stands behind a destination, as the configuration had it."""

    id: RecipientId
    country: Country | None
    processing: list[Country]


class RouteEntry(_Model):
    """The decision for one matching route."""

    route: RouteId
    transfer: TransferId
    destination: DestinationId
    decision: Verdict
    rules: Annotated[list[RuleEntry], AfterValidator(_each_once)]
    basis: Token | None
    recipient: NamedRecipient | None
    classes_out: Classes


class _Entry(_Model):
    schema_: Literal["waybill.audit/1"] = Field(alias="schema")
    id: EntryId
    log: Log
    tenant: TenantId
    at: Time


class DecidedModel(_Entry):
    """One evaluation of an event: a decision for every matching route."""

    kind: Literal["decided"]
    event: EventId
    cause: Cause
    by: EntryId | None
    supersedes: EntryId | None
    receipt: ReceivedEvent
    expires_at: Time
    facts: Annotated[dict[str, Any], AfterValidator(_facts)]
    rules_hash: Hash
    config_hash: Hash
    routes: Annotated[list[RouteEntry], Field(max_length=ROUTES_MAX)]


class AttemptedModel(_Entry):
    """One try at sending."""

    kind: Literal["attempted"]
    event: EventId
    decided: EntryId
    transfer: TransferId
    destination: DestinationId
    attempt: Positive
    take: Count
    outcome: Outcome
    code: Annotated[str, AfterValidator(_code)]
    classes: Classes
    size_bytes: Count | None
    took_ms: Count


class Actor(_Model):
    """Who acted: an employee, a key, the operator, one of our functions, or the person concerned."""

    kind: ActorKind
    id: Token


class ActObject(_Model):
    """What was acted on."""

    kind: Word
    id: Token


class CoveredRange(_Model):
    """What a list or an export covered."""

    after: Time | None
    before: Time | None
    count: Count | None


class ActModel(_Entry):
    """Something that somebody did, or that ended without an attempt."""

    kind: ActKind
    actor: Actor
    event: EventId | None
    subject: Subject | None
    object: ActObject | None
    range: CoveredRange | None
    before: Hash | None
    after: Hash | None
    reason: Reason | None
    request: Token | None


MODELS: Mapping[str, type[_Entry]] = {
    "decided": DecidedModel,
    "attempted": AttemptedModel,
    **dict.fromkeys(ACTS, ActModel),
}
"""What each kind must look like."""
ANY_KIND: type[_Entry] = _Entry
"""The fields of every kind."""
