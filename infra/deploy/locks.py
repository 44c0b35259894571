"""The locks of a cell: what the stack must not hold while it is created, and what a deployment sets afterwards.

A lock forbids deletion. If the stack held it from the start, a failed first creation could not delete what it had made, and
the next creation would find the names taken. So the stack is created without the locks of its keys and its bucket, and a second
change set adds them. The deployment itself protects and locks the tables, which have locks that no stack can hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from .template import stages

Document = dict[str, Any]

# With one of these, evidence, content or keys are lost. CloudFormation would retain most of them, but beside an
# empty new one.
_IRREPLACEABLE: Final = (
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::SQS::Queue",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
)
PARAMETER: Final = "Locked"
ENDS: Final = ("OnlyBreakGlassEndsIt", "OnlyBreakGlassTouchesTheBucket")
"""The statements of keys and bucket that forbid deletion."""
ASKED_MAX: Final = 30
"""DynamoDB applies a resource policy within seconds. It is asked for this often, once a second."""


COMPLIANCE: Final = "COMPLIANCE"


def evidence_lock(stage: str) -> str:
    """Read how a stage locks its evidence: as in production unless its ``evidence_lock`` says GOVERNANCE."""
    return str(stages()[stage].get("evidence_lock", COMPLIANCE))


def creatable(template: Document) -> Document:
    """Return a template whose stack holds its locks only under the parameter ``Locked``.

    Tables are left without protection from deletion: ``Deployment`` sets it, because a failed update must be able to delete the
    new year's table, too.
    """
    made: Document = _conditional(template)
    made["Parameters"] = {
        **made.get("Parameters", {}),
        PARAMETER: {
            "Type": "String",
            "AllowedValues": ["true", "false"],
            "Default": "true",
            "Description": "false only while the stack is created, so that a failed creation leaves nothing behind",
        },
    }
    made["Conditions"] = {**made.get("Conditions", {}), PARAMETER: {"Fn::Equals": [{"Ref": PARAMETER}, "true"]}}
    for resource in made["Resources"].values():
        resource.get("Properties", {}).pop("DeletionProtectionEnabled", None)
    return made


def _conditional(value: Any) -> Any:
    if isinstance(value, list):
        return [_conditional(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: _conditional(each) for name, each in value.items()}
    return {"Fn::If": [PARAMETER, made, {"Ref": "AWS::NoValue"}]} if made.get("Sid") in ENDS else made


def tables(template: Document) -> Iterator[str]:
    """Yield the names of the template's tables."""
    for resource in template["Resources"].values():
        if resource.get("Type") == "AWS::DynamoDB::Table":
            yield str(resource["Properties"]["TableName"])


def locks(template: Document, region: str, account: str) -> dict[str, Document]:
    """Make the resource policy of each audit table, by the table's ARN, from a template's metadata."""
    text = json.dumps(template["Metadata"]["AuditTablePolicy"])
    made = {}
    for resource in template["Resources"].values():
        name = str(resource["Properties"].get("TableName", ""))
        if re.search(r"-audit-\d{4}$", name):
            table = f"arn:aws:dynamodb:{region}:{account}:table/{name}"
            filled = text.replace("${Table}", table).replace("${Account}", account).replace("${Partition}", "aws")
            made[table] = json.loads(filled)
    return made


def same(held: Document, lock: Document) -> bool:
    """Say whether two policies mean the same. AWS may return one in another form than it got.

    Order, a string instead of a list of one, and an account's id instead of its root do not count.
    """
    return bool(_meaning(held) == _meaning(lock))


def _meaning(value: Any, name: str = "") -> Any:
    if name == "Principal" and value == "*":
        value = {"AWS": "*"}
    if name == "Statement":
        statements = value if isinstance(value, list) else [value]
        return sorted((_meaning(each) for each in statements), key=repr)
    if isinstance(value, Mapping):
        return {key: _meaning(each, key) for key, each in sorted(value.items()) if key != "Id"}
    if name in ("Sid", "Effect", "Version"):
        return value
    return sorted(_word(each) for each in (value if isinstance(value, list) else [value]))


def _word(value: Any) -> str:
    root = re.fullmatch(r"arn:[a-z-]+:iam::(\d{12}):root", str(value))
    return root[1] if root else str(value)


def loses(change: Document) -> bool:
    """Say whether a change set's entry would replace or remove a resource whose content is lost with it."""
    if change["ResourceType"] not in _IRREPLACEABLE:
        return False
    return change["Action"] == "Remove" or change.get("Replacement") in ("True", "Conditional")


class TableLocks:
    """Protect and lock tables.

    Args:
        dynamodb: the client of the cell's region.
        wait_s: waits some seconds.
    """

    def __init__(self, dynamodb: Any, wait_s: Callable[[float], None]) -> None:
        self._dynamodb = dynamodb
        self._wait_s = wait_s

    def class_of(self, name: str) -> str | None:
        """Return the class of a table; None if there is no such table."""
        try:
            table = self._dynamodb.describe_table(TableName=name)["Table"]
        except ClientError as fault:
            if fault.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        # A table that always had the standard class has no summary.
        return str(table.get("TableClassSummary", {}).get("TableClass", "STANDARD"))

    def protect(self, name: str) -> bool:
        """Protect a table from deletion. Return whether it was not protected yet."""
        if self._dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
            return False
        self._dynamodb.update_table(TableName=name, DeletionProtectionEnabled=True)
        for _ in range(ASKED_MAX):  # a table that is being updated takes no policy
            if self._dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE":
                break
            self._wait_s(1)
        return True

    def held(self, table: str) -> Document | None:
        """Return a table's policy; None where it has none."""
        try:
            held: Document = json.loads(self._dynamodb.get_resource_policy(ResourceArn=table)["Policy"])
        except ClientError as fault:
            if fault.response["Error"]["Code"] == "PolicyNotFoundException":
                return None
            raise
        return held

    def put(self, table: str, lock: Document) -> bool:
        """Lock a table, and wait until DynamoDB shows the lock. Return False where it does not.

        Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutResourcePolicy.html (read 2026-11-30):
        the call is asynchronous; a ``GetResourcePolicy`` right after it may not find the policy.
        """
        self._dynamodb.put_resource_policy(
            ResourceArn=table, Policy=json.dumps(lock), ConfirmRemoveSelfResourceAccess=True
        )
        for _ in range(ASKED_MAX):
            held = self.held(table)
            if held is not None and same(held, lock):
                return True
            self._wait_s(1)
        return False
