"""One mutation for every fault of ``waybill verify``, with exactly its exit code, by both verifiers; and what stays 0."""

from __future__ import annotations

import copy
import hashlib
import json
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.core import times
from chalicelib.core.log import leaf, note, proofs
from chalicelib.core.log.note import Signature
from chalicelib.core.verify.faults import FAULTS
from tests.fixtures.audit import make
from tests.fixtures.audit.made import ref
from tests.fixtures.audit.make import AT, Log
from tests.fixtures.audit.signers import seeded
from tests.support.bundles import (
    CONFIGURATION,
    LAW,
    SIZE,
    TREE,
    UNKNOWN,
    USUAL,
    faults,
    forged,
    full,
    later_law,
    less,
    opened,
    proof_name,
    raw_tar,
    reconfigured,
    relaw,
    replaced,
    route,
    rule,
    run,
    second,
    selected,
    selection,
    signed,
    swapped,
    under,
    unpacked,
    with_manifest,
    without,
)

ROOT = Path(__file__).parents[2]
TODAY = {name: bytes([name]) for name in range(3)}
BAD = Signature(make.ORIGIN, note.parse_vkey(make.SIGNER.vkey).id, bytes(64))
AFTER = times.text(AT + timedelta(days=23))
BEFORE = times.text(AT + timedelta(days=21))


def entry_line(change: Callable[[bytes], bytes]) -> bytes:
    found = full()
    first, rest = found["entries.jsonl"].split(b"\n", 1)
    assert change(first) != first
    return make.tar({**found, "entries.jsonl": change(first) + b"\n" + rest})


def twice() -> bytes:
    log = copy.deepcopy(USUAL)
    log.entries.append(log.entries[0])
    return make.tar(make.members(log))


def drop(log: Log, index: int) -> None:
    del log.entries[index]


def attempt_take(log: Log) -> None:
    log.attempt(log.entries[0], 0, take=2)


