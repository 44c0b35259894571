"""The job of a rotated master key: it wraps data keys and secrets under the new version, and loses or revives nothing."""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chalicelib.core import times
from chalicelib.core.envelope import TenantKeys, is_committed
from chalicelib.core.errors import Conflict
from chalicelib.core.job import OPEN, Job
from chalicelib.flow.jobs import key_rotation, requests
from chalicelib.flow.routing import route
from chalicelib.store.items import Table
from chalicelib.store.keys import ROTATION
from chalicelib.store.person_ends import DuePerson
from tests.support import deaths, replays
from tests.support.counted import Crash
from tests.support.replays import work
from tests.support.world import REGION, World, raw, world

CHATS = 4


@pytest.fixture(autouse=True)
def _pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "PAGE", 5)


def wrapped(w: World) -> Counter[tuple[str, int]]:
    """Count the wrapped texts of the tenant by the version that wraps them; 0 is the form of release 0.1."""
    found = Counter[tuple[str, int]]()
    for table, name in (("people", "key"), ("config", "sealed")):
        for row in w.rows(table):
            if name in row and row["pk"]["S"].startswith(w.tenant):
                data = row[name]["B"]
                found[name, int.from_bytes(data[1:3], "big") if data[:1] == b"\x02" else 0] += 1
    return found


def connected(w: World, chats: int = CHATS) -> None:
    w.connect()
    for number in range(chats):
        w.post(number, chat=100 + number)
    w.settle()


def rotate(w: World, seed: str = "rotate") -> Job:
    """Rotate as the operator does; try again when the process dies."""
    w.asked_at = w.clock  # type: ignore[attr-defined]
    while True:
        try:
            made = key_rotation.begin(replays.request(w, seed))
        except Crash:
            w.crashes += 1
            w.restart()
            continue
        job = w.runtime.jobs.get(w.tenant, made.job or "", w.clock)
        assert job is not None
        return job


def finish(w: World, job: Job) -> Job:
    """Advance time until a job has ended."""
    for _ in range(60):
        work(w)
        w.clock += timedelta(minutes=5)
        found = w.runtime.jobs.get(w.tenant, job.id, w.clock)
        assert found is not None
        if found.state not in OPEN:
            return found
    raise AssertionError("the job never ends")


def all_read(w: World) -> int:
    """Read every stored event, and check it against its commitment. Return how many there are."""
    keys, entries = w.runtime.config.keys_of(w.tenant), [e for e in w.of_kind("decided") if e["receipt"]]
    for entry in entries:
        row = w.runtime.data.event(w.tenant, entry["event"], w.clock)
        assert row is not None and row.owner is not None
        person = w.runtime.people.get_many([(row.owner, keys)])[row.owner]
        document = row.open(person.key, REGION, w.runtime.contents.get)
        assert is_committed(entry["receipt"]["commitment"], person.key, entry["event"], route.canonical(document))
    return len(entries)


def in_old_form(w: World, pk: str) -> None:
    """Wrap a data key as release 0.1 did."""
    keys, table = w.runtime.config.keys_of(w.tenant), w.runtime.people.table
    person = w.runtime.people.get_many([(pk, keys)])[pk]
    nonce = b"\x02\x00\x02" + bytes(9)  # begins as a text of version 2
    old = AESGCM(hmac.digest(keys.master, b"waybill/wrap/1", "sha256"))
    text = nonce + old.encrypt(nonce, person.key, f"{REGION}/{pk}".encode())
    table.update({"pk": pk}, "SET #key = :k", {":k": text}, names={"#key": "key"})


def test_everything_that_lasts_is_wrapped_under_the_new_version() -> None:
    with world() as w:
        connected(w)
        other = w.tenant
        connected(w)
        (old, *_) = (row["pk"]["S"] for row in w.rows("people") if "key" in row and row["pk"]["S"].startswith(w.tenant))
        in_old_form(w, old)
        job = rotate(w)
        before = w.runtime.keys.newest(w.tenant)
        kept = [row for row in w.rows("people") if row["pk"]["S"].startswith(other)]

        ended = finish(w, job)

        data_keys, secrets = 2 * CHATS, 2  # a person and a conversation for each chat; a source and a destination
        assert (ended.state, ended.done, ended.total) == ("done", data_keys + secrets, data_keys + secrets)
        assert ended.summary == {"version": 2, "secrets": secrets, "data_keys": data_keys}
        assert wrapped(w) == {("key", 2): data_keys, ("sealed", 2): secrets}
        after = w.runtime.keys.newest(w.tenant)
        assert (before.version, before.wraps_from, after.version, after.wraps_from) == (2, 1, 2, 2)
        assert [row for row in w.rows("people") if row["pk"]["S"].startswith(other)] == kept
        w.restart()
        assert all_read(w) == CHATS
        w.post(9, chat=100)
        w.settle()
        assert len(w.receiver.requests) == 2 * CHATS + 1


