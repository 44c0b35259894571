"""What no principal may do, even with all other rights: each layer that keeps evidence in its place and unchanged, alone.

The layers are a role's own denials, the audit tables' policy, the keys' and the account's. Each is asked alone, for a
principal that is allowed everything else, against a table that stands here by hand.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.deployed import (
    ACCOUNT,
    AUDIT,
    AUDIT_KEY,
    BUCKET,
    BUCKET_POLICY,
    CELL_KEY,
    CONFIG,
    DATA,
    DYNAMODB,
    ELSEWHERE,
    FOUND,
    GUARDRAILS,
    HERE,
    INDEXES,
    KEY_POLICIES,
    KMS,
    LOCKS,
    POLICIES,
    REGION,
    ROLES,
    S3,
    SEAL_KEY,
    role_arn,
)
from tests.support.guarded import DENIED_BY_HAND, WATCHING
from tests.support.iam import FULL_ACCESS, Request, Verdict, evaluate, statements

# Denials to a principal that is allowed everything else

CHANGES_ENTRIES = "PutItem UpdateItem DeleteItem BatchWriteItem PartiQLUpdate PartiQLDelete PartiQLSelect".split()
_TOUCHES_TABLE = (
    "DeleteTable UpdateTable UpdateTimeToLive UpdateContinuousBackups PutResourcePolicy DeleteResourcePolicy "
    "ExportTableToPointInTime RestoreTableToPointInTime EnableKinesisStreamingDestination "
    "UpdateKinesisStreamingDestination"
).split()
_REPLICATES = (
    "CreateTableReplica AssociateTableReplica CreateGlobalTable CreateGlobalTableWitness UpdateGlobalTable "
    "UpdateGlobalTableSettings UpdateGlobalTableVersion"
).split()
_ENDS_KEYS = "ScheduleKeyDeletion DisableKey PutKeyPolicy".split()

ADMIN = f"arn:aws:iam::{ACCOUNT}:role/admin"
BREAK_GLASS = role_arn("break-glass")
Denied = set[tuple[str, str]]


def _denied_to_role(document: Mapping[str, Any], role: str) -> Denied:
    """The calls that a role's own policy denies, though the role is allowed everything."""
    calls = [(f"dynamodb:{a}", r, HERE) for a in DYNAMODB for r in (DATA, *AUDIT, INDEXES["subject"])]
    calls += [(f"kms:{a}", k, HERE) for a in KMS for k in (CELL_KEY, AUDIT_KEY)]
    calls += [("dynamodb:GetItem", CONFIG, ELSEWHERE)]
    return {
        (action, "elsewhere" if context is ELSEWHERE else resource)
        for action, resource, context in calls
        if evaluate(Request(role_arn(role), action, resource, context), [document, FULL_ACCESS]) is Verdict.DENIED
    }


DENIED_TO_ROLES: Denied = {
    *(
        (f"dynamodb:{a}", r)
        for a in [*CHANGES_ENTRIES, "ExportTableToPointInTime"]
        for r in (*AUDIT, INDEXES["subject"])
    ),
    *((f"kms:{a}", k) for a in _ENDS_KEYS for k in (CELL_KEY, AUDIT_KEY)),
    ("dynamodb:GetItem", "elsewhere"),
}


def _denied_by_lock(document: Mapping[str, Any], _: str = "") -> Denied:
    return {
        (f"{principal} {action}", resource)
        for principal in (ADMIN, BREAK_GLASS)
        for action in DYNAMODB
        for resource in (AUDIT[0], INDEXES["subject"], AUDIT[1])
        if evaluate(Request(principal, f"dynamodb:{action}", resource, HERE), [FULL_ACCESS], document) is Verdict.DENIED
    }


DENIED_BY_LOCK: Denied = {
    *((f"{p} {a}", r) for p in (ADMIN, BREAK_GLASS) for a in CHANGES_ENTRIES for r in (AUDIT[0], INDEXES["subject"])),
    *((f"{ADMIN} {a}", AUDIT[0]) for a in [*_TOUCHES_TABLE, "UpdateTableReplicaAutoScaling"]),
}


def _denied_by_key(document: Mapping[str, Any], _: str = "") -> Denied:
    return {
        (principal, action)
        for principal in (ADMIN, BREAK_GLASS)
        for action in KMS
        if evaluate(Request(principal, f"kms:{action}", CELL_KEY, HERE), [FULL_ACCESS], document) is Verdict.DENIED
    }


