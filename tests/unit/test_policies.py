"""What each role may do, and what nobody may, read from the documents that are deployed.

Three tables stand here by hand: what a role may, what a role is denied whatever else it is given, and what the tables' own
policy, the keys' and the account's deny to an administrator. A verdict that differs from its table, in either direction, fails.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest
from infra import deploy, template
from infra.template import Cell
from tests.iam import FULL_ACCESS, Request, UnknownElement, Verdict, evaluate, statements

ACCOUNT = "111122223333"
REGION = "eu-central-1"
CELL = Cell("eu1", REGION, "DE")
HERE: Mapping[str, str] = {"aws:RequestedRegion": REGION}
ELSEWHERE: Mapping[str, str] = {"aws:RequestedRegion": "us-east-1"}

FRAGMENT = template.fragment(CELL)
FOUND = FRAGMENT["Resources"]


def resolved(value: Any) -> Any:
    return template.resolve(value, FOUND, REGION, ACCOUNT)


def arn(service: str, rest: str, region: str = REGION) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/waybill-eu1-{name}"


def table(name: str) -> str:
    return arn("dynamodb", f"table/waybill-eu1-{name}")


# The documents

FUNCTIONS = json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]
# A function's role is named after its log group's: the REST API's handler is called api.
ROLE_OF = {name: {"api_handler": "api"}.get(name, name.replace("_", "-")) for name in FUNCTIONS}
POLICIES: dict[str, dict[str, Any]] = {ROLE_OF[name]: resolved(template.policy(name, CELL)) for name in FUNCTIONS}
for _resource in FOUND.values():
    for _policy in _resource["Properties"].get("Policies", []):
        _role = resolved(_resource["Properties"]["RoleName"]).removeprefix("waybill-eu1-")
        POLICIES[_role] = resolved(_policy["PolicyDocument"])
LOCKS = deploy.locks(FRAGMENT, REGION, ACCOUNT)
KEY_POLICIES = {
    resolved({"Fn::GetAtt": [name, "Arn"]}): resolved(resource["Properties"]["KeyPolicy"])
    for name, resource in FOUND.items()
    if resource.get("Type") == "AWS::KMS::Key"
}
GUARDRAILS = template.guardrails(CELL)

# The questions

_BOTO = botocore.session.get_session()
# Calls that are authorised under the names of what they do.
NOT_ACTIONS = {
    "BatchExecuteStatement",
    "ExecuteStatement",
    "ExecuteTransaction",
    "TransactGetItems",
    "TransactWriteItems",
}
# Actions without a call of that name.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html (read 2026-11-22)
ONLY_ACTIONS = {
    "AssociateTableReplica",
    "ConditionCheckItem",
    "CreateGlobalTableWitness",
    "CreateTableReplica",
    "DeleteTableReplica",
    "GetAbacStatus",
    "PartiQLDelete",
    "PartiQLInsert",
    "PartiQLSelect",
    "PartiQLUpdate",
    "RestoreTableFromAwsBackup",
    "StartAwsBackupJob",
    "UpdateAbacStatus",
    "UpdateGlobalTableVersion",
}
DYNAMODB = sorted(
    {
        *_BOTO.get_service_model("dynamodb").operation_names,
        *_BOTO.get_service_model("dynamodbstreams").operation_names,
        *ONLY_ACTIONS,
    }
    - NOT_ACTIONS
)
KMS = sorted(_BOTO.get_service_model("kms").operation_names)
SQS = sorted(_BOTO.get_service_model("sqs").operation_names)
LOGS = sorted(_BOTO.get_service_model("logs").operation_names)

CONFIG, DATA, PEOPLE = table("config"), table("data"), table("people")
AUDIT = (table("audit-2026"), table("audit-2027"))
STREAM = AUDIT[0] + "/stream/2026-11-22T00:00:00.000"
INDEXES = {"day": DATA + "/index/day", "due": DATA + "/index/due", "subject": AUDIT[0] + "/index/subject"}
DYNAMODB_RESOURCES = (
    CONFIG,
    DATA,
    PEOPLE,
    *AUDIT,
    *INDEXES.values(),
    STREAM,
    AUDIT[0] + "/export/1",
    AUDIT[0] + "/backup/1",
    "arn:aws:dynamodb::" + ACCOUNT + ":global-table/waybill-eu1-data",
    table("others"),
    arn("dynamodb", "table/waybill-me1-config"),
    "*",
)
QUEUES = {name: arn("sqs", f"waybill-eu1-{name}.fifo") for name in ("inbox", "outbox", "inbox-dead", "outbox-dead")}
CELL_KEY, AUDIT_KEY = arn("kms", "alias/waybill-eu1"), arn("kms", "alias/waybill-eu1-audit")
# Under which circumstances a key is used.
USES: dict[str, Mapping[str, str]] = {
    "directly": HERE,
    "for a tenant": {**HERE, "kms:EncryptionContext:tenant": "tnt_1"},
    "by DynamoDB": {**HERE, "kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"},
    "by SQS": {**HERE, "kms:ViaService": f"sqs.{REGION}.amazonaws.com"},
    "by S3": {**HERE, "kms:ViaService": f"s3.{REGION}.amazonaws.com"},
    "by DynamoDB elsewhere": {**HERE, "kms:ViaService": "dynamodb.us-east-1.amazonaws.com"},
}

# What a role may do: resource, then actions. Nothing else.

_APPEND = {**dict.fromkeys(AUDIT, "PartiQLInsert GetItem BatchGetItem Query"), INDEXES["subject"]: "Query"}
_DEAD: dict[str, str] = {CONFIG: "GetItem Query", PEOPLE: "GetItem", DATA: "GetItem PutItem", **_APPEND}
MAY_DYNAMODB: dict[str, dict[str, str]] = {
    "hooks": {CONFIG: "GetItem Query"},
    "route": {
        CONFIG: "GetItem Query",
        PEOPLE: "GetItem BatchGetItem PutItem",
        DATA: "GetItem PutItem PartiQLInsert UpdateItem",
        **_APPEND,
    },
    "deliver": {
        CONFIG: "GetItem Query UpdateItem",
        PEOPLE: "GetItem BatchGetItem",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem PartiQLInsert",
        **_APPEND,
    },
    "pump": {INDEXES["due"]: "Query"},
    "sweep": {
        CONFIG: "GetItem Query DeleteItem",
        PEOPLE: "Query DeleteItem",
        DATA: "GetItem Query UpdateItem DeleteItem",
        INDEXES["day"]: "Query",
        **_APPEND,
    },
    "api": {
        CONFIG: "GetItem Query PutItem UpdateItem DeleteItem",
        PEOPLE: "GetItem BatchGetItem",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem",
        INDEXES["day"]: "Query",
        **_APPEND,
    },
    "dead-inbox": _DEAD,
    "dead-outbox": _DEAD,
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
_SEND = "GetQueueUrl SendMessage"
MAY_SQS: dict[str, dict[str, str]] = {
    "hooks": {"inbox": _SEND},
    "route": {"inbox": _RECEIVE, "outbox": _SEND},
    "deliver": {"outbox": _RECEIVE},
    "pump": {"outbox": _SEND},
    "sweep": {},
    "api": {"inbox": _SEND, "outbox": _SEND},
    "dead-inbox": {"inbox-dead": _RECEIVE},
    "dead-outbox": {"outbox-dead": _RECEIVE},
    "tripwire": {},
    "break-glass": {},
}

_BOTH_BY_DYNAMODB = {(CELL_KEY, "by DynamoDB"): "Decrypt", (AUDIT_KEY, "by DynamoDB"): "Decrypt"}
_RECEIVER = {(CELL_KEY, "by SQS"): "Decrypt"}
_SENDER = {(CELL_KEY, "by SQS"): "Decrypt GenerateDataKey"}
_TENANT = {(CELL_KEY, "for a tenant"): "Decrypt"}
MAY_KMS: dict[str, dict[tuple[str, str], str]] = {
    "hooks": {(CELL_KEY, "by DynamoDB"): "Decrypt", **_SENDER, **_TENANT},
    "route": {**_BOTH_BY_DYNAMODB, **_SENDER, **_TENANT},
    "deliver": {**_BOTH_BY_DYNAMODB, **_RECEIVER, **_TENANT},
    "pump": {(CELL_KEY, "by DynamoDB"): "Decrypt", **_SENDER},
    "sweep": {**_BOTH_BY_DYNAMODB, **_TENANT},
    "api": {
        **_BOTH_BY_DYNAMODB,
        **_SENDER,
        (CELL_KEY, "for a tenant"): "Decrypt GenerateDataKeyWithoutPlaintext",
    },
    "dead-inbox": {**_BOTH_BY_DYNAMODB, **_RECEIVER, **_TENANT},
    "dead-outbox": {**_BOTH_BY_DYNAMODB, **_RECEIVER, **_TENANT},
    "tripwire": {(AUDIT_KEY, "by DynamoDB"): "Decrypt"},
    "break-glass": {
        (key, use): "DescribeKey GetKeyPolicy PutKeyPolicy DisableKey EnableKey"
        for key in (CELL_KEY, AUDIT_KEY)
        for use in USES
    },
}

ROLES = sorted(MAY_DYNAMODB)


def test_the_tables_cover_every_role_when_a_role_is_added() -> None:
    given = set(POLICIES)

    assert given == set(MAY_DYNAMODB) == set(MAY_SQS) == set(MAY_KMS)


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


# What is denied to whoever is allowed everything else

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
    """What a role is denied though it be given everything, by its own policy alone."""
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


DENIED_BY_KEY: Denied = {(ADMIN, "ScheduleKeyDeletion"), (ADMIN, "DisableKey")}


def _denied_by_guardrails(document: Mapping[str, Any], _: str = "") -> Denied:
    calls: list[tuple[str, str, str, Mapping[str, str | tuple[str, ...]]]] = []
    for who in (ADMIN, BREAK_GLASS):
        calls += [(who, f"dynamodb:{a}", r, HERE) for a in DYNAMODB for r in (DATA, AUDIT[0], INDEXES["subject"])]
        calls += [(who, f"kms:{a}", CELL_KEY, HERE) for a in KMS]
    calls += [(ADMIN, a, r, HERE) for a, r in GUARDED]
    calls += [(ADMIN, a, r, ELSEWHERE) for a, r in (*GUARDED_ELSEWHERE, *LEFT_ELSEWHERE)]
    calls += [(ADMIN, a, EDGE[1], {**HERE, **kind}) for a in EDGE[0] for kind in ENDPOINTS.values()]
    calls += [(ADMIN, "kms:CreateKey", "*", {**HERE, "kms:MultiRegion": many}) for many in ("true", "false")]
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
# Global services answer from us-east-1; without them nobody could sign in or be billed.
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
    *((f"{ADMIN} {a}", r) for a, r in GUARDED),
    *((f"{ADMIN} {a}", f"elsewhere {r}") for a, r in GUARDED_ELSEWHERE),
    *((f"{ADMIN} {a}", f"{EDGE[1]}{ENDPOINTS['EDGE']}") for a in EDGE[0]),
}

# layer: its document, what it denies, the table
LAYERS = {
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


@pytest.mark.parametrize("layer", ["role route", "role break-glass", "table", "key", "account"])
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
        return [s for s in statements(POLICIES[role]) if s["Effect"] == "Deny"]

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