def test_nothing_is_wrapped_while_a_process_may_wrap_under_the_version_before() -> None:
    with world() as w:
        connected(w)
        slow = w.runtime.config.keys_of(w.tenant)  # of a process that read the keys just before
        job = rotate(w)
        at, seen = w.clock, wrapped(w)

        while w.clock < at + 2 * ROTATION - timedelta(minutes=1):
            work(w)
            w.clock += timedelta(minutes=1)
            assert wrapped(w) == seen
        w.runtime.people.find_or_make({f"{w.tenant}#{'0' * 32}": ("subject", slow)})
        finish(w, job)

        assert {version for _, version in wrapped(w)} == {2}


def test_a_later_rotation_takes_the_place_of_the_job() -> None:
    with world() as w:
        connected(w)
        first = rotate(w)
        assert rotate(w, "again").id == first.id  # the version is not active yet
        w.clock += ROTATION + timedelta(minutes=1)
        second = rotate(w, "later")

        ended = finish(w, first)
        assert ended.error is not None
        assert (ended.state, ended.error["code"]) == ("failed", "conflict")
        assert not w.runtime.keys.wraps_from(w.tenant, first.id, 3)
        assert w.runtime.keys.newest(w.tenant).wraps_from == 1
        assert finish(w, second).state == "done"

        assert {version for _, version in wrapped(w)} == {3}
        assert w.runtime.keys.newest(w.tenant).wraps_from == 3
        assert all_read(w) == CHATS


def test_a_rotation_that_was_never_stored_says_nothing_of_the_key() -> None:
    with world() as w:
        connected(w)
        asked_at = w.clock
        died = replays.request(w, "died", asked_at).new_id("job")
        w.crash_at = len(w.effects) + 3  # the job is stored, the version is not
        with pytest.raises(Crash):
            key_rotation.begin(replays.request(w, "died", asked_at))
        w.restart()
        assert w.runtime.keys.newest(w.tenant).version == 1
        work(w)
        w.clock += timedelta(seconds=10)
        other = rotate(w, "other")

        w.clock += 2 * ROTATION
        with pytest.raises(Conflict):
            key_rotation.begin(replays.request(w, "died", asked_at))

        assert finish(w, other).state == "done"
        lost = w.runtime.jobs.get(w.tenant, died, w.clock)
        assert lost is not None
        assert lost.state == "failed"
        assert w.runtime.keys.newest(w.tenant).version == 2


def test_a_request_that_is_repeated_late_makes_no_second_version() -> None:
    with world() as w:
        connected(w)
        asked_at = w.clock
        first = key_rotation.begin(replays.request(w, "once", asked_at))
        w.clock += 4 * ROTATION

        assert key_rotation.begin(replays.request(w, "once", asked_at)) == first
        assert first.version == 2


def test_a_request_that_is_repeated_finds_its_job_still_open() -> None:
    with world() as w:
        connected(w)
        asked_at = w.clock
        w.crash_at = len(w.effects) + 3  # the job is stored, the version is not
        with pytest.raises(Crash):
            key_rotation.begin(replays.request(w, "died", asked_at))
        w.restart()
        w.clock += 2 * ROTATION
        work(w)

        made = key_rotation.begin(replays.request(w, "died", asked_at))

        job = w.runtime.jobs.get(w.tenant, made.job or "", w.clock)
        assert job is not None
        assert finish(w, job).state == "done"
        assert {version for _, version in wrapped(w)} == {2}


def test_a_request_that_was_never_repeated_leaves_no_job_open() -> None:
    with world() as w:
        connected(w)
        w.asked_at = w.clock  # type: ignore[attr-defined]
        request = replays.request(w)
        job = requests.begin(request, key_rotation.KIND, {"version": 2}, {"secrets": 0, "data_keys": 0})
        work(w)
        w.clock += key_rotation.REPEATED
        work(w)

        ended = w.runtime.jobs.get(w.tenant, job.id, w.clock)
        assert ended is not None
        assert ended.state == "failed"
        assert w.runtime.keys.newest(w.tenant).version == 1


# Races


def _ended(w: World, row: dict[str, Any], slow: TenantKeys) -> None:
    end = row.get("ends_at")
    one = DuePerson(f"{w.tenant}#{row['ref']}", row["pk"], True, end, unsure=False)
    assert w.runtime.person_ends.end([one]) == [one]
    w.runtime.person_ends.forget([one.way])


def _ended_and_back(w: World, row: dict[str, Any], slow: TenantKeys) -> None:
    _ended(w, row, slow)
    w.runtime.people.find_or_make({row["pk"]: ("subject", slow)})


