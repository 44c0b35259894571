"""The cost of matching: one six-field pattern, and the routes of a tenant that has 10,000 of them.

Run it with ``python -m benchmarks.matching``. ``run`` returns the results that ``make bench`` collects.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from chalicelib.core.pattern.compiler import Pattern
from chalicelib.core.pattern.index import RouteIndex

MATCHES = 5
EVENT: dict[str, Any] = {
    "schema": "waybill.event/1",
    "id": "evt_00000000000000000000000000",
    "tenant": "tnt_00000000000000000000000000",
    "source": "src_00000000000000000000000000",
    "channel": "telegram",
    "kind": "message",
    "native_kind": "message",
    "dedupe_id": "4711",
    "occurred_at": "2026-01-02T03:04:05.000Z",
    "occurred_at_is_receipt": False,
    "received_at": "2026-01-02T03:04:05.100Z",
    "conversation": {"id": "c-0", "direct": True, "thread": None, "title": None},
    "sender": {"id": "u-1", "name": "A", "username": None, "phone": None, "is_bot": False, "is_self": False},
    "message": {
        "id": "m-1",
        "text": "/order 12 cups",
        "attachments": [{"type": "image", "ref": "f-1", "size_bytes": 2048}],
        "reply_to": None,
        "forwarded": False,
        "payload": None,
        "emoji": [],
        "emoji_action": None,
        "status": None,
        "error": None,
        "edited_at": None,
    },
    "members": [],
    "otr": False,
}
SIX_FIELDS: dict[str, Any] = {
    "channel": ["telegram", "whatsapp"],
    "kind": ["message"],
    "conversation": {"direct": [True]},
    "sender": {"is_self": [{"anything-but": "x"}]},
    "message": {"text": [{"prefix": "/order"}], "attachments": {"size_bytes": [{"numeric": ["<", 4096]}]}},
}


def routes(count: int, matching: int = MATCHES) -> RouteIndex[int]:
    """Build an index of patterns of several forms, of which a fixed number match ``EVENT``."""
    forms: tuple[Callable[[int], dict[str, Any]], ...] = (
        lambda n: {"kind": ["message"], "conversation": {"id": [f"c-{n}"]}},
        lambda n: {"channel": ["telegram"], "message": {"text": [{"prefix": f"/command{n} "}]}},
        lambda n: {"sender": {"id": [f"u-{n}", f"v-{n}"]}, "message": {"text": [{"exists": True}]}},
        lambda n: {"$or": [{"conversation": {"id": [f"d-{n}"]}}, {"message": {"text": [{"suffix": f" {n}!"}]}}]},
    )
    wanted = [(n, Pattern.compile(SIX_FIELDS)) for n in range(matching)]
    others = [(n, Pattern.compile(forms[n % len(forms)](n + 1_000))) for n in range(matching, count)]
    return RouteIndex(wanted + others)


def best_us(act: Callable[[], object], repeat: int = 15, number: int = 400) -> float:
    """Return the microseconds of one call, in the best of several rounds: the others measure the machine."""
    best = float("inf")
    gc.disable()
    try:
        for _ in range(repeat):
            began = time.perf_counter()
            for _ in range(number):
                act()
            best = min(best, time.perf_counter() - began)
    finally:
        gc.enable()
    return best / number * 1e6


def by_hand(event: dict[str, Any]) -> bool:
    """Decide ``SIX_FIELDS`` in plain Python: the floor for any matcher of that pattern."""
    message = event["message"]
    return (
        event["channel"] in ("telegram", "whatsapp")
        and event["kind"] == "message"
        and event["conversation"]["direct"] is True
        and event["sender"]["is_self"] != "x"
        and message["text"].startswith("/order")
        and any(attachment["size_bytes"] < 4096 for attachment in message["attachments"])
    )


def run() -> list[dict[str, Any]]:
    """Measure, print and return the results.

    Raises:
        RuntimeError: a matcher gave a wrong answer, so its time means nothing.
    """
    pattern = Pattern.compile(SIX_FIELDS)
    few, many = routes(100), routes(10_000)
    expected = tuple(range(MATCHES))
    if not (pattern.matches(EVENT) and by_hand(EVENT) and few.match(EVENT) == many.match(EVENT) == expected):
        raise RuntimeError("a matcher is wrong")
    single, floor = best_us(lambda: pattern.matches(EVENT)), best_us(lambda: by_hand(EVENT))
    of_few, of_many = best_us(lambda: few.match(EVENT)), best_us(lambda: many.match(EVENT))
    results = [
        _result("matching: one six-field pattern", single, "us/event", 10.0, floor),
        _result("matching: 100 routes", of_few, "us/event", None, single),
        _result("matching: 10,000 routes", of_many, "us/event", None, of_few),
        _result("matching: 10,000 routes against 100", of_many / of_few, "x", 2.0, 1.0),
        _result(
            "matching: branches looked at in 10,000 routes", len(many.candidates(EVENT)), "branches", None, MATCHES
        ),
    ]
    for result in results:
        budget = "-" if result["budget"] is None else f"{result['budget']:g}"
        print(f"{result['name']:<50} {result['value']:>10.2f} {result['unit']:<9} budget {budget:>4}")
    return results


def _result(name: str, value: float, unit: str, budget: float | None, floor: float | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "budget": budget, "sense": "max", "floor": floor}


if __name__ == "__main__":
    run()
