from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core import ids, times
from chalicelib.core.errors import AuditBroken, Misconfigured
from chalicelib.core.log import audit, leaf, transfers
from chalicelib.core.log.entry import ACTS, MODELS, VERDICTS
from chalicelib.core.log.entry_types import Entry
from tests.fixtures.audit import made

FIXTURES = Path(__file__).parents[1] / "fixtures" / "audit"
MINUTE = times.minute(made.AT)
CANARY = "Grace Hopper +49 151 5550100 grace@nord.example"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Ids


def test_an_id_is_made_of_minute_event_and_natural_key_when_derived() -> None:
    entry = made.decided()
    event = hashlib.sha256(f"e\n{entry['event']}".encode()).digest()
    natural = hashlib.sha256(f"k\ndecided\n{entry['event']}\n0".encode()).digest()

    assert ids.is_id(entry["id"], "ent")
    assert ids.decode(entry["id"][4:10]) == audit.minute_of(entry["id"]) == MINUTE
    assert ids.decode(entry["id"][10:18]) == int.from_bytes(event) >> 216
    assert ids.decode(entry["id"][18:]) == int.from_bytes(natural) >> 196
    assert audit.shard(entry["id"]) == event[0] >> 5


def test_all_entries_of_an_event_share_their_beginning_and_bucket_when_made() -> None:
    decision = made.decided()
    entries = [
        decision,
        made.attempted(decision),
        made.attempted(decision, attempt=2),
        made.attempted(decision, take=1),
        made.act("erased", event=decision["event"], at=made.AT + timedelta(days=9), minute=MINUTE),
    ]

    assert len({e["id"] for e in entries}) == 5
    assert {e["id"][4:18] for e in entries} == {transfers.entry_prefix(MINUTE, decision["event"])}
    assert {audit.partition_of(e["tenant"], e["id"]) for e in entries} == {
        audit.partition(made.TENANT, MINUTE, audit.shard(decision["id"]))
    }


def test_ids_can_be_told_beforehand_when_the_entry_is_not_there_yet() -> None:
    decision = made.decided()
    attempt = made.attempted(decision, attempt=3, take=1)

    assert audit.received_id(MINUTE, decision["event"]) == decision["id"]
    assert audit.attempt_id(decision["id"], decision["event"], attempt["transfer"], 3, 1) == attempt["id"]


def test_all_shards_are_used_when_there_are_many_events() -> None:
    assert {audit.shard(made.decided(n)["id"]) for n in range(100)} == set(range(audit.SHARDS))


@pytest.mark.parametrize("minute", [-1, 1 << 30])
def test_an_entry_is_refused_when_its_minute_cannot_be_named(minute: int) -> None:
    with pytest.raises(Misconfigured):
        audit.entry_id(minute, "evt", "key")


# Natural keys


def test_every_telling_has_its_own_key_when_it_tells_something_else() -> None:
    first = made.decided(routes=[made.route(1), made.route(2)])
    act = made.act("released", event=first["event"], object=("transfer", made.ref("trf", 1)))
    again = {"supersedes": first["id"]}
    entries = [
        first,
        made.decided(cause="released", by=act["id"], **again),
        made.decided(cause="replayed", by=made.act("replayed")["id"]),
        made.decided(cause="rechecked", routes=[made.route(1)], **again),
        made.decided(cause="rechecked", routes=[made.route(2)], **again),  # another transfer of the same decision
        made.decided(cause="rechecked", routes=[made.route(1)], supersedes=act["id"]),  # and the next look at it
        act,
        made.act("expired", event=first["event"]),
        made.act("expired", event=first["event"], object=("transfer", made.ref("trf", 1))),
        made.act("expired", event=first["event"], request="dead_letter"),
        made.act("viewed", event=first["event"]),
    ]

    assert len({audit.natural_key(e) for e in entries}) == len({e["id"] for e in entries}) == len(entries)


def test_the_key_is_the_same_when_only_the_clock_and_the_answer_differ() -> None:
    first = made.decided()
    second = made.decided(at=made.AT + timedelta(hours=1), minute=MINUTE, routes=[made.route(1, made.HELD, "held", [])])

    assert audit.natural_key(first) == audit.natural_key(second)
    assert first["id"] == second["id"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: made.decided(cause="replayed"),
        lambda: made.decided(cause="released", supersedes=made.decided()["id"]),
        lambda: made.decided(cause="rechecked"),
        lambda: made.decided(cause="rechecked", supersedes=made.decided()["id"], routes=[]),
        lambda: made.act(request=None),
    ],
    ids=["replayed", "released", "rechecked", "rechecked without a route", "act"],
)
def test_an_entry_is_refused_when_its_cause_is_not_named(make: Callable[[], Entry]) -> None:
    with pytest.raises(Misconfigured):
        make()


