"""A tenant's configuration: all that a plan reads of its declarations, compiled, and the hash that names it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..law.bases import BasisDocuments, RecipientDocument
from .records import HOLD_HOURS_MAX, Basis, Destination, Recipient, Route, Source, Tenant
from .switches import Switch

if TYPE_CHECKING:  # patterns are compiled where events are matched; most functions only name a configuration
    from ..pattern.index import RouteIndex

BASES_MAX = 500
"""Bases of one tenant that are not withdrawn."""
RECIPIENTS_MAX = 500
"""Recipients of one tenant: each contract with one is a record, too."""
RECORDS_MAX = 1200
"""Records that decisions read of one tenant, withdrawn ones among them. With all consents of one person they are fewer than
the facts may hold."""


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A declared record that counts as absent, the field for which it cannot be read, and what that field must be."""

    record: str
    field: str
    says: str

    @property
    def path(self) -> str:
        """Where a decision names it among what is missing."""
        return f"{_PLACES[self.record[:3]]}.{self.record}.{self.field}"

    def supply(self) -> str:
        """Return the call that cures it."""
        if self.field == WHOLE:
            remedy = _CURES[self.record[:3]].format(id=self.record)
        elif self.record.endswith(_CONTRACT):
            remedy = f"PUT /v1/recipients/{self.record.removesuffix(_CONTRACT)} with a contract whose {self.field} {self.says}"
        elif self.field == _TOO_MANY:
            remedy = f"withdraw records that are over (POST /v1/bases/{{id}}/withdrawal): {self.record} {self.says}"
        else:
            remedy = (
                f"declare the record again (POST /v1/bases): its {self.field} {self.says}; then withdraw {self.record}"
            )
        return remedy

    def document(self) -> dict[str, str]:
        """Return it as the API shows it."""
        return {"record": self.record, "field": self.field, "supply": self.supply()}


@dataclass(frozen=True, slots=True)
class RecordExpiry:
    """The first day on which a declared record no longer counts, with nothing declared that takes its place."""

    record: str
    kind: str
    day: date


WHOLE = "record"
"""Stands for the field of a record that cannot be read at all: it is not of the form that this version reads."""
_PLACES: Mapping[str, str] = {
    "bas": "bases", "dst": "destinations", "rcp": "bases", "rte": "routes", "src": "sources", "swi": "switches",
}  # fmt: skip
_CURES: Mapping[str, str] = {
    "bas": "declare the record again (POST /v1/bases): {id} cannot be read",
    "key": "DELETE /v1/keys/{id}: it cannot be read, and opens nothing",
    "dst": "make the destination again (POST /v1/destinations) and lead its routes there: {id} cannot be read",
    "rcp": "PUT /v1/recipients/{id} with the whole record: it cannot be read",
    "rte": "DELETE /v1/routes/{id} and make the route again (POST /v1/routes): it cannot be read",
    "src": "connect the account again (POST /v1/sources): {id} cannot be read",
    "swi": "DELETE /v1/switches/{id}: it cannot be read, and stops every delivery until then",
}
_CONTRACT = ".contract"
_TOO_MANY = "too_many"
_NEVER = "~"
"""Sorts behind every date."""


def contract_basis(recipient: Recipient) -> dict[str, Any] | None:
    """Return the processor-contract basis that a processor's contract amounts to."""
    contract = recipient.contract
    if contract is None or recipient.role not in ("processor", "sub_processor"):
        return None
    return {
        "id": recipient.id + _CONTRACT,
        "kind": "processor-contract",
        "law": None,
        "recipient": recipient.id,
        "valid_from": contract.valid_from.isoformat(),
        "valid_until": contract.valid_until.isoformat() if contract.valid_until else None,
        "evidence": f"sha256:{contract.sha256}",
    }


def _worth(document: Mapping[str, Any]) -> tuple[bool, bool, str]:
    return document["id"].endswith(_CONTRACT), "withdrawn_at" not in document, document["id"]


