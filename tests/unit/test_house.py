"""The rules of the house, kept by the code itself: layers, purity, pins, sizes, files that must say the same."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = sorted(
    path
    for part in ("app.py", "cli.py", "chalicelib", "infra", "simulation", "benchmarks", "faults", "tools", "tests")
    for path in ([ROOT / part] if part.endswith(".py") else (ROOT / part).rglob("*.py"))
)
PRODUCT = [p for p in CODE if p.relative_to(ROOT).parts[0] in ("app.py", "cli.py", "chalicelib", "infra")]
PURE = [p for p in PRODUCT if p.relative_to(ROOT).parts[:2] in (("chalicelib", "core"), ("chalicelib", "channels"))]
LINES_MAX = 400
ONE_FILE = {"tools/waybill_verify.py": 650}
"""A second opinion is one file that anyone can copy and read."""
PURE_IMPORTS = {
    "pydantic", "rfc8785",
    "jmespath.exceptions", "jmespath.functions", "jmespath.lexer", "jmespath.parser", "jmespath.visitor",
    "__future__", "base64", "binascii", "bisect", "calendar", "collections", "collections.abc", "copy", "dataclasses", "difflib",
    "datetime", "decimal", "email", "email.errors", "email.header", "email.headerregistry", "email.message", "email.parser",
    "email.policy", "email.utils", "enum", "functools", "hashlib", "heapq", "hmac", "html", "html.entities", "html.parser", "http", "importlib",
    "ipaddress", "itertools", "json", "math", "operator", "pathlib", "re", "string", "tomllib", "types", "typing",
    "unicodedata", "urllib.parse", "xml.etree.ElementTree", "xml.parsers", "zlib", "zoneinfo",
}  # fmt: skip
"""The packages that pure modules may import. ``pathlib`` is for the one file that is read when a module is loaded."""
IMPURE_CALLS = {
    "now", "utcnow", "today", "monotonic", "perf_counter", "sleep", "uuid1", "uuid4", "urandom", "getrandbits",
    "randbytes", "randint", "token_bytes", "token_hex", "getenv", "print", "open", "input", "getLogger", "generate", "generate_key",
    "write_text", "write_bytes", "unlink", "mkdir", "gmtime", "localtime",
}  # fmt: skip
"""Names that no pure module calls: clocks, randomness, environment, files, output."""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_layers_are_kept_when_the_imports_are_followed(capfd: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)

    assert status == EXIT_STATUS_SUCCESS, capfd.readouterr().out


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module


def test_nothing_that_is_packaged_imports_what_is_not() -> None:
    tools = {"cli", "infra", "tests", "simulation", "benchmarks", "faults", "tools"}
    packaged = [p for p in PRODUCT if relative(p) == "app.py" or relative(p).startswith("chalicelib/")]
    found = [f"{relative(p)}: {m}" for p in packaged for m in imported(parsed(p)) if m.split(".")[0] in tools]

    assert found == []


def pure(module: str) -> bool:
    return module in PURE_IMPORTS or module.split(".")[0] == "cryptography"


def test_only_few_modules_are_imported_when_a_module_is_pure() -> None:
    found = {f"{relative(p)}: {m}" for p in PURE for m in imported(parsed(p)) if not pure(m)}

    assert found == set()


def test_second_opinion_needs_nothing_but_python() -> None:
    found = {m for p in CODE if relative(p).startswith("tools/") for m in imported(parsed(p))}

    assert found
    assert {m for m in found if m.split(".")[0] not in sys.stdlib_module_names} == set()


def called(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield node.lineno, name


def test_no_clock_randomness_or_file_is_called_when_a_module_is_pure() -> None:
    found = [f"{relative(p)}:{line}: {name}" for p in PURE for line, name in called(parsed(p)) if name in IMPURE_CALLS]

    assert found == []


def test_purity_is_broken_when_a_clock_is_read() -> None:
    tree = ast.parse(
        "import time\nfrom datetime import datetime\ndef f():\n    return datetime.now(), time.monotonic()"
    )

    assert [name for _, name in called(tree) if name in IMPURE_CALLS] == ["now", "monotonic"]
    assert [m for m in imported(tree) if not pure(m)] == ["time"]


def test_flows_take_time_and_randomness_from_the_shell() -> None:
    flows = [p for p in PRODUCT if relative(p).startswith("chalicelib/flow/")]

    assert flows
    assert [
        f"{relative(p)}: {m}" for p in flows for m in imported(parsed(p)) if m in {"time", "random", "secrets"}
    ] == []


def test_calls_run_at_once_only_through_the_threads_of_the_runtime() -> None:
    found = {relative(p) for p in PRODUCT for m in imported(parsed(p)) if m == "concurrent.futures"}

    assert {path for path in found if path.startswith("chalicelib/")} == {"chalicelib/threads.py"}


def test_the_soak_and_the_simulation_replace_nothing_in_the_product() -> None:
    harness = [p for p in CODE if relative(p).startswith(("faults/", "simulation/"))]
    found = [f"{relative(p)}:{line}" for p in harness for line, name in called(parsed(p)) if name == "setattr"]

    assert [place.partition(":")[0] for place in found] == ["simulation/client.py"]  # its own attributes, as a cache


def test_no_fault_is_swallowed_in_silence() -> None:
    found = [
        f"{relative(path)}:{handler.lineno}"
        for path in PRODUCT
        for handler in ast.walk(parsed(path))
        if isinstance(handler, ast.ExceptHandler)
        and (handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in BROAD))
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in handler.body)
    ]

    assert found == []


BROAD = {"Exception", "BaseException"}


def test_every_module_says_what_it_is_for() -> None:
    assert [relative(p) for p in PRODUCT if not ast.get_docstring(parsed(p))] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "manager", "service", "misc"}

    assert [relative(p) for p in CODE if p.stem in nothing] == []


def test_names_of_test_modules_are_unique() -> None:
    names = [p.name for p in CODE if relative(p).startswith("tests/") and p.name.startswith("test_")]

    assert [name for name in set(names) if names.count(name) > 1] == []


def test_nothing_is_imported_from_a_test_module_when_it_is_shared() -> None:
    found = [
        f"{relative(p)}: {m}"
        for p in CODE
        if relative(p).startswith("tests/") and p.parent.name != "e2e"
        for m in imported(parsed(p))
        if m.rpartition(".")[2].startswith("test_")
    ]

    assert found == []


def test_no_optional_part_of_a_module_is_looked_up_by_its_name() -> None:
    rooms = ("channels", "destinations", "flow", "commands")
    found = [
        f"{relative(p)}:{node.lineno}"
        for p in PRODUCT
        if relative(p).startswith(tuple(f"chalicelib/{room}/" for room in rooms))
        for node in ast.walk(parsed(p))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr")
        if isinstance(node.args[1], ast.Constant)
    ]

    assert found == []


def test_files_are_short() -> None:
    lengths = {relative(p): len(p.read_text("utf-8").splitlines()) for p in CODE}

    limits = {n: ONE_FILE.get(n, LINES_MAX) for n in lengths}

    assert {name: length for name, length in lengths.items() if length > limits[name]} == {}


def test_no_file_names_a_place_of_one_machine() -> None:
    places = re.compile(r"(?<![\w.{}/-])/(?:work|home|Users|root|opt)/[\w.-]+")
    files = [*CODE, *documents(), ROOT / "Makefile", ROOT / "pyproject.toml", *(ROOT / ".chalice").glob("*.json")]
    found = [f"{relative(p)}: {m.group()}" for p in files for m in places.finditer(p.read_text("utf-8"))]

    assert found == []


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


# Requirements


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [Requirement(line.removesuffix("\\")) for line in lines if line and not line.startswith(("#", "-", " "))]


def pins() -> dict[str, str]:
    found: dict[str, str] = {}
    for requirement in requirements("requirements.lock"):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", str(requirement)
        found[canonicalize_name(requirement.name)] = specifier.version
    return found


ALL = ("requirements.txt", "requirements-serve.txt", "requirements-dev.txt")


@pytest.mark.parametrize("name", ALL)
def test_requirements_are_pinned_exactly_and_as_the_lock_says(name: str) -> None:
    for requirement in requirements(name):
        operators = [(s.operator, s.version) for s in requirement.specifier]
        assert operators == [("==", pins()[canonicalize_name(requirement.name)])], str(requirement)


def extras() -> dict[str, set[str]]:
    """Return the pins of the project's dependencies ("") and of each extra, with those of the extras that it includes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, set[str]] = {"": set(project["dependencies"])}
    for name, texts in project["optional-dependencies"].items():
        included = [found[extra] for text in texts for extra in Requirement(text).extras if text.startswith("waybill[")]
        found[name] = {t for t in texts if not t.startswith("waybill[")}.union(*included)
    return found


