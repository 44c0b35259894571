"""Appending to the log: once, in order, many at a time, and with every fault of the table."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.core import times
from chalicelib.core.errors import AuditConflict, AuditUnavailable, Misconfigured, WrongRegion
from chalicelib.core.log import audit
from chalicelib.store import audit as store_audit
from chalicelib.store.audit import AuditStore, StoredEntry
from tests.fixtures.audit import made
from tests.support.audit_rows import INSERTS, NOW, Recorder, put_raw, raw_rows, store_of, stored
from tests.support.engines import Engine


@pytest.fixture
def store(engine: Engine) -> AuditStore:
    engine.create_audit_table("2026")
    return store_of(engine)


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
    name = audit.partition_name(decision["id"])
    recorded.partition_page(made.TENANT, "2026", name, "", 10)
    recorded.partition_count(made.TENANT, "2026", name)

    assert sorted(public) == [
        "append", "append_many", "between", "day_buckets", "get", "get_many", "newest_of_subject", "of_event",
        "of_subject", "of_transfer", "partition_count", "partition_page", "take_touched", "touch_again",
    ]  # fmt: skip
    for name, arguments in client.calls:
        assert name in {"batch_execute_statement", "put_item", "batch_get_item", "query"}
        if name == "put_item":
            assert arguments["ConditionExpression"] == "attribute_not_exists(pk)"
        for statement in arguments.get("Statements", ()):
            assert statement["Statement"].startswith("INSERT INTO ")
