"""A record, task, job or entry of the next release is read by this one, and keeps its unknown fields when it is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from chalicelib.core.errors import AuditBroken, Misconfigured
from chalicelib.core.log.entry import ACTS
from chalicelib.core.log.leaf import canonical, verify_entry
from chalicelib.core.tenant.intervals import Change, Interval, turned
from chalicelib.store import off_record_intervals, records
from tests.fixtures.audit import made
from tests.support import release_forms
from tests.support.record_strategies import STORED
from tests.support.record_strategies import records as records_of
from tests.support.tasks import task_body

FREE = ("pattern", "sealed", "config")
"""Fields that hold any JSON: every name in them is a tenant's."""
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def later(value: Any) -> Any:
    """Return a JSON value as the next release may write it: with one more field in each object."""
    if isinstance(value, dict):
        told = {name: v if name in FREE else later(v) for name, v in value.items()}
        # A mapping from countries has no names of fields.
        return told if value and all(len(name) == 2 and name != "id" for name in value) else {**told, "of_later": [1]}
    return [later(each) for each in value] if isinstance(value, list) else value


def unknown(value: Any, at: str = "") -> Iterator[str]:
    """Yield the places of unknown fields."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "of_later":
                yield f"{at}.{name}"
            else:
                yield from unknown(each, f"{at}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from unknown(each, f"{at}.{number}")


@pytest.mark.parametrize("name", [name for name in STORED if name != "Interval"])
def test_a_record_of_the_next_release_is_read_and_keeps_its_fields_when_one_of_ours_changes(name: str) -> None:
    model = STORED[name]

    @QUICK
    @given(records_of(model), records_of(model), st.data())
    def check(record: BaseModel, other: BaseModel, data: st.DataObject) -> None:
        text = json.dumps(later(json.loads(records.written(record))))
        changed_field = data.draw(st.sampled_from([f for f in model.model_fields if f not in ("id", "scope", "value")]))
        changed = record.model_copy(update={changed_field: getattr(other, changed_field)})

        assert records.parse(model, text) == record
        assert records.written(record, text) == _plain(text)
        assume(_declarable(changed))
        after = json.loads(records.written(changed, text))
        alias = model.model_fields[changed_field].alias or changed_field
        before = {place for place in unknown(json.loads(text)) if not place.startswith(f".{alias}.")}
        assert before <= set(unknown(after))
        kept = records.written(changed)
        assert records.written(records.parse(model, json.dumps(after))) == kept

    check()


def _declarable(record: BaseModel) -> bool:
    # One field of another record need not fit the others: Telegram has no messengers.
    try:
        records.parse(type(record), records.written(record))
    except Misconfigured:
        return False
    return True


def _plain(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def test_a_nested_value_keeps_its_unknown_fields_unless_another_takes_its_place() -> None:
    model = STORED["Recipient"]
    contract = {"id": "dpa-7", "sha256": "ab" * 32, "valid_from": "2026-01-01", "of_later": 1}
    onward = [{"id": "a", "of_later": 1}, {"id": "b", "of_later": 2}]
    whole = {
        "id": "rcp_1", "legal_name": "x", "contact": "y", "created_at": "2026-01-01T00:00:00.000Z", "contract": contract,
        "onward": onward,
    }  # fmt: skip
    text = json.dumps(whole)
    record = records.parse(model, text)

    dated = record.contract.model_copy(update={"valid_until": None, "sha256": "cd" * 32})
    moved = record.onward[1].model_copy(update={"granted": True})
    kept = json.loads(records.written(record.model_copy(update={"contract": dated, "onward": (moved,)}), text))
    new = record.contract.model_copy(update={"id": "dpa-8"})
    replaced = json.loads(records.written(record.model_copy(update={"contract": new, "onward": None}), text))

    assert kept["contract"] == {**contract, "sha256": "cd" * 32}
    assert kept["onward"] == [{"id": "b", "of_later": 2, "granted": True}]
    assert "of_later" not in replaced["contract"]
    assert "onward" not in replaced


@QUICK
@given(records_of(Interval))
def test_an_interval_of_the_next_release_is_read_and_keeps_its_fields_when_it_ends(interval: Interval) -> None:
    stored = (interval.model_copy(update={"until": None, "off": None}),)
    text = json.dumps([later(each) for each in json.loads(off_record_intervals._written(stored, (), None))])
    change = Change(at=interval.since + timedelta(days=1), actor=("key", "key_1"), request="req_1")

    assert off_record_intervals._read({"doc": text}) == stored
    ended = turned(stored, False, change)
    after = off_record_intervals._written(ended, stored, {"doc": text})
    assert off_record_intervals._read({"doc": after}) == ended
    assert set(unknown(json.loads(text))) <= set(unknown(json.loads(after)))


def test_records_are_written_without_defaults() -> None:
    model = STORED["Destination"]
    declared = {
        "id": "dst_1",
        "name": "x",
        "kind": "http",
        "recipient": "rcp_1",
        "created_at": "2026-01-01T00:00:00.000Z",
    }

    assert json.loads(records.written(records.parse(model, json.dumps(declared)))) == declared


CARRIED: dict[str, dict[str, Any]] = {
    "task": {**task_body(), "later": {"a": 1}},
    "task of the next version": {**task_body(), "v": 2, "later": {"a": 1}},
    "waiting": {**task_body(), "due_at": "2026-11-30T09:00:00.000Z", "later": [1]},
    "waiting of the next version": {**task_body(), "v": 2, "due_at": "2026-11-30T09:00:00.000Z"},
    "breaker": {"failures": 3, "later": {"a": 1}},
}


@pytest.mark.parametrize("kind", CARRIED)
def test_unknown_fields_of_tasks_and_states_are_carried(kind: str) -> None:
    text = json.dumps(CARRIED[kind])

    assert json.loads(release_forms.read(kind.split()[0], text)) == CARRIED[kind]


ENTRIES: dict[str, Callable[[], Any]] = {
    "decided": made.decided,
    "attempted": lambda: made.attempted(made.decided()),
    **{kind: partial(made.act, kind) for kind in ACTS},
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_an_entry_of_the_next_release_is_read_by_the_cell_and_refused_as_evidence(kind: str) -> None:
    for told in (later(ENTRIES[kind]()), {**ENTRIES[kind](), "kind": "of_later"}):
        data = canonical(told)

        assert verify_entry(data, later=True) == told
        with pytest.raises(AuditBroken):
            verify_entry(data)
