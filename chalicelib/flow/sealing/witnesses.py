"""Witnesses: third parties that sign a checkpoint, too, once they have checked that it continues the one before.

The sealer asks them after it has published, when nothing waits for it. A witness that does not answer delays no seal: the log
gets a seal request for entries that are sealed already, and the run that follows asks again. For one log and witness:

    1 take the newest checkpoint; stop where its cosignature is stored
    2 post it with the proof that it continues the size before, or the size that the witness names
    3 verify the cosignature, and store it beside the checkpoint

Source: https://c2sp.org/tlog-witness and https://c2sp.org/tlog-cosignature (read 2026-11-30).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ...core import times
from ...core.errors import AuditBroken, DeliveryError, WaybillError
from ...core.log import audit, merkle, note, proofs, seal
from ...core.log.note import Note, Signature, VerifierKey
from ...core.log.seal import Seal
from ...observe import count, error, warning
from ...runtime import Runtime
from ...store.log import SealedLog
from ...store.seal_requests import SealRequest
from .publish import NOTE_TYPE, newest, sealed_log

if TYPE_CHECKING:  # what sends is loaded by ``_post``: most cells have no witness
    from ...destinations.vetted import HttpResponse

RESOLVE_S, CONNECT_S, TOTAL_S = 1.5, 2.0, 5.0
AT_ONCE = 16
ASKING_S = 8
"""So long a run begins to ask. A request takes ``TOTAL_S`` at most, and a run of the sealer 120 s."""
SILENT_S = 60
"""So long this process does not ask a witness again that did not answer."""
ASKED_FOR = timedelta(days=1)
"""So long after a seal its checkpoint is submitted again; then the next seal's is."""
SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness as the operator configures it. Without a URL the cell no longer asks it, and still shows its cosignatures."""

    key: VerifierKey
    url: str


class NotCosigned(Exception):
    """A witness did not cosign; the text is a word for the log line."""


def configured(runtime: Runtime) -> tuple[Witness, ...]:
    """Return the cell's witnesses."""
    return tuple(Witness(note.parse_vkey(key), url) for key, url in runtime.settings.witnesses)


def with_cosignatures(runtime: Runtime, one: SealedLog, size: int, text: bytes) -> bytes:
    """Return a signed checkpoint with the cosignatures that are stored for its size.

    Raises:
        AuditUnavailable: the bucket does not answer.
    """
    lines = (one.evidence.get_fixed(_place(one, size, each.key)) for each in configured(runtime))
    return text + b"".join(line for line in lines if line is not None)


def signers(runtime: Runtime, signed: Note) -> tuple[VerifierKey, ...]:
    """Return the keys of the cell's witnesses that have cosigned a checkpoint."""
    named = {(line.name, line.id) for line in signed.signatures}
    return tuple(each.key for each in configured(runtime) if (each.key.name, each.key.id) in named)


def _place(one: SealedLog, size: int, key: VerifierKey) -> str:
    return f"{one.prefix}cosignatures/{size}/{key.id.hex()}"


# Asking


def submit(runtime: Runtime, logs: Collection[tuple[str, str]]) -> None:
    """Have the witnesses cosign the newest checkpoints of some logs. Never raises: a fault is logged, and nothing rests on it."""
    asked = [each for each in configured(runtime) if each.url]
    if not asked:
        return
    until = runtime.monotonic() + ASKING_S
    for _ in runtime.threads.map(AT_ONCE, lambda log: _submit_log(runtime, log, asked, until), sorted(set(logs))):
        pass


def _submit_log(runtime: Runtime, log: tuple[str, str], asked: Iterable[Witness], until: float) -> None:
    try:
        one = sealed_log(runtime, *log)
        found = newest(runtime, one)
        if found is None:
            return
        done = [_cosigned(runtime, one, each, *found, until) for each in asked]
        if not all(done):
            _ask_again(runtime, one, found[0])
    except WaybillError as fault:
        error("cosigning_failed", fault, tenant=log[0], log=log[1])