MALFORMED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "tar: empty": ("tar", lambda: b""),
    "tar: text": ("tar", lambda: b"no tar" * 500),
    "tar: cut": ("tar", lambda: make.tar(full())[:-10_240]),
    "tar: within a member": ("tar", lambda: make.tar(full())[:3000]),
    "tar: header": ("tar", lambda: b"n" + make.tar(full())[1:]),
    "tar: bytes behind": ("tar", lambda: make.tar(full()) + b"x" * 512),
    "tar: another name": ("tar", lambda: raw_tar(*unpacked(make.tar(full())), ("readme", b"x"))),
    "tar: a path": ("tar", lambda: raw_tar(*unpacked(make.tar(full())), ("../checkpoint", b"x"))),
    "tar: leading zero": ("tar", lambda: raw_tar(*unpacked(make.tar(full())), ("checkpoints/04", b"x"))),
    "tar: one twice": ("tar", lambda: raw_tar(*unpacked(make.tar(full())), ("checkpoint", b"x"))),
    "tar: manifest last": ("tar", lambda: raw_tar(*reversed(unpacked(make.tar(full()))))),
    "tar: a link": ("tar", lambda: raw_tar(("manifest.json", b""), kind=tarfile.SYMTYPE)),
    "manifest: double key": ("manifest", lambda: with_manifest(lambda m: m.replace(b'{"count"', b'{"count":1,"count"', 1))),
    "manifest: float": ("manifest", lambda: with_manifest(lambda m: m.replace(b'"query":null', b'"query":{"a":1.5}'))),
    "manifest: more": ("manifest", lambda: with_manifest(lambda m: m.replace(b'"query":null', b'"query":null,"x":1'))),
    "manifest: schema": ("manifest", lambda: with_manifest(lambda m: m.replace(b"bundle/1", b"bundle/2"))),
    "manifest: time": ("manifest", lambda: with_manifest(lambda m: m.replace(b"2026-05-01T", b"2026-05-32T"))),
    "digest": ("digest", lambda: make.tar(full(), files={**dict.fromkeys(full(), "0" * 64)})),
    "unlisted": ("unlisted", lambda: make.tar(full(), files={"checkpoint": hashlib.sha256(full()["checkpoint"]).hexdigest()})),
    "entry: a space": ("entry", lambda: entry_line(lambda x: x.replace(b'":', b'": ', 1))),
    "entry: a double key": ("entry", lambda: entry_line(lambda x: x.replace(b'"log":"2026"', b'"log":"2026","log":"2026"'))),
    "entry: a float": ("entry", lambda: entry_line(lambda x: x.replace(b'"size_bytes":700', b'"size_bytes":700.5'))),
    "entry: a field": ("entry", lambda: entry_line(lambda x: x.replace(b'"log":', b'"l0g":1,"log":'))),
    "entry: schema": ("entry", lambda: entry_line(lambda x: x.replace(b"waybill.audit/1", b"waybill.audit/2"))),
    "entry: kind": ("entry", lambda: entry_line(lambda x: x.replace(b'"kind":"decided"', b'"kind":"guessed"'))),
    "entry: time": ("entry", lambda: entry_line(lambda x: x.replace(b'"at":"2026-03-02', b'"at":"2026-03-32'))),
    "entry: no JSON": ("entry", lambda: entry_line(lambda x: x[:-1])),
    "entry: no end": ("entry", lambda: make.tar({**full(), "entries.jsonl": full()["entries.jsonl"][:-1]})),
    "note: dash": ("note", lambda: make.tar(replaced(full(), "checkpoint", "— ".encode(), b"- "), size=SIZE)),
    "note: base64": ("note", lambda: bad_head(lambda h: h.replace(b"=\n\n", b"\n\n"))),
    "note: control": ("note", lambda: bad_head(lambda h: b"\x07" + h)),
    "note: return": ("note", lambda: bad_head(lambda h: h.replace(b"\n", b"\r\n"))),
    "note: not UTF-8": ("note", lambda: bad_head(lambda h: b"\xff" + h)),
    "note: no signature": ("note", lambda: bad_head(lambda h: h.partition(b"\n\n")[0] + b"\n\n")),
    "note: leading zero": ("note", lambda: bad_head(lambda h: h.replace(b"\n13\n", b"\n013\n"))),
    "note: 65 signatures": ("note", lambda: make.tar(signed(full(), *UNKNOWN[:64]), size=SIZE)),
    "note: an earlier one": ("note", lambda: make.tar(replaced(full(), "checkpoints/4", b"\n4\n", b"\n04\n"))),
    "proof: version": ("proof", lambda: bad_proof(b"@v1", b"@v2")),
    "proof: index": ("proof", lambda: bad_proof(b"index 0", b"index 00")),
    "proof: 64 hashes": ("proof", lambda: bad_proof(b"index 0\n", b"index 0\n" + (note.to_base64(bytes(32)) + "\n").encode() * 64)),
    "proof: consistency": ("proof", lambda: make.tar(replaced(full(), "consistency/4", b"old 4", b"old  4"))),
    "vkey": ("vkey", lambda: make.tar(replaced(full(), "vkeys", b"+", b"x+"))),
    "law: double key": ("law", lambda: under(b'{"rules":[],"rules":[]}')),
    "law: float": ("law", lambda: under(b'{"rules":[],"version":1.5}')),
    "law: no rules": ("law", lambda: under(b'{"laws":[]}')),
    "law: no dates": ("law", lambda: relaw(lambda law: law["rules"][0].pop("effective_from"))),
    "configuration": ("configuration", lambda: under(make.decider().law.canonical, b'{"destination":[]}')),
}  # fmt: skip


def bad_head(change: Callable[[bytes], bytes]) -> bytes:
    found = full()
    assert change(found["checkpoint"]) != found["checkpoint"]
    return make.tar({**found, "checkpoint": change(found["checkpoint"])}, size=SIZE)


def bad_proof(was: bytes, becomes: bytes) -> bytes:
    found = selected()
    return make.tar(replaced(found, proof_name(found), was, becomes))


def other_signer() -> bytes:
    found = full()
    impostor = seeded(make.ORIGIN, b"i" * 32)
    found["checkpoint"] = str(make.checkpoint(TREE.root(SIZE), SIZE, [impostor])).encode()
    return make.tar(found)


def forked() -> Log:
    """The same log, were it not for its second entry."""
    log = copy.deepcopy(USUAL)
    log.entries[1]["took_ms"] += 1
    return log


def forked_member(name: str) -> bytes:
    return make.tar({**full(), name: make.members(forked(), earlier=(4,))[name]})


def shuffled_selection() -> bytes:
    return make.tar(swapped(selected()))