def _denied_by_bucket(document: Mapping[str, Any], _: str = "") -> Denied:
    """The bucket policy's denials: an action on the bucket, an object, or a log's newest checkpoint."""
    ways = {
        "": TLS,
        " once": {**TLS, "s3:if-none-match": "*"},
        " in the clear": {**HERE, "aws:SecureTransport": "false"},
    }
    return {
        (f"{principal} {action}{way}", resource)
        for principal in (ADMIN, BREAK_GLASS)
        for action in S3
        for way, context in ways.items()
        for resource in (BUCKET, OBJECT, CHECKPOINT, OTHERS + "/k")
        if evaluate(Request(principal, f"s3:{action}", resource, context), [FULL_ACCESS], document) is Verdict.DENIED
    }


TLS = {**HERE, "aws:SecureTransport": "true"}
OBJECT, CHECKPOINT = BUCKET + "/logs/tnt_1/2026/checkpoints/7", BUCKET + "/logs/tnt_1/2026/checkpoint"
OTHERS = "arn:aws:s3:::others"
_CHANGES_OBJECTS = (
    "DeleteObject DeleteObjectVersion PutObjectRetention PutObjectLegalHold BypassGovernanceRetention"
).split()
_CHANGES_COPIES = "PutObjectAcl PutObjectVersionAcl ReplicateObject ReplicateDelete".split()
_TOUCHES_BUCKET = (
    "DeleteBucket DeleteBucketPolicy PutBucketPolicy PutBucketVersioning PutBucketObjectLockConfiguration "
    "PutLifecycleConfiguration PutEncryptionConfiguration PutBucketPublicAccessBlock"
).split()
DENIED_BY_BUCKET: Denied = {
    *(
        (f"{p} {a}{way}", r)
        for p in (ADMIN, BREAK_GLASS)
        for a in (*_CHANGES_OBJECTS, *_CHANGES_COPIES)
        for way in ("", " once")
        for r in (OBJECT, CHECKPOINT)
    ),
    # Nothing is written over but a log's newest checkpoint.
    *((f"{p} PutObject", r) for p in (ADMIN, BREAK_GLASS) for r in (BUCKET, OBJECT, OTHERS + "/k")),
    *(
        (f"{ADMIN} {a}{way}", BUCKET)
        for a in (*_TOUCHES_BUCKET, "PutReplicationConfiguration")
        for way in ("", " once")
    ),
    *((f"{p} {a} in the clear", r) for p in (ADMIN, BREAK_GLASS) for a in S3 for r in (BUCKET, OBJECT, CHECKPOINT)),
    *((f"{p} PutObject in the clear", OTHERS + "/k") for p in (ADMIN, BREAK_GLASS)),
}


def _denied_by_seal_key(document: Mapping[str, Any], _: str = "") -> Denied:
    return {
        (principal, action)
        for principal in (ADMIN, BREAK_GLASS, role_arn("api"), role_arn("seal"))
        for action in KMS
        if evaluate(Request(principal, f"kms:{action}", SEAL_KEY, HERE), [FULL_ACCESS], document) is Verdict.DENIED
    }


DENIED_BY_SEAL_KEY: Denied = {
    *((p, "Sign") for p in (ADMIN, BREAK_GLASS, role_arn("api"))),
    *((p, a) for p in (ADMIN, role_arn("api"), role_arn("seal")) for a in ("ScheduleKeyDeletion", "DisableKey")),
}
DENIED_BY_KEY: Denied = {(ADMIN, "ScheduleKeyDeletion"), (ADMIN, "DisableKey")}


def _denied_by_guardrails(document: Mapping[str, Any], _: str = "") -> Denied:
    calls: list[tuple[str, str, str, Mapping[str, str | tuple[str, ...]]]] = []
    for who in (ADMIN, BREAK_GLASS):
        calls += [(who, f"dynamodb:{a}", r, HERE) for a in DYNAMODB for r in (DATA, AUDIT[0], INDEXES["subject"])]
        calls += [(who, f"kms:{a}", CELL_KEY, HERE) for a in KMS]
        calls += [(who, f"s3:{a}", r, HERE) for a in S3 for r in (BUCKET, OBJECT, OTHERS, OTHERS + "/k")]
    calls += [(who, "kms:Sign", SEAL_KEY, HERE) for who in (role_arn("seal"), role_arn("api"))]
    calls += [(ADMIN, a, r, HERE) for a, r in GUARDED]
    calls += [(ADMIN, a, r, ELSEWHERE) for a, r in (*GUARDED_ELSEWHERE, *LEFT_ELSEWHERE)]
    calls += [(ADMIN, a, EDGE[1], {**HERE, **kind}) for a in EDGE[0] for kind in ENDPOINTS.values()]
    calls += [(ADMIN, "kms:CreateKey", "*", {**HERE, "kms:MultiRegion": many}) for many in ("true", "false")]
    calls += [(who, a, r, {**HERE, **w}) for who in (ADMIN, BREAK_GLASS) for a, r, w in WATCHING]
    denied = set()
    for who, action, resource, context in calls:
        verdict = evaluate(Request(who, action, resource, context), [FULL_ACCESS], organisation=[FULL_ACCESS, document])
        if verdict is Verdict.DENIED:
            special = {k: v for k, v in context.items() if k != "aws:RequestedRegion"}
            place = "elsewhere " if context["aws:RequestedRegion"] != REGION else ""
            denied.add((f"{who} {action}", f"{place}{resource}{special or ''}"))
    return denied


