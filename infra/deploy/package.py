"""Package a stage: ``python -m infra.deploy.package STAGE OUT_DIR``; check every stage's template: ``… --check``.

Chalice writes the functions, their roles and the REST API, and merges ``resources.json`` in. It does not report several
mistakes that would break a cell, so this module checks the result before it may be deployed. Needs no AWS credentials.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from .template import ROOT, RUNTIME, Cell, Document, UnknownStage, cell_of, fill, fragment, policy, stages

# Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (read 2026-11-22)
UNZIPPED_LIMIT_BYTES: Final = 250 * 1024 * 1024

# Source: the ELF specification, e_machine (read 2026-11-22)
ELF_MACHINES: Final = {"x86_64": 0x3E, "arm64": 0xB7}


class BadPackage(Exception):
    """The package must not be deployed. ``faults`` gives the reasons, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Package:
    """A stage ready to deploy."""

    cell: Cell
    template: Path
    archive: Path
    zipped_bytes: int
    unzipped_bytes: int


def package(stage: str, out: Path, project: Path = ROOT, *, requirements: bool = True) -> Package:
    """Make ``out/template.json`` and ``out/deployment.zip`` for a stage, and check them.

    Args:
        project: where ``app.py`` and its requirements are.
        requirements: False leaves the dependencies out, to see the template only.

    Raises:
        UnknownStage: there is no such stage.
        BadPackage: Chalice failed, its result has faults, or this Python is not that of the functions.
    """
    cell = cell_of(stage)
    if requirements and _pins(project) and (fault := interpreter_fault(sys.version_info[:2])):
        raise BadPackage([fault])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="waybill-package-") as scratch:
        staged = Path(scratch) / "project"
        functions = _stage(project, staged, cell, requirements)
        merge = Path(scratch) / "resources.json"
        merge.write_text(json.dumps(fragment(cell)), "utf-8")
        _run_chalice(stage, cell, staged, merge, Path(scratch) / "out")
        template = json.loads((Path(scratch) / "out" / "sam.json").read_text("utf-8"))
        for function in _functions(template):
            function["Properties"]["Runtime"] = RUNTIME  # Chalice writes the interpreter that it runs on
        # Chalice writes no description of the stack. The change set shows this one.
        template["Description"] = f"Waybill cell {cell.name}: {cell.region}, {cell.country}"
        archive = out / "deployment.zip"
        _repack(Path(scratch) / "out" / "deployment.zip", Path(scratch) / "unpacked", archive)
    with zipfile.ZipFile(archive) as opened:
        unzipped = sum(entry.file_size for entry in opened.infolist())
        faults = [
            *template_faults(template, cell, functions),
            *archive_faults(opened, template["Resources"]["Hooks"]["Properties"]["Architectures"][0]),
        ]
    if faults:
        raise BadPackage(faults)
    path = out / "template.json"
    path.write_text(json.dumps(template, indent=1), "utf-8")
    return Package(cell, path, archive, archive.stat().st_size, unzipped)


