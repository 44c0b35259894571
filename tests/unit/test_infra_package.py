"""A packaged stage has the required form, and each fault that could be packaged is found."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cfnlint import api as cfnlint

from infra.deploy import alarms, inspection, package, sbom, template

APP = template.ROOT / "tests" / "fixtures" / "infra"
STAGES = sorted(json.loads(template.CONFIG.read_text("utf-8"))["stages"])
FUNCTIONS = list(json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"])


@pytest.fixture(scope="module", params=STAGES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> package.Package:
    return package.package(request.param, tmp_path_factory.mktemp(request.param), APP)


@pytest.fixture(scope="module")
def eu1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = package.package("eu1", tmp_path_factory.mktemp("eu1"), APP)
    result: dict[str, Any] = json.loads(made.template.read_text("utf-8"))
    return result


def test_cfn_lint_finds_nothing_when_a_cell_is_packaged(eu1: dict[str, Any]) -> None:
    # The checks of ``make check`` lint the template of every stage.
    found = cfnlint.lint(json.dumps(eu1), config=cfnlint.ManualArgs(regions=["eu-central-1"]))

    assert [f"{match.rule.id} {match.message}" for match in found] == []


def test_the_rest_api_has_the_name_that_its_alarm_watches(eu1: dict[str, Any]) -> None:
    api = eu1["Resources"]["RestAPI"]["Properties"]

    assert api.get("Name", api["DefinitionBody"]["info"]["title"]) == alarms.rest_api("eu1")


def test_functions_run_on_arm_when_a_stage_is_deployed(made: package.Package) -> None:
    resources = json.loads(made.template.read_text("utf-8"))["Resources"]
    architectures = {
        r["Properties"]["Architectures"][0] for r in resources.values() if r["Type"] == "AWS::Serverless::Function"
    }

    assert architectures == ({"x86_64"} if made.cell.name == "rehearsal" else {"arm64"})


def test_functions_know_their_cell_when_a_stage_is_packaged(made: package.Package) -> None:
    document = json.loads(made.template.read_text("utf-8"))
    functions = [r["Properties"] for r in document["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]

    functions = [f for f in functions if f["Handler"] != "tripwire.handler"]  # which is not the app's
    assert len(functions) == len(FUNCTIONS)
    for function in functions:
        variables = function["Environment"]["Variables"]
        assert variables["WAYBILL_CELL"] == made.cell.name
        assert variables["WAYBILL_COUNTRY"] == made.cell.country
        assert variables["WAYBILL_REGION"] == made.cell.region
    everywhere = document["Globals"]["Function"]["Environment"]["Variables"]
    assert everywhere["WAYBILL_OPERATOR_KEY_SHA256"] == {"Ref": "OperatorKeySha256"}


def test_the_archive_has_byte_code_beside_each_source_when_packaged(made: package.Package) -> None:
    with zipfile.ZipFile(made.archive) as archive:
        names = set(archive.namelist())

    assert {"app.py", "chalice/app.py"} <= names
    assert any(name.startswith("__pycache__/app.cpython-") for name in names)
    assert not any(name.split("/")[0] in ("pip", "setuptools", "tests", "infra") for name in names)


def test_archives_are_equal_when_packaged_twice(tmp_path: Path) -> None:
    first, second = (package.package("eu1", tmp_path / name, APP) for name in ("first", "second"))

    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert first.template.read_bytes() == second.template.read_bytes()


def _rename(d: dict[str, Any]) -> None:
    d["Resources"]["Route"]["Properties"]["FunctionName"] = "route"


def _unreported(d: dict[str, Any]) -> None:
    del d["Resources"]["Deliver"]["Properties"]["Events"]["DeliverSqsEventSource"]["Properties"][
        "FunctionResponseTypes"
    ]


def _window(d: dict[str, Any]) -> None:
    source = d["Resources"]["Route"]["Properties"]["Events"]["RouteSqsEventSource"]["Properties"]
    source["MaximumBatchingWindowInSeconds"] = 5


def _batch(d: dict[str, Any]) -> None:
    d["Resources"]["Route"]["Properties"]["Events"]["RouteSqsEventSource"]["Properties"]["BatchSize"] = 100


def _independent(d: dict[str, Any]) -> None:
    del d["Resources"]["DeadInbox"]["DependsOn"]


def _edge(d: dict[str, Any]) -> None:
    d["Resources"]["RestAPI"]["Properties"]["EndpointConfiguration"] = "EDGE"


def _text_only(d: dict[str, Any]) -> None:
    del d["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-binary-media-types"]


def _access_log(d: dict[str, Any]) -> None:
    d["Resources"]["RestAPI"]["Properties"]["AccessLogSetting"] = {"Format": "$context.path"}


def _execution_log(d: dict[str, Any]) -> None:
    d["Resources"]["RestAPI"]["Properties"]["MethodSettings"][0]["LoggingLevel"] = "INFO"


def _older_python(d: dict[str, Any]) -> None:
    d["Resources"]["Hooks"]["Properties"]["Runtime"] = "python3.11"


def _second_stage(d: dict[str, Any]) -> None:
    del d["Resources"]["RestAPI"]["Properties"]["OpenApiVersion"]


def _unbounded(d: dict[str, Any]) -> None:
    del d["Resources"]["Route"]["Properties"]["Events"]["RouteSqsEventSource"]["Properties"]["ScalingConfig"]


def _older_tripwire(d: dict[str, Any]) -> None:
    d["Resources"]["Tripwire"]["Properties"]["Runtime"] = "python3.11"


def _hooks_log(d: dict[str, Any]) -> None:
    d["Resources"]["HooksStage"]["Properties"]["AccessLogSettings"] = {"Format": "$context.path"}


def _wider_role(d: dict[str, Any]) -> None:
    role = d["Resources"]["HooksRole"]["Properties"]["Policies"][0]
    role["PolicyDocument"]["Statement"].append({"Effect": "Allow", "Action": "*", "Resource": "*"})


def _gone(d: dict[str, Any]) -> None:
    del d["Resources"]["Pump"]["Type"]


def _no_role(d: dict[str, Any]) -> None:
    del d["Resources"]["SweepRole"]


def _another_role(d: dict[str, Any]) -> None:
    d["Resources"]["ExtraRole"] = {"Type": "AWS::IAM::Role", "Properties": {}}


def _bucket(d: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = d["Resources"]["EvidenceBucket"]["Properties"]
    return found


def _denials(d: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = d["Resources"]["EvidenceBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    return {statement["Sid"]: statement for statement in found}


def _no_bucket(d: dict[str, Any]) -> None:
    del d["Resources"]["EvidenceBucket"]


def _no_bucket_policy(d: dict[str, Any]) -> None:
    del d["Resources"]["EvidenceBucketPolicy"]


def _unlocked(d: dict[str, Any]) -> None:
    del _bucket(d)["ObjectLockConfiguration"]


def _governed(d: dict[str, Any]) -> None:
    _bucket(d)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"] = "GOVERNANCE"


def _short_lock(d: dict[str, Any]) -> None:
    _bucket(d)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Years"] = 1


def _unversioned(d: dict[str, Any]) -> None:
    _bucket(d)["VersioningConfiguration"]["Status"] = "Suspended"


def _plain(d: dict[str, Any]) -> None:
    del _bucket(d)["BucketEncryption"]


def _public(d: dict[str, Any]) -> None:
    _bucket(d)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False


def _unretained(d: dict[str, Any]) -> None:
    del d["Resources"]["EvidenceBucket"]["DeletionPolicy"]


def _deletable(d: dict[str, Any]) -> None:
    _denials(d)["ObjectsStay"]["Action"].remove("s3:DeleteObject")


def _deletable_by_some(d: dict[str, Any]) -> None:
    _denials(d)["ObjectsStay"]["Condition"] = {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::1:role/some"}}


def _replaceable(d: dict[str, Any]) -> None:
    del _denials(d)["ObjectsAreWrittenOnce"]["Condition"]


FAULTS: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (_rename, "not name it after the cell"),
    (_unreported, "ReportBatchItemFailures"),
    (_window, "no batching window"),
    (_batch, "at most ten"),
    (_independent, "DependsOn"),
    (_unbounded, "without MaximumConcurrency"),
    (_second_stage, "a second stage"),
    (_edge, "REGIONAL"),
    (_text_only, "binary types"),
    (_access_log, "RestAPI: AccessLogSetting would write"),
    (_execution_log, "RestAPI: LoggingLevel would write"),
    (_older_python, "Hooks: runs on python3.11 and not on python3.13"),
    (_older_tripwire, "Tripwire: runs on python3.11"),
    (_hooks_log, "HooksStage: AccessLogSettings would write"),
    (_wider_role, "is not .chalice/policy-hooks.json"),
    (_gone, "no such function"),
    (_no_role, "SweepRole"),
    (_another_role, "without a policy of its own"),
    (_no_bucket, "is missing"),
    (_no_bucket_policy, "is missing"),
    (_unlocked, "are not locked"),
    (_governed, "are not locked"),
    (_short_lock, "less than 7 years"),
    (_unversioned, "without versions"),
    (_plain, "not encrypted"),
    (_public, "to the public"),
    (_unretained, "go with its stack"),
    (_deletable, "s3:DeleteObject is not denied"),
    (_deletable_by_some, "is not denied to everybody"),
    (_replaceable, "written over"),
]


@pytest.mark.parametrize(("spoil", "words"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_a_fault_is_found_when_a_template_has_one(
    eu1: dict[str, Any], spoil: Callable[[dict[str, Any]], None], words: str
) -> None:
    spoilt = copy.deepcopy(eu1)
    spoil(spoilt)

    faults = list(inspection.template_faults(spoilt, template.cell_of("eu1"), FUNCTIONS))

    assert len(faults) == 1
    assert words in faults[0]


def test_no_fault_is_found_when_a_template_is_sound(eu1: dict[str, Any]) -> None:
    assert list(inspection.template_faults(eu1, template.cell_of("eu1"), FUNCTIONS)) == []


def _archive(members: dict[str, bytes]) -> zipfile.ZipFile:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        for name, content in members.items():
            written.writestr(name, content)
    return zipfile.ZipFile(stream)


def _elf(machine: int) -> bytes:
    return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"app.py": b"", "a.so": _elf(0x3E)}, "a.so is compiled for another machine than arm64"),
        ({"app.py": b"", "bin/tool": _elf(0x3E)}, "bin/tool is compiled for another machine"),
        ({"a.so": _elf(0xB7)}, "app.py is missing"),
        ({"app.py": b"", "pip/__init__.py": b""}, "pip does not belong"),
    ],
)
def test_a_fault_is_found_when_an_archive_has_one(members: dict[str, bytes], words: str) -> None:
    archive = _archive(members)

    faults = list(inspection.archive_faults(archive, "arm64"))

    assert len(faults) == 1
    assert words in faults[0]


def test_no_fault_is_found_when_compiled_code_is_for_the_functions_machine() -> None:
    archive = _archive({"app.py": b"", "a.so": _elf(0xB7)})

    faults = list(inspection.archive_faults(archive, "arm64"))

    assert faults == []


def test_packaging_says_why_when_the_app_does_not_import(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import a_module_that_is_not_there\n", "utf-8")

    with pytest.raises(package.BadPackage, match="a_module_that_is_not_there"):
        package.package("eu1", tmp_path / "out", tmp_path)


def test_packaging_is_refused_when_the_python_is_not_that_of_the_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / package.LOCK).write_text("idna==3.20 \\\n    --hash=sha256:00\n", "utf-8")
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))

    with pytest.raises(package.BadPackage, match=r"run on python3\.13 and this is python3\.12: run `make clean`"):
        package.package("eu1", tmp_path / "out", tmp_path)


@pytest.mark.parametrize(("version", "fits"), [((3, 13), True), ((3, 12), False), ((3, 11), False), ((3, 14), False)])
def test_only_the_functions_python_packages(version: tuple[int, int], fits: bool) -> None:
    assert (package.interpreter_fault(version) is None) is fits


def test_every_function_runs_on_one_python_when_a_stage_is_packaged(made: package.Package) -> None:
    resources = json.loads(made.template.read_text("utf-8"))["Resources"]

    runtimes = {n: r["Properties"]["Runtime"] for n, r in resources.items() if r["Type"].endswith("::Function")}

    assert {"Hooks", "Tripwire"} < runtimes.keys()
    assert set(runtimes.values()) == {template.RUNTIME}


def test_packaging_is_refused_when_a_hash_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").write_text((APP / "app.py").read_text("utf-8"), "utf-8")
    wheel = _wheel(tmp_path, "tiny", "1.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(package, "interpreter_fault", lambda version: None)
    lock = tmp_path / package.LOCK

    lock.write_text(f"tiny==1.0 \\\n    --hash=sha256:{hashlib.sha256(wheel).hexdigest()}\n", "utf-8")
    made = package.package("eu1", tmp_path / "right", tmp_path)
    lock.write_text(f"tiny==1.0 \\\n    --hash=sha256:{'0' * 64}\n", "utf-8")
    with pytest.raises(package.BadPackage, match="DO NOT MATCH THE HASHES"):
        package.package("eu1", tmp_path / "wrong", tmp_path)

    with zipfile.ZipFile(made.archive) as archive:
        assert "tiny.py" in archive.namelist()
        bill = json.loads(archive.read(sbom.NAME))
    assert [(c["name"], c["version"], c["licenses"]) for c in bill["components"]] == [
        ("tiny", "1.0", [{"license": {"id": "MIT"}}])
    ]
    assert (tmp_path / "right" / sbom.NAME).read_text("utf-8") == json.dumps(bill, indent=1)


def _wheel(folder: Path, name: str, version: str) -> bytes:
    """Write a wheel of one module."""
    info = f"{name}-{version}.dist-info"
    about = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", about)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return (folder / f"{name}-{version}-py3-none-any.whl").read_bytes()
