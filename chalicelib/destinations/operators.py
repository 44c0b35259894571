"""Where the operators of messengers keep what is posted to them: ``operators.toml``, with sources and dates."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from .base import Countries

OPERATORS = "operators.toml"


@cache
def operators() -> dict[str, dict[str, Any]]:
    """Return the table of operators by destination kind."""
    return tomllib.loads((files(__package__) / OPERATORS).read_text(encoding="utf-8"))


def countries_of(kind: str) -> Countries:
    """Return the countries of a kind's operator.

    Raises:
        KeyError: the table does not know the kind.
    """
    return tuple(operators()[kind]["countries"])
