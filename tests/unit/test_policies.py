"""The rights of each role, read from the documents that are deployed.

The tables stand here by hand. A verdict that differs from its table, in either direction, fails.
"""

from __future__ import annotations

import pytest

from tests.support.deployed import (
    BUCKET,
    BUCKET_POLICY,
    CONFIG,
    CONTENTS,
    DATA,
    DYNAMODB,
    DYNAMODB_RESOURCES,
    ELSEWHERE,
    EXPORTS,
    GUARDRAILS,
    HERE,
    KEY_POLICIES,
    KMS,
    LOGS,
    POLICIES,
    QUEUES,
    ROLES,
    S3,
    SQS,
    USES,
    arn,
    role_arn,
)
from tests.support.iam import FULL_ACCESS, Request, Verdict, evaluate, statements
from tests.support.permissions import EVERYWHERE, MAY_ASSUME, MAY_DYNAMODB, MAY_KMS, MAY_SQS


def test_the_tables_cover_every_role_when_a_role_is_added() -> None:
    given = set(POLICIES)

    assert given == set(MAY_DYNAMODB) == set(MAY_SQS) == set(MAY_KMS)
    assert given > MAY_ASSUME


@pytest.mark.parametrize("role", ROLES)
def test_dynamodb_verdicts_equal_the_table_when_every_action_is_asked(role: str) -> None:
    expected = {(a, r) for r, actions in MAY_DYNAMODB[role].items() for a in actions.split()}
    expected |= {(a, r) for a in EVERYWHERE.get(role, "").split() for r in DYNAMODB_RESOURCES}

    allowed = {
        (action, resource)
        for action in DYNAMODB
        for resource in DYNAMODB_RESOURCES
        if evaluate(Request(role_arn(role), f"dynamodb:{action}", resource, HERE), [POLICIES[role]]) is Verdict.ALLOWED
    }

    assert allowed == expected


@pytest.mark.parametrize("action", ["GetItem", "PutItem", "UpdateItem", "DeleteItem"])
def test_the_hook_door_touches_no_event_when_every_kind_of_row_is_asked(action: str) -> None:
    rows = {
        "an event": f"tnt_{'0' * 26}#evt_{'0' * 26}",
        "a reply": f"tnt_{'0' * 26}#idem#00",
        "dead letters": f"tnt_{'0' * 26}#dead",
        "a lane": f"lane#tnt_{'0' * 26}#dst_{'0' * 26}#dlv_{'0' * 26}",
        "first sight": f"seen#tnt_{'0' * 26}#evt_{'0' * 26}",
        "a destination's health": f"health#tnt_{'0' * 26}#dst_{'0' * 26}",
        "a memory": f"tnt_{'0' * 26}#memory#dst_{'0' * 26}",
        "a counter": f"tnt_{'0' * 26}#volumes",
        "a person to look at": f"tnt_{'0' * 26}#ending",
        "a job": f"tnt_{'0' * 26}#job",
        "a length of life": f"tnt_{'0' * 26}#kept",
        "a walk": f"tnt_{'0' * 26}#walks",
        "a subscription": f"tnt_{'0' * 26}#subscriptions",
        "the sweep's progress": "sweep#people",
    }

    allowed = {
        name
        for name, key in rows.items()
        for context in [dict[str, str | tuple[str, ...]]({**HERE, "dynamodb:LeadingKeys": (key,)})]
        if evaluate(Request(role_arn("hooks"), f"dynamodb:{action}", DATA, context), [POLICIES["hooks"]])
        is Verdict.ALLOWED
    }

    assert allowed == set(rows) - {
        "an event",
        "a reply",
        "dead letters",
        "a job",
        "a length of life",
        "a walk",
        "a subscription",
        "the sweep's progress",
    }


def test_route_puts_consents_and_no_other_record() -> None:
    tenant = f"tnt_{'0' * 26}"
    rows = {
        "withdrawals": f"{tenant}#consents",
        "a person's consents": f"{tenant}#{'0a' * 16}",
        "the tenant": tenant,
        "a source's lookup": f"src_{'0' * 26}",
        "the use of a notice": f"{tenant}#notice#{'0a' * 32}",
    }

    allowed = {
        (action, name)
        for action in ("PutItem", "UpdateItem", "DeleteItem")
        for name, key in rows.items()
        for context in [dict[str, str | tuple[str, ...]]({**HERE, "dynamodb:LeadingKeys": (key,)})]
        if evaluate(Request(role_arn("route"), f"dynamodb:{action}", CONFIG, context), [POLICIES["route"]])
        is Verdict.ALLOWED
    }

    assert allowed == {("PutItem", "withdrawals"), ("PutItem", "a person's consents")}


