"""The policies as they are deployed, resolved for one cell, and everything that can be asked of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import botocore.session

from infra.deploy import locks, template
from infra.deploy.template import Cell

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
LOCKS = locks.locks(FRAGMENT, REGION, ACCOUNT)
KEY_POLICIES = {
    resolved({"Fn::GetAtt": [name, "Arn"]}): resolved(resource["Properties"]["KeyPolicy"])
    for name, resource in FOUND.items()
    if resource.get("Type") == "AWS::KMS::Key"
}
BUCKET_POLICY = resolved(FOUND["EvidenceBucketPolicy"]["Properties"]["PolicyDocument"])
GUARDRAILS = template.guardrails(CELL)

# The questions

_BOTO = botocore.session.get_session()
# Calls that are authorised under the names of their effects.
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
# Calls that are authorised under the names of their effects, and actions without a call of that name.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html (read 2026-11-22)
ONLY_S3_ACTIONS = {
    "BypassGovernanceRetention",
    "DeleteObjectVersion",
    "GetBucketObjectLockConfiguration",
    "GetBucketPublicAccessBlock",
    "GetEncryptionConfiguration",
    "GetLifecycleConfiguration",
    "ListBucket",
    "PutBucketObjectLockConfiguration",
    "PutBucketPublicAccessBlock",
    "PutEncryptionConfiguration",
    "PutLifecycleConfiguration",
    "PutObjectVersionAcl",
    "PutReplicationConfiguration",
    "ReplicateDelete",
    "ReplicateObject",
}
S3 = sorted({*_BOTO.get_service_model("s3").operation_names, *ONLY_S3_ACTIONS})
LOGS = sorted(_BOTO.get_service_model("logs").operation_names)

CONFIG, DATA, PEOPLE = table("config"), table("data"), table("people")
AUDIT = (table("audit-2026"), table("audit-2027"))
STREAM = AUDIT[0] + "/stream/2026-11-22T00:00:00.000"
INDEXES = {
    "day": DATA + "/index/day",
    "due": DATA + "/index/due",
    "ends": PEOPLE + "/index/ends",
    "subject": AUDIT[0] + "/index/subject",
}
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
QUEUES = {
    name: arn("sqs", f"waybill-eu1-{name}.fifo") for name in ("inbox", "outbox", "inbox-dead", "outbox-dead", "sealing")
}
QUEUES["seal-requests"] = arn("sqs", "waybill-eu1-seal-requests")
CELL_KEY, AUDIT_KEY = arn("kms", "alias/waybill-eu1"), arn("kms", "alias/waybill-eu1-audit")
SEAL_KEY = arn("kms", "alias/waybill-eu1-seal")
BUCKET = f"arn:aws:s3:::waybill-eu1-evidence-{ACCOUNT}"
EXPORTS = f"arn:aws:s3:::waybill-eu1-exports-{ACCOUNT}"
CONTENTS = f"arn:aws:s3:::waybill-eu1-contents-{ACCOUNT}"
# Under which circumstances a key is used.
USES: dict[str, Mapping[str, str]] = {
    "directly": HERE,
    "for a tenant": {**HERE, "kms:EncryptionContext:tenant": "tnt_1"},
    "by DynamoDB": {**HERE, "kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"},
    "by SQS": {**HERE, "kms:ViaService": f"sqs.{REGION}.amazonaws.com"},
    "by S3": {**HERE, "kms:ViaService": f"s3.{REGION}.amazonaws.com"},
    "by DynamoDB elsewhere": {**HERE, "kms:ViaService": "dynamodb.us-east-1.amazonaws.com"},
}

ROLES = sorted(POLICIES)
