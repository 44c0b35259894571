"""The permissions of each role, as a table: resource, then actions. Nothing else."""

from __future__ import annotations

from tests.support.deployed import (
    AUDIT,
    AUDIT_KEY,
    CELL_KEY,
    CONFIG,
    DATA,
    INDEXES,
    PEOPLE,
    SEAL_KEY,
    STREAM,
    USES,
)

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
        DATA: "GetItem BatchGetItem Query PutItem PartiQLInsert UpdateItem DeleteItem",
        **_APPEND,
    },
    "deliver": {
        CONFIG: "GetItem BatchGetItem Query UpdateItem",
        PEOPLE: "GetItem BatchGetItem",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem PartiQLInsert",
        **_APPEND,
    },
    "pump": {INDEXES["due"]: "Query", INDEXES["day"]: "Query", DATA: "GetItem PutItem"},
    # A rotated master key wraps secrets and data keys again: CONFIG's UpdateItem, PEOPLE's Scan and UpdateItem.
    "jobs": {
        CONFIG: "GetItem Query UpdateItem",
        PEOPLE: "GetItem BatchGetItem Scan UpdateItem",
        DATA: "BatchGetItem Query UpdateItem DeleteItem",
        INDEXES["day"]: "Query",
        INDEXES["due"]: "Query",
        **_APPEND,
    },
    # People of an earlier release are found by a Scan, once.
    "sweep": {
        CONFIG: "GetItem Query DeleteItem",
        PEOPLE: "GetItem BatchGetItem Scan UpdateItem DeleteItem PartiQLDelete",
        INDEXES["ends"]: "Query",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem",
        **_APPEND,
    },
    "api": {
        CONFIG: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem",
        PEOPLE: "GetItem BatchGetItem PutItem UpdateItem",
        DATA: "GetItem BatchGetItem Query PutItem UpdateItem DeleteItem",
        INDEXES["day"]: "Query",
        **_APPEND,
    },
    "collect": {CONFIG: "GetItem"},
    "seal": dict.fromkeys(AUDIT, "PartiQLInsert Query"),
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
EVERYWHERE: dict[str, str] = {"tripwire": "ListStreams"}

_RECEIVE = "ReceiveMessage DeleteMessage ChangeMessageVisibility GetQueueAttributes"
# A function that gives messages back asks for the queue's address.
_GIVE_BACK = _RECEIVE + " GetQueueUrl"
_SEND = "GetQueueUrl SendMessage"
MAY_SQS: dict[str, dict[str, str]] = {
    "hooks": {"inbox": _SEND, "seal-requests": _SEND},
    "route": {"inbox": f"{_GIVE_BACK} SendMessage", "outbox": _SEND, "seal-requests": _SEND},
    "deliver": {"outbox": _GIVE_BACK, "inbox": _SEND, "seal-requests": _SEND},
    "pump": {"outbox": _SEND},
    "jobs": {"inbox": _SEND, "outbox": _SEND, "seal-requests": _SEND},
    "sweep": {"inbox": _SEND, "sealing": _SEND, "seal-requests": _SEND},
    "api": {"inbox": _SEND, "outbox": _SEND, "seal-requests": _SEND},
    "collect": {
        "seal-requests": f"ReceiveMessage DeleteMessage ChangeMessageVisibility {_SEND}",
        "sealing": _SEND,
    },
    "seal": {"sealing": f"{_GIVE_BACK} SendMessage", "seal-requests": _SEND},
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
    "collect": {(CELL_KEY, "by DynamoDB"): "Decrypt", **_SENDER},
    "seal": {
        **_BOTH_BY_DYNAMODB,
        **_SENDER,
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
            (
                key,
                use,
            ): "DescribeKey GetKeyPolicy PutKeyPolicy DisableKey EnableKey ScheduleKeyDeletion CancelKeyDeletion"
            for key in (CELL_KEY, AUDIT_KEY)
            for use in USES
        },
        **{(SEAL_KEY, use): "DescribeKey GetKeyPolicy DisableKey EnableKey" for use in USES},
    },
}


# Functions that act under tenants' roles: they prove the roles, and send under them.
MAY_ASSUME = {"api", "deliver", "hooks"}
