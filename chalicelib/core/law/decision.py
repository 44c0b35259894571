"""A decision and its document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .rules import Provision, Rule

STRICTNESS: Mapping[str, int] = {"none": 0, "allow": 1, "redact": 2, "hold": 3, "deny": 4}
VERDICTS: Mapping[str, str] = {
    "allow": "allowed",
    "redact": "redacted",
    "hold": "held",
    "deny": "refused",
    "none": "none",
}

LIFTED_BY: Mapping[str, tuple[str, ...]] = {"ANY.instruction": ("basis:ANY.instruction",)}
"""Rules that deny for want of a record, and the missing path of the record."""
CURABLE = frozenset({*LIFTED_BY, "ANY.evidence"})
"""Rules whose denial a record lifts."""
GROUND = "ANY.basis"
"""The rule that asks for the legal ground of storing an event."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one provision for one recipient. ``grounds``: a permit relied on, or a requirement met by a record."""

    provision: Provision
    effect: str
    hop: str | None = None
    code: str | None = None
    instead: str | None = None
    fine: str | None = None
    grounds: bool = False

    def document(self) -> dict[str, Any]:
        """Return it as an item of a decision's ``rules``."""
        p = self.provision
        opinions = [o.document() for o in p.opinions] if isinstance(p, Rule) else []
        return {
            "id": p.id, "title": p.title, "ref": p.ref, "law": p.law, "effect": self.effect, "hop": self.hop, "code": self.code,
            "instead": self.instead, "fine": self.fine, "confidence": p.confidence, "settled": p.settled,
            "version": p.effective_from.isoformat(), **({"opinions": opinions} if opinions else {}),
        }  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """The decision on one set of facts. The command and the API show ``document()``.

    ``classes_out`` are the data classes that may leave: none where it is held or denied. ``lifted_by`` are the missing records
    that would lift denials; ``curable`` says that they would lift all. What is stored or sent is then held for them
    (``decide.plan``).
    """

    decision: str
    findings: tuple[Finding, ...]
    laws: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    redact: tuple[Mapping[str, str | None], ...] = ()
    retry_at: str | None = None
    bases: tuple[str, ...] = ()
    obligations: tuple[Mapping[str, str | None], ...] = ()
    classes_out: tuple[str, ...] = ()
    lifted_by: tuple[str, ...] = ()
    curable: bool = False
    rules_version: str = ""
    rules_hash: str = ""
    error: str | None = None
    id: str | None = None
    facts: Any = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """The decision in the words of the audit log: allowed, redacted, held or refused."""
        return VERDICTS[self.decision]

    @property
    def deciding(self) -> list[str]:
        """The ids whose effect is the decision's, sorted; none where there is no decision, only obligations."""
        if self.decision == "none":
            return []
        return sorted({f.provision.id for f in self.findings if f.effect == self.decision})

    @cached_property
    def facts_hash(self) -> str | None:
        """SHA-256 of the RFC 8785 form of the facts without ``id``; None where they have none."""
        return facts_hash(self.facts)

    def answering(self, facts: Mapping[str, Any]) -> Decision:
        """Return the same decision as the answer to other facts that lead to it."""
        # The copy bypasses the constructor because every event needs decisions. ``dataclasses.replace`` makes a kept
        # answer take 40 % longer, a call of the constructor 15 %. Both would also select the rules again, which the copy
        # shares.
        copy = object.__new__(Decision)
        copy.__dict__.update(self.__dict__, id=facts.get("id"), facts=facts, _selected=self._selected)
        copy.__dict__.pop("facts_hash", None)
        return copy

    def selected_rules(self) -> list[Mapping[str, str]]:
        """Return the rules that the decision rests on, each id once, sorted: ``{id, verdict, ref}``.

        Of a refusal or a hold, those that refuse or hold; else those that redact, the permits relied on and the
        requirements met by a record, and all that allow where there is none of these.
        """
        return list(self._selected)

    @cached_property
    def _selected(self) -> tuple[Mapping[str, str], ...]:
        chosen = [f for f in self.findings if f.effect == self.decision]
        if STRICTNESS[self.decision] <= STRICTNESS["redact"]:
            chosen = [f for f in self.findings if f.effect == "redact" or f.grounds] or chosen
        # Findings stand from strict to lax, so the first of an id is its strictest.
        by_id: dict[str, Finding] = {}
        for finding in chosen:
            by_id.setdefault(finding.provision.id, finding)
        return tuple(
            {"id": id, "verdict": VERDICTS[finding.effect], "ref": finding.provision.ref}
            for id, finding in sorted(by_id.items())
        )

    def document(self) -> dict[str, Any]:
        """Return the decision as JSON-able values."""
        return {
            "id": self.id,
            "decision": self.decision,
            "deciding": self.deciding,
            "laws": list(self.laws),
            "missing": list(self.missing),
            "redact": [dict(item) for item in self.redact],
            "retry_at": self.retry_at,
            "bases": list(self.bases),
            "obligations": [dict(item) for item in self.obligations],
            "rules": [f.document() for f in sorted(self.findings, key=by_id)],
            "rules_version": self.rules_version,
            "rules_hash": self.rules_hash,
            "facts_hash": self.facts_hash,
            "error": self.error,
        }


def by_id(finding: Finding) -> tuple[str, str]:
    """Order findings by provision and recipient."""
    return finding.provision.id, finding.hop or ""


def facts_hash(document: object) -> str | None:
    """Return ``sha256:…`` of the RFC 8785 form of facts without ``id``, or None for a value that is no facts object.

    Facts hold no fractions and only ASCII keys, for which sorted compact JSON is the RFC 8785 form.
    """
    if not isinstance(document, dict):
        return None
    try:
        text = json.dumps(
            {k: v for k, v in document.items() if k != "id"},
            ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True,
        )  # fmt: skip
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    except (TypeError, ValueError, RecursionError):
        return None


def is_curable(store: Decision, deliver: Decision) -> bool:
    """Say whether a record would lift every refusal of storing and delivering an event."""
    return store.verdict == "refused" and store.curable and (deliver.verdict != "refused" or deliver.curable)


def awaits_ground(store: Decision) -> bool:
    """Say whether an event may only be stored sealed, and as long as a hold: it has no ground, or no record that a rule wants."""
    return store.curable if store.verdict == "refused" else store.verdict == "held" and GROUND in store.deciding
