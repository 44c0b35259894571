"""The rights of each role, read from the documents that are deployed.

The tables stand here by hand. A verdict that differs from its table, in either direction, fails.
"""

from __future__ import annotations

import pytest

from tests.support.deployed import (
    AUDIT,
    AUDIT_KEY,
    BUCKET,
    BUCKET_POLICY,
    CELL_KEY,
    CONFIG,
    DATA,
    DYNAMODB,
    DYNAMODB_RESOURCES,
    ELSEWHERE,
    EXPORTS,
    GUARDRAILS,
    HERE,
    INDEXES,
    KEY_POLICIES,
    KMS,
    LOGS,
    PEOPLE,
    POLICIES,
    QUEUES,
    ROLES,
    S3,
    SEAL_KEY,
    SQS,
    STREAM,
    USES,
    arn,
    role_arn,
)
from tests.support.iam import FULL_ACCESS, Request, Verdict, evaluate, statements

# A role's rights: resource, then actions. Nothing else.

_APPEND = {**dict.fromkeys(AUDIT, "PartiQLInsert GetItem BatchGetItem Query"), INDEXES["subject"]: "Query"}
_DEAD: dict[str, str] = {CONFIG: "GetItem Query", **_APPEND}
MAY_DYNAMODB: dict[str, dict[str, str]] = {
    # The door's own: CONFIG without Query, PEOPLE's GetItem. The rest is for events off the record.
    "hooks": {
        CONFIG: "GetItem BatchGetItem Query",
        PEOPLE: "GetItem BatchGetItem PutItem UpdateItem",
        DATA: "GetItem BatchGetItem PutItem UpdateItem DeleteItem",
        **dict.fromkeys(AUDIT, "PartiQLInsert BatchGetItem"),
    },
    "route": {
        CONFIG: "GetItem BatchGetItem Query",
        PEOPLE: "GetItem BatchGetItem PutItem UpdateItem",
        DATA: "GetItem BatchGetItem PutItem PartiQLInsert UpdateItem",
        **_APPEND,
    },
    "deliver": {
        CONFIG: "GetItem BatchGetItem Query UpdateItem",
        PEOPLE: "GetItem BatchGetItem",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem PartiQLInsert",
        **_APPEND,
    },
    "pump": {INDEXES["due"]: "Query", INDEXES["day"]: "Query", DATA: "GetItem PutItem"},
    "jobs": {
        CONFIG: "GetItem Query",
        PEOPLE: "GetItem BatchGetItem",
        DATA: "BatchGetItem UpdateItem DeleteItem",
        INDEXES["day"]: "Query",
        INDEXES["due"]: "Query",
        **dict.fromkeys(AUDIT, "PartiQLInsert GetItem BatchGetItem Query"),
    },
    "sweep": {
        CONFIG: "GetItem Query DeleteItem",
        PEOPLE: "GetItem BatchGetItem UpdateItem DeleteItem",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem",
        INDEXES["day"]: "Query",
        **_APPEND,
    },
    "api": {
        CONFIG: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem",
        PEOPLE: "GetItem BatchGetItem PutItem",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem",
        INDEXES["day"]: "Query",
        **_APPEND,
    },
    "seal": {CONFIG: "GetItem", **dict.fromkeys(AUDIT, "PartiQLInsert Query")},
    "dead-inbox": {**_DEAD, PEOPLE: "GetItem", DATA: "GetItem Query PutItem DeleteItem"},
    "dead-outbox": {
        **_DEAD,
        CONFIG: "GetItem BatchGetItem Query",
        PEOPLE: "GetItem BatchGetItem",
        DATA: "GetItem BatchGetItem PutItem",
    },
    "tripwire": {STREAM: "DescribeStream GetRecords GetShardIterator ListStreams"},
    "break-glass": dict.fromkeys(
        AUDIT,
        "DescribeTable DescribeContinuousBackups GetResourcePolicy PutResourcePolicy DeleteResourcePolicy UpdateTable "
        "DeleteTable UpdateContinuousBackups",
    ),
}
# ListStreams cannot be given for one table.
_EVERYWHERE: dict[str, str] = {"tripwire": "ListStreams"}

_RECEIVE = "ReceiveMessage DeleteMessage ChangeMessageVisibility GetQueueAttributes"
# A function that gives messages back asks for the queue's address.
_GIVE_BACK = _RECEIVE + " GetQueueUrl"
_SEND = "GetQueueUrl SendMessage"
MAY_SQS: dict[str, dict[str, str]] = {
    "hooks": {"inbox": _SEND, "seal-requests": _SEND},
    "route": {"inbox": f"{_GIVE_BACK} SendMessage", "outbox": _SEND, "seal-requests": _SEND},
    "deliver": {"outbox": _GIVE_BACK, "inbox": _SEND, "seal-requests": _SEND},
    "pump": {"outbox": _SEND},
    "jobs": {"outbox": _SEND, "seal-requests": _SEND},
    "sweep": {"seal-requests": _SEND},
    "api": {"inbox": _SEND, "outbox": _SEND, "seal-requests": _SEND},
    "seal": {"seal-requests": "ReceiveMessage DeleteMessage ChangeMessageVisibility GetQueueUrl"},
    "dead-inbox": {"inbox-dead": _RECEIVE, "seal-requests": _SEND},
    "dead-outbox": {"outbox-dead": _RECEIVE, "seal-requests": _SEND},
    "tripwire": {},
    "break-glass": {},
}

