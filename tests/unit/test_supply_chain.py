"""The bill of materials names every dependency and its licence, and the advisory check trusts no empty index."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.deploy import sbom
from tools import advisories


def distribution(folder: Path, name: str, version: str, *more: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = ("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *more)
    (info / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")


def test_bill_names_each_dependency_its_licence_and_its_needs(tmp_path: Path) -> None:
    distribution(tmp_path, "Upper_Name", "1.0", "License-Expression: Apache-2.0 OR MIT", "Requires-Dist: lower>=2")
    distribution(tmp_path, "lower", "2.1", "License: BSD License, with words of its own")

    text = sbom.bill_of(tmp_path, "eu1")

    bill = json.loads(text)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert [c["purl"] for c in bill["components"]] == ["pkg:pypi/lower@2.1", "pkg:pypi/upper-name@1.0"]
    assert bill["components"][1]["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    needs = {d["ref"]: d.get("dependsOn", []) for d in bill["dependencies"]}
    assert needs["pkg:pypi/upper-name@1.0"] == ["pkg:pypi/lower@2.1"]
    assert sbom.bill_of(tmp_path, "eu1") == text


def answer(name: str, *vulns: str) -> str:
    found = [{"id": v, "fix_versions": ["9"]} for v in vulns]
    return json.dumps({"dependencies": [{"name": name, "version": "1", "vulns": found}], "fixes": []})


PROBED = answer("urllib3", "PYSEC-2021-108")


@pytest.mark.parametrize(
    ("probe", "pins", "code", "words"),
    [
        (PROBED, answer("idna"), 0, ["requirements-cell.lock: no advisory is known"]),
        (PROBED, answer("idna", "PYSEC-1"), 1, ["requirements-cell.lock: idna 1: PYSEC-1, mended in 9"]),
        (PROBED, "", 0, ["requirements-cell.lock: not checked"]),
        (answer("urllib3"), answer("idna"), 0, ["not checked: the package index here has no advisories"]),
        ("", answer("idna"), 0, ["not checked: the package index here has no advisories"]),
    ],
)
def test_advisories_are_reported_and_an_empty_index_is_not_trusted(
    capsys: pytest.CaptureFixture[str], probe: str, pins: str, code: int, words: list[str]
) -> None:
    def run(lock: Path) -> subprocess.CompletedProcess[str]:
        probing = "urllib3" in lock.read_text("utf-8") and "--hash" not in lock.read_text("utf-8")
        return subprocess.CompletedProcess([], 0, stdout=probe if probing else pins, stderr="")

    assert advisories.main(run) == code
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)


def test_a_lock_is_not_reported_as_clean_when_pip_audit_takes_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    def run(lock: Path) -> Any:
        if "--hash" in lock.read_text("utf-8"):
            raise subprocess.TimeoutExpired([], 1)
        return subprocess.CompletedProcess([], 0, stdout=PROBED, stderr="")

    assert advisories.main(run) == 0
    assert "is known" not in capsys.readouterr().out
