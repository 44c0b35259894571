"""Evidence bundles: a job that copies the sealed entries of a log into one tar, which anyone can verify.

The checkpoint is fixed when the bundle is requested, so that the log may grow meanwhile. Then, a piece at a time: 1 find
the events that the query touches (only if it names a person or a destination) → 2 collect the entries, a part object for
some thousand, each with its proof in a selection → 3 list the members with their hashes → 4 upload the tar. Each piece's
output depends only on the job and its cursor: a piece that runs twice, even at the same time, writes the same bytes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ...core import times
from ...core.errors import AuditBroken, Invalid, NotFound, NotSealed
from ...core.job import KEPT, Job, cursor_of
from ...core.log import audit, merkle, note, proofs, seal, tiles
from ...core.log.merkle import CompactRange
from ...core.log.selection import Query, Selection, event_of
from ...core.verify import bundle
from ...runtime import Runtime
from ...store.exports import LIFE
from ...store.log import SealedLog
from ..request import Request
from ..sealing.proofs import current_log
from ..sealing.publish import newest, opened, sealed_log
from . import bundle_members, requests
from .bundle_members import PART_BYTES, entries_part, grounds_part, proofs_part

FULL_MAX = bundle.ENTRIES_MAX
"""Entries of a full bundle: one piece hashes them all, since no library can continue a digest in another process."""
SELECTED_MAX = 50_000
"""Entries of a selection, each of which has a file of its own."""
PIECE_TILES = 64
GROUP_TILES = 8
"""So many tiles, each of 256 entries, are read before their entries are filtered."""
LINK_S = 900


# Asking


def begin(request: Request, log: str | None, mode: str, query: Query) -> Job:
    """Start a bundle of the entries that are sealed now.

    Args:
        log: the year's; the current one unless given.
        mode: ``full``, or ``selection``, by the query.

    Raises:
        NotSealed: nothing of the log is sealed yet.
        NotFound: there is no such log.
        Invalid: the log is too long for a full bundle.
        TooMany: the tenant has too many open jobs.
    """
    runtime, tenant = request.runtime, request.tenant.id
    current = current_log(runtime.now())
    one = sealed_log(runtime, tenant, log or current)
    found = newest(runtime, one)
    if found is None and one.log != current:
        raise NotFound("there is no log of that year")
    if found is None:
        raise NotSealed("no entry of this log is sealed yet; entries are sealed within minutes")
    size = found[0].size
    if mode == "full" and size > FULL_MAX:
        text = f"the log has {size} entries, and a full bundle {FULL_MAX} at most: ask for selections by time"
        raise Invalid(text, [{"loc": "body.mode", "code": "too_large", "msg": text}])
    requests.open_jobs(request)
    job_id = request.new_id("job")
    asked = query.document()
    act = audit.act(
        "exported",
        tenant=tenant,
        minute=times.minute(request.at),
        at=request.at,
        actor=request.actor,
        request=job_id,
        subject=query.subject,
        object=("bundle", job_id),
        range={"after": asked.get("after"), "before": asked.get("before"), "count": size if mode == "full" else None},
    )
    runtime.audit.append(act)  # before there is a job, and so before there is a link
    told = {"log": one.log, "mode": mode, "size": size}
    return requests.begin(request, "bundle", {**told, "query": asked if mode == "selection" else None}, told)


def url(runtime: Runtime, job: Job) -> str | None:
    """Return a link to a finished bundle that lives 15 minutes; None once the bundle may be gone."""
    if runtime.now() >= job.expires_at - KEPT + LIFE:
        return None
    asked = job.asked
    name = f"waybill-{asked['log']}-{asked['mode']}-{job.id}.tar"
    return runtime.exports.link(bundle_members.key(job), name, LINK_S)


# Working


@dataclass(frozen=True)
class Cursor:
    """How far a bundle is.

    Args:
        step: one of ``STEPS``.
        at: entries that this step has read.
        looked: objects of touched events.
        parts: objects of entries.
        count: entries that will be in the bundle.
        range: the tree of the entries read, in a full bundle.
        plan: the key of the list of members.
        upload: the upload's id.
        tags: those of the parts of the tar that are uploaded.
    """

    step: str = "collect"
    at: int = 0
    looked: int = 0
    parts: int = 0
    count: int = 0
    range: Sequence[str] = ()
    plan: str = ""
    upload: str = ""
    tags: Sequence[str] = ()


def step(runtime: Runtime, job: Job) -> Job:
    """Do one piece.

    Raises:
        Invalid: the selection holds more entries than it may.
        AuditBroken: the stored entries differ from the signed ones.
        Unavailable: a store did not answer; the piece can be done again.
    """
    size, query = job.asked["size"], Query.from_document(job.asked["query"] or {})
    looks = query.looks_around
    cursor = cursor_of(Cursor, job.cursor) if job.cursor else Cursor("look" if looks else "collect")
    after, told = STEPS[cursor.step](runtime, job, cursor, Selection(query))
    # The entries from which a query finds its events are read twice.
    read = {"look": after.at, "collect": after.at + size * looks}.get(after.step, size + size * looks)
    return replace(
        job,
        state="done" if after.step == "done" else "running",
        cursor=json.dumps(vars(after)),
        done=read,
        total=size + size * looks,
        summary={**job.summary, **told},
        due_at=runtime.now(),
    )


Done = tuple[Cursor, Mapping[str, Any]]
"""The progress of a piece, and its additions to the job's summary."""


