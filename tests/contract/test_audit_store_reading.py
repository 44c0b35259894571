"""Reading the log: by event, transfer, subject and time, and rows that are not what their key names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import audit
from chalicelib.core.log.leaf import deflate, leaf
from chalicelib.store import entries as store_entries
from chalicelib.store.audit import AuditStore
from chalicelib.store.items import batch_get
from tests.fixtures.audit import made
from tests.support.audit_rows import NOW, Recorder, put_raw, store_of
from tests.support.engines import Engine


@pytest.fixture
def store(engine: Engine) -> AuditStore:
    engine.create_audit_table("2026")
    return store_of(engine)


def test_all_entries_of_an_event_are_found_in_order_when_asked_by_event_or_transfer(store: AuditStore) -> None:
    minute = times.minute(made.AT)
    decision = made.decided(7)
    decision["routes"][0]["transfer"] = transfer = "trf_" + decision["id"][4:18] + "0" * 12
    mine = [
        decision,
        made.attempted(decision, at=made.AT + timedelta(seconds=1), outcome="failed", code="timeout"),
        made.attempted(decision, at=made.AT + timedelta(seconds=6), attempt=2),
        made.act("viewed", 7, at=made.AT + timedelta(seconds=8), event=decision["event"]),
    ]
    store.append_many([*mine, *(made.decided(n) for n in range(20, 30))])

    assert store.of_event(made.TENANT, minute, decision["event"], NOW) == mine
    assert store.of_transfer(made.TENANT, transfer, NOW) == mine
    assert store.of_event(made.ref("tnt", "another"), minute, decision["event"], NOW) == []


def test_a_persons_entries_come_newest_first_whichever_log_they_are_in(engine: Engine, store: AuditStore) -> None:
    engine.create_audit_table("2027")
    person, next_year = made.ref("sub", "newest"), made.AT.replace(year=2027)
    acts = [made.act(seed=n, at=made.AT + timedelta(minutes=n), subject=person) for n in range(25)]
    later = made.act(seed=30, at=next_year, minute=times.minute(made.AT), subject=person)
    store.append_many([*acts, later, made.act(seed=40, at=made.AT, subject=made.ref("sub", "another"))])

    found = list(store.newest_of_subject(made.TENANT, person, made.AT, next_year))

    assert found == [later, *reversed(acts)]
    assert list(store.newest_of_subject(made.ref("tnt", "another"), person, made.AT, next_year)) == []


def test_an_act_of_a_later_year_is_found_when_its_event_is_old(engine: Engine, store: AuditStore) -> None:
    engine.create_audit_table("2027")
    decision, later = made.decided(), made.AT.replace(year=2027)
    erased = made.act("erased", at=later, minute=times.minute(made.AT), event=decision["event"])

    store.append_many([decision, erased])

    assert erased["log"] == "2027"
    assert store.of_event(made.TENANT, times.minute(made.AT), decision["event"], later) == [decision, erased]
    page = store.between(made.TENANT, made.AT - timedelta(minutes=1), NOW, now=later)
    assert {e["id"] for e in page.entries} == {decision["id"], erased["id"]}


def test_entries_of_a_subject_are_found_by_the_index_when_paged(store: AuditStore) -> None:
    subject = made.ref("sub", "alone")
    receipt = {**made.receipt(1), "subjects": [subject]}
    mine = [
        made.decided(n, at=at, receipt=receipt)
        for n in range(7)
        for at in [made.AT + timedelta(minutes=n % 3)]
    ]  # fmt: skip
    mine.append(made.act("exported", 3, subject=subject))
    store.append_many([*mine, *(made.decided(n) for n in range(20, 25))])

    pages, start = [], None
    while True:
        page = store.of_subject(made.TENANT, subject, made.AT - timedelta(hours=1), NOW, now=NOW, limit=3, start=start)
        pages.append(page.entries)
        if (start := page.next) is None:
            break

    assert [len(p) for p in pages] == [3, 3, 2]
    assert [e for p in pages for e in p] == sorted(mine, key=lambda e: e["id"])
    assert store.of_subject(made.ref("tnt", "another"), subject, made.AT, NOW, now=NOW).entries == ()
    assert store.of_subject(made.TENANT, subject, NOW, NOW + timedelta(days=1), now=NOW).entries == ()


def test_entries_come_once_and_in_order_when_listed_by_time(store: AuditStore) -> None:
    begin = datetime(2026, 11, 22, 23, 58, tzinfo=UTC)
    entries = [made.decided(n, at=begin + timedelta(seconds=30 * n)) for n in range(20)]
    other = made.decided(1, tenant=made.ref("tnt", "another"), at=begin)
    store.append_many([*entries, *(made.attempted(e) for e in entries[:3]), other])
    wanted = sorted(e["id"] for e in [*entries, *(made.attempted(e) for e in entries[:3])])

    def walk(after: datetime, before: datetime, limit: int) -> list[str]:
        seen: list[str] = []
        start = None
        while True:
            page = store.between(made.TENANT, after, before, now=NOW, limit=limit, start=start)
            assert len(page.entries) <= limit
            seen.extend(e["id"] for e in page.entries)
            if (start := page.next) is None:
                return seen

    assert walk(begin - timedelta(days=1), NOW, 4) == walk(begin, NOW, 100) == wanted
    inner = [e["id"] for e in entries[4:10]]
    assert walk(begin + timedelta(minutes=2), begin + timedelta(minutes=5), 2) == sorted(inner)


def test_a_page_ends_early_when_a_stretch_is_thin(store: AuditStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_entries, "PAGE_CALLS", 6)
    entries = [made.decided(n, at=made.AT - timedelta(days=20) + timedelta(days=n, minutes=n)) for n in range(20)]
    store.append_many(entries)

    seen: list[str] = []
    start, pages = None, 0
    while True:
        page = store.between(made.TENANT, made.AT - timedelta(days=40), NOW, now=NOW, start=start)
        seen.extend(e["id"] for e in page.entries)
        pages += 1
        if (start := page.next) is None:
            break

    assert seen == [e["id"] for e in entries]
    assert pages > 5


def test_a_page_ends_between_buckets_when_a_minute_is_busy(
    engine: Engine, store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_entries, "PAGE_CALLS", 3)
    entries = [made.decided(n, at=made.AT + timedelta(minutes=n % 3)) for n in range(60)]
    store.append_many(entries)
    client = Recorder(engine.client("dynamodb"))
    reader = store_of(engine, client)

    seen: list[str] = []
    start = None
    while True:
        client.calls.clear()
        page = reader.between(made.TENANT, made.AT - timedelta(minutes=1), NOW, now=NOW, start=start)
        seen.extend(e["id"] for e in page.entries)
        assert len(client.calls) <= 3
        if (start := page.next) is None:
            break

    assert seen == sorted(e["id"] for e in entries)


def test_another_tenants_entries_are_not_seen_when_a_subject_is_asked_for(store: AuditStore) -> None:
    mine = made.act("exported", 1, subject=made.ref("sub", 1))
    other = made.act("exported", 1, subject=made.ref("sub", 1), tenant=made.ref("tnt", "another"))
    store.append_many([mine, other])

    page = store.of_subject(made.TENANT, made.ref("sub", 1), made.AT - timedelta(hours=1), NOW, now=NOW, limit=1)

    assert page == store_entries.Page((mine,), None)


def test_nothing_is_found_when_no_year_has_a_table(engine: Engine) -> None:
    store, entry = store_of(engine), made.decided()

    assert store.get(made.TENANT, entry["id"], "2026") is None
    assert store.get(made.TENANT, "ent_unknown", "2026") is None
    assert store.of_event(made.TENANT, times.minute(made.AT), entry["event"], NOW) == []
    assert store.of_transfer(made.TENANT, "trf_unknown", NOW) == []
    assert store.of_subject(made.TENANT, entry["receipt"]["subjects"][0], made.AT, NOW, now=NOW).entries == ()
    assert store.between(made.TENANT, made.AT - timedelta(days=1), NOW, now=NOW).entries == ()


def test_an_entry_is_read_when_fetched_together_with_other_tables(engine: Engine, store: AuditStore) -> None:
    other = engine.create_table("data")
    engine.client("dynamodb").put_item(TableName=other, Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    entry = store.append(made.decided()).entry
    key = store.key(made.TENANT, entry["id"], entry["log"])

    found = batch_get(engine.client("dynamodb"), [key, (other, {"pk": "a", "sk": "b"})], engine.region)

    assert [store.read_item(item) for item in found[key[0]]] == [entry]
    assert len(found[other]) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"pk": {"S": f"{made.ref('tnt', 'another')}#0qt2z3#0"}},
        {"sk": {"S": made.decided(2)["id"]}},
        {"log": {"S": "2025"}},
        {"subject": {"S": made.ref("sub", "somebody else")}},
        {"v": {"N": "2"}},
        {"leaf": {"B": deflate(leaf(made.decided(2)))}},
        {"leaf": {"B": deflate(leaf(made.decided()))[:-3]}},
        {"leaf": {"S": "text"}},
    ],
    ids=["partition", "id", "log", "subject", "version", "other leaf", "cut leaf", "no leaf"],
)
def test_a_row_is_refused_when_it_is_not_what_its_key_names(engine: Engine, store: AuditStore, changed: Any) -> None:
    put_raw(engine, made.decided(), **changed)
    keys = {"pk": {"S": audit.partition_of(made.TENANT, made.decided()["id"])}, "sk": {"S": made.decided()["id"]}}
    keys |= {k: v for k, v in changed.items() if k in keys}
    name = f"{engine.prefix}-audit-2026"

    found = batch_get(
        engine.client("dynamodb"), [(name, {k: v["S"] for k, v in keys.items()})], engine.region
    )[name]  # fmt: skip

    assert len(found) == 1
    with pytest.raises(AuditBroken):
        store.read_item(found[0])


def test_a_row_is_refused_when_it_lies_in_another_logs_table(engine: Engine, store: AuditStore) -> None:
    engine.create_audit_table("2027")
    entry = made.decided()
    put_raw(engine, entry, year="2027")

    with pytest.raises(AuditBroken):
        store.get(made.TENANT, entry["id"], "2027")


def test_no_other_entry_is_sent_when_the_one_that_stands_there_cannot_be_read(
    engine: Engine, store: AuditStore
) -> None:
    put_raw(engine, made.decided(), leaf={"B": b"\x00"})

    with pytest.raises(AuditBroken):
        store.append(made.decided())
