"""The store of what tenants declare, on every engine."""

from __future__ import annotations

import hashlib

import pytest

from chalicelib.core.errors import Misconfigured, NotFound, PreconditionFailed, WrongRegion
from chalicelib.core.tenant.records import ApiKey, Basis, Recipient, Source
from chalicelib.store.config import CHECKS_A_S, RELOAD_S, ConfigStore
from chalicelib.store.items import Item
from chalicelib.store.keys import KEEP_S, KeyStore
from tests.support.engines import Engine
from tests.support.stores import NOW, FakeKms, Ticks, new_id, new_tenant, table


class Stores:
    """Two processes' stores over one table."""

    def __init__(self, engine: Engine) -> None:
        self.kms, self.ticks = FakeKms(), Ticks()
        self.table, self.people = table(engine, "config"), table(engine, "people", range_key=False)
        self.one, self.other = self._store(), self._store()

    def _store(self) -> ConfigStore:
        keys = KeyStore(lambda: self.kms, "alias/test", self.people, self.ticks, lambda: NOW)
        return ConfigStore(self.table, keys, self.ticks, self.ticks.random)


@pytest.fixture
def stores(engine: Engine) -> Stores:
    return Stores(engine)


def source(name: str = "bot") -> Source:
    return Source(id=new_id("src"), created_at=NOW, channel="telegram", name=name)


def test_tenant_is_read_as_it_was_made_and_made_once(stores: Stores) -> None:
    tenant = new_tenant()

    first, second = (
        stores.one.create_tenant(tenant),
        stores.one.create_tenant(tenant.model_copy(update={"name": "Other"})),
    )

    assert (first, second) == (True, False)
    assert stores.other.tenant(tenant.id).record == tenant
    assert list(stores.one.tenants()) == [tenant.id]
    assert list(stores.one.tenants(tenant.id)) == []
    with pytest.raises(NotFound):
        stores.one.tenant(new_id("tnt"))


def test_second_writer_is_refused_when_a_tenant_has_changed(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)

    version = stores.one.replace_tenant(tenant.model_copy(update={"name": "First"}), 1)

    assert version == 2
    with pytest.raises(PreconditionFailed):
        stores.other.replace_tenant(tenant.model_copy(update={"name": "Second"}), 1)
    assert stores.other.tenant(tenant.id).record.name == "First"


def test_record_is_stored_once_changed_on_its_version_and_gone_when_deleted(stores: Stores) -> None:
    tenant, record = new_tenant(), source()
    stores.one.create_tenant(tenant)

    assert stores.one.insert(tenant.id, record)
    assert not stores.other.insert(tenant.id, record.model_copy(update={"name": "twice"}))
    assert stores.other.get(tenant.id, record.id).record == record
    assert stores.one.replace(tenant.id, record.model_copy(update={"name": "changed"}), 1) == 2
    with pytest.raises(PreconditionFailed):
        stores.other.replace(tenant.id, record, 1)
    stores.one.delete(tenant.id, record.id)

    with pytest.raises(NotFound):
        stores.other.get(tenant.id, record.id)
    with pytest.raises(PreconditionFailed):
        stores.one.replace(tenant.id, record, 2)


def test_another_tenants_record_is_not_found(stores: Stores) -> None:
    mine, theirs, record = new_tenant(), new_tenant(), source()
    for tenant in (mine, theirs):
        stores.one.create_tenant(tenant)
    stores.one.insert(theirs.id, record)

    with pytest.raises(NotFound):
        stores.one.get(mine.id, record.id)
    assert list(stores.one.list(mine.id, "src")) == []
    with pytest.raises(NotFound):
        stores.one.get(theirs.id, "lookup")


