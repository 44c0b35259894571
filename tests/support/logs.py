"""A tenant's log as an outsider sees it: the bucket's objects alone, without our code to find them, bundled and verified."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from moto.s3.models import FakeKey, s3_backends

from chalicelib import law as laws
from chalicelib.core import ids, times
from chalicelib.core.log import audit, merkle, note, proofs, tiles
from chalicelib.core.verify import bundle
from chalicelib.core.verify.stages import Report, VerifierInput, verify
from chalicelib.flow.seal_requests import notify_sealer
from tests.support.world import World

BUCKET = "waybill-test-evidence-123456789012"


def objects(w: World) -> dict[str, bytes]:
    """Every object of the evidence bucket, in its newest version."""
    stored = s3_backends[w.engine.account]["aws"].buckets[BUCKET].keys
    newest = {name: stored[name] for name in stored}
    return {name: _plain(one.value) for name, one in newest.items() if isinstance(one, FakeKey)}


def _plain(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def of_log(w: World, log: str = "2026") -> dict[str, bytes]:
    """The objects of one log, by their names in it."""
    prefix = f"logs/{w.tenant}/{log}/"
    return {key.removeprefix(prefix): data for key, data in objects(w).items() if key.startswith(prefix)}


def sizes(found: Iterable[str]) -> list[int]:
    """The sizes for which checkpoints were published."""
    return sorted(int(name.rpartition("/")[2]) for name in found if name.startswith("checkpoints/"))


def leaves(w: World, log: str = "2026") -> list[bytes]:
    """The sealed entries in their order, as the seals name their batches."""
    found = of_log(w, log)
    seals = list(w.runtime.seals.after(w.tenant, log, 0))
    return [leaf for seal in seals for leaf in tiles.unbundle(found[seal.batch])]


def key(w: World, log: str = "2026") -> note.VerifierKey:
    """The log's verifier key."""
    return note.VerifierKey(w.runtime.origin(w.tenant, log), w.runtime.signer.public_key)


def tar(w: World, log: str = "2026") -> bytes:
    """A full bundle."""
    found, published = of_log(w, log), objects(w)
    entries = leaves(w, log)
    hashes = [merkle.leaf_hash(leaf) for leaf in entries]
    head = found["checkpoint"]

    def node(level: int, index: int) -> bytes:
        return merkle.root(hashes[index << level : index + 1 << level])

    members = {
        "checkpoint": head,
        "entries.jsonl": b"".join(leaf + b"\n" for leaf in entries),
        "vkeys": f"{key(w, log).text}\n".encode(),
    }
    size = note.parse_checkpoint(note.parse_note(head).text).size
    for old in sizes(found):
        if old < size <= len(hashes):
            members[f"checkpoints/{old}"] = found[f"checkpoints/{old}"]
            proof = proofs.ConsistencyProof(
                old, tuple(merkle.consistency_proof(old, size, node)), note.parse_note(head)
            )
            members[f"consistency/{old}"] = str(proof).encode()
    for name, data in published.items():
        kind, _, rest = name.partition("/")
        named = hashlib.sha256(data).hexdigest().encode()
        if kind == "rules" and named in members["entries.jsonl"]:
            members[name] = data
        elif kind == "configs" and named in members["entries.jsonl"] and rest.startswith(w.tenant):
            members[f"configs/{rest.partition('/')[2]}"] = data
    manifest = bundle.manifest(
        origin=w.runtime.origin(w.tenant, log),
        mode="full",
        query=None,
        size=size,
        count=len(entries),
        made_at=times.text(w.clock),
        files={name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    )
    return b"".join(bundle.write(bundle.member(n, d) for n, d in ({"manifest.json": manifest} | members).items()))


def verified(w: World, log: str = "2026") -> Report:
    """Verify a full bundle with the log's own key."""
    return verify(tar(w, log), VerifierInput(w.clock, laws.bulk(), vkeys=(key(w, log),)))


def faults(w: World, log: str = "2026") -> tuple[int, set[str]]:
    """Return a full bundle's exit code and the names of its faults."""
    report = verified(w, log)
    return report.code, {fault.name for fault in report.faults}


def stored(w: World, log: str = "2026") -> list[str]:
    """The ids of a log's entries in its table."""
    rows = w.rows(f"audit-{log}")
    return sorted(r["sk"]["S"] for r in rows if "leaf" in r and r["pk"]["S"].startswith(w.tenant))


def assert_whole(w: World, log: str = "2026") -> list[dict[str, Any]]:
    """Every stored entry is sealed, once; one root for one size; everything verifies. Return the entries in order."""
    entries = [json.loads(leaf) for leaf in leaves(w, log)]
    assert [i for i, times_ in Counter(e["id"] for e in entries).items() if times_ > 1] == []
    assert sorted(e["id"] for e in entries) == stored(w, log)
    assert faults(w, log) == (0, set())
    found = of_log(w, log)
    assert sizes(found)[-1] == len(entries)
    assert found["checkpoint"] == found[f"checkpoints/{len(entries)}"]
    one_root_for_one_size(w)
    tiles_are_those_of(found, leaves(w, log), compact=w.compact)
    return entries


def one_root_for_one_size(w: World) -> None:
    """Nothing was ever signed twice with different content."""
    roots: dict[tuple[str, int], set[bytes]] = {}
    for message in w.signed:
        signed = note.parse_checkpoint(message.decode())
        roots.setdefault((signed.origin, signed.size), set()).add(signed.root)
    assert {place: len(found) for place, found in roots.items() if len(found) > 1} == {}


def tiles_are_those_of(found: dict[str, bytes], entries: list[bytes], *, compact: bool = False) -> None:
    """All full tiles and entry bundles are there, no other ones, and they are right."""
    hashes = [merkle.leaf_hash(leaf) for leaf in entries]
    wanted: dict[str, bytes] = {}
    for tile in tiles.full_tiles(0, len(entries)):
        span = 256**tile.level
        first = tile.index * tiles.WIDTH * span
        wanted[tile.path] = b"".join(
            merkle.root(hashes[first + i * span : first + (i + 1) * span]) for i in range(tiles.WIDTH)
        )
        if tile.level == 0 and not compact:
            wanted[tiles.entries_path(tile.index)] = tiles.bundle(entries[first : first + tiles.WIDTH])
    assert {name: data for name, data in found.items() if name.startswith("tile/")} == wanted


def act(w: World, number: int, at: datetime | None = None, minute: datetime | None = None) -> Mapping[str, Any]:
    """An entry that needs nothing else: a look at something."""
    at = at or w.clock
    return audit.act(
        "viewed",
        tenant=w.tenant,
        minute=times.minute(minute or at),
        at=at,
        actor=("key", ids.derived("key", "a")),
        request=f"req_{number:026d}",
        object=("source", ids.derived("src", str(number))),
    )


def append(w: World, *entries: Mapping[str, Any], tell_too: bool = True) -> None:
    """Append entries, and send their seal requests."""
    outcomes = w.runtime.audit.append_many(entries)
    assert [o for o in outcomes if isinstance(o, Exception)] == []
    if tell_too:
        notify_sealer(w.runtime)


def let_seal(w: World, minutes: float = 10) -> None:
    """Advance the time until waiting entries are sealed."""
    w.clock += timedelta(minutes=minutes)
    w.seal()


def everything(w: World, log: str = "2026") -> None:
    """Seal all waiting entries, in as many seals as needed."""
    w.seal_requests.again()
    for _ in range(4):
        let_seal(w)
    assert w.seal_requests.messages == [] == w.sealing.messages
    assert_whole(w, log)
