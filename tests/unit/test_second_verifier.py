"""The second verifier's own word lists hold the words of the log's form, and nothing else."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from chalicelib.core.log import entry
from chalicelib.core.log.selection import Query
from chalicelib.core.verify.redecide import FACTS
from tests.fixtures.audit import make

TOOL = Path(__file__).parents[2] / "tools" / "waybill_verify.py"
_spec = importlib.util.spec_from_file_location("waybill_verify", TOOL)
assert _spec is not None and _spec.loader is not None
second = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(second)


def fields(model: type[BaseModel]) -> set[str]:
    """Return the names of a record's fields as the log has them."""
    return {info.alias or name for name, info in model.model_fields.items()}


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (second.ACTS, get_args(entry.ActKind)),
        (second.VERDICTS, get_args(entry.Verdict)),
        (second.OUTCOMES, get_args(entry.Outcome)),
        (second.WORDS["cause"], get_args(entry.Cause)),
        (second.WORDS["outcome"], get_args(entry.Outcome)),
        (second.WORDS["decision"], get_args(entry.Verdict)),
    ],
    ids=["acts", "verdicts", "outcomes", "cause", "outcome", "decision"],
)
def test_words_are_those_of_the_log(words: Collection[str], known: Collection[str]) -> None:
    assert len(words) == len(set(words))
    assert set(words) == set(known)


def test_verdicts_are_in_the_order_of_the_log() -> None:
    assert tuple(second.VERDICTS) == entry.VERDICTS


@pytest.mark.parametrize("kind", entry.MODELS)
def test_fields_of_an_entry_are_those_of_the_log(kind: str) -> None:
    assert set(second.FIELDS[kind]) == fields(entry.MODELS[kind])


def test_no_kind_is_known_that_the_log_has_not() -> None:
    assert set(second.FIELDS) == set(entry.MODELS)


@pytest.mark.parametrize(
    ("names", "model"),
    [(second.RECEIPT, entry.ReceivedEvent), (second.ROUTE, entry.RouteEntry)],
    ids=["receipt", "route"],
)
def test_fields_inside_a_decision_are_those_of_the_log(names: Collection[str], model: type[BaseModel]) -> None:
    assert set(names) == fields(model)


def test_the_parts_of_a_decision_are_those_that_the_first_verifier_reads() -> None:
    document = make.configuration().document

    assert second.FACTS == FACTS
    assert set(document) == second.CONFIGURATION
    assert {name for name, field in Query.__dataclass_fields__.items() if field.init} == second.QUERY
