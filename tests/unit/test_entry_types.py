"""The types of entries have the fields of the models that check the entries' form."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

from chalicelib.core.log import entry, entry_types

PAIRS: tuple[tuple[Any, type[BaseModel]], ...] = (
    (entry_types.Decided, entry.DecidedModel),
    (entry_types.Attempted, entry.AttemptedModel),
    (entry_types.Act, entry.ActModel),
    (entry_types.EntryActor, entry.Actor),
    (entry_types.EntryObject, entry.ActObject),
    (entry_types.EntryRange, entry.CoveredRange),
    (entry_types.EntryReceipt, entry.ReceivedEvent),
    (entry_types.EntryStore, entry.Store),
    (entry_types.EntryRoute, entry.RouteEntry),
    (entry_types.EntryRule, entry.RuleEntry),
    (entry_types.EntryRecipient, entry.NamedRecipient),
)


@pytest.mark.parametrize(("typed", "model"), PAIRS, ids=lambda one: one.__name__)
def test_a_type_has_the_fields_of_its_model(typed: Any, model: type[BaseModel]) -> None:
    hints = get_type_hints(typed)
    fields = {info.alias or name: info.annotation for name, info in model.model_fields.items()}

    assert hints.keys() == fields.keys()
    optional = {name for name, hint in hints.items() if type(None) in getattr(hint, "__args__", ())}
    assert optional == {name for name, hint in fields.items() if type(None) in getattr(hint, "__args__", ())}