_BOTH_BY_DYNAMODB = {(CELL_KEY, "by DynamoDB"): "Decrypt", (AUDIT_KEY, "by DynamoDB"): "Decrypt"}
_RECEIVER = {(CELL_KEY, "by SQS"): "Decrypt"}
_BUCKET = {(AUDIT_KEY, "by S3"): "Decrypt GenerateDataKey"}
_SENDER = {(CELL_KEY, "by SQS"): "Decrypt GenerateDataKey"}
_TENANT = {(CELL_KEY, "for a tenant"): "Decrypt"}
MAY_KMS: dict[str, dict[tuple[str, str], str]] = {
    "hooks": {**_BOTH_BY_DYNAMODB, **_SENDER, **_BUCKET, **_TENANT},
    "route": {**_BOTH_BY_DYNAMODB, **_SENDER, **_BUCKET, **_TENANT},
    "deliver": {**_BOTH_BY_DYNAMODB, **_SENDER, **_BUCKET, **_TENANT},
    "pump": {(CELL_KEY, "by DynamoDB"): "Decrypt", **_SENDER},
    "jobs": {
        **_BOTH_BY_DYNAMODB,
        **_SENDER,
        **_BUCKET,
        **_TENANT,
        **{(SEAL_KEY, use): "GetPublicKey" for use in USES},
    },
    "sweep": {**_BOTH_BY_DYNAMODB, **_SENDER, **_TENANT, (AUDIT_KEY, "by S3"): "Decrypt"},
    "seal": {
        **_BOTH_BY_DYNAMODB,
        **_RECEIVER,
        **_BUCKET,
        **{(SEAL_KEY, use): "Sign GetPublicKey" for use in USES},
    },
    "api": {
        **_BOTH_BY_DYNAMODB,
        **_SENDER,
        **_BUCKET,
        **{(SEAL_KEY, use): "GetPublicKey" for use in USES},
        (CELL_KEY, "for a tenant"): "Decrypt GenerateDataKeyWithoutPlaintext",
    },
    "dead-inbox": {**_BOTH_BY_DYNAMODB, **_SENDER, **_TENANT},
    "dead-outbox": {**_BOTH_BY_DYNAMODB, **_SENDER, **_TENANT},
    "tripwire": {(AUDIT_KEY, "by DynamoDB"): "Decrypt", (AUDIT_KEY, "by S3"): "GenerateDataKey"},
    "break-glass": {
        **{
            (key, use): "DescribeKey GetKeyPolicy PutKeyPolicy DisableKey EnableKey"
            for key in (CELL_KEY, AUDIT_KEY)
            for use in USES
        },
        **{(SEAL_KEY, use): "DescribeKey GetKeyPolicy DisableKey EnableKey" for use in USES},
    },
}


# Functions that act under tenants' roles: they prove the roles, and send under them.
MAY_ASSUME = {"api", "deliver", "hooks"}


def test_the_tables_cover_every_role_when_a_role_is_added() -> None:
    given = set(POLICIES)

    assert given == set(MAY_DYNAMODB) == set(MAY_SQS) == set(MAY_KMS)
    assert given > MAY_ASSUME


@pytest.mark.parametrize("role", ROLES)
def test_dynamodb_verdicts_equal_the_table_when_every_action_is_asked(role: str) -> None:
    expected = {(a, r) for r, actions in MAY_DYNAMODB[role].items() for a in actions.split()}
    expected |= {(a, r) for a in _EVERYWHERE.get(role, "").split() for r in DYNAMODB_RESOURCES}

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
    }

    allowed = {
        name
        for name, key in rows.items()
        for context in [dict[str, str | tuple[str, ...]]({**HERE, "dynamodb:LeadingKeys": (key,)})]
        if evaluate(Request(role_arn("hooks"), f"dynamodb:{action}", DATA, context), [POLICIES["hooks"]])
        is Verdict.ALLOWED
    }

    assert allowed == set(rows) - {"an event", "a reply", "dead letters", "a job", "a length of life"}


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
MAY_S3: dict[str, dict[str, str]] = {
    "seal": {
        **dict.fromkeys(("law", "batch", "checkpoint"), "GetObject PutObject"),
        "bucket": "ListBucket",
    },
    "sweep": {"batch": "GetObject", "checkpoint": "GetObject", "bucket": "ListBucket"},
    "tripwire": {"changed row": "PutObject"},
    "hooks": {"configuration": "GetObject PutObject"},
    "route": {"configuration": "GetObject PutObject"},
    "deliver": {"configuration": "GetObject PutObject"},
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
        "bucket": "ListBucket",
    },
}


@pytest.mark.parametrize("role", ROLES)
def test_s3_verdicts_equal_the_table_when_every_action_is_asked(role: str) -> None:
    expected = {(a, name) for name, actions in MAY_S3.get(role, {}).items() for a in actions.split()}
    asked = {
        **_OBJECTS,
        **_EXPORTS,
        "bucket": BUCKET,
        "exports": EXPORTS,
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

    assert unnamed == {f"dynamodb:{a}" for a in _EVERYWHERE.get(role, "").split()}
    assert wild == []


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_allowed_when_another_region_is_asked(role: str) -> None:
    calls = [("dynamodb:GetItem", CONFIG), ("sqs:SendMessage", QUEUES["inbox"]), ("s3:GetObject", "arn:aws:s3:::any")]

    verdicts = {
        evaluate(Request(role_arn(role), action, resource, ELSEWHERE), [POLICIES[role], FULL_ACCESS])
        for action, resource in calls
    }

    assert verdicts == {Verdict.DENIED}