@dataclass(frozen=True, eq=False)
class Configuration:
    """The part of one tenant's declarations that a plan reads, as of one configuration version.

    ``shared_notices`` are the notices on which consents for more than one recipient were given. Entries hold their effect, so
    the document leaves them out. ``lost`` are stored records that are not of their form. ``declared`` are the bases of a
    configuration that was read back from its document, where contracts stand among them; None in any other.
    """

    tenant: Tenant
    version: int
    sources: Mapping[str, Source] = field(default_factory=dict)
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    bases: Mapping[str, Basis] = field(default_factory=dict)
    switches: Mapping[str, Switch] = field(default_factory=dict)
    shared_notices: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    declared: BasisDocuments | None = None

    @cached_property
    def index(self) -> RouteIndex[str]:
        """The enabled routes, compiled."""
        from ..pattern.compiler import Pattern  # as above
        from ..pattern.index import RouteIndex

        return RouteIndex((r.id, Pattern.compile(r.pattern)) for r in self.routes.values() if r.enabled)

    @cached_property
    def basis_documents(self) -> BasisDocuments:
        """Every readable basis, and every processor's contract as one, as the evaluator reads them."""
        return self.declared if self.declared is not None else self._read[0]

    @property
    def unreadable(self) -> tuple[UnreadableRecord, ...]:
        """The declared records that count as absent, since the evaluator cannot read them or they are too many."""
        return () if self.declared is not None else self._read[1]

    @cached_property
    def _read(self) -> tuple[BasisDocuments, tuple[UnreadableRecord, ...]]:
        from ..law.facts import record_problems  # decisions read facts; most functions only name a configuration

        contracts = (contract_basis(r) for r in self.recipients.values())
        found = [*(b.document() for b in self.bases.values()), *(c for c in contracts if c is not None)]
        unreadable: dict[str, UnreadableRecord] = {}
        for one in found:
            for field_name, says in record_problems(one)[:1]:
                unreadable[one["id"]] = UnreadableRecord(one["id"], field_name, says)
        left_out: set[str] = set()
        if len(found) - len(unreadable) > RECORDS_MAX:
            # Contracts stay, then the newest that are not withdrawn: ids are in order of creation.
            ranked = sorted((b for b in found if b["id"] not in unreadable), key=_worth, reverse=True)
            left_out = {b["id"] for b in ranked[RECORDS_MAX:]}
            says = f"is one of more than {RECORDS_MAX} records, and older ones are left out"
            live = (b["id"] for b in ranked[RECORDS_MAX:] if "withdrawn_at" not in b)
            unreadable |= {id: UnreadableRecord(id, _TOO_MANY, says) for id in live}
        kept = BasisDocuments(b for b in found if b["id"] not in unreadable and b["id"] not in left_out)
        unreadable |= {id: UnreadableRecord(id, WHOLE, "cannot be read") for id in self.lost}
        return kept, tuple(unreadable[id] for id in sorted(unreadable))

    @cached_property
    def record_ends(self) -> tuple[RecordExpiry, ...]:
        """The ends of records that stand, without those that another record of the same kind, law and recipient outlasts."""
        last: dict[tuple[Any, ...], tuple[str, str, str]] = {}
        for one in self.basis_documents:
            if one.get("withdrawn_at") is None:
                of = (one["kind"], one["law"], one["recipient"])
                end = (one["valid_until"] or _NEVER, one["id"], one["kind"])
                last[of] = max(last.get(of, end), end)
        return tuple(
            RecordExpiry(id, kind, date.fromisoformat(end)) for end, id, kind in last.values() if end != _NEVER
        )

    def unreadable_of(self, route: Route) -> tuple[UnreadableRecord, ...]:
        """The records that a route could rest on if they could be read: those it names, contracts, and switches."""
        named = None if route.bases is None else frozenset(route.bases)
        destination = self.destinations.get(route.destination)
        leads_to = {route.destination, destination.recipient if destination is not None else None}

        def counts(one: UnreadableRecord) -> bool:
            if one.record[:3] == "bas":
                return named is None or one.record in named
            return one.record in leads_to or one.record.endswith(_CONTRACT) or one.record[:3] == "swi"

        return tuple(one for one in self.unreadable if counts(one))

    def bases_of(self, route: Route) -> BasisDocuments:
        """The bases that a route may rest on: those it names, and contracts; all where it names none."""
        if route.bases is None:
            return self.basis_documents
        found = self._named_bases.get(route.bases)
        if found is None:
            named = frozenset(route.bases)
            found = self._named_bases[route.bases] = BasisDocuments(
                b for b in self.basis_documents if b["id"] in named or b["id"].endswith(_CONTRACT)
            )
        return found

    @cached_property
    def _named_bases(self) -> dict[tuple[str, ...], BasisDocuments]:
        """What ``bases_of`` has found, by the ids that routes name."""
        return {}

    def processing_of(self, destination: Destination) -> list[str]:
        """The countries where a destination's data is processed: those of its recipient's record, and the destination's own.

        Decisions, entries and the hash all use this answer. A destination's own place adds a country and never removes one.
        """
        record = self.recipients.get(destination.recipient)
        declared = record.processing_countries if record else ()
        return sorted({*declared, *destination.place})

    def recipient_document(self, destination: str) -> RecipientDocument:
        """The recipient of a destination as the evaluator reads it; an undeclared field is null, which means unknown."""
        found = self._recipient_documents.get(destination)
        if found is None:
            found = self._recipient_documents[destination] = RecipientDocument(self._recipient_fields(destination))
        return found

    @cached_property
    def _recipient_documents(self) -> dict[str, RecipientDocument]:
        """What ``recipient_document`` has built, by destination."""
        return {}

    def _recipient_fields(self, name: str) -> dict[str, Any]:
        destination = self.destinations.get(name)
        recipient = self.recipients.get(destination.recipient) if destination else None
        processing = self.processing_of(destination) if destination else []
        if recipient is None:
            unknown = dict.fromkeys(("entity_country", "role", "classes", "onward"))
            id = destination.recipient if destination else "unknown"
            granted = None if {name, id} & self.lost else False  # a record that cannot be read may hold the grant
            return {"id": id, "processing_countries": processing, "granted": granted, **unknown}
        return {
            "id": recipient.id,
            "entity_country": recipient.entity_country,
            "processing_countries": processing,
            "role": recipient.role,
            "granted": recipient.granted,
            "classes": [c.value for c in recipient.classes] if recipient.classes is not None else None,
            "onward": [o.model_dump(mode="json") for o in recipient.onward] if recipient.onward is not None else None,
            **_standing(recipient),
        }

    @cached_property
    def document(self) -> dict[str, Any]:
        """What decisions read of the configuration: no secret, URL, name, contact or person, no float."""
        return configuration_document(self)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of ``canonical``, in hex."""
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def canonical(self) -> bytes:
        """The RFC 8785 form of ``document``."""
        import rfc8785  # hooks names no configuration by its hash

        return bytes(rfc8785.dumps(self.document))


def _recipient_of(configuration: Configuration, destination: Destination) -> dict[str, Any]:
    record = configuration.recipients.get(destination.recipient)
    return {
        "id": destination.recipient,
        "country": record.entity_country if record else None,
        "processing": configuration.processing_of(destination),
    }


def _standing(recipient: Recipient) -> dict[str, list[str]]:
    """Return the countries whose law prohibits or restricts a recipient, as facts have them; nothing where there are none."""
    standing = {
        f"{status}_in": sorted(c for c, of in recipient.legal_status.items() if of.status == status)
        for status in ("prohibited", "restricted")
    }
    return {name: countries for name, countries in standing.items() if countries}


def _statuses(recipient: Recipient) -> dict[str, Any]:
    return {country: of.model_dump(mode="json") for country, of in sorted(recipient.legal_status.items())}


def configuration_document(configuration: Configuration) -> dict[str, Any]:
    """Build the document that ``config_hash`` names."""
    tenant = configuration.tenant

    def by_id(records: Iterable[Any]) -> list[Any]:
        return sorted(records, key=lambda r: str(r.id))

    # What few tenants have stands here only where there is any.
    switches = [s.document() for s in by_id(configuration.switches.values())]
    rare: dict[str, list[Any]] = {"switches": switches, "lost": sorted(configuration.lost)}
    return {
        **{name: values for name, values in rare.items() if values},
        "schema": "waybill.config/1",
        "tenant": {
            "id": tenant.id,
            "edition": tenant.edition,
            "country": tenant.controller.country,
            "tenant_class": tenant.tenant_class,
            "zone": tenant.zone,
            "requires": sorted(tenant.requires),
            "strict_plus7": tenant.strict_plus7,
            "retention_days": tenant.retention.default_days,
            **({"hold_hours": tenant.hold_hours} if tenant.hold_hours != HOLD_HOURS_MAX else {}),
            **({"collected_in": True} if tenant.collected_in else {}),
        },
        "sources": [
            {
                "id": s.id,
                "channel": s.channel,
                "purpose": s.purpose,
                "retention_days": s.retention_days,
                "subject_country": s.subject_country,
                "special": sorted(s.special) if s.special is not None else None,
                **({"number_ranges": [r.model_dump() for r in s.number_ranges]} if s.number_ranges else {}),
                **({"messengers": sorted(s.messengers)} if s.messengers else {}),
            }
            for s in by_id(configuration.sources.values())
        ],
        "destinations": [
            {"id": d.id, "recipient": _recipient_of(configuration, d)}
            for d in by_id(configuration.destinations.values())
        ],
        "recipients": [
            {
                "id": r.id,
                "version": r.version,
                "entity_country": r.entity_country,
                "processing_countries": sorted(r.processing_countries),
                "role": r.role,
                "granted": r.granted,
                "classes": sorted(c.value for c in r.classes) if r.classes is not None else None,
                "onward": [o.model_dump(mode="json") for o in r.onward] if r.onward is not None else None,
                **({"legal_status": _statuses(r)} if r.legal_status else {}),
            }
            for r in by_id(configuration.recipients.values())
        ],
        "bases": sorted(configuration.basis_documents, key=lambda b: str(b["id"])),
        "routes": [
            {
                "id": r.id,
                "destination": r.destination,
                "purpose": r.purpose,
                "bases": sorted(r.bases) if r.bases is not None else None,
                "mode": r.mode,
                "redactions": [x.document() for x in r.transform.redact],
                "enabled": r.enabled,
            }
            for r in by_id(configuration.routes.values())
        ],
    }
