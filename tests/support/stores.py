"""Shared parts of the stores' contract tests: tables on an engine, a key service, and records to store."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chalicelib.core import ids
from chalicelib.core.tenant.records import Controller, Retention, Tenant
from chalicelib.store.items import Table
from tests.support.engines import Engine

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
_numbers = itertools.count(1)


class FakeKms:
    """A key service that wraps by remembering. It refuses another encryption context, as the real one does."""

    def __init__(self) -> None:
        self._wrapped: dict[bytes, tuple[bytes, dict[str, str]]] = {}
        self.calls = 0

    def generate_data_key_without_plaintext(
        self, KeyId: str, NumberOfBytes: int, EncryptionContext: dict[str, str]
    ) -> dict[str, bytes]:
        blob = hashlib.sha256(f"wrapped {len(self._wrapped)}".encode()).digest()
        self._wrapped[blob] = hashlib.sha256(b"key" + blob).digest()[:NumberOfBytes], EncryptionContext
        return {"CiphertextBlob": blob}

    def decrypt(self, CiphertextBlob: bytes, EncryptionContext: dict[str, str]) -> dict[str, bytes]:
        self.calls += 1
        plain, context = self._wrapped[CiphertextBlob]
        assert context == EncryptionContext
        return {"Plaintext": plain}


@dataclass
class Ticks:
    """A monotonic clock that tests move."""

    now_s: float = 1000.0
    random_calls: itertools.count[int] = field(default_factory=itertools.count)

    def __call__(self) -> float:
        return self.now_s

    def random(self, size: int) -> bytes:
        return hashlib.shake_256(f"random {next(self.random_calls)}".encode()).digest(size)


def new_id(prefix: str) -> str:
    """Make a name that no test has used yet; later ones sort after it."""
    return ids.sortable(prefix, NOW, (next(_numbers) << 6).to_bytes(11, "big"))


def new_tenant(**changes: Any) -> Tenant:
    """Return a tenant that no test has made yet."""
    values: dict[str, Any] = {
        "id": new_id("tnt"),
        "created_at": NOW,
        "name": "Nord",
        "edition": "enterprise",
        "tenant_class": "general",
        "controller": Controller(legal_name="Nord GmbH", country="DE", contact="privacy@nord.example"),
        "retention": Retention(default_days=30),
    }
    return Tenant(**{**values, **changes})


def index(name: str, partition: str, order: str) -> dict[str, Any]:
    """Describe a keys-only index."""
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": order, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def table(engine: Engine, name: str, **more: Any) -> Table:
    """Make a table and return it as the stores use it."""
    return Table(engine.client("dynamodb"), engine.create_table(name, **more), engine.region)
