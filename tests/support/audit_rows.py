"""The audit store of an engine, its raw rows, and a client that records its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from chalicelib.core.log import audit
from chalicelib.core.log.leaf import deflate, leaf
from chalicelib.store.audit import AuditStore, StoredEntry
from tests.fixtures.audit import made
from tests.support.engines import Engine

NOW = made.AT + timedelta(minutes=5)
INSERTS = {"partiql": "batch_execute_statement", "put": "put_item"}


class Recorder:
    """A client that records every call, and lets a test answer instead of the engine."""

    def __init__(self, client: Any, answer: Callable[[str, dict[str, Any]], Any] | None = None) -> None:
        self.meta = client.meta
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._client = client
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def called(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            given = self._answer(name, arguments) if self._answer else None
            if isinstance(given, Exception):
                raise given
            return getattr(self._client, name)(**arguments) if given is None else given

        return called

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)


def no_sleep(seconds: float) -> None:
    assert seconds < 5


def store_of(engine: Engine, client: Any = None) -> AuditStore:
    return AuditStore(client or engine.client("dynamodb"), engine.prefix, engine.region, engine.insert_mode, no_sleep)


def stored(outcome: object) -> StoredEntry:
    assert isinstance(outcome, StoredEntry), type(outcome)
    return outcome


def raw_rows(engine: Engine, log: str = "2026") -> list[dict[str, Any]]:
    return list(engine.client("dynamodb").scan(TableName=f"{engine.prefix}-audit-{log}", ConsistentRead=True)["Items"])


def put_raw(engine: Engine, entry: Mapping[str, Any], year: str = "2026", **changed: Any) -> None:
    item = {
        "pk": {"S": audit.partition_of(entry["tenant"], entry["id"])},
        "sk": {"S": entry["id"]},
        "leaf": {"B": deflate(leaf(entry))},
        "v": {"N": "1"},
        "log": {"S": entry["log"]},
        "subject": {"S": audit.subject_of(entry)},
        **changed,
    }
    engine.client("dynamodb").put_item(TableName=f"{engine.prefix}-audit-{year}", Item=item)
