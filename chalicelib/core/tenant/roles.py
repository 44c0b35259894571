"""Legal roles: the router's role in a flow, and the party that answers for each duty under each law. Pure.

A role is computed from facts and is never a label. The duties stand in a table, each with its article. The router's own
duties cannot be given to a tenant, because the table is the only place that assigns them.

Source: GDPR (Regulation (EU) 2016/679), https://eur-lex.europa.eu/eli/reg/2016/679/oj; UK GDPR,
https://www.legislation.gov.uk/eur/2016/679; FADP of Switzerland, https://www.fedlex.admin.ch/eli/cc/2022/491/en; Federal Law
152-FZ of Russia, http://pravo.gov.ru (read 2026-11-22). Engineering input, not legal advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import Misconfigured

Setter = Literal["tenant", "router", "both"]
RouterRole = Literal["own_purposes", "processor", "joint", "controller"]


# The role card


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """The facts that decide the router's role; None is unknown.

    Args:
        own_use: does the router use the data for purposes of its own?
        set_by: which party set the purpose and chose the destination?
        instruction: is there a valid instruction by contract?
        joint_agreement: have both agreed to be joint controllers?
        kept_after_delivery: does the router keep the data after it has delivered them?
    """

    own_use: bool | None
    set_by: Setter | None
    instruction: bool | None = None
    joint_agreement: bool | None = None
    kept_after_delivery: bool | None = None


@dataclass(frozen=True, slots=True)
class _RoleRow:
    own_use: bool
    set_by: Setter | None
    instruction: bool | None
    joint_agreement: bool | None
    role: RouterRole
    decided_as: RouterRole
    ref: str


# In a row None is "whatever it is". Without an instruction the law makes a controller of who acts alone; decisions go on to call
# him a processor, so that the missing instruction itself refuses the flow until there is one.
_ROLES: tuple[_RoleRow, ...] = (
    _RoleRow(True, None, None, None, "own_purposes", "own_purposes", "GDPR art. 4(7), 28(10); 152-FZ art. 3(2)"),
    _RoleRow(False, "tenant", True, None, "processor", "processor", "GDPR art. 4(8), 28(3); 152-FZ art. 6(3)"),
    _RoleRow(False, "tenant", False, None, "controller", "processor", "GDPR art. 28(3), 28(10); 152-FZ art. 6(3)"),
    _RoleRow(False, "both", None, True, "joint", "joint", "GDPR art. 4(7), 26(1)"),
    _RoleRow(False, "router", None, None, "controller", "controller", "GDPR art. 4(7); 152-FZ art. 3(2)"),
)
UNKNOWN_REF = "GDPR art. 4(7)-(8), 26, 28; 152-FZ art. 3(2), 6(3)"


@dataclass(frozen=True, slots=True)
class ComputedRole:
    """The router's role in one operation of one flow. ``role`` None is unknown: then the law holds the flow."""

    op: str
    flow: str
    facts: RoleFacts
    role: RouterRole | None
    decided_as: RouterRole | None
    ref: str

    def document(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        facts = {name: getattr(self.facts, name) for name in RoleFacts.__slots__}
        return {
            "op": self.op,
            "flow": self.flow,
            "role": self.role,
            "decided_as": self.decided_as,
            "facts": facts,
            "ref": self.ref,
        }


def card(op: str, flow: str, facts: RoleFacts) -> ComputedRole:
    """Work out the router's role.

    Args:
        flow: the route or the source that the operation is about.
    """
    for row in _ROLES:
        wanted = (row.own_use, row.set_by, row.instruction, row.joint_agreement)
        given = (facts.own_use, facts.set_by, facts.instruction, facts.joint_agreement)
        if all(w is None or w == g for w, g in zip(wanted, given, strict=True)):
            return ComputedRole(op, flow, facts, row.role, row.decided_as, row.ref)
    return ComputedRole(op, flow, facts, None, None, UNKNOWN_REF)


# Parties


@dataclass(frozen=True, slots=True)
class RoleParty:
    """A legal person. ``legal_name`` and ``contact`` are None where its record is gone."""

    kind: Literal["tenant", "operator", "recipient"]
    id: str | None
    legal_name: str | None
    contact: str | None
    country: str | None

    def document(self) -> dict[str, Any]:
        """Return the party as JSON values."""
        return {name: getattr(self, name) for name in RoleParty.__slots__}


def accountable(party: RoleParty) -> RoleParty:
    """Return an accountable party by name.

    Raises:
        Misconfigured: its name or contact is blank, so that no party would answer.
    """
    if not (party.legal_name or "").strip() or not (party.contact or "").strip():
        raise Misconfigured(f"the {party.kind} that answers has no name or no contact")
    return party


# The responsibility matrix

Holder = Literal["tenant", "operator", "by_role"]
Joint = Literal["operator", "recipient", "foreign_processors"]


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty. ``by_role``: the tenant's, unless the router acts for itself.

    Args:
        refs: the article, by law; a law without an entry has no such duty.
        jointly: the party that answers beside the accountable one, by law.
    """

    op: str
    holder: Holder
    refs: Mapping[str, str]
    responsible: tuple[Literal["operator"], ...] = ()
    told: tuple[Literal["tenant"], ...] = ()
    jointly: Mapping[str, tuple[Joint, ...]] | None = None


def _gdpr(articles: str, **more: str) -> dict[str, str]:
    return {"EU": f"GDPR art. {articles}", "UK": f"UK GDPR art. {articles}", **more}


_ALL_LIABLE: tuple[Joint, ...] = ("operator", "recipient")
_ABROAD: tuple[Joint, ...] = ("foreign_processors",)

DUTIES: tuple[Duty, ...] = (
    Duty("receive", "by_role", _gdpr("5(2), 24(1)", CH="FADP art. 6, 7(1)", RU="152-FZ art. 6(5), 18.1(1)"), ("operator",)),
    Duty("store", "by_role", _gdpr("5(1)(e), 5(2), 24(1)", CH="FADP art. 6(4), 7(1)", RU="152-FZ art. 5(7), 6(5)"), ("operator",)),
    Duty("deliver", "by_role", _gdpr("5(2), 24(1), 44", CH="FADP art. 6, 9(1), 16(1)", RU="152-FZ art. 6(3), 6(5), 7"), ("operator",)),
    Duty("erase", "by_role", _gdpr("17(1), 19", CH="FADP art. 6(4), 32(2)", RU="152-FZ art. 21(3)-(5)"), ("operator",)),
    Duty("lawful_ground", "tenant", _gdpr("6(1), 7(1), 13, 14", CH="FADP art. 6, 19, 31", RU="152-FZ art. 6(1), 6(4), 9(3)")),
    Duty("first_write_at_home", "tenant", {"RU": "152-FZ art. 18(5)"}, ("operator",)),
    Duty("security", "operator", _gdpr("28(3)(c), 28(3)(f), 32(1)", CH="FADP art. 8, 9(2)", RU="152-FZ art. 6(3), 19(1)-(2)"), told=("tenant",)),
    Duty("breach_notice", "operator", _gdpr("33(2)", CH="FADP art. 24(3)", RU="152-FZ art. 6(3), 21(3.1)"), told=("tenant",)),
    Duty("answer_to_the_subject", "tenant", _gdpr("12(3), 15-22", CH="FADP art. 25-29", RU="152-FZ art. 6(5), 6(6), 14, 20(1)"), ("operator",), jointly={"RU": _ABROAD}),
    Duty("sub_processors", "operator", _gdpr("28(2), 28(4)", CH="FADP art. 9(3)", RU="152-FZ art. 6(3), 6(5)"), told=("tenant",)),
    Duty("damages", "tenant", _gdpr("82(1)-(2), 82(4)", CH="FADP art. 32(2)", RU="152-FZ art. 6(5), 6(6), 17(2), 24(2)"), jointly={"EU": _ALL_LIABLE, "UK": _ALL_LIABLE, "RU": _ABROAD}),
)  # fmt: skip

COVERED = frozenset(law for duty in DUTIES for law in duty.refs)
"""The laws that the table speaks of."""


@dataclass(frozen=True, slots=True)
class Parties:
    """The parties of a flow. ``recipient_role`` is the role that the recipient's record states."""

    tenant: RoleParty
    operator: RoleParty
    recipient: RoleParty | None = None
    recipient_role: str | None = None


def matrix(laws: Iterable[str], roles: Mapping[str, RouterRole | None], parties: Parties) -> list[dict[str, Any]]:
    """Return the accountable parties: one row for each duty and law, each with exactly one party, by name.

    Args:
        laws: the laws that apply; a law that the table lacks has no row.
        roles: the router's role in ``receive``, ``store``, ``deliver``, ``erase``.

    Raises:
        Misconfigured: an accountable party has no name or contact.
    """
    rows = []
    for law in sorted(COVERED.intersection(laws)):
        for duty in DUTIES:
            if law not in duty.refs:
                continue
            holder = _holder(duty, roles, parties)
            rows.append({
                "op": duty.op,
                "law": law,
                "accountable": accountable(holder).document(),
                "responsible": [parties.operator.document() for _ in duty.responsible if holder is not parties.operator],
                "jointly": [p.document() for p in _jointly(duty, law, parties) if p is not holder],
                "told": [parties.tenant.document() for _ in duty.told],
                "ref": duty.refs[law],
            })  # fmt: skip
    return rows


def answers_for(op: str, role: RouterRole | None, parties: Parties) -> RoleParty:
    """Return the party that is accountable for an operation.

    Raises:
        Misconfigured: it has no name or contact.
    """
    duty = next(d for d in DUTIES if d.op == op)
    return accountable(_holder(duty, {op: role}, parties))


def _holder(duty: Duty, roles: Mapping[str, RouterRole | None], parties: Parties) -> RoleParty:
    if duty.holder == "by_role":
        # Unknown or joint: the person deals with the tenant and can ask the tenant first.
        own = roles.get(duty.op) in ("own_purposes", "controller")
        return parties.operator if own else parties.tenant
    return parties.operator if duty.holder == "operator" else parties.tenant


def _jointly(duty: Duty, law: str, parties: Parties) -> Sequence[RoleParty]:
    found: list[RoleParty] = []
    for joint in (duty.jointly or {}).get(law, ()):
        if joint == "operator" or (joint == "foreign_processors" and parties.operator.country != law):
            found.append(parties.operator)
        processes = parties.recipient_role in ("processor", "sub_processor")
        recipient = parties.recipient
        if recipient is None:
            continue
        if joint == "recipient" or (joint == "foreign_processors" and processes and recipient.country != law):
            found.append(recipient)
    return found


_RECIPIENTS: Mapping[str, tuple[str, str]] = {
    "controller": ("subject", "GDPR art. 4(7), 24(1); 152-FZ art. 3(2), 6(5)"),
    "joint": ("subject", "GDPR art. 26(3)"),
    "third_party": ("subject", "GDPR art. 4(10), 14; 152-FZ art. 18(3)"),
    "foreign_authority": ("subject", "GDPR art. 48"),
    "processor": ("tenant", "GDPR art. 28(3), 28(10); 152-FZ art. 6(5)"),
    "sub_processor": ("tenant", "GDPR art. 28(4); 152-FZ art. 6(5)"),
    "staff": ("tenant", "GDPR art. 29, 32(4); 152-FZ art. 22.1"),
}
FOREIGN_PROCESSOR_REF = "152-FZ art. 6(6)"


def recipient_answers(role: str | None, country: str | None, laws: Iterable[str]) -> dict[str, Any]:
    """Return the party to which a recipient answers for its use of the data; ``to`` is None where its role is unknown."""
    to, ref = _RECIPIENTS.get(role or "", (None, UNKNOWN_REF))
    if role in ("processor", "sub_processor") and "RU" in set(laws) and country != "RU":
        return {"to": "tenant_and_subject", "ref": f"{ref}; {FOREIGN_PROCESSOR_REF}"}
    return {"to": to, "ref": ref}
