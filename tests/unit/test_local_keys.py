"""Tenants' keys under a key file: no other tenant's context unwraps a tenant's data; only the file's owner can read it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.envelope import TenantKeys
from chalicelib.core.errors import Misconfigured
from chalicelib.store.keys import KeyStore
from chalicelib.store.local_keys import LocalKeys, from_file

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def wrapped(keys: LocalKeys, tenant: str = "tnt_1") -> bytes:
    answer = keys.generate_data_key_without_plaintext(
        KeyId="ru1", NumberOfBytes=32, EncryptionContext={"tenant": tenant}
    )
    return answer["CiphertextBlob"]


def opened(keys: LocalKeys, blob: bytes, tenant: str = "tnt_1") -> bytes:
    return keys.decrypt(CiphertextBlob=blob, EncryptionContext={"tenant": tenant})["Plaintext"]


def test_key_opens_as_it_was_wrapped_and_each_is_another() -> None:
    keys = LocalKeys([OLD])

    first, second = wrapped(keys), wrapped(keys)

    assert len(opened(keys, first)) == 32
    assert opened(keys, first) == opened(keys, first) != opened(keys, second)


def test_key_is_not_in_what_is_stored() -> None:
    keys = LocalKeys([OLD])
    blob = wrapped(keys)

    assert opened(keys, blob) not in blob
    assert OLD not in blob


def test_key_stays_shut_when_the_context_is_another_tenants() -> None:
    keys = LocalKeys([OLD])

    with pytest.raises(Misconfigured, match="another tenant"):
        opened(keys, wrapped(keys), "tnt_2")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:30] + bytes([b[30] ^ 1]) + b[31:], lambda b: b[:10]])
def test_key_stays_shut_when_it_is_damaged(change: Any) -> None:
    keys = LocalKeys([OLD])

    with pytest.raises(Misconfigured):
        opened(keys, change(wrapped(keys)))


def test_older_keys_still_open_and_the_first_wraps_when_a_key_is_put_in_front() -> None:
    before = wrapped(LocalKeys([OLD]))
    both = LocalKeys([NEW, OLD])

    assert opened(both, before) == opened(LocalKeys([OLD]), before)
    assert len(opened(LocalKeys([NEW]), wrapped(both))) == 32
    with pytest.raises(Misconfigured, match="lacks the key"):
        opened(LocalKeys([NEW]), before)


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "master.key"
    path.touch(mode)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_keys_of_a_file_are_in_its_order(tmp_path: Path) -> None:
    keys = from_file(key_file(tmp_path, f"{NEW.hex()}\n{OLD.hex()}\n"))

    assert len(opened(LocalKeys([NEW]), wrapped(keys))) == 32
    assert len(opened(keys, wrapped(LocalKeys([OLD])))) == 32


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("", 0o600, "64 hex digits a line"),
        ("ab", 0o600, "64 hex digits a line"),
        (OLD.hex() + "\nxyz", 0o600, "64 hex digits a line"),
        (OLD.hex(), 0o640, "set its mode to 0600"),
        (OLD.hex(), 0o604, "set its mode to 0600"),
        ("é", 0o600, "no readable file"),
    ],
)
def test_file_is_refused_without_its_content_when_it_is_open_or_none(
    tmp_path: Path, text: str, mode: int, told: str
) -> None:
    with pytest.raises(Misconfigured, match=told) as refused:
        from_file(key_file(tmp_path, text, mode))

    assert OLD.hex() not in str(refused.value)


def test_file_is_refused_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="WAYBILL_MASTER_KEY names no readable file"):
        from_file(tmp_path / "nothing")


class Rows:
    """The ``people`` table, as far as keys go."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def get(self, key: dict[str, str]) -> dict[str, Any] | None:
        return self.rows.get(key["pk"])

    def insert(self, values: dict[str, Any]) -> bool:
        return self.rows.setdefault(values["pk"], values) is values

    def delete(self, key: dict[str, str]) -> None:
        self.rows.pop(key["pk"], None)


def test_tenants_keys_are_made_and_opened_as_with_a_key_service() -> None:
    rows: Any = Rows()
    seconds = itertools.count()
    store = KeyStore(lambda: LocalKeys([OLD]), "ru1", rows, lambda: next(seconds), lambda: times.EARLIEST)
    another = KeyStore(lambda: LocalKeys([NEW, OLD]), "ru1", rows, lambda: next(seconds), lambda: times.EARLIEST)

    store.make("tnt_1")
    store.make("tnt_2")

    assert isinstance(store.of("tnt_1"), TenantKeys)
    assert store.of("tnt_1").master == another.of("tnt_1").master != store.of("tnt_2").master
