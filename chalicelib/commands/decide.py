"""``waybill decide`` and ``waybill explain``: facts in, decisions out, one JSON line for one; no network, no store, no credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import law as laws
from ..core.explain.explanation import explain
from ..core.law.loader import FINES, Law, load_law
from ..core.law.residency import decide, refuse

_NOT_JSON = "not a line of JSON with every key once"


def load(folder: str | Path | None) -> Law:
    """Load the law files of a folder, or the installed ones.

    ``any.toml`` and ``fines.toml`` are the installed ones where the folder has none: the guardrails always apply. Folders
    below, such as drafts, are not looked into.

    Raises:
        LawRefused: with every fault.
        OSError: the folder cannot be read.
        UnicodeDecodeError: a file is not UTF-8.
    """
    if folder is None:
        return laws.installed()
    installed = {name: text for name, text in laws.texts().items() if name in ("any.toml", FINES)}
    given = {path.name: path.read_text(encoding="utf-8") for path in Path(folder).iterdir() if path.suffix == ".toml"}
    return load_law({**installed, **given})


def answer(line: str, law: Law, strict: bool = False) -> dict[str, Any]:
    """Decide one line. A line that is not a facts object is denied, with ``error`` saying why."""
    try:
        facts = _facts(line)
    except (ValueError, RecursionError):
        return refuse(law, _NOT_JSON).document()
    return decide(facts, law, strict=strict).document()


def explained(line: str, law: Law, strict: bool = False) -> dict[str, Any]:
    """Decide one line as ``answer`` does, and explain the decision."""
    try:
        facts = _facts(line)
    except (ValueError, RecursionError):
        return {**explain(None, law), "error": _NOT_JSON}
    return explain(facts, law, strict=strict)


def _facts(line: str) -> Any:
    return json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("not a number of JSON")
