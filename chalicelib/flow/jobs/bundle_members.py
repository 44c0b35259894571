"""The members of an evidence bundle, and their tar: the files besides the entries, and the upload in parts.

The list of members is made once, as an object named by its own hash. It cannot change between two pieces, even if a law
file or a configuration is published meanwhile.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...core import times
from ...core.errors import Invalid
from ...core.job import Job
from ...core.log import merkle, note, proofs, seal, tiles
from ...core.verify import bundle
from ...core.verify.bundle import BundleMember
from ...runtime import Runtime
from ...store.log import SealedLog
from ..sealing.publish import opened
from ..sealing.witnesses import signers, with_cosignatures

EARLIER_MAX = 64
"""Earlier checkpoints in a full bundle."""
PART_BYTES = 8 * 1024 * 1024
UPLOADS = 8
"""Parts of the tar, of ``PART_BYTES``, that one piece uploads."""

Sizes = list[tuple[str, int]]


def key(job: Job) -> str:
    """Return where a job's bundle is."""
    return f"bundles/{job.id}.tar"


def entries_part(job: Job, number: int) -> str:
    """Return where a part of ``entries.jsonl`` is."""
    return f"parts/{job.id}/entries-{number}"


def proofs_part(job: Job, number: int) -> str:
    """Return where the proofs of the entries of a part are."""
    return f"parts/{job.id}/proofs-{number}"


def checkpoint(runtime: Runtime, one: SealedLog, size: int) -> bytes:
    """Return the signed checkpoint of a published size, with its cosignatures. Raises ``AuditBroken``."""
    return with_cosignatures(runtime, one, size, one.fixed(f"checkpoints/{size}"))


def grounds_part(job: Job, number: int) -> str:
    """Return where the hashes of the laws and configurations are that the entries of a part name."""
    return f"parts/{job.id}/grounds-{number}"


# The list


def plan(runtime: Runtime, one: SealedLog, job: Job, parts: int, count: int) -> tuple[str, dict[str, Any]]:
    """Make the list of a bundle's members. Return its key, and the summary for the tenant.

    Args:
        parts: how many objects hold the entries.
        count: how many entries there are.

    Raises:
        AuditBroken: the log cannot be read back.
        Invalid: the laws and configurations are more than a bundle may hold.
        Unavailable: a store did not answer.
    """
    size, full = job.asked["size"], job.asked["mode"] == "full"
    head = checkpoint(runtime, one, size)
    own = note.VerifierKey(runtime.origin(one.tenant, one.log), runtime.signer.public_key)
    keys = (own, *signers(runtime, note.parse_note(head)))
    small: dict[str, bytes] = {
        bundle.CHECKPOINT: head,
        bundle.VKEYS: "".join(f"{key.text}\n" for key in keys).encode(),
    }
    if full:
        small |= _earlier(runtime, one, size)
    whole, grounds = hashlib.sha256(), (set[str](), set[str]())
    digests: dict[str, str] = {}
    lengths: list[int] = []
    proved: list[Sizes] = []
    for number in range(parts):
        data = runtime.exports.get(entries_part(job, number))
        whole.update(data)
        lengths.append(len(data))
        for known, named in zip(grounds, json.loads(runtime.exports.get(grounds_part(job, number))), strict=True):
            known |= set(named)
        if not full:
            named_proofs = list(_named(runtime, job, number, data))
            digests |= {name: hashlib.sha256(proof).hexdigest() for name, proof in named_proofs}
            proved.append([(name, len(proof)) for name, proof in named_proofs])
    missing, grounds_bytes = {"rules": 0, "configs": 0}, 0
    for kind, place, wanted in (
        ("rules", "rules", grounds[0]),
        ("configs", f"configs/{one.tenant}", grounds[1]),
    ):
        for digest in sorted(wanted):
            found = one.evidence.get(f"{place}/{digest}.json")
            if found is None:
                missing[kind] += 1
            else:
                small[f"{kind}/{digest}.json"] = found
                grounds_bytes += len(found)
                if grounds_bytes > bundle.GROUNDS_BYTES:
                    raise Invalid(
                        f"laws and configurations take more than {bundle.GROUNDS_BYTES} bytes: ask for less time"
                    )
    digests |= {name: hashlib.sha256(data).hexdigest() for name, data in small.items()}
    manifest = bundle.manifest(
        origin=runtime.origin(one.tenant, one.log),
        mode=job.asked["mode"],
        query=job.asked["query"],
        size=size,
        count=count,
        made_at=times.text(job.created_at),
        files=digests | {bundle.ENTRIES: whole.hexdigest()},
    )
    small = {bundle.MANIFEST: manifest, **small}
    listed = {"small": [(name, len(data)) for name, data in small.items()], "parts": lengths, "proofs": proved}
    data = json.dumps(listed).encode() + b"\n" + b"".join(small.values())
    place = f"parts/{job.id}/plan-{hashlib.sha256(data).hexdigest()}"
    runtime.exports.put(place, data)
    return place, {"missing": missing}


