"""The cost of an audit entry: bytes of its row, and CPU to make, store and read it.

Run it with ``python -m benchmarks.leaf``. ``run`` returns the results that ``make bench`` collects. The floor of the CPU
figures is the bare work: ``json.dumps`` or ``json.loads``, and zlib with the same dictionary.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.core import ids, times
from chalicelib.core.log import audit, leaf
from chalicelib.core.log.entry_types import Entry, EntryRoute, EntryRule

AT = datetime(2026, 11, 23, 9, 30, 15, 250_000, tzinfo=UTC)
CLASSES = ["contact", "content", "identifier", "name", "technical"]
RULES: list[EntryRule] = [
    {"id": "ANY.basis", "verdict": "allowed", "ref": "GDPR art. 6(1); 152-FZ art. 6(1)"},
    {"id": "ANY.contract", "verdict": "allowed", "ref": "GDPR art. 28(3)-(4); 152-FZ art. 6(3)"},
    {"id": "ANY.instruction", "verdict": "allowed", "ref": "GDPR art. 28(3), 28(10); 152-FZ art. 6(3)"},
]


def _hash(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()


def _route(number: int) -> EntryRoute:
    return {
        "route": ids.derived("rte", str(number)),
        "transfer": ids.derived("trf", str(number)),
        "destination": ids.derived("dst", str(number)),
        "decision": "allowed",
        "rules": RULES,
        "basis": ids.derived("bas", str(number)),
        "recipient": {"id": ids.derived("rcp", str(number)), "country": "DE", "processing": ["DE"]},
        "classes_out": CLASSES,
    }


def decided(routes: int = 1) -> Entry:
    """Make a decision as it is made for each event."""
    return audit.decided(
        tenant=ids.derived("tnt", "a"),
        minute=times.minute(AT),
        at=AT,
        event=ids.derived("evt", "a"),
        receipt={
            "source": ids.derived("src", "a"),
            "channel": "telegram",
            "kind": "message",
            "received_at": times.text(AT),
            "classes": CLASSES,
            "size_bytes": 812,
            "commitment": _hash("commitment"),
            "subjects": [ids.derived("sub", "a")],
            "conversation": ids.derived("cnv", "a"),
            "store": {"region": "eu-central-1", "country": "DE"},
        },
        expires_at=AT + timedelta(days=30),
        facts={
            "now": times.text(AT),
            "subject": {"country": "DE", "signal": "tenant_declared", "confidence": "declared"},
            "special": [],
        },
        rules_hash=_hash("law"),
        config_hash=_hash("configuration"),
        routes=[_route(n) for n in range(routes)],
    )


def attempted(decision: Entry) -> Entry:
    """Make an attempt as it is made for each delivery."""
    route = decision["routes"][0]
    return audit.attempted(
        tenant=decision["tenant"],
        at=AT,
        decided=decision["id"],
        log=decision["log"],
        event=decision["event"],
        transfer=route["transfer"],
        destination=route["destination"],
        attempt=1,
        outcome="delivered",
        code="http_200",
        took_ms=84,
        classes=CLASSES,
        size_bytes=903,
    )


def row_bytes(entry: Entry) -> int:
    """Count a row as DynamoDB does: the names and values of its attributes."""
    row = {
        "pk": audit.partition_of(entry["tenant"], entry["id"]),
        "sk": entry["id"],
        "leaf": leaf.deflate(leaf.leaf(entry)),
        "v": b"12",  # a small number takes two bytes
        "log": entry["log"],
        "subject": audit.subject_of(entry) or "",
    }
    return sum(len(name) + len(value) for name, value in row.items() if value)


def _time_us(work: Callable[[], object], rounds: int = 300, repeats: int = 7) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(rounds):
            work()
        best = min(best, (time.perf_counter() - begin) / rounds * 1e6)
    return round(best, 1)


def run() -> list[dict[str, Any]]:
    """Measure, print and return the results."""
    one, four = decided(), decided(4)
    attempt = attempted(one)
    data = leaf.leaf(one)
    stored = leaf.deflate(data)

    def bare_write() -> bytes:
        text = json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, leaf.dictionary())
        return deflater.compress(text.encode()) + deflater.flush()

    def bare_read() -> object:
        return json.loads(zlib.decompressobj(-15, zdict=leaf.dictionary()).decompress(stored))

    rows = [
        ("audit row, decided, one route", row_bytes(one), "bytes", 1024, None),
        ("audit row, decided, four routes", row_bytes(four), "bytes", 1024, None),
        ("audit row, attempted", row_bytes(attempt), "bytes", 1024, None),
        (
            "audit entry, to stored leaf",
            _time_us(lambda: leaf.deflate(leaf.leaf(one))),
            "us",
            200,
            _time_us(bare_write),
        ),
        (
            "audit entry, from stored leaf",
            _time_us(lambda: leaf.verify_entry(leaf.inflate(stored))),
            "us",
            100,
            _time_us(bare_read),
        ),
    ]
    results = [
        {"name": name, "value": value, "unit": unit, "budget": budget, "sense": "max", "floor": floor}
        for name, value, unit, budget, floor in rows
    ]
    for result in results:
        floor = "-" if result["floor"] is None else result["floor"]
        print(f"{result['name']:<40} {result['value']:>8} {result['unit']:<6} budget {result['budget']} floor {floor}")
    return results


if __name__ == "__main__":
    run()