@pytest.mark.parametrize("act", [_ended, _ended_and_back])
def test_a_person_who_ends_between_read_and_write_stays_ended(
    act: Callable[[World, dict[str, Any], TenantKeys], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Table.page
    with world() as w:
        connected(w)
        slow = w.runtime.config.keys_of(w.tenant)
        job = rotate(w)
        gone: list[dict[str, Any]] = []

        def page(table: Table, *asked: Any) -> Any:
            rows, last = real(table, *asked)
            for row in rows:
                if not gone and row.get("ref", "").startswith("sub_") and "key" in row:
                    gone.append(row)
                    act(w, row, slow)
            return rows, last

        monkeypatch.setattr(Table, "page", page)
        finish(w, job)

        (old,) = gone
        rows = [row for row in w.rows("people") if old["ref"] in str(row)]
        assert rows == []
        there = w.runtime.people.table.get({"pk": old["pk"]})
        assert (there is None) == (act is _ended)
        assert {version for _, version in wrapped(w)} == {2}


def test_a_secret_that_changes_between_read_and_write_stays_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Table.query
    with world() as w:
        connected(w)
        job = rotate(w)
        config, changed = w.runtime.config, list[bool]()

        def query(table: Table, condition: str, *asked: Any, **how: Any) -> Any:
            rows = list(real(table, condition, *asked, **how))
            if condition == "pk = :p AND sk > :a" and not changed and any(r["sk"].startswith("src#") for r in rows):
                changed.append(True)
                row = config.get(w.tenant, w.source)
                config.replace(w.tenant, row.record, row.version, [{"secret": {"secret_token": "new"}, "until": None}])
            return iter(rows)

        monkeypatch.setattr(Table, "query", query)
        finish(w, job)

        row = config.get(w.tenant, w.source)
        assert config.secrets(w.tenant, w.source, row.sealed)[0]["secret"] == {"secret_token": "new"}
        assert (changed, wrapped(w)["sealed", 2]) == ([True], 2)


def test_a_tenant_that_closes_meanwhile_gets_no_key_back() -> None:
    with world() as w:
        connected(w)
        job = rotate(w)
        work(w)
        w.runtime.keys.delete(w.tenant)
        w.clock += 2 * ROTATION
        assert not w.runtime.keys.wraps_from(w.tenant, job.id, 2)  # a piece that was under way
        work(w)

        assert w.runtime.people.table.get({"pk": f"{w.tenant}#key"}) is None
        assert [row for row in w.rows("data") if row["sk"]["S"] == job.id] == []


# Deaths


def _rotated(crash_at: int | None) -> int:
    """Rotate and let the job end, dying at one effect. Return the number of effects."""
    with world() as w:
        connected(w, 1)
        w.effects.clear()
        w.crash_at = crash_at

        ended = finish(w, rotate(w))

        assert ended.state == "done"
        assert w.crashes == (crash_at is not None)
        assert wrapped(w) == {("key", 2): 2, ("sealed", 2): 2}
        newest = w.runtime.keys.newest(w.tenant)
        assert (newest.version, newest.wraps_from, newest.job) == (2, 2, ended.id)
        assert ended.done <= 4  # a page whose progress was lost wrote nothing when it was repeated
        w.restart()
        assert all_read(w) == 1
        return len(w.effects)


@deaths.in_parts
def test_all_is_wrapped_once_when_the_process_dies_at_any_effect(part: int) -> None:
    for effect in deaths.at(range(1, _rotated(None) + 1), 3, part, always=[4]):  # between the job and the version
        _rotated(effect)


# Secrecy


def test_no_key_is_shown_by_a_rotation(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with world() as w:
        connected(w)
        keys = w.runtime.config.keys_of(w.tenant)
        rows = [row["pk"]["S"] for row in w.rows("people") if "key" in row]
        plain = [person.key for person in w.runtime.people.get_many((pk, keys) for pk in rows).values()]
        job, table = rotate(w), w.runtime.people.table
        damaged = table.get({"pk": rows[0]})
        assert damaged is not None
        table.update({"pk": rows[0]}, "SET #key = :k", {":k": b"\x02" * 75}, names={"#key": "key"})
        w.clock += 2 * ROTATION
        work(w)
        table.update({"pk": rows[0]}, "SET #key = :k", {":k": damaged["key"]}, names={"#key": "key"})
        ended = finish(w, job)
        plain += [keys.master, *w.runtime.config.keys_of(w.tenant).later.values()]

        shown = "".join(capsys.readouterr()) + str(ended) + str([vars(record) for record in caplog.records])
        assert (ended.state, "job_failed" in shown) == ("done", True)
        year = f"audit-{times.text(w.clock)[:4]}"
        stored = b"".join(raw(row) for table in ("people", "config", "data", year) for row in w.rows(table))
        assert len(plain) == 2 * CHATS + 2
        for key in plain:
            texts = (key.hex(), base64.b64encode(key).decode(), repr(key)[2:-1])
            assert not any(text in shown for text in texts)
            assert not any(text in stored for text in (key, *(t.encode() for t in texts)))
