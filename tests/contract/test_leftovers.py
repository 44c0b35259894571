"""What a home's engine does not delete by itself, the sweep deletes: rows past their time to live, and old exports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.flow.retention import leftovers
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.store import engines, expired_rows
from chalicelib.store.data import DataStore
from chalicelib.store.expired_rows import delete_expired
from chalicelib.store.exports import ENDS, Exports
from chalicelib.store.region import Clients
from chalicelib.store.ttl import ttl
from tests.support.engines import Engine
from tests.support.stores import NOW, table

MINUTE = timedelta(minutes=1)


@pytest.fixture
def data(engine: Engine) -> DataStore:
    return DataStore(table(engine, "data"), engine.insert_mode)


@pytest.fixture
def exports(engine: Engine) -> Exports:
    bucket = f"{engine.prefix}-exports"
    engine.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": engine.region})
    return Exports(lambda: engine.client("s3"), bucket, engine.region)


def left(data: DataStore) -> set[str]:
    return {item["sk"]["S"] for item in data.table.client.scan(TableName=data.table.name)["Items"]}


def test_rows_are_deleted_when_their_time_is_over(data: DataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expired_rows, "SCANNED_A_PAGE", 2)
    for name, expires in (("a", -1), ("b", -60), ("c", 1), ("d", -5), ("e", 90)):
        data.table.insert({"pk": "tnt#x", "sk": name, "ttl": ttl(NOW + expires * MINUTE)})
    data.table.insert({"pk": "tnt#x", "sk": "held"})

    assert delete_expired(data.table, NOW, lambda: True) == 3
    assert left(data) == {"c", "e", "held"}
    assert delete_expired(data.table, NOW, lambda: True) == 0


def test_a_row_stays_when_a_hold_takes_its_time_to_live_away_meanwhile(
    data: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"pk": "tnt#x", "sk": "a"}
    data.table.insert({**key, "ttl": ttl(NOW - MINUTE)})
    page = data.table.page

    def read_before_the_hold(*arguments: object) -> object:
        found = page(*arguments)  # type: ignore[arg-type]
        data.table.update(key, "REMOVE #ttl", {}, names={"#ttl": "ttl"})
        return found

    monkeypatch.setattr(data.table, "page", read_before_the_hold)

    assert delete_expired(data.table, NOW, lambda: True) == 0
    assert left(data) == {"a"}


def test_no_row_is_deleted_when_no_time_is_left(data: DataStore) -> None:
    data.table.insert({"pk": "tnt#x", "sk": "a", "ttl": ttl(NOW - MINUTE)})

    assert delete_expired(data.table, NOW, lambda: False) == 0
    assert left(data) == {"a"}


def test_objects_and_uploads_are_deleted_when_they_are_old(engine: Engine, exports: Exports) -> None:
    for number in range(3):
        exports.put(f"parts/job_{number}/entries-0", b"x")
    exports.begin("bundles/job_1.tar", "application/x-tar")
    s3, now = engine.client("s3"), datetime.now(UTC)

    assert exports.delete_older(now - timedelta(hours=1)) == 0
    assert exports.has("parts/job_1/entries-0")
    if engine.url is not None:  # moto says that every upload began in 2010
        assert s3.list_multipart_uploads(Bucket=f"{engine.prefix}-exports").get("Uploads")

    assert exports.delete_older(now + timedelta(hours=1)) == 3
    assert not exports.has("parts/job_1/entries-0")
    assert not s3.list_multipart_uploads(Bucket=f"{engine.prefix}-exports").get("Uploads")


@pytest.mark.parametrize("name", engines.names())
def test_sweep_deletes_what_the_engine_does_not(
    name: str, data: DataStore, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC) + ENDS + timedelta(hours=1)
    runtime = Runtime(Settings(cell="t", region="eu-central-1", country="DE"), Clients("eu-central-1"), now=lambda: now)
    runtime.settings = replace(runtime.settings, engine=name)
    runtime.data, runtime.exports = data, exports
    data.table.insert({"pk": "tnt#x", "sk": "a", "ttl": ttl(NOW - MINUTE)})
    exports.put("bundles/job_1.tar", b"tar")

    leftovers.handle(runtime, lambda: 1)

    profile = engines.profile(name)
    assert (left(data) == set()) == ("ttl" not in profile.capabilities)
    assert exports.has("bundles/job_1.tar") == profile.on_aws
