"""Which entries a query of a bundle matches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.log import audit, leaf
from chalicelib.core.log.selection import Query, Selection, event_of

AT = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
TENANT, EVENT, SUBJECT, DESTINATION = (f"{p}_{'0' * 26}" for p in ("tnt", "evt", "sub", "dst"))
OTHER = "1" * 26


def act(**more: Any) -> bytes:
    told = {"tenant": TENANT, "minute": times.minute(AT), "at": AT + timedelta(days=3), "actor": ("operator", "me")}
    return leaf.leaf(audit.act("viewed", **{**told, "request": "req_1", **more}))


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (Query(), True),
        (Query(after=AT), True),
        (Query(after=AT + timedelta(seconds=59)), True),  # to the minute
        (Query(after=AT + timedelta(minutes=1)), False),
        (Query(before=AT), False),
        (Query(before=AT + timedelta(seconds=1)), True),
        (Query(after=AT - timedelta(days=1), before=AT + timedelta(days=1)), True),
        (Query(after=datetime(1960, 1, 1, tzinfo=UTC), before=datetime(2100, 1, 1, tzinfo=UTC)), True),
        (Query(event=EVENT), True),
        (Query(event="evt_" + OTHER), False),
        (Query(subject=SUBJECT, event=EVENT), True),
        (Query(subject="sub_" + OTHER, event=EVENT), False),
        (Query(destination=DESTINATION), True),
        (Query(destination=DESTINATION, after=AT + timedelta(days=1)), False),
    ],
)
def test_an_entry_matches_when_all_that_is_asked_holds(query: Query, matches: bool) -> None:
    found = Selection(query).matches(act(event=EVENT, subject=SUBJECT, object=("destination", DESTINATION)))

    assert found is matches


def test_an_entry_does_not_match_when_it_names_the_thing_elsewhere() -> None:
    entry = act(object=("event", EVENT))

    assert not Selection(Query(event=EVENT)).matches(entry)
    assert event_of(entry) is None


def test_a_query_is_read_as_it_was_written() -> None:
    query = Query(after=AT, subject=SUBJECT)

    assert query.document() == {"after": "2026-11-22T10:30:00.000Z", "subject": SUBJECT}
    assert Query.from_document(query.document()) == query


def test_what_is_no_entry_is_told_when_it_is_judged() -> None:
    with pytest.raises(ValueError, match="without an id"):
        Selection(Query()).matches(b"{}")