# Logs


@pytest.mark.parametrize(
    ("minute", "at", "log"),
    [
        ("2026-11-23", "2026-11-23", "2026"),
        ("2026-12-31", "2027-01-07T23:59:59.999", "2026"),
        ("2026-12-31", "2027-01-08", "2027"),
        ("2027-01-01", "2026-12-01", "2027"),
        ("2027-01-01", "2026-11-30T23:59:59.999", "2026"),
        ("2019-05-05", "2026-03-01", "2026"),
    ],
)
def test_the_log_is_the_minutes_year_when_it_is_open_and_else_the_clocks(minute: str, at: str, log: str) -> None:
    assert audit.log_of(times.minute(day(minute)), day(at)) == log


@pytest.mark.parametrize(
    ("minute", "at", "earlier"),
    [
        ("2026-11-23", "2026-11-23", ()),
        ("2026-12-31", "2027-01-07", ()),
        ("2026-12-31", "2027-01-08", ("2026",)),
        ("2027-01-01", "2026-12-01", ("2026",)),
        ("2027-01-01", "2027-01-01", ()),
        ("2019-05-05", "2026-03-01", ("2019",)),
        ("2019-05-05", "2026-01-03", ("2019", "2025")),
    ],
)
def test_earlier_logs_are_looked_into_when_a_first_writer_may_have_used_them(
    minute: str, at: str, earlier: tuple[str, ...]
) -> None:
    first, now = times.minute(day(minute)), day(at)

    assert audit.earlier_logs(first, now, audit.log_of(first, now)) == earlier


def test_no_log_is_overlooked_when_a_redelivery_comes_within_a_fortnight() -> None:
    for first in (day("2026-11-20"), day("2026-12-30"), day("2027-01-02"), day("2019-06-01")):
        for hours in range(0, 24 * 60, 9):
            at = day("2026-11-15") + timedelta(hours=hours)
            minute = times.minute(first)
            log = audit.log_of(minute, at)
            known = {log, *audit.earlier_logs(minute, at, log)}
            for back in range(0, 24 * 14, 13):
                assert audit.log_of(minute, at - timedelta(hours=back)) in known


def test_every_log_is_read_when_an_entry_of_the_minute_may_be_in_it() -> None:
    now = day("2028-02-01")
    for offset in range(0, 800, 7):
        at = day("2026-01-20") + timedelta(days=offset)
        for late in (-40, 0, 5, 300):
            if at + timedelta(days=late) > now:
                continue
            minute = times.minute(at)
            assert audit.log_of(minute, at + timedelta(days=late)) in audit.logs_of(minute, minute, now)


# Form


def test_every_kind_has_a_leaf_when_made() -> None:
    decision = made.decided()
    entries = [decision, made.attempted(decision), *(made.act(kind) for kind in ACTS)]

    assert {e["kind"] for e in entries} == set(MODELS)
    for entry in entries:
        data = leaf.leaf(entry)
        assert leaf.verify_entry(data) == entry
        assert leaf.inflate(leaf.deflate(data)) == data


def change(entry: Entry, path: str, value: Any) -> Entry:
    changed: Any = json.loads(json.dumps(entry))
    *steps, last = [int(s) if s.isdigit() else s for s in path.split(".")]
    place = changed
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return dict(changed)


