"""Accountability: the log's account of an event, line by line, and the party accountable for each line. Pure.

The log holds no names. The parties of a line come from the configuration that its decision names (countries, roles, bases)
and from the recipient's record of that version (name, contact, contract). Where one is gone, the line says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

from .. import times
from ..decide.plan import Decide, route_facts
from ..event.messengers import own_messenger
from ..law.bases import BasisKind, BasisRecord
from ..law.decision import Decision
from ..log import merkle
from ..log.leaf import leaf
from ..log.transfers import Transfer, of_entries
from ..tenant import roles
from ..tenant.configuration import Configuration
from ..tenant.records import Contract, Recipient
from ..tenant.roles import Parties, RoleFacts, RoleParty
from ..verify.redecide import as_told, declared_route, store_facts

LIMITS: Mapping[str, str] = {
    "log_only": "The log cannot show an entry that was never written.",
    "after_delivery": "The report does not show what a recipient does with delivered data.",
    "names_now": "The names of the tenant and the operator are as they are declared now.",
    "first_person": "Events are listed under the person who sent them; those that name a person in another place are not.",
    "event_time": "A period is that of what is told, to the minute: an event counts by its own time.",
    "not_sealed": "Some entries are not sealed yet: their proofs come within minutes.",
    "configuration_gone": "A configuration that a decision names could not be read: what it says is left out.",
    "record_gone": "A recipient's record of the version that was decided on is gone: it is named as declared now, or not at all.",
    "law_changed": "A decision was made under another version of the rules: whose law applies is worked out by the present one.",
    "law_without_duties": "A law applies whose duties are not in the table of who answers.",
}
"""The notes that a report may add about itself, by code."""
Mark = Callable[[Iterable[Mapping[str, str]]], list[dict[str, Any]]]
Oblige = Callable[[Iterable[Mapping[str, Any]]], list[dict[str, Any]]]
"""Says of rules how they stand: ``Law.marked``."""
Until = Literal["expiry", "erased", "not_kept", "off_record"]
"""Why an event was kept no longer."""
UNTIL: tuple[Until, ...] = get_args(Until)
ALWAYS = ("log_only", "after_delivery", "names_now")

_NO_OWN_USE = False
"""No code of the router uses an event for anything but to route it: there is no other reader of content."""
# An act of one of our functions is the tenant's doing, unless it shows a fault of ours.
_OURS = frozenset({"dead_letter", "incident"})


@dataclass(frozen=True)
class Sources:
    """The sources of a report for facts that the log does not hold.

    Args:
        configurations: by hash; a missing one is gone.
        recipients: by id and version; a missing one is gone.
        indexes: of those entries that are sealed, by id.
        mark: returns the standing of rules in that law.
        oblige: returns the provisions of a decision's obligations, and their standing.
        rules_hash: of the law that ``decide`` decides by.
    """

    tenant: RoleParty
    operator: RoleParty
    configurations: Mapping[str, Configuration]
    recipients: Mapping[tuple[str, int], Recipient]
    current: Mapping[str, Recipient]
    indexes: Mapping[str, int]
    decide: Decide
    mark: Mark
    oblige: Oblige
    rules_hash: str
    now: datetime


@dataclass
class AccountabilityReport:
    """Build the report entry by entry: give it all entries of one event, or one act, at a time."""

    sources: Sources
    limits: set[str] = field(default_factory=lambda: set(ALWAYS))
    responsibility: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    laws: set[str] = field(default_factory=set)

    def tell(self, entries: Iterable[Mapping[str, Any]], missing: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Report one event from all of its entries, or an act without an event from its one entry.

        Args:
            missing: by held transfer, the facts it waits for, where the event is still stored.
        """
        ordered = sorted(entries, key=lambda e: (e["at"], e["id"]))
        decided = [e for e in ordered if e["kind"] == "decided"]
        lines = [self._held(decided, ordered)] if decided else []
        lines += [self._transfer(one, ordered) for one in of_entries(ordered, missing, self.sources.now)]
        lines += [self._act(e) for e in ordered if e["kind"] not in ("decided", "attempted")]
        receipt = decided[0]["receipt"] if decided else None
        return {
            "event": ordered[0]["event"],
            "at": receipt["received_at"] if receipt else ordered[0]["at"],
            "subjects": list(receipt["subjects"]) if receipt else [],
            "conversation": receipt["conversation"] if receipt else None,
            "lines": lines,
        }

    # Lines

    def _held(self, decided: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        first, receipt = decided[0], decided[0]["receipt"]
        configuration, decision = self._stored(first)
        erased = [e for e in entries if e["kind"] == "erased" and e["object"] is None]
        kept = decision.verdict != "refused" if decision is not None else None
        until: str = decided[-1]["expires_at"]
        because: Until = "expiry"
        if erased:
            until, because = erased[0]["at"], "erased"
        if first["facts"].get("otr"):
            kept, until, because = False, receipt["received_at"], "off_record"
        elif kept is False:
            until, because = receipt["received_at"], "not_kept"
        card = roles.card("store", receipt["source"], self._role_facts(configuration, first, None))
        laws = decision.laws if decision is not None else ()
        return {
            "line": "held",
            "source": receipt["source"],
            "channel": receipt["channel"],
            "messenger": first["facts"].get("messenger") or own_messenger(receipt["channel"]),
            "kind": receipt["kind"],
            "classes": list(receipt["classes"]),
            "size_bytes": receipt["size_bytes"],
            "store": dict(receipt["store"]),
            "kept": kept,
            "from": receipt["received_at"],
            "until": until,
            "until_because": because,
            "over": until <= times.text(self.sources.now),
            "rules": self.sources.mark(decision.selected_rules()) if decision is not None else [],
            "obligations": self.sources.oblige(decision.obligations) if decision is not None else [],
            "bases": _bases(configuration, decision.bases if decision is not None else ()),
            "laws": list(laws),
            "holder": self.sources.operator.document(),
            "role": card.document(),
            "accountable": roles.answers_for("store", card.role, self._parties(None, None)).document(),
            "responsibility": self._matrix(laws, dict.fromkeys(("receive", "store", "erase"), card.role), None, None),
            "proofs": [self._proof(e) for e in (*decided[:1], *erased)],
        }

    def _transfer(self, transfer: Transfer, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        decided = [
            e for e in entries if e["kind"] == "decided" and any(r["transfer"] == transfer.id for r in e["routes"])
        ]
        attempts = [e for e in entries if e["kind"] == "attempted" and e["transfer"] == transfer.id]
        ends = [e for e in entries if e.get("object") == {"kind": "transfer", "id": transfer.id}]
        force = next(e for e in decided if e["id"] == transfer.decided)
        route = next(r for r in force["routes"] if r["transfer"] == transfer.id)
        configuration, stored = self._stored(force)
        laws, bases, obligations = self._delivered(force, route, configuration, stored)
        recipient, role = self._recipient(route, configuration, laws)
        card = roles.card("deliver", route["route"], self._role_facts(configuration, force, route))
        left = [e for e in attempts if e["classes"]]
        party = _party(recipient) if recipient is not None else None
        return {
            "line": "transfer",
            "transfer": transfer.id,
            "route": transfer.route,
            "destination": transfer.destination,
            "purpose": _purpose(configuration, route["route"]),
            "decision": transfer.decision,
            "rules": self.sources.mark(route["rules"]),
            "obligations": obligations,
            "missing": transfer.missing,
            "basis": next(iter(_bases(configuration, (route["basis"],) if route["basis"] else ())), None),
            "bases": bases,
            "laws": laws,
            "classes_allowed": transfer.classes_out,
            "classes_left": sorted({c for e in left for c in e["classes"]}),
            "from": left[0]["at"] if left else None,
            "outcome": transfer.outcome,
            "attempts": [
                {"attempt": e["attempt"], "at": e["at"], "outcome": e["outcome"], "code": e["code"]} for e in attempts
            ],
            "recipient": recipient,
            "role": card.document(),
            "accountable": roles.answers_for("deliver", card.role, self._parties(party, role)).document(),
            "responsibility": self._matrix(
                laws, dict.fromkeys(("receive", "store", "deliver", "erase"), card.role), party, role
            ),
            "proofs": [self._proof(e) for e in (*decided, *attempts, *ends)],
        }

    def _act(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        ours = entry["actor"]["kind"] == "operator" or (
            entry["actor"]["kind"] == "service" and entry["reason"] in _OURS
        )
        named = ("at", "actor", "subject", "object", "range", "reason", "before", "after")
        return {
            "line": "act",
            "act": entry["kind"],
            **{name: entry[name] for name in named},
            "accountable": roles.accountable(self.sources.operator if ours else self.sources.tenant).document(),
            "proofs": [self._proof(entry)],
        }

    # Parts of lines

    def _stored(self, entry: Mapping[str, Any]) -> tuple[Configuration | None, Decision | None]:
        """Return the configuration that a decision names, and what storing the event comes to under it."""
        configuration = self.sources.configurations.get(entry["config_hash"])
        if configuration is None:
            self.limits.add("configuration_gone")
            return None, None
        facts = store_facts(entry, configuration)
        if facts is None:
            return configuration, None
        if entry["rules_hash"] != self.sources.rules_hash:
            self.limits.add("law_changed")
        return configuration, as_told(entry, self.sources.decide)(facts)

    def _delivered(
        self,
        entry: Mapping[str, Any],
        route: Mapping[str, Any],
        configuration: Configuration | None,
        stored: Decision | None,
    ) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the laws that a transfer is under, the records that its decision rests on, and its obligations."""
        if configuration is None or stored is None:
            return [], [], []
        declared, facts = declared_route(route, configuration), store_facts(entry, configuration)
        if declared is None or facts is None:
            return list(stored.laws), [], []
        decision = as_told(entry, self.sources.decide)(route_facts(facts, configuration, declared))
        allowed = route["decision"] in ("allowed", "redacted")
        bases = _bases(configuration, decision.bases if allowed else ())
        return sorted({*stored.laws, *decision.laws}), bases, self.sources.oblige(decision.obligations)

    def _role_facts(
        self, configuration: Configuration | None, entry: Mapping[str, Any], route: Mapping[str, Any] | None
    ) -> RoleFacts:
        if configuration is None:
            return RoleFacts(_NO_OWN_USE, None)
        declared = declared_route(route, configuration) if route is not None else None
        known = entry["receipt"]["source"] in configuration.sources and (route is None or declared is not None)
        bases = configuration.bases_of(declared) if declared is not None else configuration.basis_documents
        return RoleFacts(
            own_use=_NO_OWN_USE,
            # Sources and routes declare their purpose and destination, and only a tenant's key can declare them.
            set_by="tenant" if known else None,
            instruction=_instructed(bases, times.parse(entry["at"])),
            kept_after_delivery=entry["expires_at"] > entry["at"] and not entry["facts"].get("otr"),
        )

    def _recipient(
        self, route: Mapping[str, Any], configuration: Configuration | None, laws: Iterable[str]
    ) -> tuple[dict[str, Any] | None, str | None]:
        told = route["recipient"]
        if told is None:
            return None, None
        then = configuration.recipients.get(told["id"]) if configuration is not None else None
        record = self.sources.recipients.get((told["id"], then.version)) if then is not None else None
        named, state = record, "as_decided"
        if record is None:
            named = self.sources.current.get(told["id"])
            state = "as_now" if named is not None else "gone"
            self.limits.add("record_gone")
        role = then.role if then is not None else None
        return {
            "kind": "recipient",
            "id": told["id"],
            "legal_name": named.legal_name if named is not None else None,
            "contact": named.contact if named is not None else None,
            "dsr_endpoint": named.dsr_endpoint if named is not None else None,
            "country": told["country"],
            "processing": list(told["processing"]),
            "role": role,
            "version": then.version if then is not None else None,
            "record": state,
            "contract": _contract(record.contract) if record is not None and record.contract is not None else None,
            "onward": [o.model_dump(mode="json") for o in then.onward] if then is not None and then.onward else [],
            "answers": roles.recipient_answers(role, told["country"], laws),
        }, role

    def _parties(self, recipient: RoleParty | None, role: str | None) -> Parties:
        return Parties(self.sources.tenant, self.sources.operator, recipient, role)

    def _matrix(
        self, laws: Iterable[str], held: Mapping[str, Any], recipient: RoleParty | None, role: str | None
    ) -> str | None:
        """Keep a matrix, once, and return the name that lines call it by."""
        self.laws.update(laws)
        if not roles.COVERED.issuperset(laws):
            self.limits.add("law_without_duties")
        rows = roles.matrix(laws, held, self._parties(recipient, role))
        if not rows:
            return None
        text = json.dumps(rows, sort_keys=True, ensure_ascii=False)
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.responsibility[name] = rows
        return name

    def _proof(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        index = self.sources.indexes.get(entry["id"])
        if index is None:
            self.limits.add("not_sealed")
        return {
            "entry": entry["id"],
            "kind": entry["kind"],
            "log": entry["log"],
            "index": index,
            "leaf_hash": merkle.leaf_hash(leaf(entry)).hex(),
            "state": "not sealed yet" if index is None else "sealed",
            "proof": None if index is None else f"/v1/audit/entries/{entry['id']}/proof",
        }


def wanted(entries: Iterable[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the hashes of the configurations that entries name, and the ids of the recipients."""
    decided = [e for e in entries if e["kind"] == "decided"]
    recipients = {r["recipient"]["id"] for e in decided for r in e["routes"] if r["recipient"] is not None}
    return {e["config_hash"] for e in decided}, recipients


def _party(recipient: Mapping[str, Any]) -> RoleParty:
    name, contact = recipient["legal_name"], recipient["contact"]
    return RoleParty("recipient", recipient["id"], name, contact, recipient["country"])


def _contract(contract: Contract) -> dict[str, Any]:
    return contract.model_dump(mode="json")


def _purpose(configuration: Configuration | None, route: str) -> str | None:
    declared = configuration.routes.get(route) if configuration is not None else None
    return declared.purpose if declared is not None else None


_BASIS = ("id", "kind", "law", "recipient", "valid_from", "valid_until", "evidence", "withdrawn_at")


def _bases(configuration: Configuration | None, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return basis records as they stood; of one that is not in the configuration, its id alone."""
    known = {b["id"]: b for b in configuration.basis_documents} if configuration is not None else {}
    return [
        {**dict.fromkeys(_BASIS), **{k: v for k, v in known.get(i, {}).items() if k in _BASIS}, "id": i} for i in ids
    ]


def _instructed(bases: Iterable[Mapping[str, Any]], at: datetime) -> bool | None:
    """Say whether an instruction stood; None where the only one is without evidence."""
    found: bool | None = False
    for base in bases:
        if base["kind"] != BasisKind.INSTRUCTION.value:
            continue
        withdrawn = base.get("withdrawn_at")
        record = BasisRecord(
            id=base["id"],
            kind=BasisKind.INSTRUCTION,
            law=base["law"],
            recipient=base["recipient"],
            valid_from=_day(base["valid_from"]),
            valid_until=_day(base["valid_until"]),
            evidence=base["evidence"],
            withdrawn_at=times.parse(withdrawn) if withdrawn else None,
            fields={},
        )
        if record.stands("ANY", at.astimezone(UTC).date(), at):
            if record.unproved() is None:
                return True
            found = None
    return found


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
