"""The resources of a cell: ``resources.json``, the alarms and the policies, filled with the cell's names.

The JSON files are CloudFormation with four placeholders of ours, ``${Cell}``, ``${Region}``, ``${Country}`` and
``${Runtime}``. A resource with ``${Year}`` in its id stands for one of each year. We replace them as text, because Chalice
merges files and not parameters. So one file serves every cell, and a packaged template names its region and works in no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from chalicelib.settings import restored_tables
from chalicelib.store.engines import EngineProfile, profile

from . import alarms, dashboard, warm

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CONFIG: Final = ROOT / ".chalice" / "config.json"
RESOURCES: Final = ROOT / "infra" / "deploy" / "resources.json"
LOCAL_ACCOUNT: Final = "000000000000"  # what emulators call themselves
RUNTIME: Final = "python3.13"
"""The Python of every function.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html (read 2026-11-30)
"""

FIRST_YEAR: Final = 2026
"""The year of the oldest audit table. Each deployment makes that of the next year, too."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One region's deployment: its name, its region, its home country, and the suffixes of restored tables."""

    name: str
    region: str
    country: str
    restored: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The arguments with which boto3 makes one table; ``ttl`` and ``backups`` are None where there is nothing to switch on."""

    create: Document
    ttl: Document | None
    backups: Document | None


@dataclass(frozen=True, slots=True)
class Queue:
    """The arguments with which boto3 makes one queue."""

    create: Document


@dataclass(frozen=True, slots=True)
class Bucket:
    """The arguments with which boto3 makes one bucket.

    ``use`` is its use in the name of its setting, ``WAYBILL_{USE}_BUCKET``. ``lock_years`` is how long its objects are locked, and ``expire_days`` after how long they expire; None for never.
    """

    create: Document
    use: str
    lock_years: int | None
    expire_days: int | None


@dataclass(frozen=True, slots=True)
class Key:
    """The arguments with which boto3 makes one key, and the alias to give it."""

    create: Document
    alias: str


class UnknownStage(LookupError):
    """``.chalice/config.json`` has no such stage, or there is no such file, as in an installed waybill."""


def stages() -> dict[str, Document]:
    """Read the stages of ``.chalice/config.json``, by name.

    Raises:
        UnknownStage: There is no such file.
    """
    if not CONFIG.exists():
        raise UnknownStage(
            f"packaging and deploying need a checkout: an installed waybill has no {CONFIG.relative_to(ROOT)}"
        )
    found: dict[str, Document] = json.loads(CONFIG.read_text("utf-8"))["stages"]
    return found


def cell_of(stage: str) -> Cell:
    """Read a stage's cell from ``.chalice/config.json``.

    Raises:
        UnknownStage: The file has no such stage.
    """
    found = stages()
    if stage not in found:
        raise UnknownStage(f"no stage {stage!r} in {CONFIG.relative_to(ROOT)}; there are: {', '.join(sorted(found))}")
    names = found[stage]["environment_variables"]
    restored = restored_tables(names.get("WAYBILL_RESTORED_TABLES", ""))
    return Cell(names["WAYBILL_CELL"], names["WAYBILL_REGION"], names["WAYBILL_COUNTRY"], (*restored.items(),))


def fill(text: str, cell: Cell) -> str:
    """Replace the placeholders of a JSON text."""
    for name, value in (
        ("Cell", cell.name),
        ("Region", cell.region),
        ("Country", cell.country),
        ("Runtime", RUNTIME),
    ):
        text = text.replace("${" + name + "}", value)
    return text


def fragment(cell: Cell, today: date | None = None) -> Document:
    """Make the document that Chalice merges into its template: ``resources.json`` and the alarms.

    Intrinsics are left to CloudFormation.

    Args:
        today: the UTC date, which decides for which years there are audit tables; that of the clock unless given.
    """
    document: Document = json.loads(fill(RESOURCES.read_text("utf-8"), cell))
    years = range(FIRST_YEAR, (today or datetime.now(UTC).date()).year + 2)
    made = document["Resources"] | alarms.resources(cell.name) | dashboard.resources(cell.name, cell.region)
    document["Resources"] = warm.warmed(dict(_of_years(made, years)), cell.name)
    return document


def _of_years(resources: Mapping[str, Document], years: Iterable[int]) -> Iterator[tuple[str, Document]]:
    for name, resource in resources.items():
        for year in years if "${Year}" in name else ("",):
            made = json.dumps([name, resource]).replace("${Year}", str(year))
            yield tuple(json.loads(made))


def policy(function: str, cell: Cell) -> Document:
    """Make the policy of one function's role from ``.chalice/policy-{function}.json``, as CloudFormation takes it.

    A string with an ``${AWS::…}`` in it becomes ``Fn::Sub``, so that the files read like ordinary policies.
    """
    path = CONFIG.with_name(f"policy-{function.replace('_', '-')}.json")
    text = fill(path.read_text("utf-8"), cell)
    for table, suffix in cell.restored:
        text = re.sub(rf"(table/waybill-{cell.name}-{table})(?=[\"/])", rf"\1-{suffix}", text)
    document: Document = _with_sub(json.loads(text))
    return document


def _with_sub(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: v if k == "Fn::Sub" else _with_sub(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_sub(v) for v in value]
    return {"Fn::Sub": value} if isinstance(value, str) and "${AWS::" in value else value


def guardrails(cell: Cell) -> Document:
    """Make the service control policy of a cell's account from ``guardrails.json``."""
    document: Document = json.loads(fill((ROOT / "infra" / "deploy" / "guardrails.json").read_text("utf-8"), cell))
    return document