@pytest.mark.parametrize("role", ROLES)
def test_sqs_verdicts_equal_the_table_when_every_action_is_asked(role: str) -> None:
    expected = {(a, queue) for queue, actions in MAY_SQS[role].items() for a in actions.split()}

    allowed = {
        (action, name)
        for action in SQS
        for name, queue in {**QUEUES, "other": arn("sqs", "other.fifo")}.items()
        if evaluate(Request(role_arn(role), f"sqs:{action}", queue, HERE), [POLICIES[role]]) is Verdict.ALLOWED
    }

    assert allowed == expected


@pytest.mark.parametrize("role", ROLES)
def test_only_tenants_roles_for_this_are_assumed_when_every_action_is_asked(role: str) -> None:
    theirs = [f"arn:{partition}:iam::999988887777:role/waybill-{name}" for partition, name in THEIRS]
    others = [
        role_arn("break-glass"),
        role_arn(role),
        "arn:aws:iam::999988887777:role/admin",
        "arn:aws:iam::999988887777:user/waybill-a",
    ]
    expected = {("AssumeRole", r) for r in theirs} if role in MAY_ASSUME else set()

    for organisation in ([FULL_ACCESS], [FULL_ACCESS, GUARDRAILS]):
        allowed = {
            (action, resource)
            for action in STS
            for resource in [*theirs, *others]
            if evaluate(
                Request(role_arn(role), f"sts:{action}", resource, HERE), [POLICIES[role]], organisation=organisation
            )
            is Verdict.ALLOWED
        }

        assert allowed == expected


THEIRS = (("aws", "events"), ("aws-cn", "events"), ("aws-eusc", "a"))
STS = (
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "GetFederationToken",
    "GetSessionToken",
    "TagSession",
)


@pytest.mark.parametrize("role", ROLES)
def test_kms_verdicts_equal_the_table_when_every_action_is_asked(role: str) -> None:
    expected = {(a, key, use) for (key, use), actions in MAY_KMS[role].items() for a in actions.split()}

    allowed = {
        (action, key, use)
        for action in KMS
        for key, key_policy in {**KEY_POLICIES, arn("kms", "key/other"): FULL_ACCESS}.items()
        for use, context in USES.items()
        if evaluate(Request(role_arn(role), f"kms:{action}", key, context), [POLICIES[role]], key_policy)
        is Verdict.ALLOWED
    }

    assert allowed == expected


_OBJECTS = {
    name: f"{BUCKET}/{key}"
    for name, key in {
        "configuration": "configs/tnt_1/00.json",
        "law": "rules/00.json",
        "batch": "logs/tnt_1/2026/batches/0-00",
        "checkpoint": "logs/tnt_1/2026/checkpoint",
        "changed row": "tripwire/waybill-eu1-audit-2026/1.json",
    }.items()
}
_EXPORTS = {"part": f"{EXPORTS}/parts/job_1/entries-0", "bundle": f"{EXPORTS}/bundles/job_1.tar"}
_CONTENTS = {
    "content on its way": f"{CONTENTS}/in/2026-12-20/tnt_1/evt_1/00",
    "stored content": f"{CONTENTS}/ev/2026-12-31/tnt_1/evt_1/cnv_1/00",
}
MAY_S3: dict[str, dict[str, str]] = {
    "seal": {
        **dict.fromkeys(("law", "batch", "checkpoint"), "GetObject PutObject"),
        "bucket": "ListBucket",
    },
    "sweep": {
        **dict.fromkeys(("batch", "checkpoint"), "GetObject"),
        **dict.fromkeys(_CONTENTS, "DeleteObject"),
        **dict.fromkeys(("bucket", "contents"), "ListBucket"),
    },
    "tripwire": {"changed row": "PutObject"},
    "hooks": {"configuration": "GetObject PutObject", "content on its way": "PutObject"},
    "route": {
        "configuration": "GetObject PutObject",
        "content on its way": "GetObject PutObject DeleteObject",
        "stored content": "PutObject DeleteObject",
    },
    "deliver": {"configuration": "GetObject PutObject", "stored content": "GetObject"},
    "dead-inbox": {"content on its way": "GetObject PutObject"},
    "jobs": {
        **dict.fromkeys(_OBJECTS, "GetObject"),
        "configuration": "GetObject PutObject",
        **dict.fromkeys(_EXPORTS, "GetObject PutObject"),
        **dict.fromkeys(("bucket", "exports"), "ListBucket"),
    },
    "api": {
        **dict.fromkeys(_OBJECTS, "GetObject"),
        "configuration": "GetObject PutObject",
        "bundle": "GetObject",
        "stored content": "GetObject DeleteObject",
        "bucket": "ListBucket",
    },
    "break-glass": {
        "bucket": " ".join(
            f"{verb}{what}"
            for verb in ("Get", "Put")
            for what in (
                "BucketPolicy BucketVersioning BucketObjectLockConfiguration LifecycleConfiguration "
                "EncryptionConfiguration BucketPublicAccessBlock"
            ).split()
        )
        + " DeleteBucketPolicy DeleteBucket"
    },
}


