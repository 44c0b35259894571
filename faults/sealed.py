"""The sealed log as an outsider gets it: a full bundle made from the bucket's objects alone, and its verification."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib import law as laws
from chalicelib.core import times
from chalicelib.core.log import merkle, note, proofs, tiles
from chalicelib.core.verify import bundle
from chalicelib.core.verify.stages import VerifierInput, verify
from chalicelib.store.evidence import prefix

from .story import Broken
from .world import CELL

if TYPE_CHECKING:
    from .world import World


LOGS = ("2025", "2026", "2027")
LATER = timedelta(days=60)
"""All events of a round have expired by then, and every transfer must have its end in the log."""


def rows(world: World) -> list[dict[str, Any]]:
    """Return every row of the log's tables."""
    found: list[dict[str, Any]] = []
    for log in LOGS:
        with contextlib.suppress(KeyError):  # not made yet
            found += world.tables.rows(f"waybill-{CELL}-audit-{log}")
    return found


def waiting(world: World) -> bool:
    """Say whether entries stand in the tables that no seal covers."""
    stored = Counter((row["pk"]["S"].partition("#")[0], row["log"]["S"]) for row in rows(world) if "leaf" in row)
    objects = _objects(world, "logs/")
    return any(len(_leaves(world, objects, *of)) < number for of, number in stored.items())


def judged(world: World, entries: Iterable[Mapping[str, Any]]) -> Iterator[Broken]:
    """Every entry is sealed, once, and a full bundle of each log verifies.

    Args:
        entries: all that stand in the tables.
    """
    stored: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        stored.setdefault((entry["tenant"], entry["log"]), set()).add(entry["id"])
    objects = _objects(world)
    for (tenant, log), ids in sorted(stored.items()):
        where = f"{tenant}/{log}"
        leaves = _leaves(world, objects, tenant, log)
        sealed = Counter(str(json.loads(leaf)["id"]) for leaf in leaves)
        twice = sum(number > 1 for number in sealed.values())
        if twice or sealed.keys() != ids:
            unsealed, unknown = len(ids - sealed.keys()), len(sealed.keys() - ids)
            detail = (
                f"{unsealed} of {len(ids)} entries are not sealed, {unknown} sealed that are not stored, {twice} twice"
            )
            yield Broken("sealed", where, detail)
            continue
        key = note.VerifierKey(world.inspector.origin(tenant, log), world.inspector.signer.public_key)
        report = verify(
            _tar(world, objects, tenant, log, leaves, key),
            VerifierInput(world.now() + LATER, laws.bulk(), vkeys=(key,)),
        )
        found = {fault.name for fault in report.faults}
        if found:
            names = ", ".join(sorted(found))
            yield Broken("sealed", where, f"the log's bundle verifies with {report.code}: {names}")


def _objects(world: World, under: str = "") -> dict[str, bytes]:
    """Return the newest version of every object of the evidence bucket, or of those under a prefix."""
    s3, bucket = world.inspector.clients.get("s3"), world.inspector.settings.evidence_bucket
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=under)
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def _leaves(world: World, objects: Mapping[str, bytes], tenant: str, log: str) -> list[bytes]:
    """Return the entries in the order of the seals, as far as their batches are there."""
    seals = world.inspector.seals.after(tenant, log, 0)
    batches = (objects.get(prefix(tenant, log) + one.batch) for one in seals)
    return [leaf for batch in batches if batch is not None for leaf in tiles.unbundle(batch)]


def _tar(
    world: World, objects: Mapping[str, bytes], tenant: str, log: str, leaves: list[bytes], key: note.VerifierKey
) -> bytes:
    place = prefix(tenant, log)
    head = objects[f"{place}checkpoint"]
    entries = b"".join(leaf + b"\n" for leaf in leaves)
    members = {"checkpoint": head, "entries.jsonl": entries, "vkeys": f"{key.text}\n".encode()}
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    node = functools.cache(lambda level, index: merkle.root(hashes[index << level : index + 1 << level]))
    signed = note.parse_note(head)
    size = note.parse_checkpoint(signed.text).size
    for name, data in objects.items():
        kind, _, rest = name.partition("/")
        named = hashlib.sha256(data).hexdigest().encode() in entries
        if name.startswith(f"{place}checkpoints/"):
            old = int(name.rpartition("/")[2])
            if old < size:
                proof = proofs.ConsistencyProof(old, tuple(merkle.consistency_proof(old, size, node)), signed)
                members |= {f"checkpoints/{old}": data, f"consistency/{old}": str(proof).encode()}
        elif kind == "rules" and named:
            members[name] = data
        elif kind == "configs" and named and rest.startswith(tenant):
            members[f"configs/{rest.partition('/')[2]}"] = data
    manifest = bundle.manifest(
        origin=world.inspector.origin(tenant, log),
        mode="full",
        query=None,
        size=size,
        count=len(leaves),
        made_at=times.text(world.now()),
        files={name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    )
    return b"".join(bundle.write(bundle.member(n, d) for n, d in ({"manifest.json": manifest} | members).items()))
