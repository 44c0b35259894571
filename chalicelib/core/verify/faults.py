"""The faults of a bundle: every fault by name, its stage, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

OK, PROOF, INCOMPLETE, DECISION, MALFORMED, NOT_REDECIDED, UNIDENTIFIED, USAGE = 0, 1, 2, 3, 4, 5, 6, 64
"""The exit codes: the first stage with a fault decides, in the order of ``STAGES``."""
STAGES: Mapping[int, str] = {
    MALFORMED: "malformed",
    PROOF: "proof bad",
    INCOMPLETE: "incomplete",
    DECISION: "decision does not follow",
    NOT_REDECIDED: "decision not made again",
    UNIDENTIFIED: "unverified identity",
}
_AGAIN = "Fetch the bundle again. If the fault stays, ask who made the bundle for another one, and keep this one."
_ALARM = "Treat the log as altered: keep this bundle and any checkpoint seen before, and ask the operator to explain."
_MISSING = "Ask for a bundle that has it. Until then no statement about the missing part is possible."
_TRUST = "Check where the verifier key came from; a key from the operator's own page may differ from one in the bundle."
_SMALLER = "Ask for a smaller bundle: a selection of less time."
_OTHER_VERSION = (
    "Verify with the version of Waybill that the cell ran, or ask the operator why the record is incomplete."
)
_PIN = "Give --vkey with the log's key from your contract, or --self-attested to trust the bundle's own key."
_REVIEW = "Ask the operator and the tenant how this decision came about; the entry itself is genuine."


class FaultKind(NamedTuple):
    """One kind of fault."""

    stage: int
    says: str
    remedy: str


FAULTS: Mapping[str, FaultKind] = {
    "tar": FaultKind(MALFORMED, "the file is no tar of a bundle's members", _AGAIN),
    "limit": FaultKind(MALFORMED, "the bundle is larger than a bundle may be", _SMALLER),
    "manifest": FaultKind(MALFORMED, "the manifest has not the form of waybill.bundle/1", _AGAIN),
    "digest": FaultKind(MALFORMED, "a member is not the one that the manifest names", _AGAIN),
    "unlisted": FaultKind(MALFORMED, "a member is not in the manifest", _AGAIN),
    "entry": FaultKind(MALFORMED, "a line is no canonical entry of a known schema and kind", _AGAIN),
    "note": FaultKind(MALFORMED, "a checkpoint is not in the strict form of a signed note", _AGAIN),
    "proof": FaultKind(MALFORMED, "a proof is not in its strict form", _AGAIN),
    "vkey": FaultKind(MALFORMED, "a verifier key is not in its form, or its id is not its own", _AGAIN),
    "law": FaultKind(MALFORMED, "a law file is no JSON of rules, with each key once and no floats", _AGAIN),
    "configuration": FaultKind(
        MALFORMED, "a configuration is no JSON of destinations, with each key once and no floats", _AGAIN
    ),
    "origin": FaultKind(PROOF, "the checkpoint's origin is not that of the manifest and of a trusted key", _TRUST),
    "unsigned": FaultKind(PROOF, "no trusted key of the log signed the checkpoint", _TRUST),
    "signature": FaultKind(PROOF, "a known key's signature is bad", _ALARM),
    "root": FaultKind(PROOF, "the entries do not give the root that was signed", _ALARM),
    "inclusion": FaultKind(PROOF, "the entry is not at its place in the log", _ALARM),
    "earlier": FaultKind(PROOF, "an earlier checkpoint is not the beginning of this log", _ALARM),
    "consistency": FaultKind(PROOF, "a consistency proof does not lead from an earlier checkpoint to this one", _ALARM),
    "order": FaultKind(PROOF, "the entries are not in the order of the log", _ALARM),
    "twice": FaultKind(PROOF, "one id stands twice", _ALARM),
    "foreign": FaultKind(PROOF, "the entry is of another tenant or log", _ALARM),
    "misnamed": FaultKind(PROOF, "a law file or configuration is not the one that its name says", _ALARM),
    "surplus": FaultKind(PROOF, "there are more entries than the log has", _ALARM),
    "seen": FaultKind(PROOF, "the checkpoint seen before is not the beginning of this log", _ALARM),
    "absent": FaultKind(INCOMPLETE, "a member that the manifest names is absent", _MISSING),
    "no_checkpoint": FaultKind(INCOMPLETE, "there is no checkpoint", _MISSING),
    "short": FaultKind(INCOMPLETE, "there are fewer entries than the log or the manifest says", _MISSING),
    "size": FaultKind(INCOMPLETE, "the manifest speaks of a log of another size", _MISSING),
    "count": FaultKind(INCOMPLETE, "the manifest counts fewer entries than there are", _MISSING),
    "query": FaultKind(INCOMPLETE, "the selection is not what its query asks for", _MISSING),
    "unproved": FaultKind(INCOMPLETE, "the entry has no proof", _MISSING),
    "stray": FaultKind(INCOMPLETE, "there is a proof for an entry that is not here", _MISSING),
    "unconnected": FaultKind(
        INCOMPLETE, "an earlier checkpoint has no consistency proof, or a proof has no checkpoint", _MISSING
    ),
    "no_law": FaultKind(INCOMPLETE, "the law file that the decision names is missing", _MISSING),
    "no_configuration": FaultKind(INCOMPLETE, "the configuration that the decision names is missing", _MISSING),
    "undecided": FaultKind(INCOMPLETE, "the attempt's decision is missing", _MISSING),
    "gap": FaultKind(INCOMPLETE, "an attempt or take before this one is missing", _MISSING),
    "no_end": FaultKind(
        INCOMPLETE, "a transfer that was allowed has no end two days after its event expired", _MISSING
    ),
    "quorum": FaultKind(INCOMPLETE, "fewer witnesses cosigned the checkpoint than are demanded", _MISSING),
    "seen_ahead": FaultKind(INCOMPLETE, "the checkpoint seen before is of a larger log", _MISSING),
    "seen_unproved": FaultKind(INCOMPLETE, "nothing here leads from the checkpoint seen before to this one", _MISSING),
    "verdict": FaultKind(DECISION, "the decision is not its strictest rule's, or allows without a rule", _REVIEW),
    "rule_unknown": FaultKind(DECISION, "a rule is not in the law file", _REVIEW),
    "rule_time": FaultKind(DECISION, "a rule was not in force on that day", _REVIEW),
    "rule_ref": FaultKind(DECISION, "a rule has another article in the law file", _REVIEW),
    "classes": FaultKind(DECISION, "more classes leave than the event holds or the decision lets through", _REVIEW),
    "place": FaultKind(DECISION, "a transfer is allowed to an unknown place", _REVIEW),
    "recipient": FaultKind(DECISION, "destination or recipient are not those of the configuration", _REVIEW),
    "barred": FaultKind(DECISION, "something was attempted under a decision that holds or refuses", _REVIEW),
    "attempt_classes": FaultKind(DECISION, "an attempt sent more classes than its decision lets through", _REVIEW),
    "attempt_destination": FaultKind(DECISION, "an attempt went to another destination than was decided", _REVIEW),
    "redecided": FaultKind(DECISION, "deciding again gives another decision, other rules or fewer classes", _REVIEW),
    "law_unusable": FaultKind(
        NOT_REDECIDED, "the law file has no laws, or this version compiles them to something else", _OTHER_VERSION
    ),
    "configuration_unusable": FaultKind(
        NOT_REDECIDED, "the configuration is not in the form that this version writes", _OTHER_VERSION
    ),
    "facts_unusable": FaultKind(
        NOT_REDECIDED, "the entry and the configuration do not hold what the decision needs", _OTHER_VERSION
    ),
    "unidentified": FaultKind(UNIDENTIFIED, "only the bundle itself says whose log it is", _PIN),
}
"""Every fault that a verification can find."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault found: its kind, and the entry or member that it is about."""

    name: str
    place: str | None = None

    @property
    def kind(self) -> FaultKind:
        """What kind it is of."""
        return FAULTS[self.name]


@dataclass
class Faults:
    """The faults found so far, each once."""

    found: dict[Fault, None] = field(default_factory=dict)

    def add(self, name: str, place: str | None = None) -> None:
        """Note a fault of a kind, about an entry or a member."""
        self.found[Fault(name, place)] = None

    @property
    def code(self) -> int:
        """The exit code: that of the first stage with a fault."""
        stages = {fault.kind.stage for fault in self.found}
        return next((stage for stage in STAGES if stage in stages), OK)