GUARDED = [
    *((a, "*") for a in ("s3:PutReplicationConfiguration", "backup:StartCopyJob", "cloudfront:CreateDistribution")),
    *((a, "*") for a in ("globalaccelerator:CreateAccelerator", "cloudwatch:PutMetricStream", "oam:CreateLink")),
    *((f"logs:{a}", "*") for a in ("PutDestination", "PutSubscriptionFilter", "CreateExportTask")),
    ("organizations:LeaveOrganization", "*"),
    *(
        (f"iam:{a}", BREAK_GLASS)
        for a in (
            "CreateRole DeleteRole UpdateAssumeRolePolicy PutRolePolicy DeleteRolePolicy AttachRolePolicy "
            "DetachRolePolicy PutRolePermissionsBoundary DeleteRolePermissionsBoundary"
        ).split()
    ),
]
GUARDED_ELSEWHERE = [
    ("dynamodb:CreateTable", "*"),
    ("s3:CreateBucket", "*"),
    ("lambda:CreateFunction", "*"),
    ("bedrock:InvokeModel", "*"),
    ("kinesis:CreateStream", "*"),
    ("logs:CreateLogGroup", "*"),
]
# Global services answer from us-east-1; without them no one could sign in or be billed.
LEFT_ELSEWHERE = [
    (f"{service}:Anything", "*")
    for service in "account budgets ce health iam organizations route53 sso sts support".split()
] + [("s3:ListAllMyBuckets", "*")]
EDGE = (("apigateway:POST", "apigateway:PUT", "apigateway:PATCH"), f"arn:aws:apigateway:{REGION}::/restapis")
ENDPOINTS = {kind: {"apigateway:Request/EndpointType": (kind,)} for kind in ("EDGE", "REGIONAL")}

DENIED_BY_GUARDRAILS: Denied = {
    *(
        (f"{who} dynamodb:{a}", r)
        for who in (ADMIN, BREAK_GLASS)
        for a in CHANGES_ENTRIES
        for r in (AUDIT[0], INDEXES["subject"])
    ),
    *(
        (f"{ADMIN} dynamodb:{a}", r)
        for a in [*_TOUCHES_TABLE, "RestoreTableFromBackup", "RestoreTableFromAwsBackup", "ImportTable"]
        for r in (AUDIT[0], INDEXES["subject"])
    ),
    *(
        (f"{who} dynamodb:{a}", r)
        for who in (ADMIN, BREAK_GLASS)
        for a in _REPLICATES
        for r in (DATA, AUDIT[0], INDEXES["subject"])
    ),
    *((f"{ADMIN} kms:{a}", CELL_KEY) for a in _ENDS_KEYS),
    *((f"{who} kms:{a}", CELL_KEY) for who in (ADMIN, BREAK_GLASS) for a in ("ReplicateKey", "UpdatePrimaryRegion")),
    (f"{ADMIN} kms:CreateKey", "*{'kms:MultiRegion': 'true'}"),
    *((f"{who} s3:{a}", OBJECT) for who in (ADMIN, BREAK_GLASS) for a in _CHANGES_OBJECTS),
    *((f"{ADMIN} s3:{a}", r) for a in _TOUCHES_BUCKET for r in (BUCKET, OBJECT)),
    *(
        (f"{who} s3:PutReplicationConfiguration", r)
        for who in (ADMIN, BREAK_GLASS)
        for r in (BUCKET, OBJECT, OTHERS, OTHERS + "/k")
    ),
    *((f"{who} kms:Sign", CELL_KEY) for who in (ADMIN, BREAK_GLASS)),
    (f"{role_arn('api')} kms:Sign", SEAL_KEY),
    *((f"{ADMIN} {a}", r) for a, r in GUARDED),
    *((f"{ADMIN} {a}", f"elsewhere {r}") for a, r in GUARDED_ELSEWHERE),
    *((f"{ADMIN} {a}", f"{EDGE[1]}{ENDPOINTS['EDGE']}") for a in EDGE[0]),
    *((f"{who} {a}", r) for who in (ADMIN, BREAK_GLASS) for a, r in DENIED_BY_HAND),
}