def test_the_project_depends_on_what_the_requirement_files_pin() -> None:
    pinned = {name: {str(r) for r in requirements(name)} for name in ALL}
    packages = {name: {str(Requirement(text)) for text in texts} for name, texts in extras().items()}

    assert packages[""] | packages["cell"] == pinned["requirements.txt"]
    assert packages["serve"] - packages["cell"] == pinned["requirements-serve.txt"]
    assert packages["local"] | packages["report"] <= set().union(*pinned.values())
    assert packages["verify"] == set()


def test_what_builds_the_wheel_is_what_the_tests_build_it_with() -> None:
    system = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]

    assert set(system["requires"]) <= {str(r) for r in requirements("requirements-dev.txt")}


def closure(roots: list[Requirement]) -> set[str]:
    """Everything that is installed for these requirements."""
    todo, seen = list(roots), set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, *sorted(requirement.extras)) in seen:
            continue
        seen.add((name, *sorted(requirement.extras)))
        for text in importlib.metadata.distribution(name).requires or ():
            wanted = Requirement(text)
            extras = {"", *requirement.extras}
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(wanted)
    return {key[0] for key in seen}


def test_everything_that_is_required_indirectly_is_pinned() -> None:
    needed = closure([r for name in ALL for r in requirements(name)])

    assert set(pins()) ^ needed == set()


