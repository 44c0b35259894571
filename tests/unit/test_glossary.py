"""The glossary and the code use the same words: a class name ends in a term, and no two classes share a name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRESCRIBED = {"Config", "Credentials", "Secret"}
"""Every destination kind has a ``Config``, every channel a ``Secret`` and every platform ``Credentials``: callers find them
by these names."""
ERRORS = re.compile(r"(?:Error|Exception|Invalid|Conflict|Gone|Misconfigured|RefusedByLaw|Forbidden|Unavailable)$")
"""Errors are named after the condition, as ``NotFound``; docs/errors.md lists them."""


def classes() -> dict[str, list[tuple[str, bool]]]:
    """Return the files of every class of the product, by name, and whether it is an error there."""
    found = defaultdict(list)
    for path in sorted((ROOT / "chalicelib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                error = any(ERRORS.search(ast.unparse(base)) for base in node.bases)
                found[node.name].append((str(path.relative_to(ROOT)), error))
    return found


def singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) else word


def terms() -> set[str]:
    """Return the last word of each term of the glossary, in lower case."""
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    names = (part.split() for term in re.findall(r"\*\*([^*]+)\*\*", text) for part in re.split(r"[,/]", term))
    words = {name[-1].strip("`").lower() for name in names if name}
    return words | {singular(word) for word in words}


def test_class_names_end_in_a_term_of_the_glossary() -> None:
    known = terms()
    unknown = {
        name: places[0][0]
        for name, places in classes().items()
        for head in [re.findall(r"[A-Z][a-z0-9]*|[A-Z]+(?=[A-Z]|$)", name)[-1].lower()]
        if not all(error for _, error in places) and head not in known and singular(head) not in known
    }

    assert unknown == {}


def test_no_two_classes_share_a_name() -> None:
    shared = {name: places for name, places in classes().items() if len(places) > 1 and name not in PRESCRIBED}

    assert shared == {}
