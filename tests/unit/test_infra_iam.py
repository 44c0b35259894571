"""The evaluator of policies follows the published logic, and fails where it would have to guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.iam import Request, UnknownElement, Verdict, evaluate

ADMIN = "arn:aws:iam::111122223333:role/admin"


def table(name: str) -> str:
    return f"arn:aws:dynamodb:eu-central-1:111122223333:table/{name}"


# The evaluator itself

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def _one(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.parametrize(
    ("document", "action", "resource", "context", "verdict"),
    [
        (_one(Effect="Allow", Action="s3:Get*", Resource="*"), "s3:getobject", "arn:aws:s3:::b/k", {}, Verdict.ALLOWED),
        (_one(Effect="Allow", Action="s3:Get*", Resource="*"), "s3:PutObject", "*", {}, Verdict.NOT_ALLOWED),
        (_one(Effect="Allow", NotAction="s3:*", Resource="*"), "sqs:SendMessage", "*", {}, Verdict.ALLOWED),
        (_one(Effect="Allow", NotAction="s3:*", Resource="*"), "s3:PutObject", "*", {}, Verdict.NOT_ALLOWED),
        (
            _one(Effect="Allow", Action="*", Resource=table("a*")),
            "dynamodb:GetItem",
            table("audit"),
            {},
            Verdict.ALLOWED,
        ),
        (
            _one(Effect="Allow", Action="*", Resource=table("[a]*")),
            "dynamodb:GetItem",
            table("a"),
            {},
            Verdict.NOT_ALLOWED,
        ),
        (_one(Effect="Allow", Action="*", Resource="arn:*:table/x"), "a:b", table("x"), {}, Verdict.NOT_ALLOWED),
        (
            _one(Effect="Deny", Action="*", Resource="*", Condition={"StringNotEquals": {"k": "v"}}),
            "a:b",
            "*",
            {},
            Verdict.DENIED,
        ),
        (
            _one(Effect="Deny", Action="*", Resource="*", Condition={"StringNotEquals": {"K": ["u", "v"]}}),
            "a:b",
            "*",
            {"k": "v"},
            Verdict.NOT_ALLOWED,
        ),
        (
            _one(Effect="Allow", Action="*", Resource="*", Condition={"StringLike": {"k": "v*"}}),
            "a:b",
            "*",
            {"k": "vw"},
            Verdict.ALLOWED,
        ),
        (
            _one(Effect="Allow", Action="*", Resource="*", Condition={"Null": {"k": "true"}}),
            "a:b",
            "*",
            {},
            Verdict.ALLOWED,
        ),
        (
            _one(
                Effect="Allow", Action="*", Resource="*", Condition={"Bool": {"k": "true"}, "StringEquals": {"l": "m"}}
            ),
            "a:b",
            "*",
            {"k": "true"},
            Verdict.NOT_ALLOWED,
        ),
    ],
)
def test_the_evaluator_follows_the_published_logic_when_one_statement_is_given(
    document: dict[str, Any], action: str, resource: str, context: Mapping[str, str], verdict: Verdict
) -> None:
    found = evaluate(Request(ADMIN, action, resource, context), [document])

    assert found is verdict


def test_the_evaluator_fails_when_an_operator_is_unknown() -> None:
    document = _one(
        Effect="Allow", Action="s3:*", Resource="*", Condition={"DateGreaterThan": {"aws:CurrentTime": "x"}}
    )

    with pytest.raises(UnknownElement, match="DateGreaterThan"):
        evaluate(Request(ADMIN, "sqs:SendMessage", "*"), [document])


@pytest.mark.parametrize("element", ["NotPrincipal", "NotResource"])
def test_the_evaluator_fails_when_an_element_is_unknown(element: str) -> None:
    document = _one(Effect="Deny", Action="*", Resource="*", **{element: "*"})

    with pytest.raises(UnknownElement, match=element):
        evaluate(Request(ADMIN, "sqs:SendMessage", "*"), [document])


def test_the_organisation_withholds_when_its_policies_allow_something_else() -> None:
    only_s3 = _one(Effect="Allow", Action="s3:*", Resource="*")

    found = evaluate(Request(ADMIN, "sqs:SendMessage", "*"), [ALLOW_ALL], organisation=[only_s3])

    assert found is Verdict.NOT_ALLOWED
