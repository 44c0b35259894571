from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.core import times
from chalicelib.core.errors import AuditBroken, AuditConflict, AuditUnavailable, Misconfigured, WrongRegion
from chalicelib.core.log import audit
from chalicelib.core.log.leaf import deflate, leaf
from chalicelib.store import audit as store_audit
from chalicelib.store import entries as store_entries
from chalicelib.store.audit import AuditStore, StoredEntry
from chalicelib.store.items import batch_get
from tests.fixtures.audit import made
from tests.support.engines import Engine

NOW = made.AT + timedelta(minutes=5)
INSERTS = {"partiql": "batch_execute_statement", "put": "put_item"}


class Recorder:
    """A client that records every call, and lets a test answer instead of the engine."""

    def __init__(self, client: Any, answer: Callable[[str, dict[str, Any]], Any] | None = None) -> None:
        self.meta = client.meta
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._client = client
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def called(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            given = self._answer(name, arguments) if self._answer else None
            if isinstance(given, Exception):
                raise given
            return getattr(self._client, name)(**arguments) if given is None else given

        return called

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)


def no_sleep(seconds: float) -> None:
    assert seconds < 5


def store_of(engine: Engine, client: Any = None) -> AuditStore:
    return AuditStore(client or engine.client("dynamodb"), engine.prefix, engine.region, engine.insert_mode, no_sleep)


@pytest.fixture
def store(engine: Engine) -> AuditStore:
    engine.create_audit_table("2026")
    return store_of(engine)


def stored(outcome: object) -> StoredEntry:
    assert isinstance(outcome, StoredEntry), type(outcome)
    return outcome


def raw_rows(engine: Engine, log: str = "2026") -> list[dict[str, Any]]:
    return list(engine.client("dynamodb").scan(TableName=f"{engine.prefix}-audit-{log}", ConsistentRead=True)["Items"])


def put_raw(engine: Engine, entry: Mapping[str, Any], year: str = "2026", **changed: Any) -> None:
    item = {
        "pk": {"S": audit.partition_of(entry["tenant"], entry["id"])},
        "sk": {"S": entry["id"]},
        "leaf": {"B": deflate(leaf(entry))},
        "v": {"N": "1"},
        "log": {"S": entry["log"]},
        "subject": {"S": audit.subject_of(entry)},
        **changed,
    }
    engine.client("dynamodb").put_item(TableName=f"{engine.prefix}-audit-{year}", Item=item)


# Append


def test_an_entry_is_there_once_when_it_is_appended_twice(engine: Engine, store: AuditStore) -> None:
    entry = made.decided()

    first, second = store.append(entry), store.append(entry)

    assert (first.new, second.new) == (True, False)
    assert first.entry == second.entry == store.get(made.TENANT, entry["id"], "2026") == entry
    assert sorted(len(row) for row in raw_rows(engine)) == [2, 6]  # its bucket row and itself


def test_the_stored_entry_is_followed_when_another_was_computed(store: AuditStore) -> None:
    first = store.append(made.decided()).entry
    other = made.decided(at=made.AT + timedelta(seconds=9), minute=times.minute(made.AT), routes=[])
    assert other["id"] == first["id"]

    outcome = store.append(other)

    assert outcome == StoredEntry(first, new=False)