DECIDED_FAULTS: list[tuple[str, Any]] = [
    ("schema", "waybill.audit/2"), ("schema", ...), ("kind", "decide"), ("note", CANARY), ("log", "26"), ("log", 2026),
    ("tenant", "tnt_1"), ("tenant", None), ("at", "2026-11-23T09:30:15Z"), ("at", "2026-11-23T09:30:15.250+00:00"),
    ("at", "2026-02-30T09:30:15.250Z"), ("at", "٢٠٢٦-11-23T09:30:15.250Z"), ("event", None), ("event", CANARY),
    ("cause", "seen"), ("by", ""), ("supersedes", "evt_" + "0" * 26), ("supersedes", ...), ("receipt", None),
    ("receipt.name", CANARY), ("receipt.channel", CANARY), ("receipt.kind", "poke"), ("receipt.received_at", None),
    ("receipt.classes", ["name", "contact"]), ("receipt.classes", ["name", "name"]), ("receipt.classes", ["phone"]),
    ("receipt.size_bytes", 1.0), ("receipt.size_bytes", -1), ("receipt.size_bytes", True), ("receipt.size_bytes", 2**53),
    ("receipt.commitment", "A" * 64), ("receipt.commitment", "0" * 63), ("receipt.subjects", [CANARY]),
    ("receipt.subjects", [made.ref("sub", n) for n in range(17)]), ("receipt.subjects", [made.ref("sub", 1)] * 2),
    ("receipt.conversation", ...), ("receipt.store", {"region": "eu-central-1"}), ("receipt.store.country", "de"),
    ("expires_at", "tomorrow"), ("facts", []), ("facts.score", 0.5), ("facts.count", 2**53), ("facts.name", CANARY),
    ("facts.mail", "grace@nord.example"), ("facts.phone", "+491515550100"), ("facts.a key", 1), ("facts.list", [[CANARY]]),
    ("facts.deep", [[[[[[[[[]]]]]]]]]), ("rules_hash", "sha256:" + "0" * 57), ("config_hash", None),
    ("routes", [made.route(n) for n in range(101)]), ("routes.0.route", "r"), ("routes.0.decision", "allow"),
    ("routes.0.rules.0.ref", ""), ("routes.0.rules.0.ref", "a\nb"), ("routes.0.rules.0.effect", "allow"),
    ("routes.0.rules.1", made.PERMITS[0]), ("routes.0.basis", CANARY), ("routes.0.recipient.name", CANARY),
    ("routes.0.recipient.country", "Germany"), ("routes.0.recipient.processing", ["DE", 1]), ("routes.0.classes_out", None),
]  # fmt: skip
ATTEMPTED_FAULTS: list[tuple[str, Any]] = [
    ("attempt", 0), ("attempt", "1"), ("take", -1), ("outcome", "sent"), ("code", CANARY), ("code", "http_999"),
    ("classes", None), ("size_bytes", 1.5), ("took_ms", None), ("decided", ...), ("response", CANARY),
]  # fmt: skip
ACT_FAULTS: list[tuple[str, Any]] = [
    ("actor", None), ("actor.kind", "person"), ("actor.id", "grace@nord.example"), ("object", {"kind": "hold"}),
    ("range", {"after": None, "before": None}), ("before", "0"), ("reason", "because"), ("request", CANARY), ("subject", ...),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "path", "value"),
    [
        *(pytest.param(made.decided, *f, id=f"decided-{n}-{f[0]}") for n, f in enumerate(DECIDED_FAULTS)),
        *(
            pytest.param(lambda: made.attempted(made.decided()), *f, id=f"attempted-{n}-{f[0]}")
            for n, f in enumerate(ATTEMPTED_FAULTS)
        ),
        *(pytest.param(made.act, *f, id=f"act-{n}-{f[0]}") for n, f in enumerate(ACT_FAULTS)),
    ],
)
def test_an_entry_is_neither_written_nor_read_when_its_form_is_wrong(
    make: Callable[[], Entry], path: str, value: Any
) -> None:
    changed = change(make(), path, value)

    with pytest.raises(Misconfigured) as written:
        leaf.leaf(changed)
    with pytest.raises(AuditBroken) as read:
        leaf.verify_entry(json.dumps(changed, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode())

    for told in (str(written.value), str(read.value)):
        assert CANARY not in told
        assert "grace" not in told


def test_the_name_of_an_unknown_field_is_not_told_when_it_is_refused() -> None:
    with pytest.raises(Misconfigured) as raised:
        leaf.leaf({**made.decided(), CANARY: 1})

    assert "Grace" not in str(raised.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: change(made.decided(), "id", made.decided(2)["id"]),
        lambda: change(made.decided(), "event", made.ref("evt", 2)),
        lambda: change(made.decided(), "log", "2027"),
        lambda: change(made.act(), "log", "2025"),
        lambda: change(made.attempted(made.decided()), "decided", made.decided(2)["id"]),
        lambda: change(made.attempted(made.decided()), "take", 1),
        lambda: made.decided(routes=[made.route(1, [])]),
        lambda: made.decided(routes=[made.route(1, made.PERMITS + made.HELD)]),
        lambda: made.decided(routes=[made.route(1, made.PERMITS, "redacted")]),
        lambda: made.decided(routes=[made.route(1, made.HELD, "held")]),
        lambda: made.decided(routes=[made.route(1, [], "refused", ["content"])]),
        lambda: made.decided(routes=[made.route(1, classes=["content", "location"])]),
    ],
    ids=[
        "another id", "another event", "another log", "an act of another log", "another decision", "another take",
        "allowed without a rule", "allowed though a rule holds", "milder rules", "held and leaves", "refused and leaves",
        "more classes",
    ],
)  # fmt: skip
def test_an_entry_is_not_written_when_it_says_two_things(make: Callable[[], Entry]) -> None:
    with pytest.raises(Misconfigured):
        leaf.leaf(make())