def _named(runtime: Runtime, job: Job, number: int, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and the proofs of the entries of a part."""
    found = tiles.unbundle(runtime.exports.get(proofs_part(job, number)))
    for entry_id, proof in zip(seal.ids_of(data.splitlines()), found, strict=True):
        yield f"proofs/{entry_id}.tlog-proof", proof


def _earlier(runtime: Runtime, one: SealedLog, size: int) -> dict[str, bytes]:
    """Return earlier checkpoints and their consistency proofs: all if there are few, else some, spread evenly."""
    head = note.parse_note(checkpoint(runtime, one, size))
    signed = opened(runtime, one, checkpoint(runtime, one, size))
    node = functools.cache(one.node(size))
    found: dict[str, bytes] = {}
    for old in _sizes(one, size):
        before = opened(runtime, one, checkpoint(runtime, one, old))
        proof = merkle.consistency_proof(old, size, node)
        merkle.verify_consistency(old, size, before.root, signed.root, proof)
        found[f"checkpoints/{old}"] = checkpoint(runtime, one, old)
        found[f"consistency/{old}"] = str(proofs.ConsistencyProof(old, tuple(proof), head)).encode()
    return found


def _sizes(one: SealedLog, size: int) -> list[int]:
    first = [made.size for made in one.seals.after(one.tenant, one.log, 0, limit=EARLIER_MAX + 1)]
    if len(first) > EARLIER_MAX and first[-1] < size:
        places = (size * number // EARLIER_MAX for number in range(EARLIER_MAX))
        spread = (one.seals.holding(one.tenant, one.log, place) for place in places)
        first = [made.size for made in spread if made is not None]
    return sorted({old for old in first if old < size})


# The tar


def upload(runtime: Runtime, job: Job, place: str, upload: str, tags: Sequence[str]) -> tuple[list[str], bool]:
    """Upload the next parts of a bundle's tar. Return the tags of all uploaded parts, and whether the upload is complete.

    Args:
        place: the key of the list.
        upload: the id of the upload.
        tags: those of the parts that are uploaded.

    Raises:
        Unavailable: the bucket does not answer, or no longer knows the upload.
    """
    done = list(tags)
    tar = _TarWriter(len(done) * PART_BYTES)
    waiting = bytearray()
    for piece in bundle.write(_members(runtime, job, runtime.exports.get(place), tar)):
        waiting += tar.take(piece)
        while len(waiting) >= PART_BYTES:
            done.append(runtime.exports.part(key(job), upload, len(done) + 1, bytes(waiting[:PART_BYTES])))
            del waiting[:PART_BYTES]
            if len(done) - len(tags) >= UPLOADS:
                return done, False
    if waiting or not done:
        done.append(runtime.exports.part(key(job), upload, len(done) + 1, bytes(waiting)))
    return done, True


class _TarWriter:
    """The writer's position in the tar. Content that ends before ``start`` is uploaded already: zeros replace it, unread."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.at = 0

    def take(self, piece: bytes) -> bytes:
        """Skip to ``start``. Return the part of the piece after it."""
        self.at += len(piece)
        return piece[max(0, len(piece) - max(0, self.at - self.start)) :]

    def content(self, size: int, read: Callable[[], bytes]) -> Iterable[bytes]:
        """Yield content of a size, reading it only if it is wanted."""
        yield bytes(size) if self.at + size <= self.start else read()


def _members(runtime: Runtime, job: Job, data: bytes, tar: _TarWriter) -> Iterator[BundleMember]:
    head, _, rest = data.partition(b"\n")
    listed: Mapping[str, Any] = json.loads(head)
    at = 0
    for name, size in listed["small"]:
        yield bundle.member(name, rest[at : at + size])
        at += size
    parts: list[int] = listed["parts"]
    pieces = (
        piece
        for number, size in enumerate(parts)
        for piece in tar.content(size, functools.partial(runtime.exports.get, entries_part(job, number)))
    )
    yield BundleMember(bundle.ENTRIES, sum(parts), pieces)
    for number, sizes in enumerate(listed["proofs"]):
        read = functools.cache(functools.partial(_proofs, runtime, job, number))
        for place, (name, size) in enumerate(sizes):
            yield BundleMember(name, size, tar.content(size, functools.partial(_one_of, read, place)))


def _one_of(read: Callable[[], list[bytes]], place: int) -> bytes:
    return read()[place]


def _proofs(runtime: Runtime, job: Job, number: int) -> list[bytes]:
    return tiles.unbundle(runtime.exports.get(proofs_part(job, number)))
