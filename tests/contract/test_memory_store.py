"""The memory of destination kinds, on every engine."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from chalicelib.core import times
from chalicelib.core.envelope import TenantKeys
from chalicelib.core.errors import Misconfigured, Unavailable
from chalicelib.store.items import Table, write
from chalicelib.store.memory import DestinationMemory
from tests.support.engines import Engine
from tests.support.stores import NOW, Ticks, new_id, table

KEYS = TenantKeys(b"m" * 32)
NAME = "contact:telegram:+491700000001"


class Clock:
    """Wall time that tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Place:
    """A destination, and the processes that remember for it."""

    def __init__(self, rows: Table) -> None:
        self.rows, self.clock = rows, Clock()
        self.tenant, self.destination = new_id("tnt"), new_id("dst")
        self._ticks = Ticks()
        self._lock = threading.Lock()

    def random(self, size: int) -> bytes:
        with self._lock:
            return self._ticks.random(size)

    def process(self, keys: TenantKeys = KEYS, destination: str | None = None) -> DestinationMemory:
        where = destination or self.destination
        return DestinationMemory(self.rows, keys, self.tenant, where, self.clock, self.random)

    def stored(self) -> list[dict[str, object]]:
        found = self.rows.query("pk = :p", {":p": f"{self.tenant}#memory#{self.destination}"})
        return list(found)


@pytest.fixture
def place(engine: Engine) -> Place:
    return Place(table(engine, "data"))


def test_value_is_found_by_another_process_when_it_was_put(place: Place) -> None:
    place.process().put(NAME, "41", 60)

    assert place.process().get(NAME) == "41"
    assert place.process().get("contact:telegram:77") is None


def test_later_value_takes_the_place_when_it_is_put_again(place: Place) -> None:
    place.process().put(NAME, "41", 60)
    place.process().put(NAME, "42 Привет", 60)

    assert place.process().get(NAME) == "42 Привет"


def test_value_is_gone_when_its_time_has_passed(place: Place) -> None:
    place.process().put(NAME, "41", 60)
    place.clock.passes(59.999)
    assert place.process().get(NAME) == "41"

    place.clock.passes(0.001)

    assert place.process().get(NAME) is None


def test_row_has_a_time_for_the_table_to_remove_it_when_it_is_written(place: Place) -> None:
    memory = place.process()
    memory.put(NAME, "41", 60)
    memory.claim(NAME, 30)

    ends = {row["sk"].split("#")[0]: row["ttl"] for row in place.stored()}  # type: ignore[attr-defined]

    assert ends == {"value": times.millis(NOW) // 1000 + 61, "claim": times.millis(NOW) // 1000 + 31}


def test_neither_name_nor_value_is_readable_when_the_rows_are(place: Place) -> None:
    memory = place.process()
    memory.put(NAME, "v-a-l-u-e", 60)
    memory.claim(NAME, 60)

    shown = str(place.stored())

    assert len(place.stored()) == 2
    assert "491700000001" not in shown and "telegram" not in shown and "v-a-l-u-e" not in shown


def test_nothing_is_found_when_it_was_remembered_for_another_destination_or_tenant(place: Place) -> None:
    place.process().put(NAME, "41", 60)

    assert place.process(destination=new_id("dst")).get(NAME) is None
    assert place.process(keys=TenantKeys(b"o" * 32)).get(NAME) is None


def test_value_does_not_open_when_its_row_was_moved(place: Place) -> None:
    memory = place.process()
    memory.put(NAME, "41", 60)
    memory.put("other", "42", 60)
    first, second = place.stored()
    place.rows.client.put_item(TableName=place.rows.name, Item=write({**first, "body": second["body"]}))  # type: ignore[dict-item]

    with pytest.raises(Misconfigured):
        [place.process().get(name) for name in (NAME, "other")]


def test_claim_is_refused_when_somebody_has_it(place: Place) -> None:
    one, two = place.process(), place.process()

    assert one.claim(NAME, 30)

    assert not two.claim(NAME, 30)
    assert not one.claim(NAME, 30)
    assert two.claim("other", 30)


def test_claim_is_free_when_it_was_released(place: Place) -> None:
    one, two = place.process(), place.process()
    one.claim(NAME, 30)

    one.release(NAME)

    assert two.claim(NAME, 30)
    assert not one.claim(NAME, 30)


def test_claim_is_taken_over_when_its_time_has_passed(place: Place) -> None:
    one, two = place.process(), place.process()
    one.claim(NAME, 30)
    place.clock.passes(30)

    assert two.claim(NAME, 30)


def test_claim_stays_when_whoever_had_it_before_releases_it(place: Place) -> None:
    one, two, three = place.process(), place.process(), place.process()
    one.claim(NAME, 30)
    place.clock.passes(31)
    two.claim(NAME, 30)

    one.release(NAME)
    three.release(NAME)

    assert not three.claim(NAME, 30)


def test_claim_ends_by_its_time_when_it_cannot_be_given_back(place: Place) -> None:
    one, two = place.process(), place.process()
    one.claim(NAME, 30)

    def down(*_: object, **__: object) -> None:
        raise Unavailable("down")

    update, place.rows.update = place.rows.update, down  # type: ignore[method-assign, method-assign]
    one.release(NAME)
    with pytest.raises(Unavailable):
        one.put(NAME, "41", 60)
    place.rows.update = update  # type: ignore[method-assign]

    assert not two.claim(NAME, 30)
    place.clock.passes(30)
    assert two.claim(NAME, 30)


def test_claim_is_ones_own_when_the_answer_to_its_first_try_was_lost(place: Place) -> None:
    one, token = place.process(), bytes(16)
    one._random = lambda size: token[:size]  # the very same token: the call of one claim, tried twice

    assert one.claim(NAME, 30)
    assert one.claim(NAME, 30)
    assert not place.process().claim(NAME, 30)


def test_claim_and_value_of_one_name_leave_each_other_alone(place: Place) -> None:
    memory = place.process()
    memory.claim(NAME, 30)
    memory.put(NAME, "41", 60)
    memory.release(NAME)

    assert memory.get(NAME) == "41"


def test_one_has_the_claim_when_many_processes_want_it(place: Place) -> None:
    for round_number in range(3):
        processes = [place.process() for _ in range(20)]
        name = f"{NAME}:{round_number}"

        with ThreadPoolExecutor(20) as pool:
            claimed = list(pool.map(lambda one, name=name: one.claim(name, 30), processes))

        assert sum(claimed) == 1
