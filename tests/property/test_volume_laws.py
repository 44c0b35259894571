"""A counter is the number of different people, with any repeats, races and crashes; and each threshold is published.

Several processes count at once: at any of one's calls another may run, and at any call a process may die, before it or after
it. A process that died is run again, as a queue does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.law.thresholds import Threshold
from chalicelib.core.law.volumes import COUNTERS, asking, counters_of, told, with_own, year_of
from chalicelib.law import installed
from chalicelib.store import volumes
from chalicelib.store.items import Table
from chalicelib.store.volume_rows import CounterKey, Crossing
from chalicelib.store.volumes import VolumeStore

CN = CounterKey("tnt_1", "CN", 2026)
PEOPLE = [f"tnt_1#{n}" for n in range(5)]


class Died(BaseException):
    """The process is gone."""


class Tables:
    """Two tables in dicts, and what happens around each call of a process."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, dict[str, Any]]] = {
            "data": {},
            "people": {pk: {"pk": {"S": pk}} for pk in PEOPLE},
        }
        self.around: Callable[[], None] = lambda: None

    @staticmethod
    def _key(item: Mapping[str, Any]) -> str:
        return "/".join(item[name]["S"] for name in ("pk", "sk") if name in item)

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> dict[str, Any]:
        self.around()
        row = self.rows[TableName].get(self._key(Key))
        return {"Item": dict(row)} if row else {}

    def batch_get_item(self, *, RequestItems: Any) -> dict[str, Any]:
        self.around()
        wanted = {name: [self.rows[name].get(self._key(k)) for k in r["Keys"]] for name, r in RequestItems.items()}
        return {"Responses": {name: [dict(row) for row in rows if row] for name, rows in wanted.items()}}

    def put_item(self, *, TableName: str, Item: Any, ConditionExpression: str, **how: Any) -> dict[str, Any]:
        self.around()
        row = self.rows[TableName].get(self._key(Item))
        if ConditionExpression == "attribute_not_exists(pk)":
            held = row is None
        else:
            assert ConditionExpression == "version = :seen"
            held = row is not None and row["version"] == how["ExpressionAttributeValues"][":seen"]
        if not held:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")
        self.rows[TableName][self._key(Item)] = Item
        self.around()
        return {}

    def update_item(self, *, TableName: str, Key: Any, ExpressionAttributeNames: Any, **how: Any) -> dict[str, Any]:
        self.around()
        row = self.rows[TableName][self._key(Key)]
        row.update({name: {"BOOL": True} for name in ExpressionAttributeNames.values()})
        self.around()
        return {"Attributes": row}


Wanted = dict[str, frozenset[str]]
batches = st.dictionaries(
    st.sampled_from(PEOPLE),
    st.sampled_from([frozenset({"subjects_ytd"}), frozenset({"subjects_ytd", "sensitive_ytd"})]),
    min_size=1,
    max_size=3,
)


class Processes:
    """Processes that count batches; any of them may be interrupted by another, or die."""

    def __init__(self, jobs: list[Wanted], fates: list[str]) -> None:
        self.tables = Tables()
        self.jobs, self.fates = list(jobs), list(fates)
        self.crossed: set[tuple[str, int]] = set()
        self.depth = 0

    def store(self) -> VolumeStore:
        data, people = (Table(self.tables, name, "eu-central-1") for name in ("data", "people"))
        return VolumeStore(data, people, lambda _s: None)

    def around(self) -> None:
        fate = self.fates.pop() if self.fates else "on"
        if fate == "dies":
            raise Died
        if fate == "other" and self.jobs and self.depth < 3:
            self.depth += 1
            self.until_done(self.jobs.pop())
            self.depth -= 1

    def until_done(self, job: Wanted) -> None:
        depth = self.depth
        while True:
            try:
                self.store().count(CN, job, self.tell)
                return
            except Died:
                self.depth = depth

    def tell(self, crossing: Crossing) -> None:
        self.around()
        self.crossed |= {(crossing.counter, n) for n in range(crossing.before + 1, crossing.after + 1)}

    def run(self) -> dict[str, int]:
        self.tables.around = self.around
        while self.jobs:
            self.until_done(self.jobs.pop())
        self.tables.around = lambda: None
        return self.store().get([CN])[CN]