def resources(cell: str, region: str, country: str, account: str = LOCAL_ACCOUNT) -> dict[str, Document]:
    """Return the resources by logical id, with every placeholder and intrinsic resolved.

    A resource that Chalice makes appears only with the additions of ``resources.json``, and without a ``Type``. A key is
    named by the ARN of its alias, because its id is not known before it is made.
    """
    found: dict[str, Document] = fragment(Cell(cell, region, country))["Resources"]
    return {name: resolve(resource, found, region, account) for name, resource in found.items()}


def resolve(value: Any, found: Mapping[str, Document], region: str, account: str = LOCAL_ACCOUNT) -> Any:
    """Resolve ``Ref``, ``Fn::GetAtt`` and ``Fn::Sub`` in a value that may name any of the ``found`` resources."""
    return _Resolver(found, region, account).value(value)


AWS: Final = profile("dynamodb")


def tables(
    cell: str, region: str, country: str, account: str = LOCAL_ACCOUNT, engine: EngineProfile = AWS
) -> list[Table]:
    """Return the cell's tables as arguments of ``create_table``, ``update_time_to_live`` and ``update_continuous_backups``.

    Args:
        engine: the engine that gets them; the arguments ask only for its capabilities.
    """
    made = []
    for resource in _of_type("AWS::DynamoDB::Table", resources(cell, region, country, account)):
        create = dict(resource["Properties"])
        name = {"TableName": create["TableName"]}
        ttl = create.pop("TimeToLiveSpecification", None)
        backups = create.pop("PointInTimeRecoverySpecification")
        encryption = create["SSESpecification"]
        create["SSESpecification"] = {**encryption, "Enabled": encryption["SSEEnabled"]}
        del create["SSESpecification"]["SSEEnabled"]
        if "StreamSpecification" in create:
            create["StreamSpecification"] = {"StreamEnabled": True, **create["StreamSpecification"]}
        if "ttl" not in engine.capabilities:
            ttl = None
        backed_up = backups["PointInTimeRecoveryEnabled"] and "pitr" in engine.capabilities
        made.append(
            Table(
                table_on(engine, create),
                None if ttl is None else {**name, "TimeToLiveSpecification": ttl},
                {**name, "PointInTimeRecoverySpecification": backups} if backed_up else None,
            )
        )
    return made


def table_on(engine: EngineProfile, create: Document) -> Document:
    """Return the arguments of ``create_table`` that an engine knows, with its tags."""
    made = {name: value for name, value in create.items() if not engine.create_table or name in engine.create_table}
    for index in made.get("GlobalSecondaryIndexes", ()):
        if index["Projection"]["ProjectionType"] not in engine.projections:
            index["Projection"] = {"ProjectionType": engine.projections[0]}
    if engine.table_tags:
        made["Tags"] = [{"Key": name, "Value": value} for name, value in engine.table_tags.items()]
    return made