def _look(runtime: Runtime, job: Job, cursor: Cursor, selection: Selection) -> Done:
    """Note the events that entries of the next piece touch."""
    at, found = cursor.at, set[str]()
    for leaves in _read(_log(runtime, job), cursor.at, job.asked["size"]):
        at += len(leaves)
        found |= {event for leaf in leaves if selection.matches(leaf) and (event := event_of(leaf))}
    looked = cursor.looked
    if found:
        runtime.exports.put(_events_part(job, looked), json.dumps(sorted(found)).encode())
        looked += 1
    if at < job.asked["size"]:
        return replace(cursor, at=at, looked=looked), {}
    return Cursor(looked=looked), {}


def _events_part(job: Job, number: int) -> str:
    return f"parts/{job.id}/events-{number}"


def _collect(runtime: Runtime, job: Job, cursor: Cursor, selection: Selection) -> Done:
    """Collect the entries of the next piece, all or those that the query selects, each with its proof."""
    size, one = job.asked["size"], _log(runtime, job)
    signed = opened(runtime, one, bundle_members.checkpoint(runtime, one, size))
    chooses = job.asked["mode"] == "selection"
    wanted = _wanted(runtime, job, cursor, selection) if chooses else None
    tree = CompactRange(cursor.at if not chooses else 0, tuple(map(bytes.fromhex, cursor.range)))
    prove = functools.partial(
        _proof, functools.cache(one.node(size)), note.parse_note(bundle_members.checkpoint(runtime, one, size)), signed
    )
    at, count, data, proved = cursor.at, cursor.count, bytearray(), list[bytes]()
    for leaves in _read(one, cursor.at, size):
        if wanted is None:
            tree = tree.extended(map(merkle.leaf_hash, leaves))
        for index, leaf in enumerate(leaves, at):
            if wanted is None or wanted(leaf):
                data += leaf + b"\n"
                count += 1
                if chooses:
                    proved.append(prove(index, leaf))
        at += len(leaves)
        if len(data) >= PART_BYTES:
            break
    if chooses and count > SELECTED_MAX:
        raise Invalid(f"the selection holds more than {SELECTED_MAX} entries: ask for less time, or for a full bundle")
    if data:
        runtime.exports.put(entries_part(job, cursor.parts), bytes(data))
        named = [sorted(digests) for digests in seal.grounds(bytes(data))]
        runtime.exports.put(grounds_part(job, cursor.parts), json.dumps(named).encode())
    if proved:
        runtime.exports.put(proofs_part(job, cursor.parts), tiles.bundle(proved))
    hashes = [h.hex() for h in tree.hashes]
    after = replace(cursor, at=at, count=count, parts=cursor.parts + bool(data), range=hashes)
    if at < size:
        return after, {"entries": count}
    if not chooses and tree.root() != signed.root:
        raise AuditBroken("a log's entries do not give the root that was signed")
    return replace(after, step="list", range=()), {"entries": count}


def _wanted(runtime: Runtime, job: Job, cursor: Cursor, selection: Selection) -> Callable[[bytes], bool]:
    """Return what says whether an entry is in the selection."""
    if not selection.query.looks_around:
        return selection.matches  # one entry of an event matches as all of them do
    events = {e for number in range(cursor.looked) for e in json.loads(runtime.exports.get(_events_part(job, number)))}

    def wanted(leaf: bytes) -> bool:
        event = event_of(leaf)
        return event in events if event is not None else selection.matches(leaf)

    return wanted


def _proof(node: merkle.Node, checkpoint: note.Note, signed: note.Checkpoint, index: int, leaf: bytes) -> bytes:
    proof = merkle.inclusion_proof(index, signed.size, node)
    # Check the data read back before giving it away: a damaged object is ours to find.
    merkle.verify_inclusion(index, signed.size, merkle.leaf_hash(leaf), proof, signed.root)
    return str(proofs.InclusionProof(index, tuple(proof), checkpoint)).encode()


def _log(runtime: Runtime, job: Job) -> SealedLog:
    return sealed_log(runtime, job.tenant, job.asked["log"])


def _read(one: SealedLog, start: int, size: int) -> Iterator[list[bytes]]:
    """Yield the leaves of one piece, some tiles at a time; ``start`` is where a tile begins.

    Raises:
        AuditBroken: a batch is missing, or not the one that its seal names.
    """
    end = min(size, start + PIECE_TILES * tiles.WIDTH)
    leaves = one.leaves(start, end)
    while some := list(islice(leaves, GROUP_TILES * tiles.WIDTH)):
        yield some


def _list(runtime: Runtime, job: Job, cursor: Cursor, _: Selection) -> Done:
    plan, told = bundle_members.plan(runtime, _log(runtime, job), job, cursor.parts, cursor.count)
    return replace(cursor, step="upload", plan=plan), told


def _upload(runtime: Runtime, job: Job, cursor: Cursor, _: Selection) -> Done:
    if runtime.exports.has(bundle_members.key(job)):  # by a piece that did not live to say so
        return Cursor(step="done"), {}
    upload = cursor.upload or runtime.exports.begin(bundle_members.key(job), "application/x-tar")
    tags, whole = bundle_members.upload(runtime, job, cursor.plan, upload, cursor.tags)
    if not whole:
        return replace(cursor, upload=upload, tags=tags), {}
    runtime.exports.finish(bundle_members.key(job), upload, tags)
    return Cursor(step="done"), {}


STEPS: Mapping[str, Callable[[Runtime, Job, Cursor, Selection], Done]] = {
    "look": _look,
    "collect": _collect,
    "list": _list,
    "upload": _upload,
}
