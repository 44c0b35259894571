"""The picture of the README shows the demo's output, and needs nothing besides itself."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from infra.demo import __main__ as demo
from tools import pictures

TABLE = [
    "tenant   decision   why",
    "───────  ─────────  ────────────────────",
    "Nord     ✓ allowed  art. 6(1) <a> & b" + " or more" * 40,
    "Nord     … held     art. 44",
    "",
    "Two programs have verified the log.",
]


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter() if element.tag.endswith("}text")]


def test_cells_stand_in_their_columns_and_long_lines_are_cut() -> None:
    shown = texts(pictures.svg(TABLE))

    assert shown[:4] == ["$ make demo", "tenant", "decision", "why"]
    assert "✓ allowed" in shown
    assert shown[-1] == "Two programs have verified the log."
    (cut,) = (cell for cell in shown if cell.startswith("art. 6(1) <a> & b"))
    assert cut.endswith("…")
    assert len(cut) == pictures.COLUMNS - 20


def test_output_without_a_table_is_refused() -> None:
    assert pictures.table("[ 0.0 s] Starting\n\n" + "\n".join(TABLE)) == TABLE
    for output in ("", "[ 0.0 s] Starting", "one\n\ntwo\nthree\nfour"):
        with pytest.raises(ValueError, match="no table"):
            pictures.table(output)


def test_committed_picture_shows_the_columns_and_marks_of_the_demo() -> None:
    shown = texts(pictures.PICTURE.read_text("utf-8"))
    heads = demo.table([], colour=False).split("\n")[0].split()

    assert [cell for cell in shown if cell in heads][: len(heads)] == heads
    assert {cell[0] for cell in shown} >= set(demo.MARKS.values())


def test_committed_picture_loads_nothing() -> None:
    picture = pictures.PICTURE.read_text("utf-8")

    assert re.findall(r"href|url\(|<script|<style|<image|@import", picture) == []