PROOF: dict[str, tuple[str, Callable[[], bytes]]] = {
    "origin: the manifest's": ("origin", lambda: make.tar(full(), origin=make.ORIGIN.replace("waybill", "wayb1ll"))),
    "origin: another tenant's": ("origin", lambda: make.tar(full(), origin=make.ORIGIN.replace("/2026", "/2027"))),
    "unsigned: another key": ("unsigned", other_signer),
    "unsigned: no key": ("unsigned", lambda: make.tar({**full(), "vkeys": f"{make.OTHER.vkey}\n".encode()})),
    "signature: alone": ("signature", lambda: make.tar({**full(), "checkpoint": full()["checkpoint"].partition(b"\n\n")[0] + f"\n\n{BAD.line}\n".encode()})),
    "signature: beside a good one": ("signature", lambda: make.tar(signed(full(), BAD))),
    "signature: of an earlier one": ("signature", lambda: make.tar(replaced(full(), "checkpoints/4", b"\n4\n", b"\n5\n"))),
    "root: an entry altered": ("root", lambda: make.tar({**full(), "entries.jsonl": make.members(forked())["entries.jsonl"]})),
    "root: entries swapped": ("root", lambda: make.tar(swapped(full()))),
    "inclusion: an entry altered": ("inclusion", lambda: make.tar({**selected(), "entries.jsonl": make.members(forked())["entries.jsonl"]})),
    "inclusion: index": ("inclusion", lambda: bad_proof(b"index 0", b"index 1")),
    "inclusion: beyond the log": ("inclusion", lambda: make.tar(replaced(selected(), f"proofs/{USUAL.entries[-1]['id']}.tlog-proof", b"index 12", b"index 13"))),
    "earlier: another root": ("earlier", lambda: forked_member("checkpoints/4")),
    "earlier: another size": ("earlier", lambda: make.tar({**full(), "checkpoints/4": make.members(USUAL, earlier=(5,))["checkpoints/5"]})),
    "consistency": ("consistency", lambda: make.tar({**full(), "consistency/4": str(proofs.ConsistencyProof(4, (bytes(32),), note.parse_note(full()["checkpoint"]))).encode()})),
    "consistency: in a selection": ("consistency", lambda: make.tar({**selected(), "checkpoints/4": make.members(forked(), earlier=(4,))["checkpoints/4"]})),
    "order": ("order", shuffled_selection),
    "twice": ("twice", twice),
    "foreign: tenant": ("foreign", lambda: forged(lambda log: log.entries[-1].update(tenant=ref("tnt", "other")))),
    "foreign: log": ("foreign", lambda: forged(lambda log: log.entries[-1].update(log="2027"))),
    "misnamed: law": ("misnamed", lambda: make.tar({**full(), LAW: b'{"rules":[]}'})),
    "misnamed: configuration": ("misnamed", lambda: make.tar({**full(), CONFIGURATION: b'{"destinations":[]}'})),
    "surplus": ("surplus", lambda: make.tar({**full(), "entries.jsonl": full()["entries.jsonl"] + leaf.leaf(Log().act("viewed", 9, AT)) + b"\n"})),
}  # fmt: skip

