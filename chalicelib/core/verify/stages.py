"""Verify a bundle of evidence offline, in four stages: form, proofs, completeness, decisions.

``docs/verify.md`` describes the stages and their exit codes. Pure: the bundle's bytes, the trusted keys and the time are
arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import times
from ..law.derived import BulkCounts
from ..log.note import LOG, WITNESS, Checkpoint, Note, VerifierKey
from .bundle import ReadableBytes
from .decisions import Decisions
from .faults import STAGES, Fault, Faults
from .form import BundleEvidence, read
from .proofs import Proofs
from .query import QueryCheck
from .whole import CompletenessCheck


@dataclass(frozen=True, slots=True)
class VerifierInput:
    """The reader's own input.

    Args:
        now: the reader's time, by which open transfers are judged.
        bulk: the numbers of the installed ``thresholds.toml``, for decisions that turn on them.
        vkeys: pinned keys of the log.
        self_attested: whether the reader accepts the bundle's own keys where none is pinned.
        witnesses: keys whose cosignatures count towards ``quorum``.
        seen: a checkpoint of the log that the reader kept from before.
    """

    now: datetime
    bulk: BulkCounts
    vkeys: tuple[VerifierKey, ...] = ()
    self_attested: bool = False
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0
    seen: tuple[Note, Checkpoint] | None = None

    @property
    def identity(self) -> str:
        """How the reader knows whose log it is."""
        if self.vkeys:
            return "pinned"
        return "self-attested" if self.self_attested else "unverified"


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification. ``code`` is the exit code."""

    code: int
    faults: tuple[Fault, ...]
    told: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return {
            "code": self.code,
            "result": STAGES.get(self.code, "ok"),
            **self.told,
            "faults": [
                {
                    "stage": f.kind.stage,
                    "fault": f.name,
                    "says": f.kind.says,
                    "place": f.place,
                    "remedy": f.kind.remedy,
                }
                for f in self.faults
            ],
        }


def verify(data: ReadableBytes, trust: VerifierInput) -> Report:
    """Verify a bundle. Never raises on its content.

    1 read the members, 2 take the entries one by one, comparing each with log, law and configuration, 3 compare the
    checkpoints, 4 look for missing entries, 5 ask who vouches for the log.
    """
    faults = Faults()
    evidence = read(data, faults)  # 1
    if evidence is None:
        return _report(faults, {})
    keys = trust.vkeys or tuple(key for key in evidence.keys if key.algorithm == LOG)
    witnesses = trust.witnesses or tuple(key for key in evidence.keys if key.algorithm == WITNESS and not trust.vkeys)
    proofs = Proofs(evidence, (*keys, *witnesses), trust.seen)
    whole = CompletenessCheck(faults, evidence.manifest["log"], trust.now)
    asked = QueryCheck(evidence)
    decisions = Decisions(evidence, trust.bulk)
    kinds: dict[str, int] = {}
    for leaf, entry in evidence.entries():  # 2
        proofs.take(leaf, entry)
        if entry is not None:
            kinds[entry["kind"]] = kinds.get(entry["kind"], 0) + 1
            whole.take(entry)
            asked.take(entry)
            decisions.take(entry)
    proofs.finish()  # 3
    whole.finish()  # 4
    asked.finish(proofs.count)
    cosigned = {key.public for key in proofs.signed if key in trust.witnesses}
    if len(cosigned) < trust.quorum:
        faults.add("quorum", "checkpoint")
    if trust.identity == "unverified":  # 5
        faults.add("unidentified")
    return _report(faults, _told(evidence, trust, kinds, whole, decisions, len(cosigned)))


def _report(faults: Faults, told: Mapping[str, Any]) -> Report:
    order = list(STAGES)
    found = sorted(faults.found, key=lambda f: (order.index(f.kind.stage), f.name, f.place or ""))
    return Report(faults.code, tuple(found), told)


def _told(
    evidence: BundleEvidence,
    trust: VerifierInput,
    kinds: Mapping[str, int],
    whole: CompletenessCheck,
    decisions: Decisions,
    cosigned: int,
) -> dict[str, Any]:
    manifest, head = evidence.manifest, evidence.head
    return {
        "origin": head.origin if head is not None else None,
        "mode": manifest["mode"],
        "size": head.size if head is not None else None,
        "trust": trust.identity,
        "witnesses": cosigned,
        "as_of": times.text(trust.now),
        "entries": {kind: kinds[kind] for kind in sorted(kinds)},
        "transfers": {"decided": decisions.decided, "open": whole.open, "held": whole.held},
        "decisions": {
            "redecided": decisions.redecided,
            "not_redecided": dict(sorted(decisions.not_redecided.items())),
        },
        "earlier_checkpoints": len(evidence.earlier),
    }