@settings(max_examples=300)
@given(
    st.lists(batches, min_size=1, max_size=6),
    st.lists(st.sampled_from(["on", "on", "on", "dies", "other"]), max_size=60),
    st.sampled_from([0, 1, volumes.CONFLICTS_MAX]),
    st.sampled_from([0, 1, volumes.OPEN_MAX]),
)
def test_the_count_is_that_of_different_people_under_any_interleaving_and_any_death(
    jobs: list[Wanted], fates: list[str], conflicts_max: int, open_max: int
) -> None:
    """The fewer conflicts a counter may have, the sooner it gets shards, also while others count."""
    with patch.object(volumes, "CONFLICTS_MAX", conflicts_max), patch.object(volumes, "OPEN_MAX", open_max):
        counts_are_right(jobs, fates)


def counts_are_right(jobs: list[Wanted], fates: list[str]) -> None:
    expected: dict[str, set[str]] = defaultdict(set)
    for job in jobs:
        for pk, names in job.items():
            for name in names:
                expected[name].add(pk)
    processes = Processes(jobs, fates)

    counts = processes.run()

    assert counts == {c.name: len(expected[c.name]) for c in COUNTERS["CN"]}
    assert processes.crossed == {(name, n) for name, number in counts.items() for n in range(1, number + 1)}
    assert (
        processes.store().count(CN, {pk: frozenset({"subjects_ytd"}) for pk in expected["subjects_ytd"]}, _never)
        == counts
    )


@pytest.mark.parametrize("conflicts_max", [0, volumes.CONFLICTS_MAX])
def test_a_person_of_a_process_that_died_counts_once_and_is_told_when_others_counted_in_between(
    conflicts_max: int,
) -> None:
    one = frozenset({"subjects_ytd"})
    processes = Processes([], [])
    fates = ["on"] * 3 + ["dies"]  # read, read, write, and then
    processes.tables.around = lambda: processes.around()
    processes.fates = fates[::-1]
    with patch.object(volumes, "CONFLICTS_MAX", conflicts_max):
        with pytest.raises(Died):
            processes.store().count(CN, {PEOPLE[0]: one}, processes.tell)
        for pk in PEOPLE[1:4]:
            processes.store().count(CN, {pk: one}, processes.tell)
        counts = processes.store().count(CN, {PEOPLE[0]: one}, processes.tell)

    assert counts["subjects_ytd"] == 4
    assert {n for _, n in processes.crossed} == {1, 2, 3, 4}


def test_numbers_of_all_shards_count_after_a_release_without_shards_has_counted() -> None:
    processes = Processes([], [])
    with patch.object(volumes, "CONFLICTS_MAX", 0):
        for pk in PEOPLE[:4]:
            processes.store().count(CN, {pk: frozenset({"subjects_ytd"})}, lambda _c: None)
    rows = {key: row for key, row in processes.tables.rows["data"].items() if "/CN#2026" in key}
    assert len(rows) > 1
    own = rows["tnt_1#volumes/CN#2026"]
    old = {name: own[name] for name in ("pk", "sk", "sensitive_ytd", "ttl", "region")} | {"open": {"S": "{}"}}
    for name in ("subjects_ytd", "version"):
        old[name] = {"N": str(int(own[name]["N"]) + 1)}
    processes.tables.rows["data"]["tnt_1#volumes/CN#2026"] = old
    processes.tables.rows["people"][PEOPLE[4]][CN.mark("subjects_ytd")] = {"BOOL": True}

    counts = processes.store().count(CN, dict.fromkeys(PEOPLE, frozenset({"subjects_ytd"})), _never)

    assert counts["subjects_ytd"] == len(PEOPLE)
    assert processes.store().get([CN]) == {CN: counts}


def _never(crossing: Crossing) -> None:
    raise AssertionError("nothing was to be counted")


