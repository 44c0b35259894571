"""Laws of the API's door: a record that it takes makes facts that a decision can read.

A record that facts could not hold would refuse each decision of its tenant (``ANY.facts``), so that the door and the facts
share one reader.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from chalicelib.api import ENDPOINTS
from chalicelib.core import times
from chalicelib.core.decide.plan import Cell, route_facts, source_facts
from chalicelib.core.event.event import Event
from chalicelib.core.law import facts
from chalicelib.core.law.bases import BasisKind
from chalicelib.core.tenant.configuration import BASES_MAX, RECIPIENTS_MAX, RECORDS_MAX, Configuration
from chalicelib.core.tenant.dates import STORED
from chalicelib.core.tenant.records import (
    Basis,
    BasisSettings,
    Destination,
    Recipient,
    RecipientSettings,
    Route,
    Source,
    Tenant,
)
from chalicelib.store.consents import OF_ONE_PERSON

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SOME = {"created_at": NOW}
PERSON = {"legal_name": "Nord", "contact": "dpo@nord.example"}
LAWS_OF_A_CONSENT = 5


def _leaves(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dates and instants that a body may hold, by place, with their types."""
    for name, field in model.model_fields.items():
        yield from _of(Annotated[field.annotation, *field.metadata, None], f"{place}.{name}")


def _of(form: Any, place: str) -> Iterator[tuple[str, Any]]:
    origin, inner = get_origin(form), get_args(form)
    plain = inner[0] if origin is Annotated else form
    if plain in (date, datetime):
        yield place, form
    elif origin is Annotated:
        rest = inner[1:]
        yield from (
            _of(Annotated[get_args(plain)[0], *get_args(plain)[1:], *rest], place)
            if get_origin(plain) is Annotated
            else _of(plain, place)
        )
    elif origin in (Union, UnionType, tuple, list, dict):
        for part in inner:
            if part not in (NoneType, Ellipsis):
                yield from _of(part, place)
    elif isinstance(form, type) and issubclass(form, BaseModel) and form is not Event:
        yield from _leaves(form, place)


FIELDS = {
    f"{endpoint.method} {endpoint.path} {place}": form
    for endpoint in ENDPOINTS
    if endpoint.body is not None
    for place, form in _leaves(endpoint.body)
}
"""Every date and instant of every body of the API, by place. An event is a platform's, whose times have bounds of their own."""


def test_found_when_bodies_hold_dates() -> None:
    for known in (
        "POST /v1/bases .filed_on",
        "PUT /v1/recipients/{id} .contract.valid_until",
        "POST /v1/recipients .legal_status.date",
        "POST /v1/consents .given_at",
        "POST /v1/preflight .bases.valid_from",
        "POST /v1/switches .until",
        "POST /v1/legal-holds .value.before",
        "POST /v1/keys .expires_at",
    ):
        assert known in FIELDS, sorted(FIELDS)


@pytest.mark.parametrize("place", sorted(FIELDS))
def test_refused_when_facts_could_not_hold_a_date(place: str) -> None:
    form = FIELDS[place]
    is_date = date in get_args(form)
    adapter = TypeAdapter[Any](form)
    time_of_day = "" if is_date else "T00:00:00Z"
    for year in (1, 1899, 2201, 9999):
        with pytest.raises(ValidationError, match=r"between 1900 and 2200|1970"):
            adapter.validate_json(f'"{year:04}-06-01{time_of_day}"', strict=True)
    for value in ("0", '"20260101"', '"2026-02-30"', "true", '"x"'):
        with pytest.raises(ValidationError) as refused:
            adapter.validate_json(value, strict=True)
        assert value.strip('"') not in str(refused.value.errors()[0]["msg"]) or value == '"x"'
    for good in ("1970-06-01", "2026-11-20", "2200-12-31"):
        adapter.validate_json(f'"{good}{time_of_day}"', strict=True)


EXTREMES = st.sampled_from([date(1900, 1, 1), date(2026, 1, 1), date(2200, 12, 31), date(1899, 12, 31), date.max])
DATES = st.none() | st.dates() | EXTREMES


def _bases() -> st.SearchStrategy[Basis | None]:
    names = ("valid_from", "valid_until", "signed_on", "notified_on", "filed_on", "given_on")
    fields = {name: DATES.map(lambda d: d and d.isoformat()) for name in names}
    raw = st.fixed_dictionaries(
        {"kind": st.sampled_from(BasisKind), "evidence": st.sampled_from([None, "sha256:ab"]), **fields},
        optional={"written": st.booleans(), "scheme": st.text(max_size=70), "law": st.text(max_size=70)},
    )
    return raw.map(_accepted)


def _accepted(raw: dict[str, Any]) -> Basis | None:
    try:
        settings = BasisSettings.model_validate(raw)
    except ValidationError:
        return None
    return Basis(**dict(settings), id="bas_1", **SOME)


def _configuration(**more: Any) -> Configuration:
    tenant = Tenant.model_validate(
        {
            "id": "tnt_1", "name": "n", "edition": "teams", "tenant_class": "general", "retention": {"default_days": 1},
            "controller": {**PERSON, "country": "DE"}, **SOME, **more.pop("tenant", {}),
        }
    )  # fmt: skip
    source = Source.model_validate(
        {"id": "src_1", "channel": "telegram", "name": "n", **SOME, **more.pop("source", {})}
    )
    recipients = {"rcp_1": Recipient.model_validate({"id": "rcp_1", **PERSON, **SOME, **more.pop("recipient", {})})}
    destination = Destination.model_validate({"id": "dst_1", "name": "n", "kind": "http", "recipient": "rcp_1", **SOME})
    route = Route.model_validate(
        {"id": "rte_1", "name": "n", "pattern": {}, "destination": "dst_1", "purpose": "x", **SOME}
    )
    return Configuration(
        tenant, 1, {"src_1": source}, **{"recipients": recipients, **more},
        destinations={"dst_1": destination}, routes={"rte_1": route},
    )  # fmt: skip


