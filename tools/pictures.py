"""Draw the picture of the README: ``python -m tools.pictures`` runs the demo and writes its last table to docs/demo.svg.

The picture is text in an SVG: it needs no font or file of its own, and a change of it can be read in a diff.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "demo.svg"
COMMAND = "make demo"
COLUMNS = 152
"""The width of the drawn terminal, in characters. A longer line is cut, as a pager cuts it."""

_CHARACTER, _LINE, _MARGIN, _TITLE = 7.8, 19, 18, 30
"""The advance of a character, the height of a line, the margin and the title bar, in pixels."""
_COLOURS = {"✓": "#7ee787", "◐": "#79c0ff", "…": "#e3b341", "✗": "#ff7b72"}
_TEXT, _FAINT, _GROUND, _BAR = "#d6dde6", "#8b949e", "#10151c", "#1c232c"
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def table(output: str) -> list[str]:
    """Return the demo's table and the sentences below it, from the demo's whole output.

    Raises:
        ValueError: the output holds no table.
    """
    _, blank, rest = output.partition("\n\n")
    lines = rest.strip("\n").split("\n")
    if not blank or len(lines) < 3 or not lines[1].startswith("─"):
        raise ValueError("the demo printed no table")
    return lines


def svg(lines: list[str]) -> str:
    """Return a picture of a terminal that shows these lines below the command."""
    shown = [f"$ {COMMAND}", "", *lines]
    starts = _starts(lines[1])
    width = round(COLUMNS * _CHARACTER + 2 * _MARGIN)
    height = _TITLE + len(shown) * _LINE + 2 * _MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="The table that {COMMAND} prints" font-family="{_FONT}" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="8" fill="{_GROUND}"/>',
        f'<path d="M0 {_TITLE}V8a8 8 0 0 1 8-8H{width - 8}a8 8 0 0 1 8 8V{_TITLE}z" fill="{_BAR}"/>',
        *(
            f'<circle cx="{20 + 18 * n}" cy="15" r="5" fill="{c}"/>'
            for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
    ]
    for number, line in enumerate(shown):
        y = _TITLE + _MARGIN + number * _LINE + 12
        for start, cell in _cells(_cut(line), starts if "  " in line else [0]):
            drawn.append(_text(start, y, cell, _colour(number, cell)))
    return "\n".join((*drawn, "</svg>")) + "\n"


def _cut(line: str) -> str:
    return line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…"


def _starts(rule: str) -> list[int]:
    return [n for n, character in enumerate(rule) if character == "─" and (n == 0 or rule[n - 1] == " ")]


def _cells(line: str, starts: list[int]) -> list[tuple[int, str]]:
    """Split a line at the columns. Each cell is placed by itself: a mark from another font may have another width."""
    ends = [*starts[1:], len(line)]
    cells = ((start, line[start:end].rstrip()) for start, end in zip(starts, ends, strict=True))
    return [(start, cell) for start, cell in cells if cell]


def _colour(number: int, cell: str) -> str:
    if number == 0:
        return _TEXT
    return _COLOURS.get(cell[0], _FAINT if number in (2, 3) else _TEXT)


def _text(start: int, y: int, cell: str, colour: str) -> str:
    x, length = _MARGIN + start * _CHARACTER, len(cell) * _CHARACTER
    return f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}" fill="{colour}">{escape(cell)}</text>'


def main() -> int:
    """Run the demo and draw its table."""
    demo = subprocess.run(("make", "demo"), stdout=subprocess.PIPE, text=True, check=True)
    PICTURE.write_text(svg(table(demo.stdout)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