@given(
    st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from([2025, 2026])), max_size=20),
)
def test_a_person_counts_once_in_each_year(met: list[tuple[str, int]]) -> None:
    store = Processes([], []).store()
    years: dict[int, set[str]] = defaultdict(set)

    for person, year in met:
        store.count(CounterKey("tnt_1", "CN", year), {person: frozenset({"subjects_ytd"})}, lambda _c: None)
        years[year].add(person)

    found = store.get([CounterKey("tnt_1", "CN", year) for year in (2025, 2026)])
    assert {p.year: c["subjects_ytd"] for p, c in found.items()} == {
        year: len(people) for year, people in years.items()
    }


months = st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(0, 35)), max_size=30)


@given(months, st.integers(12, 35))
def test_twelve_months_are_never_told_as_fewer_people_than_there_were(met: list[tuple[str, int]], now: int) -> None:
    seen = [(person, month) for person, month in met if month <= now]
    by_year = {y: {"identifiers_12m": len({p for p, m in seen if m // 12 == y})} for y in range(3)}

    said = told("US", by_year, now // 12)["identifiers_12m"]

    assert (
        len({p for p, m in seen if m > now - 12}) <= said <= 2 * len({p for p, m in seen if m // 12 >= now // 12 - 1})
    )


@given(st.integers(1, 10**6), st.sampled_from(["at", "above"]), st.lists(st.integers(1, 400_000), max_size=12))
def test_each_threshold_is_told_once_near_and_once_reached_however_a_count_grows(
    number: int, reached: Any, steps: list[int]
) -> None:
    one = Threshold("X", "CN", "subjects_ytd", number, reached, "art. 1", "", "", date(2026, 11, 22), "verified", True)
    told_of, count = [], 0

    for step in steps:
        told_of += one.events(count, count + step)
        count += step

    expected = ["threshold.near"] * (count * 100 >= number * 90)
    expected += ["threshold.reached"] * (count >= number if reached == "at" else count > number)
    assert sorted(told_of) == sorted(expected)


def test_a_year_begins_by_the_clock_of_the_law() -> None:
    evening = datetime(2026, 12, 31, 17, tzinfo=UTC)

    assert {code: year_of(installed(), code, evening) for code in COUNTERS} == {"CN": 2027, "RU": 2026, "US": 2026}


def test_what_a_law_is_told_is_never_less_than_the_event_itself() -> None:
    counted = {"subjects_ytd": 7, "sensitive_ytd": 0}

    own = counters_of("CN", ["content"], ["health"])

    assert with_own("CN", counted, own) == {"subjects_ytd": 7, "sensitive_ytd": 1}
    assert counters_of("CN", ["content"], None) == {"subjects_ytd"}


def test_the_law_is_told_only_where_it_asks() -> None:
    from chalicelib.core.law.residency import decide

    asked: list[int] = []
    law = installed()

    def counts() -> dict[str, Any]:
        asked.append(1)
        return {"CN": {"subjects_ytd": 5, "sensitive_ytd": 0}}

    facts: dict[str, Any] = {
        "now": "2026-11-22T10:00:00.000Z", "op": "store", "router_role": "processor", "purpose": "x", "channel": "telegram",
        "subject": {"country": "DE", "signal": "tenant_declared", "confidence": "declared"}, "volumes": {},
        "data": {"classes": ["content"], "special": []}, "collector": {"country": "DE", "tenant_class": "general"},
        "store": {"country": "DE", "provider": "dynamodb", "copies": ["DE"]}, "bases": [],
        "first_write": {"country": "DE", "at": "2026-11-22T10:00:00.000Z"},
    }  # fmt: skip
    chinese = {
        **facts,
        "collector": {"country": "CN", "tenant_class": "general"},
        "store": {**facts["store"], "country": "CN"},
    }

    here = asking(lambda f: decide(f, law), counts)(facts)
    there = asking(lambda f: decide(f, law), counts)(chinese)
    unknown = asking(lambda f: decide(f, law), dict)(chinese)

    assert "volumes" in str(unknown.missing)
    assert "volumes" not in str(here.missing) + str(there.missing)
    assert asked == [1]
    assert there.facts["volumes"] == {"CN": {"subjects_ytd": 5, "sensitive_ytd": 0}}