def hashes(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return the version and the hashes of each requirement of a lock file, by name."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for block in re.split(r"(?m)^(?=\w)", (ROOT / name).read_text("utf-8"))[1:]:
        requirement = Requirement(block.split("\\\n", 1)[0])
        hashed = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block)
        found[canonicalize_name(requirement.name)] = (str(requirement.specifier), frozenset(hashed))
    return found


def test_every_pin_has_its_hashes_and_no_index_is_named() -> None:
    for name in ("requirements.lock", "requirements-cell.lock", "requirements-serve.lock"):
        assert [n for n, (_, hashed) in hashes(name).items() if not hashed] == []
        assert "://" not in (ROOT / name).read_text("utf-8")


def test_packages_hold_what_the_functions_require_as_it_is_locked() -> None:
    packaged, everything = hashes("requirements-cell.lock"), hashes("requirements.lock")
    needed = closure([r for r in requirements("requirements.txt") if r.name != "chalice"])

    assert set(packaged) == needed
    assert {name: everything[name] for name in packaged} == packaged


@pytest.mark.parametrize("name", ALL)
def test_every_requirement_has_its_reason(name: str) -> None:
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)", page, re.MULTILINE))

    assert {canonicalize_name(r.name) for r in requirements(name)} - rows == set()


def test_what_runs_is_licensed_permissively() -> None:
    allowed = re.compile(
        r"^(MIT|MIT-0|Apache-2\.0|Apache License 2\.0|BSD-3-Clause|BSD-2-Clause|PSF-2\.0|ZPL-2\.1|ZPL 2\.1|Dual License)$"
    )
    running = requirements("requirements.txt") + requirements("requirements-serve.txt")
    packaged = closure([r for r in running if r.name != "chalice"])

    for name in packaged:
        terms = re.split(r" OR | AND ", licence(name))
        assert all(allowed.match(term) for term in terms), f"{name}: {licence(name)}"


def licence(name: str) -> str:
    metadata = importlib.metadata.metadata(name)
    classifiers = [c for c in metadata.get_all("Classifier") or () if c.startswith("License :: OSI Approved ::")]
    by_classifier = {"Apache Software License": "Apache-2.0", "MIT License": "MIT", "BSD License": "BSD-3-Clause"}
    words = metadata.json.get("license_expression") or metadata.json.get("license")
    return str(words) if words else by_classifier[classifiers[0].rpartition(":: ")[2]]


# Files that must say the same


def test_licence_is_the_one_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "LICENSE").read_text("utf-8")

    assert project["license"] == "Apache-2.0"
    assert text.lstrip().startswith("Apache License")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_changelog_knows_the_present_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    headings = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert headings[0] == "Unreleased" or headings[0] == version
    assert version in headings


def test_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    described = re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)

    assert sorted(phony.group(1).split()) == sorted(described)
