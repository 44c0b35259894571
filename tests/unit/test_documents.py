"""The documentation agrees with the code: each object has its line, each named object exists, each link has a target.

Pages that are checked elsewhere: channels and destinations in their contract suites, the API and its errors in
``test_api_description.py``, law in ``test_law.py``, attempt codes in ``test_retry_docs.py``.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import settings
from infra.commands import main

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# Links


def anchor(heading: str) -> str:
    """Return a heading's anchor, as code hosts make it."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def prose(page: Path) -> str:
    """Return a page without its code, in which nothing is a link."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE))


def anchors(page: Path) -> set[str]:
    content = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {anchor(h) for h in re.findall(r"^#+ (.*)$", content, re.MULTILINE)} | set(
        re.findall(r'<a (?:id|name)="([^"]+)"', content)
    )


def broken(page: Path) -> Iterator[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)|^\[[^]]+\]: (\S+)$", prose(page), re.MULTILINE)
    for target in (inline or reference for inline, reference in targets):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (fragment and found.suffix == ".md" and fragment not in anchors(found)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_link_is_found_broken_when_its_page_or_heading_is_missing(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One: `two`\n[x](#one-two) [x](b.md) [x](#three) [x](https://a.example/b.md) `[x](c.md)`\n")

    assert list(broken(page)) == ["b.md", "#three"]


def test_every_page_is_reached_from_the_index() -> None:
    seen, todo = set(), [DOCS / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", prose(page)):
            found = (page.parent / target).resolve()
            if found.exists():
                todo.append(found)

    assert [name_of(p) for p in PAGES if p not in seen] == []


# Every documented name exists, and every existing name is documented


def words(page: str, start: str = "") -> set[str]:
    """Return the texts in backquotes on a page."""
    return {w for w in re.findall(r"`([^`\n]+)`", text(page)) if w.startswith(start)}


def variables(source: str) -> set[str]:
    """Return the environment variables that a module names."""
    found = {n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {v for v in found if re.fullmatch(r"WAYBILL_[A-Z0-9_]+|AWS_REGION", v)}


def test_every_setting_has_its_line_and_no_other_has() -> None:
    lines = set(re.findall(r"^\| `(\w+)`", text("docs/settings.md"), re.MULTILINE))

    assert lines == variables(Path(settings.__file__).read_text("utf-8"))
    assert lines == set(re.findall(r"^\| ``(\w+)``", settings.__doc__ or "", re.MULTILINE))


def commands() -> dict[str, argparse.ArgumentParser]:
    return {name: main.command_parser(name) for name in main.COMMANDS}


def section(name: str) -> str:
    parts = re.split(r"^## (.*)$", text("docs/cli.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(name, "")


@pytest.mark.parametrize("name", commands())
def test_every_command_has_its_section_with_every_option_and_no_other(name: str) -> None:
    options = {o for a in commands()[name]._actions for o in a.option_strings if o.startswith("--")} - {"--help"}

    assert section(name)
    assert set(re.findall(r"^\| `(--[\w-]+)", section(name), re.MULTILINE)) == options


def test_no_section_is_about_a_command_that_is_none() -> None:
    assert set(re.findall(r"^## (.*)$", text("docs/cli.md"), re.MULTILINE)) == set(commands())


def calls(*functions: str) -> set[str]:
    """Return the first arguments of all calls of these functions in the product."""
    return {
        node.args[0].value
        for path in (ROOT / "chalicelib").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in functions
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_every_log_line_and_metric_is_explained_to_operators() -> None:
    assert calls("info", "warning", "error", "count") - words("docs/operations.md") == set()


def test_every_word_of_the_glossary_has_a_meaning_and_stands_once() -> None:
    rows = re.findall(r"^\| (\*\*.*?) \| (.*?) \|", text("docs/glossary.md"), re.MULTILINE)
    names = [word for cell, _ in rows for word in re.findall(r"\*\*(\w[\w ]*)\*\*", cell)]

    assert all(meaning.strip() for _, meaning in rows)
    assert len(names) == len(set(names)) > 30
    assert {"channel", "source", "event", "transfer", "delivery", "lane", "basis", "recipient", "cell"} <= set(names)


EXAMPLE = "orchard"
"""The messenger that the page on adding a channel makes up."""


def test_every_file_that_a_page_names_exists() -> None:
    made = set(text(".gitignore").splitlines())
    places = re.compile(r"^(?:chalicelib|infra|tests|benchmarks|docs|\.chalice|\.ci)/[\w./-]+$|^(?:app|cli)\.py$")
    missing = [
        f"{name_of(page)}: {word}"
        for page in PAGES
        for word in re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
        if places.match(word)
        and EXAMPLE not in word
        and word not in made
        and not (ROOT / word).exists()
        and not list(ROOT.glob(f"{word}.*"))
    ]

    assert missing == []


# How pages are written

LONGEST = 120
"""The longest line of prose, in characters."""


def too_long(content: str) -> list[str]:
    """Return the lines of prose that are too long. Tables, code, and lines that only a link makes long do not count."""
    lines = re.sub(r"^ *```.*?^ *```", "", content, flags=re.DOTALL | re.MULTILINE).split("\n")
    unlinked = re.compile(r"\]\([^)]*\)|^\[[^]]+\]: \S+$|https?://\S+|`[^`]*`")
    return [
        line
        for line in lines
        if len(line) > LONGEST and not line.lstrip().startswith("|") and len(unlinked.sub("", line)) > LONGEST
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_of_prose_are_short(page: Path) -> None:
    assert too_long(page.read_text("utf-8")) == []


def test_a_line_is_too_long_only_by_its_prose() -> None:
    prose = "word " * 25
    link = f"A [link](https://a.example/{'x' * 120})."
    content = f"{prose}\n| {prose} |\n```\n{prose}\n```\n{link}\n`{prose}`\n  ```\n{prose}\n  ```\n- {prose}\n"

    assert too_long(content) == [prose, f"- {prose}"]


def test_there_are_thirteen_invariants_each_with_its_place_and_its_tests() -> None:
    parts = re.split(r"^### (\d+)\. .*$", text("docs/invariants.md"), flags=re.MULTILINE)

    assert parts[1::2] == [str(n) for n in range(1, 14)]
    for number, body in zip(parts[1::2], parts[2::2], strict=True):
        kept, shown = body.split("Shown by:")
        assert "Kept by:" in kept, number
        assert re.search(r"`tests/[\w/]+\.py`", shown), number


def test_every_decision_says_what_was_decided_and_why() -> None:
    for page in sorted((DOCS / "decisions").glob("*.md")):
        if page.name in ("dependencies.md", "api.md"):
            continue
        content = page.read_text("utf-8")
        assert all(f"**{part}.**" in content for part in ("Decision", "Why", "Price")), page.name
