"""Laws of accountability: for any facts, one party is accountable for a duty under a law, and never for another's own duty."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.errors import Misconfigured
from chalicelib.core.tenant.roles import COVERED, DUTIES, Parties, RoleFacts, RoleParty, card, matrix

TENANT = RoleParty("tenant", "tnt_1", "Nord GmbH", "privacy@nord.example", "DE")
OPERATOR = RoleParty("operator", None, "Cell Operator (fictitious)", "operator@waybill.example", None)
COUNTRIES = st.sampled_from(["DE", "RU", "US", None])
NAMES = st.sampled_from(["Nord CRM GmbH", None])
RECIPIENTS = st.none() | st.builds(RoleParty, st.just("recipient"), st.just("rcp_1"), NAMES, NAMES, COUNTRIES)
ROLES = st.sampled_from(["own_purposes", "processor", "joint", "controller", None])
PLACES = st.sampled_from(["processor", "sub_processor", "controller", "third_party", None])
LAWS = st.sets(st.sampled_from([*sorted(COVERED), "AE", "US"]))
FACTS = st.builds(
    RoleFacts,
    own_use=st.none() | st.booleans(),
    set_by=st.sampled_from(["tenant", "router", "both", None]),
    instruction=st.none() | st.booleans(),
    joint_agreement=st.none() | st.booleans(),
)


@given(LAWS, ROLES, RECIPIENTS, PLACES, COUNTRIES)
def test_exactly_one_answers_for_each_duty_under_each_law(
    laws: set[str], role: str | None, recipient: RoleParty | None, place: str | None, country: str | None
) -> None:
    operator = RoleParty("operator", None, OPERATOR.legal_name, OPERATOR.contact, country)
    held = dict.fromkeys(("receive", "store", "deliver", "erase"), role)

    rows = matrix(laws, held, Parties(TENANT, operator, recipient, place))  # type: ignore[arg-type]

    found = Counter((row["op"], row["law"]) for row in rows)
    assert found == {(d.op, law): 1 for law in laws for d in DUTIES if law in d.refs}
    for row in rows:
        assert row["accountable"]["legal_name"] and row["accountable"]["contact"] and row["ref"]
        assert row["accountable"] not in row["jointly"]
        if row["op"] in ("security", "breach_notice", "sub_processors"):
            assert row["accountable"]["kind"] == "operator"
        if row["op"] in ("lawful_ground", "answer_to_the_subject"):
            assert row["accountable"]["kind"] == "tenant"


@pytest.mark.parametrize("blank", [None, "", "  "])
@pytest.mark.parametrize("kind", ["tenant", "operator"])
def test_nothing_is_said_when_somebody_who_answers_is_not_named(kind: str, blank: str | None) -> None:
    named = {"tenant": TENANT, "operator": OPERATOR}
    named[kind] = RoleParty(kind, None, blank, "somebody@nord.example", None)  # type: ignore[arg-type]

    with pytest.raises(Misconfigured, match=kind):
        matrix({"EU"}, {}, Parties(named["tenant"], named["operator"]))


@given(FACTS)
def test_a_role_is_never_guessed(facts: RoleFacts) -> None:
    found = card("deliver", "rte_1", facts)

    if facts.own_use is None or (facts.set_by is None and not facts.own_use):
        assert found.role is None
    if facts.set_by == "tenant" and facts.own_use is False:
        wanted = {True: "processor", False: "controller", None: None}[facts.instruction]
        assert found.role == wanted
        assert found.decided_as == ("processor" if facts.instruction is not None else None)
    assert (found.role is None) == (found.decided_as is None)


@pytest.mark.parametrize(("country", "joint"), [("RU", []), ("KZ", ["recipient"]), (None, ["recipient"])])
def test_a_foreign_processor_answers_to_the_person_under_russian_law(country: str | None, joint: list[str]) -> None:
    operator = RoleParty("operator", None, OPERATOR.legal_name, OPERATOR.contact, "RU")
    recipient = RoleParty("recipient", "rcp_1", "Steppe CRM LLP", "dpo@steppe.example", country)

    rows = matrix({"RU"}, {}, Parties(TENANT, operator, recipient, "processor"))

    (row,) = (row for row in rows if row["op"] == "answer_to_the_subject")
    assert [party["kind"] for party in row["jointly"]] == joint
    assert "6(6)" in row["ref"]
