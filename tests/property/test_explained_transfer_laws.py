"""The API's explanation of a transfer agrees with the decision on its route, for any stored data and any delivery."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.decide.plan import combine
from chalicelib.core.explain.explanation import explain_transfer
from chalicelib.core.law.decision import VERDICTS
from chalicelib.core.law.residency import Decider
from chalicelib.law import installed
from tests.fixtures.residency.building import VECTORS, facts_of

DECIDER = Decider(installed())
DELIVERED = [f for f in map(facts_of, VECTORS) if f.get("op") == "deliver"]
STORED = [f for f in map(facts_of, VECTORS) if f.get("op") == "store"] + [{**f, "op": "store"} for f in DELIVERED]


def transfer(store: dict[str, Any], deliver: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    judged = combine(DECIDER.decide(store), DECIDER.decide(deliver), ())
    return judged, explain_transfer(store, deliver, DECIDER.law)


@settings(max_examples=150)
@given(store=st.sampled_from(STORED), deliver=st.sampled_from(DELIVERED))
def test_the_explanation_is_of_the_decision_that_a_route_is_judged_by(
    store: dict[str, Any], deliver: dict[str, Any]
) -> None:
    judged, told = transfer(store, deliver)

    assert VERDICTS[told["decision"]] == judged.verdict
    assert set(told["missing"]) == set(judged.missing)
    assert told["retry_at"] == (judged.retry_at if judged.verdict in ("held", "refused") else told["retry_at"])
    if judged.verdict in ("held", "refused"):
        assert told["deciding"] == [r["id"] for r in judged.rules]
    assert {r["id"] for r in judged.rules} <= {r["id"] for r in told["rules"]}
    assert {w["rule"] for w in told["why"]} == {r["id"] for r in told["rules"]}
    for told_once in (told["rules"], told["why"]):
        assert not any(one in told_once[:place] for place, one in enumerate(told_once))


def test_each_of_the_two_is_the_stricter_one_somewhere() -> None:
    pairs = {(DECIDER.decide(s).verdict, DECIDER.decide(d).verdict) for s in STORED[:40] for d in DELIVERED[:40]}

    assert {("allowed", "held"), ("held", "held"), ("held", "allowed")} <= pairs
