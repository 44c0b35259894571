"""Keys over a whole flow: each has one kind of use, and a rotated master key reads all that was written before it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chalicelib.core import envelope
from chalicelib.core.errors import Conflict
from chalicelib.store.keys import ROTATION, KeyStore
from tests.support.stores import FakeKms, Ticks
from tests.support.world import World, world


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[set[bytes], set[bytes], list[bytes]]]:
    """Record the keys of AES, those of HMAC, and the keys and nonces of each AES-GCM encryption."""
    ciphers, macs, messages = set[bytes](), set[bytes](), list[bytes]()
    digest, real = hmac.digest, AESGCM

    def recorded_digest(key: bytes, *rest: Any) -> bytes:
        macs.add(bytes(key))
        return digest(key, *rest)

    class Recorded:
        def __init__(self, key: bytes) -> None:
            ciphers.add(key)
            self.key, self.real = key, real(key)

        def encrypt(self, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
            messages.append(self.key + nonce)
            return self.real.encrypt(nonce, plain, aad)

        def decrypt(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
            return self.real.decrypt(nonce, sealed, aad)

    with monkeypatch.context() as patched:
        patched.setattr(hmac, "digest", recorded_digest)
        patched.setattr(envelope, "AESGCM", Recorded)
        yield ciphers, macs, messages


def test_no_key_encrypts_and_authenticates(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded(monkeypatch) as (ciphers, macs, messages), world() as w:
        w.connect()
        w.post(1)
        w.settle()
        w.post(2)
        w.settle()

    assert len(w.receiver.requests) == 2
    assert len(ciphers) > 5
    assert len(macs) >= 5
    assert ciphers & macs == set()
    gcm = [message[:32] for message in messages]
    assert len(set(gcm)) == len(gcm)  # no two messages under one key of AES-GCM


def sealed_versions(w: World, table: str, attribute: str) -> list[int]:
    rows = [row[attribute]["B"] for row in w.rows(table) if attribute in row]
    assert all(data[:1] == b"\x02" for data in rows)
    return sorted(int.from_bytes(data[1:3], "big") for data in rows)


def test_a_new_version_encrypts_when_every_process_can_read_it() -> None:
    with world() as w:
        w.connect()
        w.post(1, chat=1)
        w.settle()
        made = w.runtime.keys.rotate(w.tenant, w.runtime.random, "job_1")
        again = w.runtime.keys.rotate(w.tenant, w.runtime.random, "job_2")
        w.post(2, chat=2)
        w.settle()

        assert made == again
        assert (made.version, made.active_at) == (2, w.clock.replace(microsecond=0) + ROTATION)
        assert set(sealed_versions(w, "people", "key")) == {1}

        w.clock += ROTATION + timedelta(minutes=10)
        w.post(3, chat=3)
        w.post(4, chat=1)
        w.settle()

        assert len(w.receiver.requests) == 4
        assert set(sealed_versions(w, "people", "key")) == {1, 2}
        keys = w.runtime.config.keys_of(w.tenant)
        rows = [(row["pk"]["S"], keys) for row in w.rows("people") if "key" in row]
        assert len(w.runtime.people.get_many(rows)) == len(rows)


class Rows:
    """One row of ``people``."""

    def __init__(self) -> None:
        self.row: dict[str, Any] | None = None

    def get(self, key: dict[str, str]) -> dict[str, Any] | None:
        return self.row

    def insert(self, values: dict[str, Any]) -> bool:
        self.row = self.row or values
        return True

    def replace(self, values: dict[str, Any], condition: str, bound: dict[str, int]) -> bool:
        assert self.row is not None
        same = bool(self.row.get("version", bound[":v"]) == bound[":v"])
        self.row = values if same else self.row
        return same


def test_one_call_opens_all_versions() -> None:
    kms, ticks, rows, at = FakeKms(), Ticks(), Rows(), [World.clock]
    store = KeyStore(lambda: kms, "alias/cell", rows, ticks, lambda: at[0])  # type: ignore[arg-type]
    store.make("tnt_1")
    masters = [store.of("tnt_1").master]
    for _ in range(3):
        store.rotate("tnt_1", ticks.random, "job_1")
        at[0] += ROTATION
        masters.append(store.of("tnt_1").later[len(masters) + 1])
    before = kms.calls

    other = KeyStore(lambda: kms, "alias/cell", rows, ticks, lambda: at[0]).of("tnt_1")  # type: ignore[arg-type]

    assert kms.calls == before + 1
    assert [other.master, *(other.later[version] for version in (2, 3, 4))] == masters
    assert len(set(masters)) == 4
    assert other.current == 4


def test_a_rotation_is_refused_when_another_process_was_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    kms, ticks, rows = FakeKms(), Ticks(), Rows()
    store = KeyStore(lambda: kms, "alias/cell", rows, ticks, lambda: World.clock)  # type: ignore[arg-type]
    store.make("tnt_1")
    generated = kms.generate_data_key_without_plaintext

    def slow(**asked: Any) -> Any:
        assert rows.row is not None
        rows.row = {**rows.row, "version": 2}
        return generated(**asked)

    monkeypatch.setattr(kms, "generate_data_key_without_plaintext", slow)

    with pytest.raises(Conflict):
        store.rotate("tnt_1", ticks.random, "job_1")
