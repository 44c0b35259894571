"""Text for a terminal: what a file says about itself must not steer the terminal or reverse the line."""

from __future__ import annotations


def escaped(text: str) -> str:
    """Write each control, format and unassigned character as an escape; line feeds stay.

    Among them are U+009B, which begins a terminal's commands, and U+202E, which reverses the text after it.
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