def _problems(configuration: Configuration, **more: Any) -> list[str]:
    """Return what is wrong with the facts of storing an event and of delivering it."""
    source, cell = configuration.sources["src_1"], Cell("eu-central-1", "DE", "aws")
    base = source_facts(configuration, source, cell, op="store", classes=["content"], now=NOW, received_at=NOW)
    deliver = route_facts(base, configuration, configuration.routes["rte_1"])
    extended = {**deliver, "bases": [*deliver["bases"], *more.get("bases", ())]}
    return [*facts.read(base)[1], *facts.read(extended)[1]]


@given(_bases())
def test_facts_can_be_read_when_the_door_takes_a_basis(basis: Basis | None) -> None:
    if basis is not None:
        configuration = _configuration(bases={"bas_1": basis})

        assert _problems(configuration) == []
        assert configuration.unreadable == ()


@given(st.sampled_from(["requires", "special", "classes", "processing_countries"]), st.sampled_from([1, 60, 1001]))
def test_facts_can_be_read_when_a_list_names_one_word_many_times(field: str, times_named: int) -> None:
    word = {"requires": "permit", "special": "health", "classes": "content", "processing_countries": "DE"}[field]
    values = {field: [word] * times_named}
    if field == "processing_countries" and times_named > 50:
        with pytest.raises(ValidationError):
            RecipientSettings.model_validate({**PERSON, **values})
        return
    more = {"requires": "tenant", "special": "source"}.get(field, "recipient")

    assert _problems(_configuration(**{more: values})) == []


def _stored(**changes: Any) -> dict[str, Any]:
    return {"kind": "contract", "valid_from": "2026-01-01", "evidence": "sha256:ab", **SOME, **changes}


@given(st.sampled_from(["valid_from", "valid_until", "signed_on", "notified_on", "filed_on", "given_on"]), st.dates())
def test_counts_as_absent_and_is_named_when_a_stored_record_cannot_be_read(field: str, day: date) -> None:
    document = {**_stored(id="bas_2", valid_from=None), field: day.isoformat(), "created_at": times.text(NOW)}
    whole = Basis.model_validate_json(json.dumps(document), context=STORED)
    good = Basis.model_validate(_stored(id="bas_1"))

    configuration = _configuration(bases={"bas_1": good, "bas_2": whole})

    assert _problems(configuration) == []
    kept = {b["id"] for b in configuration.basis_documents}
    if day.year in times.YEARS:
        assert (kept, configuration.unreadable) == ({"bas_1", "bas_2"}, ())
    else:
        assert kept == {"bas_1"}
        ((one),) = configuration.unreadable
        assert (one.record, one.field, one.path) == ("bas_2", field, f"bases.bas_2.{field}")
        assert "bas_2" in one.supply()
        assert "between 1900 and 2200" in one.supply()


def test_counts_as_absent_and_is_named_when_the_contract_of_a_stored_recipient_cannot_be_read() -> None:
    contract = {"id": "c", "sha256": "ab" * 32, "valid_from": "2026-01-01", "valid_until": "9999-12-31"}
    raw = {"id": "rcp_1", **PERSON, "created_at": times.text(NOW), "role": "processor", "contract": contract}
    recipient = Recipient.model_validate(raw, context=STORED)

    configuration = _configuration(recipients={"rcp_1": recipient})

    assert _problems(configuration) == []
    (one,) = configuration.unreadable
    assert one.path == "bases.rcp_1.contract.valid_until"
    assert one.supply().startswith("PUT /v1/recipients/rcp_1 ")


def test_facts_can_be_read_when_a_tenant_has_all_that_it_may_have() -> None:
    contract = {"id": "c", "sha256": "ab" * 32, "valid_from": "2026-01-01"}
    recipients = {
        f"rcp_{n}": Recipient.model_validate(
            {"id": f"rcp_{n}", **PERSON, **SOME, "role": "processor", "contract": contract}
        )
        for n in range(1, RECIPIENTS_MAX + 1)
    }
    live = {f"bas_{n:05}": Basis.model_validate(_stored(id=f"bas_{n:05}")) for n in range(BASES_MAX)}
    # A tenant may declare and withdraw without end, and an earlier release had no bound at all.
    over = {
        f"bas_{n:05}": Basis.model_validate(_stored(id=f"bas_{n:05}", withdrawn_at=NOW - timedelta(days=1)))
        for n in range(BASES_MAX, 3 * RECORDS_MAX)
    }
    configuration = _configuration(recipients=recipients, bases={**live, **over})
    consents = [{**b, "id": f"cns_{b['id']}"} for b in list(configuration.basis_documents)]

    assert _problems(configuration, bases=consents[: OF_ONE_PERSON * LAWS_OF_A_CONSENT]) == []
    assert configuration.unreadable == ()
    assert {b["id"] for b in configuration.basis_documents} >= {*live, "rcp_1.contract"}


def test_the_newest_count_and_the_others_are_named_when_a_tenant_has_too_many_records() -> None:
    many = {f"bas_{n:05}": Basis.model_validate(_stored(id=f"bas_{n:05}")) for n in range(RECORDS_MAX + 3)}

    configuration = _configuration(bases=many)

    assert _problems(configuration) == []
    assert [one.record for one in configuration.unreadable] == ["bas_00000", "bas_00001", "bas_00002"]
    assert all("/withdrawal" in one.supply() for one in configuration.unreadable)
