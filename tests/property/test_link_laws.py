"""Laws of pull links: no other text is a link, and no personal data is ever in a request that carries one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core import ids, times
from chalicelib.core.delivery import links
from chalicelib.core.event.event import DataClass, EventKind
from chalicelib.core.event.event_fields import FIELDS
from chalicelib.core.law.residency import Decider
from chalicelib.law import installed
from tests.support.canary_event import CANARY, EVENT

DECIDER = Decider(installed())

keys = st.binary(min_size=32, max_size=32)
named = st.integers(0, 2**130 - 1).map(ids.encode)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
made = st.builds(
    lambda key, tenant, transfer, now, hours: (key, links.token(key, f"tnt_{tenant}", f"trf_{transfer}", now, hours)),
    keys,
    named,
    named,
    moments,
    st.integers(1, 72),
)


def opens(key: bytes, text: str) -> bool:
    link = links.read(text)
    return link is not None and link.is_genuine(key)


@given(keys, named, named, moments, st.integers(1, 72))
def test_a_token_is_read_as_what_it_was_made_of(
    key: bytes, tenant: str, transfer: str, now: datetime, hours: int
) -> None:
    link = links.read(links.token(key, f"tnt_{tenant}", f"trf_{transfer}", now, hours))

    assert link is not None
    assert (link.tenant, link.transfer) == (f"tnt_{tenant}", f"trf_{transfer}")
    assert now + timedelta(hours=hours) - timedelta(minutes=1) < link.ends_at <= now + timedelta(hours=hours)
    assert link.is_genuine(key)


@given(made, st.data())
def test_a_token_opens_nothing_when_any_character_of_it_is_another(one: tuple[bytes, str], data: Any) -> None:
    key, token = one
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda c: c != token[place]))

    assert opens(key, token)
    assert not opens(key, token[:place] + other + token[place + 1 :])


@given(made, keys)
def test_a_token_opens_nothing_under_another_key(one: tuple[bytes, str], other: bytes) -> None:
    key, token = one

    assert opens(other, token) is (other == key)


@given(st.text(max_size=100) | st.text(alphabet=ids.ALPHABET, min_size=84, max_size=84))
def test_no_text_that_nobody_made_opens_anything(text: str) -> None:
    assert not opens(b"\7" * 32, text)


# The request sent

PERSONAL = [field.path for field in FIELDS if field.data_class is not DataClass.TECHNICAL and "*" not in field.path]


def put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for step in path[:-1]:
        document = document.setdefault(step, {})
    document[path[-1]] = value


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(EVENT))
    document["kind"] = draw(st.sampled_from(EventKind)).value
    for path in draw(st.lists(st.sampled_from(PERSONAL), unique=True)):
        put(document, path, CANARY + draw(st.text(max_size=10)))
    return document


@given(events(), st.text(max_size=100))
def test_a_notice_holds_the_events_id_and_kind_and_the_link(document: dict[str, Any], url: str) -> None:
    notice = links.notice(document, url)

    assert notice == {"id": document["id"], "kind": document["kind"], "pull_url": url}


@settings(max_examples=60)
@given(st.sets(st.sampled_from(sorted(c.value for c in DataClass))), st.sampled_from(["DE", "US", "RU", "KZ", "AE"]))
def test_no_class_but_technical_ever_leaves_where_a_route_restricts(classes: set[str], country: str) -> None:
    at = times.text(datetime(2026, 11, 22, tzinfo=UTC))
    facts: dict[str, Any] = {
        "now": at, "op": "deliver", "channel": "telegram", "router_role": "processor", "purpose": "support",
        "subject": {"country": "DE", "signal": "tenant_declared", "confidence": "declared"},
        "data": {"classes": sorted(classes | {"technical"}), "special": []},
        "collector": {"country": "DE", "tenant_class": "general"},
        "store": {"country": "DE", "provider": "dynamodb", "copies": ["DE"]}, "first_write": {"country": "DE", "at": at},
        "recipient": {
            "id": "r", "entity_country": country, "processing_countries": [country], "role": "processor",
            "granted": True, "classes": ["technical"], "onward": [],
        },
        "route": {"mode": "restrict", "redactions": []}, "bases": [], "volumes": {},
    }  # fmt: skip

    decision = DECIDER.decide(facts)

    assert set(decision.classes_out) <= {"technical"}
    assert {r["class"] for r in decision.redact} == classes - {"technical"}
