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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import sbom
from .classes import STANDARD, table_class
from .inspection import archive_faults, template_faults
from .locks import COMPLIANCE, creatable, evidence_lock
from .rolling import rolling
from .template import (
    ROOT,
    RUNTIME,
    Cell,
    Document,
    UnknownStage,
    cell_of,
    fill,
    fragment,
    policy,
    stages,
)

# Lambda's python3.13 runs on Amazon Linux 2023, with glibc 2.34. A wheel names the oldest glibc that it takes.
# Source: https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html (read 2026-11-30)
_GLIBC: Final = ("manylinux2014", "manylinux_2_28", "manylinux_2_34")
_WHEELS_OF: Final = {"x86_64": "x86_64", "arm64": "aarch64"}


TRIPWIRE: Final = Path(__file__).with_name("tripwire.py")
"""The one function that Chalice does not make. It shares the archive, and with it the pinned SDK."""
LOCK: Final = "requirements-cell.lock"
"""The file of everything that is packaged beside the app, with its hashes."""


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
    evidence_lock: str = COMPLIANCE
    table_class: str = STANDARD


def package(stage: str, out: Path, project: Path = ROOT, *, requirements: bool = True) -> Package:
    """Make ``template.json``, ``deployment.zip`` and ``sbom.cdx.json`` in ``out`` for a stage, and check them.

    Args:
        project: where ``app.py`` and its requirements are.
        requirements: False leaves the dependencies out, to see the template only.

    Raises:
        UnknownStage: there is no such stage.
        BadPackage: Chalice failed, its result has faults, or this Python is not that of the functions.
    """
    cell = cell_of(stage)
    if requirements and _locked(project / LOCK) and (fault := interpreter_fault(sys.version_info[:2])):
        raise BadPackage([fault])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="waybill-package-") as scratch:
        staged = Path(scratch) / "project"
        functions = _stage(project, staged, cell)
        if requirements:
            _vendor(project / LOCK, staged, _architecture(staged, stage))
        bill = sbom.bill_of(staged / "vendor", cell.name)
        (staged / "vendor" / sbom.NAME).write_text(bill, "utf-8")  # in the archive's root
        shutil.copy(TRIPWIRE, staged / "vendor" / TRIPWIRE.name)
        merge = Path(scratch) / "resources.json"
        merge.write_text(json.dumps(fragment(cell)), "utf-8")
        _run_chalice(stage, cell, staged, merge, Path(scratch) / "out")
        template = json.loads((Path(scratch) / "out" / "sam.json").read_text("utf-8"))
        for function in _functions(template):
            function["Properties"]["Runtime"] = RUNTIME  # Chalice writes the interpreter that it runs on
            function["Properties"].setdefault(
                "Architectures", template["Resources"]["Hooks"]["Properties"]["Architectures"]
            )
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
    (out / sbom.NAME).write_text(bill, "utf-8")
    return Package(cell, path, archive, archive.stat().st_size, unzipped, evidence_lock(stage), table_class(stage))


def _stage(project: Path, staged: Path, cell: Cell) -> list[str]:
    """Copy what Chalice packages, with the cell's policies beside it; return the functions' names."""
    (staged / ".chalice").mkdir(parents=True)
    shutil.copy(project / "app.py", staged / "app.py")
    (staged / "requirements.txt").write_text("", "utf-8")  # Chalice's pip compares no hashes: see _vendor
    (staged / "vendor").mkdir()
    (staged / "chalicelib").mkdir()
    if (project / "chalicelib").is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(project / "chalicelib", staged / "chalicelib", ignore=ignored, dirs_exist_ok=True)
    config = fill((ROOT / ".chalice" / "config.json").read_text("utf-8"), cell)
    (staged / ".chalice" / "config.json").write_text(config, "utf-8")
    functions: Mapping[str, Mapping[str, str]] = json.loads(config)["lambda_functions"]
    for name, settings in functions.items():
        (staged / ".chalice" / settings["iam_policy_file"]).write_text(json.dumps(policy(name, cell)), "utf-8")
    return list(functions)


def _locked(lock: Path) -> list[str]:
    """Read the requirements of a lock file. There are none where a project has no lock file."""
    lines = lock.read_text("utf-8").splitlines() if lock.exists() else []
    return [line.split(" ", 1)[0] for line in lines if line[:1].isalpha()]


def _architecture(staged: Path, stage: str) -> str:
    config: Document = json.loads((staged / ".chalice" / "config.json").read_text("utf-8"))
    found: str = config["stages"][stage].get("lambda_architecture", config["lambda_architecture"])
    return found


def _vendor(lock: Path, staged: Path, architecture: str) -> None:
    """Install the locked wheels of the functions' platform into ``vendor/``, which Chalice packages as it is.

    Chalice adds its own runtime, two files. As a requirement it would bring its command line, pip and setuptools.

    Raises:
        BadPackage: pip failed: a hash differs, or a wheel is missing.
    """
    if not _locked(lock):
        return
    platforms = [f"--platform={glibc}_{_WHEELS_OF[architecture]}" for glibc in _GLIBC]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version", RUNTIME.removeprefix("python")),
        *("--target", str(staged / "vendor"), *platforms, "-r", str(lock)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise BadPackage([f"pip ended with {done.returncode}:", *(done.stdout + done.stderr).splitlines()])


def interpreter_fault(version: tuple[int, int]) -> str | None:
    """Say why this Python cannot package for the functions' Python; None where it can.

    Byte code is for the Python that writes it.
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
            deployed = json.dumps(creatable(rolling(json.loads(made.template.read_text("utf-8")), shift=True)))
            matches = cfnlint.lint(deployed, config=config)
            faults += [f"{stage}: {match.rule.id} {match.message}" for match in matches]
    return faults


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
