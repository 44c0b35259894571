"""The locks of a cell: added after its creation, compared by their meaning, and put where DynamoDB answers late."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deploy import locks
from tests.support.deployed import (
    ACCOUNT,
    AUDIT,
    BUCKET_POLICY,
    CELL_KEY,
    FOUND,
    FRAGMENT,
    GUARDRAILS,
    HERE,
    KEY_POLICIES,
    LOCKS,
    POLICIES,
    resolved,
    role_arn,
)
from tests.support.iam import FULL_ACCESS, Request, Verdict, evaluate

ADMIN = f"arn:aws:iam::{ACCOUNT}:role/admin"
BREAK_GLASS = role_arn("break-glass")
BUCKET = f"arn:aws:s3:::waybill-eu1-evidence-{ACCOUNT}"
TLS = {**HERE, "aws:SecureTransport": "true"}
LOCK = LOCKS[AUDIT[0]]


def chosen(value: Any, locked: bool) -> Any:
    """Decide the conditions of a template that depend on the lock."""
    if isinstance(value, list):
        made = [chosen(each, locked) for each in value]
        return [each for each in made if each != {"Ref": "AWS::NoValue"}]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::If"} and value["Fn::If"][0] == locks.PARAMETER:
        return chosen(value["Fn::If"][1 if locked else 2], locked)
    return {name: chosen(each, locked) for name, each in value.items()}


def undeletable(locked: bool) -> set[str]:
    """Return the kinds of resources whose deletion a rollback of the first creation would be denied."""
    found = set()
    for resource in chosen(locks.creatable(FRAGMENT), locked)["Resources"].values():
        properties = resource.get("Properties", {})
        kind = resource.get("Type", "")
        asked = {
            "AWS::KMS::Key": ("kms:ScheduleKeyDeletion", CELL_KEY, properties.get("KeyPolicy")),
            "AWS::S3::BucketPolicy": ("s3:DeleteBucketPolicy", BUCKET, properties.get("PolicyDocument")),
        }.get(kind)
        if asked is not None:
            action, of, policy = asked
            if evaluate(Request(ADMIN, action, of, TLS), [FULL_ACCESS], resolved(policy)) is not Verdict.ALLOWED:
                found.add(kind)
        if resource.get("DeletionPolicy", "Delete") == "Retain" or properties.get("DeletionProtectionEnabled"):
            found.add(kind)
    return found


def test_a_failed_first_creation_can_delete_all_that_it_made() -> None:
    assert undeletable(locked=False) == set()
    assert undeletable(locked=True) == {"AWS::KMS::Key", "AWS::S3::BucketPolicy"}


def test_the_locked_stack_is_the_one_that_the_template_describes() -> None:
    made = chosen(locks.creatable(FRAGMENT), locked=True)["Resources"]

    for name, resource in FRAGMENT["Resources"].items():
        properties = {k: v for k, v in resource.get("Properties", {}).items() if k != "DeletionProtectionEnabled"}
        assert made[name].get("Properties", {}) == chosen(properties, locked=True), name
    assert {n for n, r in FOUND.items() if r["Properties"].get("DeletionProtectionEnabled")} == {
        name for name, r in FOUND.items() if r.get("Type") == "AWS::DynamoDB::Table"
    }


REWRITTEN = {
    "the same": lambda lock: lock,
    "another order": lambda lock: {**lock, "Statement": lock["Statement"][::-1]},
    "another order of actions": lambda lock: {
        **lock,
        "Statement": [{**s, "Action": s["Action"][::-1]} for s in lock["Statement"]],
    },
    "lists for strings": lambda lock: {
        **lock,
        "Statement": [
            {
                **s,
                "Principal": {"AWS": ["*"]},
                "Resource": s["Resource"] if isinstance(s["Resource"], list) else [s["Resource"]],
            }
            for s in lock["Statement"]
        ],
    },
    "an id": lambda lock: {**lock, "Id": "x"},
}


@pytest.mark.parametrize("form", REWRITTEN)
def test_a_lock_is_the_same_when_only_its_form_differs(form: str) -> None:
    assert locks.same(REWRITTEN[form](json.loads(json.dumps(LOCK))), LOCK)


def test_an_accounts_id_is_its_root() -> None:
    def policy(principal: str) -> dict[str, Any]:
        return {"Statement": {"Effect": "Deny", "Principal": {"AWS": principal}, "Action": "x", "Resource": "*"}}

    assert locks.same(policy(ACCOUNT), policy(f"arn:aws:iam::{ACCOUNT}:root"))
    assert not locks.same(policy(ACCOUNT), policy("arn:aws:iam::999988887777:root"))


@pytest.mark.parametrize("part", ["Effect", "Principal", "Action", "Resource", "Condition", "Statement"])
def test_a_lock_is_another_when_it_says_less(part: str) -> None:
    weaker = json.loads(json.dumps(LOCK))
    last = weaker["Statement"][-1]
    if part == "Statement":
        weaker["Statement"].pop()
    elif part == "Action":
        last["Action"] = last["Action"][1:]
    elif part == "Condition":
        last["Condition"]["ArnNotLike"]["aws:PrincipalArn"] = "*"
    else:
        last[part] = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Resource": "arn:aws:dynamodb:::table/x"}[part]

    assert not locks.same(weaker, LOCK)


class Slow:
    """DynamoDB, which shows a new policy only when it has been asked a few times."""

    def __init__(self, late: int) -> None:
        self.late, self.policy = late, ""

    def put_resource_policy(self, *, ResourceArn: str, Policy: str, ConfirmRemoveSelfResourceAccess: bool) -> None:
        self.policy = Policy

    def get_resource_policy(self, *, ResourceArn: str) -> Any:
        self.late -= 1
        if not self.policy or self.late >= 0:
            raise ClientError({"Error": {"Code": "PolicyNotFoundException", "Message": ""}}, "GetResourcePolicy")
        return {"Policy": self.policy}


@pytest.mark.parametrize(("late", "shown"), [(0, True), (3, True), (locks.ASKED_MAX, False)])
def test_a_lock_is_awaited_when_the_table_shows_it_late(late: int, shown: bool) -> None:
    waits: list[float] = []

    assert locks.TableLocks(Slow(late), waits.append).put(AUDIT[0], LOCK) is shown
    assert len(waits) == late


# Break-glass

ADMINISTERS = [
    *(
        ("s3:" + a, BUCKET)
        for a in ("PutBucketPolicy", "DeleteBucketPolicy", "PutLifecycleConfiguration", "DeleteBucket")
    ),
    *(("s3:" + a, BUCKET) for a in ("PutEncryptionConfiguration", "PutBucketObjectLockConfiguration")),
    *(("kms:" + a, CELL_KEY) for a in ("PutKeyPolicy", "DisableKey", "EnableKey", "ScheduleKeyDeletion")),
]


@pytest.mark.parametrize(("action", "of"), ADMINISTERS)
def test_only_break_glass_administers_the_bucket_and_the_keys(action: str, of: str) -> None:
    policy = BUCKET_POLICY if of == BUCKET else KEY_POLICIES[CELL_KEY]

    def verdict(who: str, identity: Any) -> Verdict:
        return evaluate(Request(who, action, of, TLS), [identity], policy, [FULL_ACCESS, GUARDRAILS])

    assert verdict(BREAK_GLASS, POLICIES["break-glass"]) is Verdict.ALLOWED
    if action != "kms:EnableKey":
        assert verdict(ADMIN, FULL_ACCESS) is Verdict.DENIED


def trust(permission_set: str) -> dict[str, Any]:
    document = FOUND["BreakGlassRole"]["Properties"]["AssumeRolePolicyDocument"]
    statements = [s["Fn::If"][1] if "Fn::If" in s else s for s in document["Statement"] if permission_set or "Sid" in s]
    text = json.dumps(statements).replace("${BreakGlassPermissionSet}", permission_set)
    # The account's root hands the decision to the policies of the caller: only the conditions are left.
    plain = [{k: v for k, v in s.items() if k != "Principal"} | {"Resource": "*"} for s in json.loads(text)]
    return {"Version": "2012-10-17", "Statement": resolved(plain)}


def holder(permission_set: str, where: str = "eu-west-1/") -> str:
    path = f"role/aws-reserved/sso.amazonaws.com/{where}AWSReservedSSO_{permission_set}_1234567890abcdef"
    return f"arn:aws:iam::{ACCOUNT}:{path}"


USER = f"arn:aws:iam::{ACCOUNT}:user/duty"
MFA = {"aws:MultiFactorAuthPresent": "true"}
TAKEN: dict[str, tuple[str, str, dict[str, str], bool]] = {
    "a user with a token": ("", USER, {**HERE, **MFA}, True),
    "a user without": ("", USER, {**HERE}, False),
    "a user with a token elsewhere": ("", USER, {"aws:RequestedRegion": "us-east-1", **MFA}, False),
    "a holder": ("BreakGlass", holder("BreakGlass"), {**HERE}, True),
    "a holder of Identity Center in us-east-1": ("BreakGlass", holder("BreakGlass", ""), {**HERE}, True),
    "a holder elsewhere": ("BreakGlass", holder("BreakGlass"), {"aws:RequestedRegion": "us-east-1"}, False),
    "a holder of another set": ("BreakGlass", holder("Admin"), {**HERE}, False),
    "a holder of a set whose name begins alike": ("BreakGlass", holder("BreakGlass_Mine"), {**HERE}, False),
    "a holder where none is named": ("", holder(""), {**HERE}, False),
    "a role that calls itself so": (
        "BreakGlass",
        f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_BreakGlass_1234567890abcdef",
        {**HERE},
        False,
    ),
}


@pytest.mark.parametrize("who", TAKEN)
def test_break_glass_is_taken_by_users_with_a_token_and_by_holders_of_the_set_in_the_home_region(who: str) -> None:
    permission_set, principal, context, taken = TAKEN[who]

    found = evaluate(Request(principal, "sts:AssumeRole", BREAK_GLASS, context), [trust(permission_set)])

    assert found is (Verdict.ALLOWED if taken else Verdict.NOT_ALLOWED)