@pytest.mark.parametrize("role", ROLES)
def test_s3_verdicts_equal_the_table_when_every_action_is_asked(role: str) -> None:
    expected = {(a, name) for name, actions in MAY_S3.get(role, {}).items() for a in actions.split()}
    asked = {
        **_OBJECTS,
        **_EXPORTS,
        **_CONTENTS,
        "bucket": BUCKET,
        "exports": EXPORTS,
        "contents": CONTENTS,
        "other": "arn:aws:s3:::others",
        "object of another": "arn:aws:s3:::others/logs/1",
    }

    allowed = {
        (action, name)
        for action in S3
        for name, resource in asked.items()
        if evaluate(Request(role_arn(role), f"s3:{action}", resource, HERE), [POLICIES[role]]) is Verdict.ALLOWED
    }

    assert allowed == expected


_WAYS = {
    "over": {**HERE, "aws:SecureTransport": "true"},
    "once": {**HERE, "aws:SecureTransport": "true", "s3:if-none-match": "*"},
}


@pytest.mark.parametrize("role", ROLES)
def test_evidence_is_written_once_when_the_buckets_policy_is_asked_too(role: str) -> None:
    mine = MAY_S3.get(role, {})
    asked = {**_OBJECTS, "bucket": BUCKET}
    expected = {
        (action, name, way)
        for name in set(mine) & set(asked)
        for action in mine[name].split()
        for way in _WAYS
        if action != "PutObject" or way == "once" or name == "checkpoint"
    }

    allowed = {
        (action, name, way)
        for action in S3
        for name, resource in asked.items()
        for way, context in _WAYS.items()
        if evaluate(
            Request(role_arn(role), f"s3:{action}", resource, context),
            [POLICIES[role]],
            BUCKET_POLICY,
            [FULL_ACCESS, GUARDRAILS],
        )
        is Verdict.ALLOWED
    }

    assert allowed == expected


@pytest.mark.parametrize("role", ROLES)
def test_a_role_writes_its_own_log_only_when_every_action_is_asked(role: str) -> None:
    groups = {name: arn("logs", f"log-group:/aws/lambda/waybill-eu1-{name}:log-stream:1") for name in ROLES}
    expected = set() if role == "break-glass" else {("CreateLogStream", role), ("PutLogEvents", role)}

    allowed = {
        (action, name)
        for action in LOGS
        for name, group in groups.items()
        if evaluate(Request(role_arn(role), f"logs:{action}", group, HERE), [POLICIES[role]]) is Verdict.ALLOWED
    }

    assert allowed == expected


@pytest.mark.parametrize("role", ROLES)
def test_an_allow_names_its_resource_when_aws_lets_it(role: str) -> None:
    unnamed = {
        action
        for statement in statements(POLICIES[role])
        if statement["Effect"] == "Allow" and statement["Resource"] == "*"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    wild = [
        s
        for s in statements(POLICIES[role])
        if s["Effect"] == "Allow" and ("NotAction" in s or any("*" in a for a in [*s["Action"]] if len(a) > 1))
    ]

    assert unnamed == {f"dynamodb:{a}" for a in EVERYWHERE.get(role, "").split()}
    assert wild == []


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_allowed_when_another_region_is_asked(role: str) -> None:
    calls = [("dynamodb:GetItem", CONFIG), ("sqs:SendMessage", QUEUES["inbox"]), ("s3:GetObject", "arn:aws:s3:::any")]

    verdicts = {
        evaluate(Request(role_arn(role), action, resource, ELSEWHERE), [POLICIES[role], FULL_ACCESS])
        for action, resource in calls
    }

    assert verdicts == {Verdict.DENIED}