INCOMPLETE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "absent": ("absent", lambda: make.tar(full(), absent=[LAW])),
    "no checkpoint": ("no_checkpoint", lambda: make.tar(without(full(), "checkpoint", "checkpoints/4", "consistency/4"), size=SIZE)),
    "short: the last": ("short", lambda: make.tar(less(full(), 1))),
    "short: the last, all claims fitted": ("short", lambda: make.tar(less(full(), 1), size=SIZE - 1, count=SIZE - 1)),
    "short: count": ("short", lambda: make.tar(full(), count=SIZE + 1)),
    "size": ("size", lambda: make.tar(selected(), size=SIZE + 1)),
    "unproved": ("unproved", lambda: make.tar(without(selected(), proof_name(selected())))),
    "stray": ("stray", lambda: make.tar(less(selected(), 1))),
    "unconnected: no proof": ("unconnected", lambda: make.tar(without(full(), "consistency/4"))),
    "unconnected: no checkpoint": ("unconnected", lambda: make.tar(without(full(), "checkpoints/4"))),
    "no law": ("no_law", lambda: make.tar(without(full(), LAW))),
    "no configuration": ("no_configuration", lambda: make.tar(without(full(), CONFIGURATION))),
    "undecided": ("undecided", lambda: forged(lambda log: drop(log, 0))),
    "undecided: transfer": ("undecided", lambda: forged(lambda log: log.entries[1].update(transfer=ref("trf", 9)))),
    "gap: attempt": ("gap", lambda: forged(lambda log: log.entries[1].update(attempt=2))),
    "gap: take": ("gap", lambda: forged(attempt_take)),
    "gap: an attempt beyond all counting": ("gap", lambda: forged(lambda log: log.entries[1].update(attempt=2**53 - 1))),
    "no end": ("no_end", lambda: make.tar(make.members(opened()))),
    "count": ("count", lambda: make.tar(full(), count=SIZE - 1)),
    "query: all, but acts only": ("query", lambda: selection({}, SIZE - 1)),
    "query: all, but one": ("query", lambda: selection({}, *range(SIZE - 1))),
    "query: another event": ("query", lambda: selection({"event": USUAL.entries[0]["event"]}, 0, 3)),
    "query: another person": ("query", lambda: selection({"subject": ref("sub", 1)}, 0)),
    "query: another destination": ("query", lambda: selection({"destination": ref("dst", 9)}, 0, 1)),
    "query: an act of another time": ("query", lambda: selection({"before": times.text(AT)}, SIZE - 1)),
    "query: an event of another time": ("query", lambda: selection({"after": times.text(AT + timedelta(minutes=1))}, 0)),
}  # fmt: skip


def barred(decision: str) -> Callable[[Log], None]:
    def change(log: Log) -> None:
        held = route(log, 1)
        assert held["decision"] == "held"
        if decision == "refused":
            held.update(decision="refused", rules=[{**held["rules"][0], "verdict": "refused"}])
        log.attempt(log.entries[0], 1, classes=())

    return change


DECISION: dict[str, tuple[str, Callable[[], bytes]]] = {
    "verdict: milder": ("verdict", lambda: forged(lambda log: rule(log).update(verdict="held"))),
    "verdict: no rule": ("verdict", lambda: forged(lambda log: route(log).update(rules=[]))),
    "rule unknown": ("rule_unknown", lambda: forged(lambda log: rule(log).update(id="ANY.invented"))),
    "rule not yet in force": ("rule_time", lambda: later_law("2026-03-04")),
    "rule no longer in force": ("rule_time", lambda: later_law("2026-03-01", "effective_to")),
    "rule ref": ("rule_ref", lambda: forged(lambda log: rule(log).update(ref="GDPR art. 99"))),
    "classes: beyond the event's": ("classes", lambda: forged(lambda log: route(log).update(classes_out=["content", "location"]))),
    "classes: although held": ("classes", lambda: forged(lambda log: route(log, 1).update(classes_out=["technical"]))),
    "place: no country": ("place", lambda: forged(lambda log: route(log)["recipient"].update(country=None))),
    "place: no processing": ("place", lambda: forged(lambda log: route(log)["recipient"].update(processing=[]))),
    "place: no recipient": ("place", lambda: forged(lambda log: route(log).update(recipient=None))),
    "recipient: country": ("recipient", lambda: forged(lambda log: route(log)["recipient"].update(country="FR"))),
    "recipient: who": ("recipient", lambda: forged(lambda log: route(log)["recipient"].update(id=ref("rcp", 9)))),
    "recipient: destination": ("recipient", lambda: forged(lambda log: (route(log).update(destination=ref("dst", 9)), log.entries[1].update(destination=ref("dst", 9))))),
    "recipient: configuration": ("recipient", lambda: reconfigured(lambda c: c["destinations"][0]["recipient"].update(country="GB"))),
    "barred: held": ("barred", lambda: forged(barred("held"))),
    "barred: refused": ("barred", lambda: forged(barred("refused"))),
    "attempt classes": ("attempt_classes", lambda: forged(lambda log: log.entries[1].update(classes=["contact", "content"]))),
    "attempt destination": ("attempt_destination", lambda: forged(lambda log: log.entries[1].update(destination=ref("dst", "lab")))),
}  # fmt: skip


def everything(log: Log, place: int, *, decision: str = "allowed") -> None:
    """Allow a held transfer, by the rules of another route."""
    route(log, place).update(decision=decision, rules=route(log)["rules"], classes_out=route(log)["classes_out"])
    log.attempt(log.entries[0], place)