# layer: its document, its denials, the table
LAYERS: dict[str, tuple[Any, Any, str, Any]] = {
    **{
        f"role {role}": (POLICIES[role], _denied_to_role, role, DENIED_TO_ROLES)
        for role in ROLES
        if role != "break-glass"
    },
    "role break-glass": (
        POLICIES["break-glass"],
        _denied_to_role,
        "break-glass",
        {("dynamodb:GetItem", "elsewhere")},
    ),
    "table": (LOCKS[AUDIT[0]], _denied_by_lock, "", DENIED_BY_LOCK),
    "key": (KEY_POLICIES[CELL_KEY], _denied_by_key, "", DENIED_BY_KEY),
    "audit key": (KEY_POLICIES[AUDIT_KEY], _denied_by_key, "", DENIED_BY_KEY),
    "seal key": (KEY_POLICIES[SEAL_KEY], _denied_by_seal_key, "", DENIED_BY_SEAL_KEY),
    "bucket": (BUCKET_POLICY, _denied_by_bucket, "", DENIED_BY_BUCKET),
    "account": (GUARDRAILS, _denied_by_guardrails, "", DENIED_BY_GUARDRAILS),
}


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_a_layer_denies_what_its_table_says_when_all_else_is_allowed(layer: str) -> None:
    document, denied_by, role, expected = LAYERS[layer]

    denied = denied_by(document, role)

    assert denied == expected


def _without_one_deny(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield copies of a document that each lack one denied action, or one whole Deny."""
    for number, statement in enumerate(document["Statement"]):
        if statement["Effect"] != "Deny":
            continue
        whole = copy.deepcopy(dict(document))
        del whole["Statement"][number]
        yield statement["Sid"], whole
        actions = statement.get("Action")
        for action in actions if isinstance(actions, list) else ():
            less = copy.deepcopy(dict(document))
            less["Statement"][number]["Action"].remove(action)
            yield f"{statement['Sid']} {action}", less


# No call of botocore bears this name; KMS itself uses it between regions.
UNASKED = {"KeysStayInOneRegion kms:SynchronizeMultiRegionKey"}


@pytest.mark.parametrize("layer", ["role route", "role break-glass", "table", "key", "seal key", "bucket", "account"])
def test_a_verdict_changes_when_any_one_deny_is_removed(layer: str) -> None:
    document, denied_by, role, expected = LAYERS[layer]

    unnoticed = {
        removed
        for removed, mutant in _without_one_deny(document)
        if denied_by(mutant, role) == expected and removed not in UNASKED
    }

    assert unnoticed == set()


def test_every_role_denies_the_same_when_their_policies_are_compared() -> None:
    def denials(role: str) -> list[Mapping[str, Any]]:
        # Only roles that may assume a tenant's role have NoRoleOfOurs, and only the hook door has NoEvents: test_policies.py
        # asks them.
        own = ("NoRoleOfOurs", "NoEvents")
        return [s for s in statements(POLICIES[role]) if s["Effect"] == "Deny" and s["Sid"] not in own]

    roles = [role for role in ROLES if role != "break-glass"]

    assert all(denials(role) == denials("route") for role in roles)
    assert len(denials("route")) == 3


def test_an_entry_can_be_inserted_and_read_when_every_layer_is_in_force() -> None:
    actions = ("PartiQLInsert", "GetItem", "BatchGetItem", "Query")

    verdicts = {
        evaluate(
            Request(role_arn("route"), f"dynamodb:{action}", audit, HERE),
            [POLICIES["route"]],
            LOCKS[audit],
            [FULL_ACCESS, GUARDRAILS],
        )
        for action in actions
        for audit in AUDIT
    }

    assert verdicts == {Verdict.ALLOWED}


def test_a_policy_fits_when_its_size_is_measured() -> None:
    # Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (read 2026-11-22): inline policies of
    # a role 10,240 characters; service control policies 5,120; DynamoDB's resource policies 20 KB.
    sizes = {role: len(json.dumps(policy, separators=(",", ":"))) for role, policy in POLICIES.items()}

    assert {role: size for role, size in sizes.items() if size > 10_240} == {}
    assert len(json.dumps(GUARDRAILS, separators=(",", ":"))) <= 5_120
    assert all(len(json.dumps(lock)) <= 20_000 for lock in LOCKS.values())


def test_every_audit_table_is_locked_when_years_are_added() -> None:
    years = {
        r["Properties"]["TableName"] for r in FOUND.values() if "-audit-20" in str(r["Properties"].get("TableName"))
    }

    assert {name.rsplit("/", 1)[1] for name in LOCKS} == years
    assert len(years) >= 2
