"""Random situations of consents: a configuration with one flow, and one person's consents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st

from chalicelib.core.decide.plan import Cell, judge, source_facts, with_grounds
from chalicelib.core.law.residency import Decider
from chalicelib.core.tenant.configuration import Configuration
from chalicelib.core.tenant.consents import Consent, Withdrawal
from chalicelib.core.tenant.records import Basis, Destination, Recipient, Route, Source, Tenant
from chalicelib.law import installed

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
DECIDE = Decider(installed()).decide
PROFILE = settings(max_examples=60)
UNTIL_FOUND = settings(max_examples=10_000, phases=[Phase.generate])
"""For ``find``, which stops at the first example: a rare one is found in any run."""
CLASSES = ["content", "identifier", "name", "technical"]
PURPOSES = ["support", "message_routing"]
COUNTRIES = ["DE", "KZ", "TR", "US", "RU", "AE"]


def id_of(prefix: str, number: int = 0) -> str:
    return f"{prefix}_{number:026d}"


@st.composite
def consents(draw: Any, number: int) -> Consent:
    some = lambda values: draw(st.lists(st.sampled_from(values), min_size=1, unique=True))  # noqa: E731
    mostly = lambda values: values if draw(st.integers(0, 3)) else some(values)  # noqa: E731
    ended = draw(st.sampled_from([None, None, None, AT - timedelta(hours=1), AT + timedelta(hours=1)]))
    id = id_of("cns", number)
    return Consent.model_validate(
        {
            "id": id, "created_at": AT, "subject": id_of("sub"),
            "recipient": draw(st.sampled_from([id_of("rcp"), id_of("rcp"), id_of("rcp"), id_of("rcp", 1)])),
            "purposes": mostly(PURPOSES), "classes": mostly(CLASSES[:3]), "countries": mostly(COUNTRIES),
            "given_at": AT - timedelta(days=draw(st.sampled_from([-1, 1, 400, 1000]))), "method": "app",
            "notice_sha256": draw(st.sampled_from(["ab" * 32, "cd" * 32])),
            "separate_document": draw(st.booleans()), "written": draw(st.booleans()), "special": draw(st.booleans()),
            "law": draw(st.sampled_from([(), (), ("KZ",), ("TR", "RU")])),
            "withdrawal": Withdrawal(id=id_of("cns", 50), withdraws=id, at=ended, method="app") if ended else None,
        }
    )  # fmt: skip


@st.composite
def situations(draw: Any) -> tuple[Configuration, list[Consent]]:
    home, abroad = draw(st.sampled_from(COUNTRIES)), draw(st.sampled_from(COUNTRIES))
    since: dict[str, Any] = {"created_at": AT, "name": "x"}
    person = {"legal_name": "x", "contact": "x@x.example"}
    tenant = Tenant.model_validate(
        {**since, "id": id_of("tnt"), "edition": "enterprise", "tenant_class": "general",
         "controller": {**person, "country": home}, "retention": {"default_days": 30}}
    )  # fmt: skip
    special = draw(st.sampled_from([(), (), ("health",)]))
    source = Source.model_validate(
        {**since, "id": id_of("src"), "channel": "telegram", "subject_country": home, "special": special}
    )
    recipient = Recipient.model_validate(
        {**person, "created_at": AT, "id": id_of("rcp"), "entity_country": abroad, "processing_countries": (abroad,),
         "role": "controller", "granted": True, "classes": tuple(CLASSES), "onward": ()}
    )  # fmt: skip
    destination = Destination.model_validate({**since, "id": id_of("dst"), "kind": "http", "recipient": recipient.id})
    route = Route.model_validate(
        {**since, "id": id_of("rte"), "pattern": {}, "destination": destination.id, "purpose": "support"}
    )
    kinds = ["instruction", *draw(st.lists(st.sampled_from(["contract", "impact-assessment"]), unique=True))]
    bases = [
        Basis.model_validate(
            {"id": id_of("bas", n), "kind": kind, "valid_from": "2020-01-01", "evidence": "sha256:ab", "created_at": AT}
        )
        for n, kind in enumerate(kinds)
    ]
    configuration = Configuration(
        tenant, 1, sources={source.id: source}, recipients={recipient.id: recipient},
        destinations={destination.id: destination}, routes={route.id: route}, bases={b.id: b for b in bases},
        shared_notices=draw(st.sampled_from([frozenset(), frozenset({"cd" * 32})])),
    )  # fmt: skip
    return configuration, [draw(consents(n)) for n in range(draw(st.integers(1, 3)))]


def decided(configuration: Configuration, grounds: Any, now: datetime = AT) -> Any:
    (source,), (route,) = configuration.sources.values(), configuration.routes.values()
    cell = Cell("x", configuration.tenant.controller.country)
    base = source_facts(configuration, source, cell, op="store", classes=CLASSES, now=now, received_at=AT)
    base = with_grounds(base, None, grounds)
    return base, judge(configuration, route, DECIDE(base), base, DECIDE, grounds=grounds)