def _stage(project: Path, staged: Path, cell: Cell, requirements: bool) -> list[str]:
    """Copy what Chalice packages, with the cell's policies beside it; return the functions' names."""
    (staged / ".chalice").mkdir(parents=True)
    shutil.copy(project / "app.py", staged / "app.py")
    pins = _pins(project) if requirements else []
    (staged / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins), "utf-8")
    for name in ("chalicelib", "vendor"):
        if (project / name).is_dir():
            shutil.copytree(project / name, staged / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    config = fill((ROOT / ".chalice" / "config.json").read_text("utf-8"), cell)
    (staged / ".chalice" / "config.json").write_text(config, "utf-8")
    functions: Mapping[str, Mapping[str, str]] = json.loads(config)["lambda_functions"]
    for name, settings in functions.items():
        (staged / ".chalice" / settings["iam_policy_file"]).write_text(json.dumps(policy(name, cell)), "utf-8")
    return list(functions)


def _pins(project: Path) -> list[str]:
    """Read what is packaged beside the app.

    Chalice adds its own runtime, two files, to every package. As a requirement it would bring its command line and, with
    that, pip and setuptools.
    """
    lines = (project / "requirements.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "chalice=="))]


def interpreter_fault(version: tuple[int, int]) -> str | None:
    """Say why this Python cannot package for the functions' Python; None where it can.

    Chalice fetches the compiled dependencies, and we write the byte code, for the Python that runs.
    """
    running = f"python{version[0]}.{version[1]}"
    if running == RUNTIME:
        return None
    return f"the functions run on {RUNTIME} and this is {running}: run `make clean` and `make setup PYTHON={RUNTIME}`"


def _functions(template: Document) -> list[Document]:
    return [r for r in template["Resources"].values() if r.get("Type") == "AWS::Serverless::Function"]


def _run_chalice(stage: str, cell: Cell, project: Path, merge: Path, out: Path) -> None:
    chalice = str(Path(sys.executable).with_name("chalice"))
    command = [
        chalice,
        "--project-dir",
        str(project),
        "package",
        "--stage",
        stage,
        "--merge-template",
        str(merge),
        str(out),
    ]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    # Chalice asks the session for a region to name service principals, and would look for credentials on the machine.
    environment = {**kept, "AWS_DEFAULT_REGION": cell.region, "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise BadPackage([f"chalice package ended with {done.returncode}:", *(done.stdout + done.stderr).splitlines()])


def _repack(source: Path, unpacked: Path, target: Path) -> None:
    """Add byte code, and write the archive so that equal content gives equal bytes.

    A function cannot write byte code, because its directory is read-only. With byte code the dependencies import in less
    than half the time. Python does not compare it with the sources, whose times mean nothing in an archive.
    """
    with zipfile.ZipFile(source) as opened:
        opened.extractall(unpacked)
    compileall.compile_dir(
        unpacked, quiet=2, stripdir=str(unpacked), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(path for path in unpacked.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(unpacked)))  # dated 1980, the earliest date of a zip archive
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            made.writestr(entry, path.read_bytes())


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
    if bucket.get("DeletionPolicy") != "Retain" or bucket.get("UpdateReplacePolicy") != "Retain":
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


def year_warnings(template: Document, today: date) -> Iterator[str]:
    """Yield the audit tables that a template lacks. From November on, the next year's table is needed."""
    wanted = {today.year} | ({today.year + 1} if today.month >= 11 else set())
    names = [str(r.get("Properties", {}).get("TableName", "")) for r in template["Resources"].values()]
    for year in sorted(wanted):
        if not any(name.endswith(f"-audit-{year}") for name in names):
            yield f"there is no audit table for {year}: add AuditTable{year} and TripwireOn{year} (docs/operations.md)"


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
        if source.get("MaximumBatchingWindowInSeconds"):
            yield f"{name}: a FIFO queue takes no batching window"
        if not 1 <= source.get("BatchSize", 0) <= 10:
            yield f"{name}: a FIFO queue gives at most ten messages at once"
        if not resource.get("DependsOn"):
            yield f"{name}: without DependsOn its queue may not exist yet when it is mapped"


def _rest_faults(api: Mapping[str, Any]) -> Iterator[str]:
    if api.get("EndpointConfiguration") != "REGIONAL":
        yield "RestAPI: not REGIONAL, so that TLS could end in another country"
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


def check() -> list[str]:
    """Return the faults of all stages' templates, by our rules and by cfn-lint's."""
    from cfnlint import api as cfnlint  # a development tool that a deployment does not need

    faults = []
    for stage in stages():
        with tempfile.TemporaryDirectory(prefix="waybill-check-") as scratch:
            try:
                made = package(stage, Path(scratch), requirements=False)
            except BadPackage as fault:
                faults += [f"{stage}: {line}" for line in fault.faults]
                continue
            config = cfnlint.ManualArgs(regions=[made.cell.region])
            matches = cfnlint.lint(made.template.read_text("utf-8"), config=config)
            faults += [f"{stage}: {match.rule.id} {match.message}" for match in matches]
    return faults


def warnings() -> list[str]:
    """Return what will be a fault soon."""
    cell = cell_of(next(iter(stages())))
    return list(year_warnings(fragment(cell), datetime.now(UTC).date()))


def main() -> int:
    """Package the stage that the command line names, or check all."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy.package", description="Package a stage for deployment."
    )
    parser.add_argument("stage", nargs="?")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--check", action="store_true", help="check the templates of all stages instead")
    arguments = parser.parse_args()
    if arguments.check:
        try:
            for line in warnings():
                print(f"warning: {line}", file=sys.stderr)
            faults = check()
        except UnknownStage as fault:
            faults = [str(fault)]
        print("\n".join(faults or ["the templates of all stages are sound"]))
        return 1 if faults else 0
    if arguments.out is None:
        parser.error("a stage and a directory are needed")
    try:
        made = package(arguments.stage, arguments.out)
    except (BadPackage, UnknownStage) as fault:
        print(fault, file=sys.stderr)
        return 1
    print(f"{made.template}: cell {made.cell.name} in {made.cell.region} ({made.cell.country})")
    print(f"{made.archive}: {made.zipped_bytes / 1e6:.1f} MB, unzipped {made.unzipped_bytes / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