def queues(
    cell: str, region: str, country: str, account: str = LOCAL_ACCOUNT, engine: EngineProfile = AWS
) -> list[Queue]:
    """Return the cell's queues as arguments of ``create_queue``, each dead-letter queue before the queue that needs it.

    Args:
        engine: the engine beside the queues; the arguments have only attributes that its queues know.
    """
    made = []
    for resource in _of_type("AWS::SQS::Queue", resources(cell, region, country, account)):
        properties = dict(resource["Properties"])
        name, tags = properties.pop("QueueName"), properties.pop("Tags")
        known = {k: v for k, v in properties.items() if not engine.create_queue or k in engine.create_queue}
        create: Document = {"QueueName": name, "Attributes": {k: _attribute(v) for k, v in known.items()}}
        if engine.on_aws:
            create["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
        made.append(Queue(create))
    return sorted(made, key=lambda queue: "RedrivePolicy" in queue.create["Attributes"])


def buckets(
    cell: str, region: str, country: str, account: str = LOCAL_ACCOUNT, engine: EngineProfile = AWS
) -> list[Bucket]:
    """Return the cell's buckets as arguments of ``create_bucket``, without encryption, which emulators lack."""
    made = []
    for resource in _of_type("AWS::S3::Bucket", resources(cell, region, country, account)):
        properties = resource["Properties"]
        create: Document = {
            "Bucket": properties["BucketName"],
            "ObjectLockEnabledForBucket": properties.get("ObjectLockEnabled", False),
        }
        if engine.on_aws and region != "us-east-1":
            create["CreateBucketConfiguration"] = {"LocationConstraint": region}
        lock, life = properties.get("ObjectLockConfiguration"), properties.get("LifecycleConfiguration")
        years = lock["Rule"]["DefaultRetention"]["Years"] if lock else None
        use = create["Bucket"].split("-")[-2]
        made.append(Bucket(create, use, years, life["Rules"][0]["ExpirationInDays"] if life else None))
    return made


def keys(cell: str, region: str, country: str, account: str = LOCAL_ACCOUNT) -> list[Key]:
    """Return the cell's KMS keys as arguments of ``create_key``, with their aliases."""
    found: dict[str, Document] = fragment(Cell(cell, region, country))["Resources"]
    made = []
    for alias in _of_type("AWS::KMS::Alias", found):
        properties = resolve(found[alias["Properties"]["TargetKeyId"]["Ref"]]["Properties"], found, region, account)
        create = {
            "Description": properties["Description"],
            "MultiRegion": properties["MultiRegion"],
            "KeySpec": properties.get("KeySpec", "SYMMETRIC_DEFAULT"),
            "KeyUsage": properties.get("KeyUsage", "ENCRYPT_DECRYPT"),
            "Policy": json.dumps(properties["KeyPolicy"]),
            "Tags": [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties["Tags"]],
        }
        made.append(Key(create, alias["Properties"]["AliasName"]))
    return made


def _of_type(kind: str, found: Mapping[str, Document]) -> list[Document]:
    return [resource for resource in found.values() if resource.get("Type") == kind]


def _attribute(value: Any) -> str:
    """SQS takes every attribute as a string."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else str(value)


# How a resource's ARN is made: the service, then the rest from the resource's own properties.
_ARNS: Final[dict[str, tuple[str, str]]] = {
    "AWS::DynamoDB::Table": ("dynamodb", "table/{TableName}"),
    "AWS::SQS::Queue": ("sqs", "{QueueName}"),
    "AWS::S3::Bucket": ("s3", "{BucketName}"),
    "AWS::SNS::Topic": ("sns", "{TopicName}"),
    "AWS::IAM::Role": ("iam", "role/{RoleName}"),
    "AWS::Serverless::Function": ("lambda", "function:{FunctionName}"),
    "AWS::Logs::LogGroup": ("logs", "log-group:{LogGroupName}:*"),
}
# Additions to Chalice's own resources have no type. A property tells what they are.
_UNTYPED: Final = {"FunctionName": "AWS::Serverless::Function", "RoleName": "AWS::IAM::Role"}
_REF_IS_ARN: Final = ("AWS::SNS::Topic",)
_REF_IS_NAME: Final = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Serverless::Function": "FunctionName",
    "AWS::IAM::Role": "RoleName",
}


class _Resolver:
    def __init__(self, found: Mapping[str, Document], region: str, account: str) -> None:
        self._found = found
        self._pseudo = {
            "AWS::Region": region,
            "AWS::AccountId": account,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name == "Fn::GetAtt":
                return self._attribute(*argument)
            if name == "Fn::Sub":
                return re.sub(r"\$\{([A-Za-z0-9:]+)\}", lambda found: self._ref(found[1]), argument)
        return {k: self.value(v) for k, v in value.items()}

    def _ref(self, name: str) -> str:
        if name in self._pseudo:
            return self._pseudo[name]
        kind = self._kind(name)
        if kind in _REF_IS_ARN:
            return self._arn(name)
        if kind in _REF_IS_NAME:
            return str(self.value(self._found[name]["Properties"][_REF_IS_NAME[kind]]))
        return name  # known only once it is deployed

    def _attribute(self, name: str, attribute: str) -> str:
        if attribute == "Arn":
            return self._arn(name)
        if attribute == "StreamArn":
            return self._arn(name) + "/stream/*"
        return str(self.value(self._found[name]["Properties"][attribute]))

    def _arn(self, name: str) -> str:
        kind = self._kind(name)
        if kind == "AWS::KMS::Key":
            return self._full("kms", self._alias_of(name))
        service, rest = _ARNS[kind]
        properties = {k: self.value(v) for k, v in self._found[name]["Properties"].items() if k.endswith("Name")}
        return self._full(service, rest.format(**properties))

    def _full(self, service: str, rest: str) -> str:
        region = "" if service in ("iam", "s3") else self._pseudo["AWS::Region"]
        account = "" if service == "s3" else self._pseudo["AWS::AccountId"]
        return f"arn:{self._pseudo['AWS::Partition']}:{service}:{region}:{account}:{rest}"

    def _alias_of(self, key: str) -> str:
        for alias in _of_type("AWS::KMS::Alias", self._found):
            if alias["Properties"]["TargetKeyId"] == {"Ref": key}:
                return str(alias["Properties"]["AliasName"])
        raise LookupError(f"the key {key} has no alias in resources.json")

    def _kind(self, name: str) -> str:
        resource = self._found.get(name, {})
        if "Type" in resource:
            return str(resource["Type"])
        return next((kind for mark, kind in _UNTYPED.items() if mark in resource.get("Properties", {})), "")