def test_a_conflict_is_raised_when_another_thing_stands_at_the_key(
    engine: Engine, store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = made.decided()
    put_raw(engine, entry)
    monkeypatch.setattr(store_audit, "natural_key", lambda e: str(e["at"]))  # as if 60 bits were equal

    with pytest.raises(AuditConflict):
        store.append(made.decided(at=made.AT + timedelta(seconds=1), minute=times.minute(made.AT)))


def test_twenty_are_left_when_two_hundred_append_twenty(engine: Engine, store: AuditStore) -> None:
    entries = [made.decided(n) for n in range(20)] * 10
    random.Random(7).shuffle(entries)

    with ThreadPoolExecutor(max_workers=16) as threads:
        outcomes = list(threads.map(store.append, entries))

    assert sum(outcome.new for outcome in outcomes) == 20
    assert sum("leaf" in row for row in raw_rows(engine)) == 20


def test_order_is_kept_when_many_are_appended_at_once(engine: Engine, store: AuditStore) -> None:
    decisions = [made.decided(n) for n in range(30)]
    attempts = [made.attempted(d) for d in decisions]
    entries = [*decisions, *attempts, decisions[3]]

    outcomes = [stored(o) for o in store.append_many(entries)]

    assert [o.entry["id"] for o in outcomes] == [e["id"] for e in entries]
    assert [o.new for o in outcomes] == [True] * 60 + [False]


def test_a_call_inserts_at_most_25_and_no_key_twice_when_many_are_appended(engine: Engine, store: AuditStore) -> None:
    if engine.insert_mode != "partiql":
        pytest.skip("puts are single calls")
    client = Recorder(engine.client("dynamodb"))

    store_of(engine, client).append_many([made.decided(n % 60) for n in range(70)])

    for name, arguments in client.calls:
        if name == "batch_execute_statement":
            keys = [(p["Parameters"][0]["S"], p["Parameters"][1]["S"]) for p in arguments["Statements"]]
            assert len(keys) == len(set(keys)) <= 25


def test_each_has_its_own_outcome_when_one_is_a_duplicate_and_one_is_throttled(
    engine: Engine, store: AuditStore
) -> None:
    entries = [made.decided(n) for n in range(24)]
    store.append(entries[4])
    too_long = made.decided(99, routes=[made.route(n, made.PERMITS * 0 + _many_rules()) for n in range(100)])
    throttled = entries[9]["id"]

    def throttle(name: str, arguments: dict[str, Any]) -> Any:
        if name == "put_item" and arguments["Item"]["sk"]["S"] == throttled:
            return _error("ProvisionedThroughputExceededException", 400)
        if name == "batch_execute_statement":
            statements = arguments["Statements"]
            wanted = [s for s in statements if s["Parameters"][1]["S"] != throttled]
            if len(wanted) < len(statements):
                answers = iter(
                    engine.client("dynamodb").batch_execute_statement(Statements=wanted)["Responses"] if wanted else ()
                )
                return {
                    "Responses": [
                        {"Error": {"Code": "ThrottlingError"}} if s not in wanted else next(answers) for s in statements
                    ]
                }
        return None

    outcomes = store_of(engine, Recorder(engine.client("dynamodb"), throttle)).append_many([*entries, too_long])

    assert stored(outcomes[4]).new is False
    assert isinstance(outcomes[9], AuditUnavailable)
    assert isinstance(outcomes[24], Misconfigured)
    assert all(stored(outcomes[n]).new for n in range(24) if n not in (4, 9))
    assert store.get(made.TENANT, throttled, "2026") is None


def _many_rules() -> list[dict[str, str]]:
    return [{"id": f"ANY.rule-{n}", "verdict": "allowed", "ref": "GDPR art. 6(1) " + "x" * 100} for n in range(10)]


def _error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Insert")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "fault",
    [
        ReadTimeoutError(endpoint_url="http://127.0.0.1"),
        _error("InternalServerError", 500),
        _error("ThrottlingException", 400),
    ],
    ids=["timeout", "5xx", "throttled"],
)
def test_the_same_bytes_are_sent_again_when_a_call_ended_unknown(
    engine: Engine, store: AuditStore, fault: Exception
) -> None:
    entry, insert = made.decided(), INSERTS[engine.insert_mode]
    failed: list[Any] = []

    def lose_the_answer(name: str, arguments: dict[str, Any]) -> Any:
        if name == insert and entry["id"] in str(arguments) and not failed:
            failed.append(getattr(engine.client("dynamodb"), name)(**arguments))  # it was written all the same
            return fault
        return None

    client = Recorder(engine.client("dynamodb"), lose_the_answer)

    outcome = store_of(engine, client).append(entry)

    first, second = [arguments for name, arguments in client.calls if name == insert and entry["id"] in str(arguments)]
    assert first == second
    assert outcome.entry == entry
    assert sum("leaf" in row for row in raw_rows(engine)) == 1


def test_it_gives_up_as_unavailable_when_the_table_never_answers(engine: Engine, store: AuditStore) -> None:
    insert = INSERTS[engine.insert_mode]
    waits: list[float] = []
    client = Recorder(
        engine.client("dynamodb"), lambda name, _: _error("InternalServerError", 500) if name == insert else None
    )

    with pytest.raises(AuditUnavailable) as raised:
        AuditStore(client, engine.prefix, engine.region, engine.insert_mode, waits.append).append(made.decided())

    assert raised.value.retryable
    assert waits == [0.05, 0.1, 0.2, 0.4]