def test_the_strictest_verdict_decides_when_rules_differ() -> None:
    for n, verdict in enumerate(VERDICTS):
        rules = [{"id": f"ANY.r{i}", "verdict": v, "ref": "GDPR art. 5"} for i, v in enumerate(VERDICTS[: n + 1])]
        out = [] if verdict in ("held", "refused") else made.CLASSES
        assert leaf.leaf(made.decided(routes=[made.route(1, rules, verdict, out)]))


def test_an_entry_is_refused_when_it_is_too_long() -> None:
    rules = [{"id": f"ANY.rule-{n}", "verdict": "allowed", "ref": "GDPR art. 6(1) " + "x" * 100} for n in range(10)]

    with pytest.raises(Misconfigured, match="at most 65535"):
        leaf.leaf(made.decided(routes=[made.route(n, rules) for n in range(60)]))


def test_facts_are_refused_when_they_outgrow_their_room() -> None:
    room = {"now": "x" * 90, **{f"k{n}": "x" * 90 for n in range(5)}}

    assert leaf.leaf(made.decided(facts=room))
    with pytest.raises(Misconfigured, match="600"):
        leaf.leaf(made.decided(facts={**room, "more": "x" * 60}))
    assert leaf.leaf(made.decided(facts={**room, "bases": [{"id": made.ref("cns", 1), "more": "x" * 60}]}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d + b"\n",
        lambda d: b" " + d,
        lambda d: d.replace(b'":', b'": ', 1),
        lambda d: d.replace(b'"attempt":1', b'"attempt":1.0'),
        lambda d: d.replace(b'"attempt":1', b'"attempt":1e0'),
        lambda d: d.replace(b'"attempt":1', b'"attempt":NaN'),
        lambda d: d.replace(b'"attempt":1', b'"attempt":1,"attempt":1'),
        lambda d: d.replace(b"delivered", b"\\u0064elivered"),
        lambda d: d[:-1],
        lambda d: d.replace(b"delivered", b"\xff"),
        lambda d: b"[]",
        lambda d: b"[" * 60_000,
        lambda d: b"",
    ],
)
def test_bytes_are_refused_when_they_are_not_canonical(spoil: Callable[[bytes], bytes]) -> None:
    data = leaf.leaf(made.attempted(made.decided()))

    with pytest.raises(AuditBroken):
        leaf.verify_entry(spoil(data))


# Storage


def test_the_dictionary_is_the_one_that_stored_leaves_were_made_with() -> None:
    data = Path(leaf.__file__).with_name("audit.v1.dict").read_bytes()

    assert hashlib.sha256(data).hexdigest() == leaf.DICTIONARY_SHA256
    assert len(data) <= 32_768


@pytest.mark.parametrize("name", ["decided", "attempted", "expired"])
def test_a_stored_leaf_is_read_for_ever_when_it_was_written_once(name: str) -> None:
    data = (FIXTURES / f"{name}.json").read_bytes()
    stored = bytes.fromhex((FIXTURES / f"{name}.stored.hex").read_text())

    assert leaf.inflate(stored) == data
    entry = leaf.verify_entry(data)
    audit.check(entry)


def size(entry: Entry) -> int:
    """The bytes that DynamoDB counts: the names and values of the row's attributes."""
    subject = audit.subject_of(entry)
    row = {
        "pk": audit.partition_of(entry["tenant"], entry["id"]), "sk": entry["id"], "leaf": leaf.deflate(leaf.leaf(entry)),
        "v": b"12", "log": entry["log"], **({"subject": subject} if subject else {}),
    }  # fmt: skip
    return sum(len(name) + len(value) for name, value in row.items())


def test_a_row_costs_one_write_unit_when_there_is_one_route() -> None:
    worst = made.decided(
        receipt=made.receipt(1, 16), facts=made.facts(3), routes=[made.route(1, made.PERMITS + made.LOCALISED)]
    )

    assert size(made.decided()) <= 620
    assert size(made.decided(routes=[made.route(n) for n in range(4)])) <= 930
    assert size(worst) <= 1024
    assert size(made.attempted(made.decided())) <= 300


# Documentation


def test_every_field_and_kind_has_its_word_when_the_log_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    names = {info.alias or name for model in MODELS.values() for name, info in model.model_fields.items()}

    assert {name for name in names | set(MODELS) | set(VERDICTS) if f"`{name}`" not in page} == set()