def _cosigned(runtime: Runtime, one: SealedLog, witness: Witness, made: Seal, text: bytes, until: float) -> bool:
    """Have one witness cosign a checkpoint. Return False if it has not."""
    place = _place(one, made.size, witness.key)
    if one.evidence.get_fixed(place) is not None:  # 1
        return True
    now = runtime.monotonic()
    if now > until or runtime.silent_witnesses.get(witness.url, 0.0) > now:
        return False
    try:
        line = _cosignature(runtime, one, witness, made, text).line  # 2
    except NotCosigned as fault:
        if str(fault) == "no_answer":
            runtime.silent_witnesses[witness.url] = runtime.monotonic() + SILENT_S
        warning("witness_failed", witness=witness.key.name, reason=str(fault), tenant=one.tenant, log=one.log)
        count("witnesses_failed")
        return False
    try:
        one.evidence.put(place, f"{line}\n".encode(), NOTE_TYPE)  # 3
    except AuditBroken:
        return True  # another sealer stored the witness' answer to the same checkpoint, of another time
    count("cosignatures")
    return True


def _cosignature(runtime: Runtime, one: SealedLog, witness: Witness, made: Seal, text: bytes) -> Signature:
    """Return a witness' verified cosignature.

    Raises:
        NotCosigned: it gives none.
        AuditBroken, AuditUnavailable: the log cannot be read back.
    """
    signed = note.parse_note(text)
    old = made.first  # what it has cosigned if it has answered so far
    for _ in range(2):
        answer = _post(runtime, witness, one, old, made.size, signed)
        if answer.status == 200 and not answer.truncated:
            return _verified(witness, signed, answer.body)
        if answer.status != 409 or answer.headers.get("content-type", "").partition(";")[0].strip() != SIZE_TYPE:
            raise NotCosigned(f"status_{answer.status}")
        try:
            old = note.number(answer.body.decode("ascii").removesuffix("\n"))
        except (AuditBroken, UnicodeDecodeError):
            raise NotCosigned("no_size") from None
        if old > made.size:
            raise NotCosigned("ahead")
    raise NotCosigned("another_size")


def _post(runtime: Runtime, witness: Witness, one: SealedLog, old: int, size: int, signed: Note) -> HttpResponse:
    from ...destinations import vetted
    from ...destinations.address import ForbiddenAddress, check_url

    proof = merkle.consistency_proof(old, size, one.node(size)) if 0 < old < size else []
    body = str(proofs.ConsistencyProof(old, tuple(proof), signed)).encode()
    clients, deadline = runtime.destination_clients, vetted.deadline_in(TOTAL_S)
    try:
        target = check_url(f"{witness.url}/add-checkpoint", clients.policy)
        address = vetted.resolve(target, clients.policy, clients.resolver, RESOLVE_S)
        headers = {"Content-Type": NOTE_TYPE, "User-Agent": "Waybill/1"}
        return vetted.request(target, address, "POST", headers, body, deadline, connect_s=CONNECT_S, tls=clients.tls)
    except (DeliveryError, ForbiddenAddress):
        raise NotCosigned("no_answer") from None


def _verified(witness: Witness, signed: Note, lines: bytes) -> Signature:
    """Find the witness' cosignature among the lines that it answered, and verify it."""
    try:
        read = note.parse_note(str(signed).encode() + lines)
        cosigned = read.check([witness.key])
    except AuditBroken:
        raise NotCosigned("bad_signature") from None
    if read.text != signed.text or witness.key not in cosigned:
        raise NotCosigned("no_signature")
    return next(line for line in read.signatures if (line.name, line.id) == (witness.key.name, witness.key.id))


def _ask_again(runtime: Runtime, one: SealedLog, made: Seal) -> None:
    """Request another run for a log whose newest checkpoint lacks a cosignature: it finds nothing to seal, and asks again."""
    now = runtime.now()
    if now - times.parse(made.horizon) > ASKED_FOR:
        return
    partition = made.partitions[0][0] if made.partitions else audit.partition_name(next(seal.ids_of(one.batch(made))))
    runtime.seal_requests.send([SealRequest(one.tenant, one.log, (partition,), 0, since=now)])