def test_records_are_listed_in_order_of_creation_from_behind_one(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    records = [source(f"s{n}") for n in range(5)]
    for record in records:
        stores.one.insert(tenant.id, record)

    everything = [r.record for r in stores.one.list(tenant.id, "src", limit=2)]
    behind = [r.record for r in stores.one.list(tenant.id, "src", records[1].id, limit=2)]

    assert everything == records
    assert behind == records[2:]


def test_withdrawal_shows_wherever_the_basis_is_read(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    first, second = (Basis(id=new_id("bas"), created_at=NOW, kind="contract") for _ in range(2))
    for basis in (first, second):
        stores.one.insert(tenant.id, basis)
    withdrawn = first.model_copy(update={"withdrawn_at": NOW})

    stored = stores.one.withdraw(tenant.id, withdrawn)
    again = stores.other.withdraw(tenant.id, first.model_copy(update={"withdrawn_at": NOW.replace(hour=11)}))

    assert stored == again == withdrawn
    assert stores.other.get(tenant.id, first.id).record == withdrawn
    assert [r.record for r in stores.other.list(tenant.id, "bas")] == [withdrawn, second]
    assert [r.record for r in stores.other.list(tenant.id, "bas", first.id)] == [second]
    assert stores.other.snapshot(tenant.id).configuration.bases == {first.id: withdrawn, second.id: second}


def test_older_version_stays_beside_the_record(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    old = Recipient(id=new_id("rcp"), created_at=NOW, legal_name="Nord CRM", contact="dpo@crm.example")
    stores.one.insert(tenant.id, old)

    stores.one.keep_version(tenant.id, old)
    stores.one.replace(tenant.id, old.model_copy(update={"version": 2}), 1)

    assert [r.record.version for r in stores.one.list(tenant.id, "rcp")] == [2]
    assert stores.one.snapshot(tenant.id).configuration.recipients[old.id].version == 2
    assert stores.table.get({"pk": tenant.id, "sk": f"rcp#{old.id}#v1"}) is not None


def test_secrets_are_sealed_to_their_record_and_stay_when_it_changes(stores: Stores) -> None:
    tenant, record, other = new_tenant(), source(), source()
    stores.one.create_tenant(tenant)
    stores.one.insert(tenant.id, record, {"token": "canary"})

    stores.one.replace(tenant.id, record.model_copy(update={"name": "changed"}), 1)

    row = stores.other.get(tenant.id, record.id)
    assert row.sealed is not None and b"canary" not in row.sealed
    assert stores.other.secrets(tenant.id, record.id, row.sealed) == {"token": "canary"}
    assert stores.other.snapshot(tenant.id).secrets(record.id) == {"token": "canary"}
    assert stores.other.snapshot(tenant.id).secrets(other.id) is None
    with pytest.raises(Misconfigured):
        stores.other.secrets(tenant.id, other.id, row.sealed)
    stores.one.replace(tenant.id, record, 2, {"token": "new"})
    assert stores.other.snapshot(tenant.id).secrets(record.id) == {"token": "new"}


def test_snapshot_is_kept_until_anything_changes(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    first = stores.other.snapshot(tenant.id)

    assert stores.other.snapshot(tenant.id) is first
    stores.one.insert(tenant.id, source())
    second = stores.other.snapshot(tenant.id)

    assert second is not first
    assert len(second.configuration.sources) == 2  # the cell's own, which every tenant has, and this one
    assert second.configuration.version > first.configuration.version
    assert second.configuration.hash != first.configuration.hash
    stores.ticks.now_s += RELOAD_S
    assert stores.other.snapshot(tenant.id) is not second


def test_version_is_compared_three_times_a_second_where_a_caller_does_not_ask_for_more(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, looks = new_tenant(), list[str]()
    stores.one.create_tenant(tenant)
    read = stores.other._tenant_item

    def counted(tenant: str) -> Item:
        looks.append(tenant)
        return read(tenant)

    monkeypatch.setattr(stores.other, "_tenant_item", counted)

    for number in range(1, CHECKS_A_S + 1):  # at a low rate a change counts at once
        stores.one.insert(tenant.id, source())
        assert len(stores.other.snapshot(tenant.id, fresh=False).configuration.sources) == number + 1
    kept = stores.other.snapshot(tenant.id)
    stores.one.insert(tenant.id, source())
    looks.clear()

    assert all(stores.other.snapshot(tenant.id, fresh=False) is kept for _ in range(100))
    assert looks == []
    assert stores.other.snapshot(tenant.id) is not kept
    assert len(looks) == 1
    last = stores.other.snapshot(tenant.id, fresh=False)
    stores.one.insert(tenant.id, source())
    stores.ticks.now_s += 1
    assert stores.other.snapshot(tenant.id, fresh=False) is not last


def test_a_process_sees_its_own_change_at_once_however_often_it_looks(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    for number in range(2 * CHECKS_A_S):
        assert len(stores.one.snapshot(tenant.id, fresh=False).configuration.sources) == number + 1
        stores.one.insert(tenant.id, source())
    version = stores.one.tenant(tenant.id).version
    stores.one.replace_tenant(tenant.model_copy(update={"name": "South"}), version)

    assert stores.one.snapshot(tenant.id, fresh=False).configuration.tenant.name == "South"


def test_master_key_is_unwrapped_once_in_five_minutes(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)

    for _ in range(3):
        stores.one.keys_of(tenant.id)
    assert stores.kms.calls == 1
    stores.ticks.now_s += KEEP_S
    assert stores.one.keys_of(tenant.id).ids == stores.other.keys_of(tenant.id).ids
    assert stores.kms.calls == 3


def key_of(stores: Stores, tenant: str) -> tuple[ApiKey, str]:
    digest = hashlib.sha256(new_id("key").encode()).hexdigest()
    key = ApiKey(id=new_id("key"), created_at=NOW, name="k", scopes=("read",), secret_sha256=digest)
    stores.one.insert(tenant, key)
    stores.one.insert_lookup(f"hash#{digest}", tenant, key.id)
    return key, digest


def test_holder_is_found_by_hash_until_the_key_is_deleted(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    key, digest = key_of(stores, tenant.id)

    holder = stores.other.holder(digest)

    assert holder is not None
    assert (holder.tenant.record, holder.key) == (tenant, key)
    assert holder.keys.cursors == stores.one.keys_of(tenant.id).cursors
    assert stores.other.holder("0" * 64) is None
    stores.one.delete(tenant.id, key.id)
    assert stores.other.holder(digest) is None  # whether or not the lookup went first


def test_nobody_holds_a_closed_tenants_key(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    _, digest = key_of(stores, tenant.id)

    stores.one.replace_tenant(tenant.model_copy(update={"state": "closed"}), 1)

    assert stores.other.holder(digest) is None
    with pytest.raises(NotFound):
        stores.other.snapshot(tenant.id)


def test_nothing_is_left_when_a_tenant_is_erased(stores: Stores) -> None:
    tenant, other, record = new_tenant(), new_tenant(), source()
    for made in (tenant, other):
        stores.one.create_tenant(made)
    stores.one.insert(tenant.id, record, {"token": "canary"})
    stores.one.insert_lookup(record.id, tenant.id, record.id)
    _, digest = key_of(stores, tenant.id)

    stores.one.erase_tenant(tenant.id)
    stores.one.erase_tenant(tenant.id)

    assert list(stores.table.query("pk = :p", {":p": tenant.id})) == []
    assert stores.one.lookup(record.id) is None and stores.one.lookup(f"hash#{digest}") is None
    assert list(stores.one.tenants()) == [other.id]


def test_rows_of_another_region_are_not_read(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    with pytest.raises(WrongRegion):  # the answer of the very call that moves the row is not read either
        stores.table.update(
            {"pk": tenant.id, "sk": "tenant"}, "SET #r = :r", {":r": "us-east-1"}, names={"#r": "region"}
        )

    with pytest.raises(WrongRegion):
        stores.other.tenant(tenant.id)


def test_record_that_cannot_be_read_shows_none_of_its_values(stores: Stores) -> None:
    tenant = new_tenant()
    stores.one.create_tenant(tenant)
    record = source()
    stores.one.insert(tenant.id, record)
    stores.table.update({"pk": tenant.id, "sk": f"src#{record.id}"}, "SET doc = :d", {":d": '{"name": "canary"}'})

    with pytest.raises(NotFound) as caught:
        stores.other.get(tenant.id, record.id)

    assert record.id in str(caught.value)
    assert "canary" not in str(caught.value)
