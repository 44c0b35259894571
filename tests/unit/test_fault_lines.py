"""Every line about a fault names what it is about: by its own fields, or inside a block that names it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCKS = {"about", "about_each"}
IN_CONTEXT: Mapping[str, str] = {
    "api.endpoint:_answered": "_handle names the key's tenant, and the ids in the path",
    "flow.dead:end_event": "its callers go through messages in turn",
    "flow.hooks.receive:_handle": "handle names the source, and this function its tenant",
    "flow.sealing.seal:_retry_later": "its caller goes through messages in turn",
    "flow.alone:_one": "its caller goes through messages in turn",
    "flow.messages:_not_ended": "its callers go through messages in turn",
    "flow.messages:forget_beginnings": "its callers go through messages in turn",
    "flow.retention.objects:handle": "a bucket holds the objects of all tenants",
    "flow.retention.people:_shard": "an index lists people of all tenants; the line names its slot",
    "flow.seal_requests:notify_sealer_or_log": "the API names the tenant, hooks the source, jobs have their own line",
}
"""Functions that log inside a block of their callers: how it gets its ids."""


def sites() -> Iterator[tuple[str, str, bool]]:
    """Yield each call that logs a fault: its function, the name of the line, and whether its ids are there to be seen."""
    for path in sorted((ROOT / "chalicelib").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "chalicelib").with_suffix("").parts)
        if module != "observe":
            yield from _sites(ast.parse(path.read_text("utf-8")), module, "", False)


def _sites(node: ast.AST, module: str, function: str, named: bool) -> Iterator[tuple[str, str, bool]]:
    for child in ast.iter_child_nodes(node):
        inner, known = function, named
        if isinstance(child, ast.FunctionDef):
            inner, known = child.name, False
        elif isinstance(child, ast.For | ast.With):
            heads = [child.iter] if isinstance(child, ast.For) else [item.context_expr for item in child.items]
            known = named or any(_calls(head, BLOCKS) for head in heads)
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id in ("error", "warning"):
            fields = {keyword.arg for keyword in child.keywords}
            yield f"{module}:{function}", ast.unparse(child.args[0]), named or "tenant" in fields
        yield from _sites(child, module, inner, known)


def _calls(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in names for n in ast.walk(node))


def test_every_line_about_a_fault_says_what_it_is_about() -> None:
    found = list(sites())

    assert len(found) > 30
    assert [(function, line) for function, line, named in found if not named and function not in IN_CONTEXT] == []


def test_no_exception_is_kept_for_a_function_that_needs_none() -> None:
    assert {function for function, _, named in sites() if not named} == set(IN_CONTEXT)
