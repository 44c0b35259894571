"""Inspect a packaged stage: yield the mistakes in its template and its archive that Chalice does not report."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .template import RUNTIME, Cell, Document, fragment, policy

# Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (read 2026-11-22)
UNZIPPED_LIMIT_BYTES: Final = 250 * 1024 * 1024

# Source: the ELF specification, e_machine (read 2026-11-22)
ELF_MACHINES: Final = {"x86_64": 0x3E, "arm64": 0xB7}


def template_faults(template: Document, cell: Cell, functions: list[str]) -> Iterator[str]:
    """Yield what is wrong with a packaged template, one sentence each."""
    resources: dict[str, Document] = template["Resources"]
    for name, resource in resources.items():
        if "Type" not in resource:
            yield f"{name}: resources.json adds to it, but the app has no such function"
            continue
        if resource.get("Properties", {}).get("Runtime", RUNTIME) != RUNTIME:
            yield f"{name}: runs on {resource['Properties']['Runtime']} and not on {RUNTIME}"
        if resource["Type"] == "AWS::Serverless::Function":
            yield from _function_faults(name, resource, cell)
    roles = {name.replace("_", "-"): f"{''.join(w.title() for w in name.split('_'))}Role" for name in functions}
    for function, role in roles.items():
        if role not in resources:
            yield f"{role}: .chalice/config.json has settings for {function}, but the app has no such function"
        elif [p["PolicyDocument"] for p in resources[role]["Properties"]["Policies"]] != [policy(function, cell)]:
            yield f"{role}: its policy is not .chalice/policy-{function}.json"
    known = {*roles.values(), *fragment(cell)["Resources"]}
    for name, resource in resources.items():
        if resource.get("Type") == "AWS::IAM::Role" and name not in known:
            yield f"{name}: a role without a policy of its own in .chalice"
    yield from _rest_faults(resources.get("RestAPI", {}).get("Properties", {}))
    yield from _path_faults(resources)
    yield from _evidence_faults(resources)


# The policy must deny these to every principal, break-glass roles among them.
_OBJECTS_STAY: Final = frozenset(
    {
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutObjectRetention",
        "s3:PutObjectLegalHold",
        "s3:BypassGovernanceRetention",
    }
)
_LOCK_YEARS: Final = 7


def _evidence_faults(resources: Mapping[str, Document]) -> Iterator[str]:
    """Yield what is wrong with the evidence bucket: it must be locked, versioned, encrypted, private and retained."""
    bucket, policy_of = resources.get("EvidenceBucket", {}), resources.get("EvidenceBucketPolicy", {})
    if bucket.get("Type") != "AWS::S3::Bucket" or policy_of.get("Type") != "AWS::S3::BucketPolicy":
        yield "EvidenceBucket: the bucket or its policy is missing"
        return
    properties = bucket["Properties"]
    lock = properties.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    if not properties.get("ObjectLockEnabled") or lock.get("Mode") not in ({"Ref": "EvidenceLock"}, "COMPLIANCE"):
        yield "EvidenceBucket: its objects are not locked"
    elif lock.get("Years", 0) < _LOCK_YEARS:
        yield f"EvidenceBucket: its objects are locked for less than {_LOCK_YEARS} years"
    if properties.get("VersioningConfiguration") != {"Status": "Enabled"}:
        yield "EvidenceBucket: without versions an object could be written over"
    rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    if [r["ServerSideEncryptionByDefault"].get("SSEAlgorithm") for r in rules] != ["aws:kms"]:
        yield "EvidenceBucket: it is not encrypted with the audit key"
    if list(properties.get("PublicAccessBlockConfiguration", {}).values()) != [True] * 4:
        yield "EvidenceBucket: it could be opened to the public"
    if bucket.get("DeletionPolicy") != "RetainExceptOnCreate" or bucket.get("UpdateReplacePolicy") != "Retain":
        yield "EvidenceBucket: it would go with its stack"
    denied = [
        s
        for s in policy_of.get("Properties", {}).get("PolicyDocument", {}).get("Statement", [])
        if s["Effect"] == "Deny" and s["Principal"] == "*"
    ]
    stays = {a for s in denied if "Condition" not in s and "/*" in json.dumps(s.get("Resource")) for a in s["Action"]}
    if missing := sorted(_OBJECTS_STAY - stays):
        yield f"EvidenceBucketPolicy: {', '.join(missing)} is not denied to everybody"
    once = {"Null": {"s3:if-none-match": "true"}}
    if not any(s["Action"] == "s3:PutObject" and s.get("Condition") == once for s in denied):
        yield "EvidenceBucketPolicy: an object could be written over"


def _function_faults(name: str, resource: Document, cell: Cell) -> Iterator[str]:
    properties = resource["Properties"]
    if not properties.get("FunctionName", "").startswith(f"waybill-{cell.name}-"):
        yield f"{name}: resources.json does not name it after the cell; its log group would be another's"
    for event in properties.get("Events", {}).values():
        if event.get("Type") != "SQS":
            continue
        source = event["Properties"]
        if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: without ReportBatchItemFailures one failed message loses the rest of its batch"
        if not source.get("ScalingConfig", {}).get("MaximumConcurrency"):
            yield f"{name}: without MaximumConcurrency its queue takes every execution of the account"
        if source.get("MaximumBatchingWindowInSeconds"):
            yield f"{name}: a FIFO queue takes no batching window"
        if not 1 <= source.get("BatchSize", 0) <= 10:
            yield f"{name}: a FIFO queue gives at most ten messages at once"
        if not resource.get("DependsOn"):
            yield f"{name}: without DependsOn its queue may not exist yet when it is mapped"


def _rest_faults(api: Mapping[str, Any]) -> Iterator[str]:
    if api.get("EndpointConfiguration") != "REGIONAL":
        yield "RestAPI: not REGIONAL, so that TLS could end in another country"
    if api.get("OpenApiVersion") != "2.0":
        # Source: https://github.com/aws/serverless-application-model/issues/191 (read 2026-11-30)
        yield "RestAPI: without OpenApiVersion SAM makes a second stage, which nothing throttles"
    if api.get("DefinitionBody", {}).get("x-amazon-apigateway-binary-media-types") != ["*/*"]:
        yield "RestAPI: its binary types are not */*, so that bodies that are not UTF-8 would be changed"


_WRITES_PATHS: Final = ("AccessLogSetting", "AccessLogSettings", "TracingEnabled")
_WRITES_REQUESTS: Final = ("LoggingLevel", "DataTraceEnabled")


def _path_faults(resources: Mapping[str, Document]) -> Iterator[str]:
    """Yield the stages that would log addresses: pull links and the tokens of some hooks are secrets in an address."""
    for name in ("RestAPI", "HooksStage"):
        properties = resources.get(name, {}).get("Properties", {})
        settings = [properties.get("DefaultRouteSettings", {}), *properties.get("MethodSettings", [])]
        named = [p for p in _WRITES_PATHS if p in properties] + [
            p for p in _WRITES_REQUESTS for s in settings if p in s
        ]
        if named:
            yield f"{name}: {', '.join(named)} would write secret addresses down"


def archive_faults(archive: zipfile.ZipFile, architecture: str) -> Iterator[str]:
    """Yield what is wrong with a packaged archive: compiled code for another machine, too much of it, the app missing."""
    names = set(archive.namelist())
    if "app.py" not in names:
        yield "deployment.zip: app.py is missing"
    for tool in ("pip", "setuptools"):
        if f"{tool}/__init__.py" in names:
            yield f"deployment.zip: {tool} does not belong into a function; something that is required wants it"
    if sum(entry.file_size for entry in archive.infolist()) > UNZIPPED_LIMIT_BYTES:
        yield "deployment.zip: more than the 250 MiB that Lambda takes unzipped"
    for name in sorted(names):
        with archive.open(name) as member:
            head = member.read(20)
        if head[:4] != b"\x7fELF":
            continue
        machine = int.from_bytes(head[18:20], "little")
        if machine != ELF_MACHINES[architecture]:
            yield f"deployment.zip: {name} is compiled for another machine than {architecture}"
