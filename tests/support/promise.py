"""The promise of the flow: every accepted event arrives once, in order, and is in the log."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.support.world import World


def assert_promise(w: World, texts: list[str], received: list[str] | None = None) -> None:
    """Every event has one decision, every allowed transfer its end, every lane its order, every attempt its entry."""
    first = list(dict.fromkeys(w.receiver.texts() if received is None else received))
    assert first == texts
    decided = w.of_kind("decided")
    assert len(decided) == len(texts)
    assert len({e["event"] for e in decided}) == len(texts)
    ended = {e["transfer"] for e in w.of_kind("attempted") if e["outcome"] == "delivered"}
    assert ended == {r["transfer"] for e in decided for r in e["routes"]}
    assert not w.inbox.messages
    assert not w.outbox.messages
    assert not [r for r in w.rows("data") if r["pk"]["S"].startswith("lane#")]


def throttled(operation: str) -> ClientError:
    error: Any = {"Code": "ProvisionedThroughputExceededException", "Message": "too fast"}
    return ClientError({"Error": error}, operation)
