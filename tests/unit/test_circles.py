"""No module imports itself through others: not at its top, not inside a function, not for types only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("chalicelib", "infra", "simulation", "faults", "benchmarks")
Graph = Mapping[str, set[str]]


def name_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, package: str, modules: set[str]) -> Iterator[str]:
    """Yield the modules that a module names in its imports, wherever they stand in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                one = f"{base}.{alias.name}"
                yield from (found for found in [one if one in modules else base] if found in modules)


def graph(root: Path, packages: tuple[str, ...]) -> Graph:
    paths = {name_of(path, root): path for package in packages for path in (root / package).rglob("*.py")}
    return {
        name: set(
            imported(
                ast.parse(path.read_text("utf-8")),
                name if path.stem == "__init__" else name.rpartition(".")[0],
                set(paths),
            )
        )
        for name, path in paths.items()
    }


def circles(edges: Graph) -> list[list[str]]:
    """Return the strongly connected components of more than one module, by Tarjan's algorithm."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in edges[name]:
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            component = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(component) > 1:
                found.append(sorted(component))

    for name in edges:
        if name not in order:
            visit(name)
    return sorted(found)


def test_no_module_imports_itself_through_others() -> None:
    edges = graph(ROOT, PACKAGES)

    assert all(any(name.startswith(package) for name in edges) for package in PACKAGES)
    assert circles(edges) == []


def test_each_circle_is_found_whole() -> None:
    edges = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a", "f"}}

    assert circles(edges) == [["a", "b", "c"], ["d", "e"]]


def test_a_circle_is_found_when_its_imports_are_late_or_for_types_only(tmp_path: Path) -> None:
    folder = tmp_path / "house" / "room"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from .table import LEGS\n")
    (folder / "table.py").write_text("def f():\n    from ..lamp import light\n")
    (folder.parent / "lamp.py").write_text("if TYPE_CHECKING:\n    import house.room.chair\n")
    (folder / "chair.py").write_text("from . import table, LEGS\n")

    edges = graph(tmp_path, ("house",))

    assert edges["house.room.chair"] == {"house.room.table", "house.room"}
    assert circles(edges) == [["house.lamp", "house.room", "house.room.chair", "house.room.table"]]
