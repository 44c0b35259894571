"""An entry's stored consents are read only in the form that they are written in."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.tenant.consents import is_kept

LINE = {"id": "cns_" + "0" * 26, "given": "2026-11-19", "law": ["KZ"], "on": [-1, 0], "says": 8}


def test_lines_are_read_when_they_have_the_form_of_an_entry() -> None:
    assert is_kept([LINE])
    assert is_kept([])


@pytest.mark.parametrize(
    "lines",
    [
        None, {}, "x", [1], [{}], [{**LINE, "more": 1}], [{**LINE, "given": "yesterday"}], [{**LINE, "given": 20261119}],
        [{**LINE, "law": "KZ"}], [{**LINE, "law": [1]}], [{**LINE, "on": 0}], [{**LINE, "says": "8"}],
        [{**LINE, "given": "2026-02-30"}], [{**LINE, "id": 7}],
    ],
)  # fmt: skip
def test_lines_are_not_read_when_their_form_is_another(lines: Any) -> None:
    assert not is_kept(lines)
