"""Kinds of legal-basis records, and the evidence that each provides.

Source: https://w3c.github.io/dpv/2.1/dpv/ and https://w3c.github.io/dpv/2.1/legal/eu/gdpr/ (terms), read 2026-11-22.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

DPV = "https://w3id.org/dpv#"
EU_GDPR = "https://w3id.org/dpv/legal/eu/gdpr#"


class BasisKind(StrEnum):
    """The evidence that a record provides."""

    CONSENT = "consent"
    EXPLICIT_CONSENT = "explicit-consent"
    CONTRACT = "contract"
    CONTRACT_NECESSITY = "contract-necessity"
    LEGAL_OBLIGATION = "legal-obligation"
    VITAL_INTEREST = "vital-interest"
    PUBLIC_INTEREST = "public-interest"
    LEGITIMATE_INTEREST = "legitimate-interest"
    LEGAL_CLAIMS = "legal-claims"
    SCC = "scc"
    BCR = "bcr"
    CONTRACT_CLAUSES_APPROVED = "contract-clauses-approved"
    CERTIFICATION = "certification"
    CODE_OF_CONDUCT = "code-of-conduct"
    ADEQUACY_SCHEME = "adequacy-scheme"
    NOTIFICATION_FILED = "notification-filed"
    PERMIT = "permit"
    SECURITY_ASSESSMENT = "security-assessment"
    RESTRICTED_TRANSACTION_PROGRAMME = "restricted-transaction-programme"
    INSTRUCTION = "instruction"
    PROCESSOR_CONTRACT = "processor-contract"
    TRANSFER_IMPACT_ASSESSMENT = "transfer-impact-assessment"
    IMPACT_ASSESSMENT = "impact-assessment"
    RECIPIENT_ASSESSMENT = "recipient-assessment"
    PROCESSING_NOTICE = "processing-notice"
    DISTRIBUTION_CONSENT = "distribution-consent"
    PARENTAL_CONSENT = "parental-consent"
    LOCALISATION_EXCEPTION = "localisation-exception"
    HR_NECESSITY = "hr-necessity"
    FOREIGN_TRANSIT = "foreign-transit"
    THREAT_MODEL = "threat-model"
    CRYPTO_CERTIFICATE = "crypto-certificate"
    COUNTRY_ASSESSMENT = "country-assessment"

    @property
    def dpv_iri(self) -> str:
        """The term of the Data Privacy Vocabulary for this kind, or our own where it has none."""
        return _IRIS.get(self, f"https://waybill.example/ns#{self.value}")


K = BasisKind

_IRIS: Mapping[BasisKind, str] = {
    K.CONSENT: DPV + "Consent",
    K.EXPLICIT_CONSENT: DPV + "ExplicitlyExpressedConsent",
    K.CONTRACT: DPV + "Contract",
    K.CONTRACT_NECESSITY: DPV + "ContractPerformance",
    K.LEGAL_OBLIGATION: DPV + "LegalObligation",
    K.VITAL_INTEREST: DPV + "VitalInterest",
    K.PUBLIC_INTEREST: DPV + "PublicInterest",
    K.LEGITIMATE_INTEREST: DPV + "LegitimateInterest",
    K.LEGAL_CLAIMS: EU_GDPR + "A49-1-e",
    K.SCC: EU_GDPR + "SCCByCommission",
    K.BCR: EU_GDPR + "BindingCorporateRules",
    K.CONTRACT_CLAUSES_APPROVED: EU_GDPR + "AdHocContractualClauses",
    K.CERTIFICATION: EU_GDPR + "CertificationMechanismsForDataTransfers",
    K.CODE_OF_CONDUCT: EU_GDPR + "CodesOfConductForDataTransfers",
    K.ADEQUACY_SCHEME: EU_GDPR + "A45-3",
    K.INSTRUCTION: DPV + "DataProcessingAgreement",
    K.PROCESSOR_CONTRACT: DPV + "DataProcessorContract",
    K.TRANSFER_IMPACT_ASSESSMENT: DPV + "DataTransferImpactAssessment",
    K.IMPACT_ASSESSMENT: DPV + "PIA",
    K.THREAT_MODEL: DPV + "RiskAssessment",
    K.CRYPTO_CERTIFICATE: DPV + "CryptographicMethods",
}

NEEDS_LAW = frozenset({
    K.SCC, K.BCR, K.CONTRACT_CLAUSES_APPROVED, K.CERTIFICATION, K.CODE_OF_CONDUCT, K.ADEQUACY_SCHEME,
    K.NOTIFICATION_FILED, K.PERMIT, K.SECURITY_ASSESSMENT, K.RESTRICTED_TRANSACTION_PROGRAMME,
})  # fmt: skip
"""Instruments of one law: a record of these that names no law counts for none."""

UNBOUND = frozenset({
    K.CONSENT, K.EXPLICIT_CONSENT, K.CONTRACT, K.LEGAL_OBLIGATION, K.VITAL_INTEREST, K.PUBLIC_INTEREST,
    K.LEGITIMATE_INTEREST, K.INSTRUCTION, K.IMPACT_ASSESSMENT, K.PROCESSING_NOTICE, K.DISTRIBUTION_CONSENT,
    K.PARENTAL_CONSENT, K.LOCALISATION_EXCEPTION,
})  # fmt: skip
"""Kinds that counted beyond the recipient they name, in the first rule language."""


@dataclass(frozen=True, slots=True)
class BasisRecord:
    """One legal-basis record of the facts; ``fields`` are those that a rule may ask for by name."""

    id: str
    kind: BasisKind
    law: str | None
    recipient: str | None
    valid_from: date | None
    valid_until: date | None
    evidence: str | None
    withdrawn_at: datetime | None
    fields: Mapping[str, Any]

    def stands(self, law: str, day: date, now: datetime) -> bool:
        """Say whether the record counts under a law (``ANY`` takes every law's) on a civil day."""
        if law != "ANY" and self.law != law and (self.law is not None or self.kind in NEEDS_LAW):
            return False
        if self.withdrawn_at is not None and self.withdrawn_at <= now:
            return False
        if self.valid_from is not None and day < self.valid_from:
            return False
        return self.valid_until is None or day < self.valid_until

    def unproved(self) -> str | None:
        """Return the path of the first field that the record needs to be evidence, or None."""
        for name, value in (("evidence", self.evidence), ("valid_from", self.valid_from)):
            if value is None:
                return f"bases.{self.id}.{name}"
        return None


class BasisDocuments(tuple[dict[str, Any], ...]):
    """Records as facts hold them, which MUST NOT be changed: decisions on them are kept by their text, made once."""

    @cached_property
    def text(self) -> str:
        """The records as JSON."""
        return json.dumps(self)


class RecipientDocument(dict[str, Any]):
    """A recipient as facts hold it, which MUST NOT be changed either."""

    @cached_property
    def text(self) -> str:
        """The recipient as JSON."""
        return json.dumps(self)