def test_nothing_is_reported_stored_when_its_bucket_row_is_not_there(engine: Engine, store: AuditStore) -> None:
    def lose_buckets(name: str, arguments: dict[str, Any]) -> Any:
        if name == "put_item" and "#minutes#" in arguments["Item"]["pk"]["S"]:
            return _error("ThrottlingException", 400)
        if name == "batch_execute_statement":
            statements = arguments["Statements"]
            kept = [s for s in statements if "#minutes#" not in s["Parameters"][0]["S"]]
            answers = iter(
                engine.client("dynamodb").batch_execute_statement(Statements=kept)["Responses"] if kept else ()
            )
            return {
                "Responses": [
                    next(answers) if s in kept else {"Error": {"Code": "ThrottlingError"}} for s in statements
                ]
            }
        return None

    entry = made.decided()
    outcome = store_of(engine, Recorder(engine.client("dynamodb"), lose_buckets)).append_many([entry])[0]
    again = store.append(entry)

    assert isinstance(outcome, AuditUnavailable)
    assert again == StoredEntry(entry, new=False)
    assert store.between(made.TENANT, made.AT - timedelta(hours=1), NOW, now=NOW).entries == (entry,)


def test_the_bucket_row_is_written_once_when_a_process_appends_more_in_its_minute(
    engine: Engine, store: AuditStore
) -> None:
    client = Recorder(engine.client("dynamodb"))
    store = store_of(engine, client)

    decision = store.append(made.decided()).entry
    store.append(made.act(event=decision["event"]))
    store.append(made.attempted(decision))

    assert str(client.calls).count("#minutes#") == 1


def test_an_attempt_costs_one_row_when_its_decision_is_stored(engine: Engine, store: AuditStore) -> None:
    decision = store.append(made.decided()).entry
    client = Recorder(engine.client("dynamodb"))

    store_of(engine, client).append(made.attempted(decision))

    assert client.count(INSERTS[engine.insert_mode]) == len(client.calls) == 1
    assert "#minutes#" not in str(client.calls)


def test_unavailable_is_the_outcome_when_the_years_table_is_missing(engine: Engine) -> None:
    with pytest.raises(AuditUnavailable):
        store_of(engine).append(made.decided())


def test_an_entry_is_a_duplicate_when_a_redelivery_comes_after_the_years_turn(
    engine: Engine, store: AuditStore
) -> None:
    engine.create_audit_table("2027")
    late = datetime(2026, 12, 31, 23, 50, tzinfo=UTC)
    first = store.append(made.decided(at=late)).entry

    again = made.decided(at=datetime(2027, 1, 9, tzinfo=UTC), minute=times.minute(late))
    outcome = store.append(again)

    assert (first["log"], again["log"]) == ("2026", "2027")
    assert outcome == StoredEntry(first, new=False)
    assert raw_rows(engine, "2027") == []


def test_an_entry_of_another_region_is_refused_when_appended_or_read(engine: Engine, store: AuditStore) -> None:
    foreign = made.decided(receipt=made.receipt(1, region="us-east-1"))
    put_raw(engine, foreign)

    with pytest.raises(WrongRegion):
        store.append(foreign)
    with pytest.raises(WrongRegion):
        store.get(made.TENANT, foreign["id"], "2026")
    with pytest.raises(WrongRegion):
        AuditStore(engine.client("dynamodb"), engine.prefix, "us-east-1", engine.insert_mode)


def test_nothing_can_update_or_overwrite_when_everything_is_used(engine: Engine, store: AuditStore) -> None:
    client = Recorder(engine.client("dynamodb"))
    recorded = store_of(engine, client)
    decision = made.decided()
    public = [n for n in dir(AuditStore) if not n.startswith("_") and n not in ("table", "key", "read_item")]

    recorded.append(decision)
    recorded.append_many([decision, made.attempted(decision), made.act(event=decision["event"])])
    recorded.get(made.TENANT, decision["id"], "2026")
    recorded.get_many(made.TENANT, [(decision["id"], "2026")])
    recorded.of_event(made.TENANT, times.minute(made.AT), decision["event"], NOW)
    recorded.of_transfer(made.TENANT, decision["routes"][0]["transfer"], NOW)
    recorded.of_subject(made.TENANT, decision["receipt"]["subjects"][0], made.AT, NOW, now=NOW)
    recorded.between(made.TENANT, made.AT, NOW, now=NOW)
    list(recorded.newest_of_subject(made.TENANT, decision["receipt"]["subjects"][0], made.AT, NOW))

    assert sorted(public) == [
        "append", "append_many", "between", "bucket", "day_buckets", "get", "get_many", "newest_of_subject", "of_event",
        "of_subject", "of_transfer", "take_touched", "touch_again",
    ]  # fmt: skip
    for name, arguments in client.calls:
        assert name in {"batch_execute_statement", "put_item", "batch_get_item", "query"}
        if name == "put_item":
            assert arguments["ConditionExpression"] == "attribute_not_exists(pk)"
        for statement in arguments.get("Statements", ()):
            assert statement["Statement"].startswith("INSERT INTO ")


# Read


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