REDECIDED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "redecided: allowed what is held": ("redecided", lambda: forged(lambda log: everything(log, 1))),
    "redecided: a rule left out": ("redecided", lambda: forged(lambda log: route(log)["rules"].pop())),
    "redecided: held what is allowed": ("redecided", lambda: forged(lambda log: (drop(log, 1), route(log).update(decision="held", rules=route(log, 1)["rules"], classes_out=[])))),  # type: ignore[func-returns-value]
    "redecided: not redacted": ("redecided", lambda: forged(lambda log: route(log, 2).update(classes_out=make.CLASSES))),
    "redecided: other facts": ("redecided", lambda: forged(lambda log: log.entries[0]["facts"]["subject"].update(country="RU"))),
    "redecided: another basis": ("redecided", lambda: reconfigured(lambda c: c["bases"].pop(0))),
}  # fmt: skip
"""Faults that only a repeated decision can find; the second verifier makes none."""


NOT_REDECIDED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "law: no laws": ("law_unusable", lambda: relaw(lambda law: None)),
    "law: no laws, a rule a day beside": ("law_unusable", lambda: later_law("2026-03-03")),
    "configuration: one more field": ("configuration_unusable", lambda: reconfigured(lambda c: c.update(zz=1))),
    "configuration: destinations only": ("configuration_unusable", lambda: reconfigured(lambda c: [c.pop(key) for key in ("routes", "sources")])),
    "configuration: another schema": ("configuration_unusable", lambda: reconfigured(lambda c: c.update(schema="waybill.config/2"))),
    "facts: one more": ("facts_unusable", lambda: forged(lambda log: log.entries[0]["facts"].update(zz=1))),
    "facts: no time": ("facts_unusable", lambda: forged(lambda log: log.entries[0]["facts"].pop("now"))),
    "facts: one more, and allowed what is held": ("facts_unusable", lambda: forged(lambda log: (everything(log, 1), log.entries[0]["facts"].update(zz=1)))),  # type: ignore[func-returns-value]
}  # fmt: skip

UNSEEN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "law: compiled to something else": ("law_unusable", lambda: under(leaf.canonical(json.loads(make.decider().law.canonical) | {"zz": 1}))),
    "configuration: one more field of a source": ("configuration_unusable", lambda: reconfigured(lambda c: c["sources"][0].update(zz=1))),
    "facts: of a source that is not there": ("facts_unusable", lambda: reconfigured(lambda c: c["sources"].pop())),
}  # fmt: skip
"""Reasons against deciding again that only an attempt to do it finds."""


CODES = {4: MALFORMED, 1: PROOF, 2: INCOMPLETE, 3: {**DECISION, **REDECIDED}, 5: {**NOT_REDECIDED, **UNSEEN}}
CASES = [pytest.param(code, *case, id=name) for code, cases in CODES.items() for name, case in cases.items()]


@pytest.mark.parametrize(("code", "fault", "mutation"), CASES)
def test_the_fault_has_its_code_when_a_bundle_is_mutated(
    code: int, fault: str, mutation: Callable[[], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = mutation()

    found, names = faults(data, tmp_path, capsys)

    assert found == code
    assert fault in names


@pytest.mark.parametrize(("code", "fault", "mutation"), [c for c in CASES if c.id not in {**REDECIDED, **UNSEEN}])
def test_the_second_verifier_agrees_when_a_bundle_is_mutated(
    code: int, fault: str, mutation: Callable[[], bytes], tmp_path: Path
) -> None:
    assert run(second.main, mutation(), tmp_path) == code


def test_every_fault_has_a_mutation_and_a_line_in_the_documentation() -> None:
    page = (ROOT / "docs" / "verify.md").read_text("utf-8")
    mutated = {fault for cases in CODES.values() for fault, _ in cases.values()}

    assert {name: FAULTS[name].stage for cases in CODES.values() for name, _ in cases.values()} == {
        name: code for code, cases in CODES.items() for name, _ in cases.values()
    }
    assert set(FAULTS) - mutated == {
        # These turn on an argument or on the size: test_verify_arguments.py, test_verify_limits.py.
        "quorum", "seen", "seen_ahead", "seen_unproved", "unidentified", "limit",
    }  # fmt: skip
    assert [name for name in FAULTS if f"`{name}`" not in page] == []
