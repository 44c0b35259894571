"""Evaluate IAM policies as AWS does within one account: explicit deny, then the organisation's limit, then an allow.

Only the elements of our documents are known. Anything else, above all an unknown condition operator, fails.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html (read 2026-11-22)
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Document = Mapping[str, Any]

# An organisation attaches this to every account by default.
FULL_ACCESS: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class Verdict(Enum):
    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"
    DENIED = "denied"


class UnknownElement(ValueError):
    """A document uses something that this evaluator does not know."""


@dataclass(frozen=True)
class Request:
    """One call: its principal, action, resource and context. A context value is a string or, for a multivalued key, a tuple."""

    principal: str
    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    def circumstances(self) -> dict[str, tuple[str, ...]]:
        """The context with what AWS always adds."""
        given = {"aws:PrincipalArn": self.principal, **self.context}
        return {key.lower(): (value,) if isinstance(value, str) else value for key, value in given.items()}


def evaluate(
    request: Request,
    identity: Iterable[Document],
    resource: Document | None = None,
    organisation: Sequence[Document] = (FULL_ACCESS,),
) -> Verdict:
    """Decide a request.

    Args:
        identity: the policies of the principal.
        resource: the policy of the resource. A key is used only as its policy says; an account's root there hands the
            decision to ``identity``.
        organisation: service control policies, all of one level.
    """
    identity = list(identity)
    attached = [] if resource is None else [resource]
    for document in [*identity, *attached, *organisation]:
        if any(s["Effect"] == "Deny" and _applies(s, request) for s in statements(document)):
            return Verdict.DENIED
    if not _allows(organisation, request):
        return Verdict.NOT_ALLOWED
    by_identity = _allows(identity, request)
    by_resource = _allows(attached, request)
    if request.action.lower().startswith("kms:"):
        return Verdict.ALLOWED if by_identity and by_resource else Verdict.NOT_ALLOWED
    return Verdict.ALLOWED if by_identity or by_resource else Verdict.NOT_ALLOWED


def statements(document: Document) -> list[Mapping[str, Any]]:
    """Return a document's statements, each known to have only elements that are evaluated."""
    found = document["Statement"]
    for statement in found:
        if unknown := set(statement) - _ELEMENTS:
            raise UnknownElement(f"statement element {sorted(unknown)}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise UnknownElement(f"effect {statement['Effect']}")
        if ("Action" in statement) == ("NotAction" in statement):
            raise UnknownElement("a statement has either Action or NotAction")
        if ("Resource" in statement) == ("NotResource" in statement):
            raise UnknownElement("a statement has either Resource or NotResource")
    return list(found)


def _allows(documents: Iterable[Document], request: Request) -> bool:
    return any(s["Effect"] == "Allow" and _applies(s, request) for d in documents for s in statements(d))


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    conditions = statement.get("Condition", {})
    for operator in conditions:  # whether or not the rest applies: another mismatch must never hide an unknown operator
        _known(operator)
    if not (
        _action(statement, request.action)
        and _resource(statement, request.resource)
        and _principal(statement.get("Principal"), request.principal)
    ):
        return False
    return all(
        _holds(operator, key, _list(wanted), request.circumstances())
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


@functools.cache
def _known(operator: str) -> None:
    if operator != "Null" and operator.removeprefix("ForAnyValue:") not in _OPERATORS:
        raise UnknownElement(f"condition operator {operator}")


def _principal(wanted: Any, principal: str) -> bool:
    if wanted is None or wanted == "*":
        return True
    if set(wanted) != {"AWS"}:
        return False  # a service; no caller of these tests is one
    account = principal.split(":")[4]
    return any(w in ("*", principal) or w.endswith(f"::{account}:root") for w in _list(wanted["AWS"]))


def _action(statement: Mapping[str, Any], action: str) -> bool:
    wanted = _list(statement["Action"] if "Action" in statement else statement["NotAction"])
    return _any_action(wanted, action) == ("Action" in statement)


@functools.cache
def _any_action(patterns: tuple[str, ...], action: str) -> bool:
    return any(_like(pattern.lower(), action.lower()) for pattern in patterns)


def _resource(statement: Mapping[str, Any], resource: str) -> bool:
    wanted = _list(statement["Resource"] if "Resource" in statement else statement["NotResource"])
    return any(_arn_like(pattern, resource) for pattern in wanted) == ("Resource" in statement)


def _list(value: Any) -> tuple[str, ...]:
    return _resolved(tuple(value) if isinstance(value, list) else (value,))


@functools.cache
def _resolved(values: tuple[Any, ...]) -> tuple[str, ...]:
    for text in values:
        if not isinstance(text, str) or "${" in text:
            raise UnknownElement(f"not a resolved string: {text!r}")
    return values


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """``*`` and ``?`` match anything; nothing else is special, a bracket neither."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


@functools.cache
def _like(pattern: str, text: str) -> bool:
    return _pattern(pattern).match(text) is not None


@functools.cache
def _arn_like(pattern: str, arn: str) -> bool:
    """A wildcard does not reach over the colons between an ARN's six parts."""
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(given) and all(_like(w, g) for w, g in zip(wanted, given, strict=True))


_Test = Callable[[str, str], bool]
# operator: how one value is compared with one wanted value, and whether the answer is turned round. A missing key fails
# the first kind and passes the second.
_OPERATORS: dict[str, tuple[_Test, bool]] = {
    "StringEquals": (lambda w, g: w == g, False),
    "StringNotEquals": (lambda w, g: w == g, True),
    "StringLike": (_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotLike": (_arn_like, True),
    "Bool": (lambda w, g: w.lower() == g.lower(), False),
}


def _holds(operator: str, key: str, wanted: tuple[str, ...], circumstances: Mapping[str, tuple[str, ...]]) -> bool:
    given = circumstances.get(key.lower())
    if operator == "Null":
        return (given is None) == (wanted == ("true",))
    any_value = operator.startswith("ForAnyValue:")
    name = operator.removeprefix("ForAnyValue:")
    compare, negated = _OPERATORS[name]
    if given is None:
        return negated
    if len(given) > 1 and not any_value:
        raise UnknownElement(f"{key} has several values, {operator} takes one")
    return any(compare(w, g) for w in wanted for g in given) != negated
