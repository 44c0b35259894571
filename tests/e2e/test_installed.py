"""The installed command: a wheel is built without a network, and its entry point runs in an empty directory."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.commands.main import COMMANDS
from tests.fixtures.audit import make
from tests.support.bundles import full

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SOURCES = ("app.py", "chalicelib", "infra", "pyproject.toml", "README.md", "LICENSE")
PLAN = (ROOT / "docs" / "cli.md").read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
REQUEST = {
    "channel": "telegram", "headers": {"x-telegram-bot-api-secret-token": "s3cret"}, "secret": {"secret_token": "s3cret"},
    "body": '{"update_id": 1}', "now": "2026-03-02T09:50:00Z",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel installed in it, and nothing else."""
    checkout, wheels, site = (tmp_path_factory.mktemp(name) for name in ("checkout", "wheels", "site"))
    for name in SOURCES:
        source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, checkout / name, ignore=ignored)
        else:
            shutil.copy(source, checkout / name)
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(wheels), str(checkout)]
    install = [
        *pip,
        "install",
        "--no-deps",
        "--no-index",
        "--find-links",
        str(wheels),
        "--target",
        str(site),
        "waybill",
    ]
    for command in (build, install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return site


def needed(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that are installed for these requirements of ours."""
    todo = [Requirement(text) for text in requirements]
    found: set[str] = set()
    while todo:
        requirement = todo.pop()
        if canonicalize_name(requirement.name) not in found:
            found.add(canonicalize_name(requirement.name))
            wanted = map(Requirement, importlib.metadata.distribution(requirement.name).requires or ())
            todo += [w for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def auditor(site: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command with no other packages than ``pip install waybill`` brings."""
    packages = tmp_path_factory.mktemp("packages")
    for name in needed(PROJECT["dependencies"]):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    code = f"import sys; sys.path[:0] = {[str(site), str(packages)]!r}; from infra.commands.main import main; sys.exit(main())"
    return [sys.executable, "-I", "-S", "-c", code]


def run(command: list[str], folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, timeout=60, check=False)


def entry_point(site: Path) -> tuple[str, dict[str, str]]:
    """Return the script that pip made, and the environment in which it finds the wheel."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))}
    return str(site / "bin" / "waybill"), {**kept, "PYTHONPATH": str(site)}


def test_the_command_names_its_version(site: Path, tmp_path: Path) -> None:
    script, environment = entry_point(site)

    done = subprocess.run(
        [script, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout == f"waybill {PROJECT['version']}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_without_its_extra(auditor: list[str], tmp_path: Path, name: str) -> None:
    done = run([*auditor, name, "--help"], tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: waybill {name} ")
    for part in ("\ninput:\n", "\nexample:\n", "\nexit codes:\n   0  "):
        assert part in done.stdout


def test_an_auditor_verifies_a_bundle_with_few_packages(auditor: list[str], tmp_path: Path) -> None:
    (tmp_path / "bundle.tar").write_bytes(make.tar(full()))

    done = run([*auditor, "verify", "bundle.tar", "--vkey", make.SIGNER.vkey], tmp_path)

    assert (done.returncode, done.stdout[:3]) == (0, "OK:"), done.stderr
    assert len(needed(PROJECT["dependencies"])) <= 12


@pytest.mark.parametrize(
    ("arguments", "given", "code", "part"),
    [
        (["decide"], "{}\n", 0, '"decision":"deny"'),
        (["explain"], "{}\n", 0, '"why":'),
        (["normalise"], json.dumps(REQUEST) + "\n", 0, '"verdict":"ignored"'),
        (["match"], '{"pattern": {"kind": ["a"]}, "event": {"kind": "a"}}\n', 0, '{"match":true}'),
        (["selfcheck", "--today", "2026-11-22"], "", 0, "0 stale"),
        (["preflight", "plan.toml"], "", 0, "allowed"),
        (["what-if", "--law", "draft", "--bundle", "bundle.tar"], "", 0, "Nothing would change."),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_offline_commands_run_with_few_packages(
    auditor: list[str], tmp_path: Path, arguments: list[str], given: str, code: int, part: str
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, "utf-8")
    (tmp_path / "bundle.tar").write_bytes(make.tar(full()))
    (tmp_path / "draft").mkdir()

    done = run([*auditor, *arguments], tmp_path, given)

    assert (done.returncode, done.stderr) == (code, "")
    assert part in done.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["local"], "local"),
        (["serve", "--check"], "serve"),
        (["report", "--url", "https://cell.example", "--key-file", "key"], "report"),
    ],
)
def test_a_command_names_the_extra_that_is_missing(
    auditor: list[str], tmp_path: Path, arguments: list[str], extra: str
) -> None:
    done = run([*auditor, *arguments], tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"is not installed; install waybill[{extra}]\n")
    assert done.stderr.count("\n") == 1


def test_a_cell_runs_from_the_wheel(site: Path, tmp_path: Path) -> None:
    script, environment = entry_point(site)
    with subprocess.Popen(
        [script, "local"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            ready = process.stdout.readline()
            assert json.loads(ready or "{}").get("ready"), process.stderr.read()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_packaging_says_that_it_needs_a_checkout(site: Path, tmp_path: Path) -> None:
    environment = entry_point(site)[1]
    command = [sys.executable, "-m", "infra.deploy.package", "eu1", str(tmp_path / "out")]

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "packaging and deploying need a checkout: an installed waybill has no .chalice/config.json\n"
