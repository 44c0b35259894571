"""The counts that must stay 0 in both verifiers, and the findings from the reader's own arguments."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import cli
from chalicelib.core import times
from chalicelib.core.law.loader import LawRefused, load_pack
from chalicelib.core.log import leaf, note, proofs
from chalicelib.core.log.note import Checkpoint
from chalicelib.core.verify.redecide import configuration_of
from tests.fixtures.audit import make
from tests.fixtures.audit.made import TENANT, ref
from tests.fixtures.audit.make import AT, Log
from tests.support import bundles
from tests.support.bundles import SIZE, TREE, UNKNOWN, USUAL, faults, first_main, full, run, second, selected, signed

VERIFIERS = pytest.mark.parametrize("main", [first_main, second.main], ids=["ours", "second"])
Main = Callable[[list[str]], int]
LATE = times.text(AT + timedelta(days=22, minutes=1))
HOLD = ("hold", ref("hld", 1))


def pax() -> bytes:
    """The same members in a tar of another maker, times and owners in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, data in bundles.unpacked(make.tar(full())):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(data), 1_772_000_000, "auditor"
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def with_proofs() -> bytes:
    found = selected()
    return make.tar(found, mode="full")


def extended() -> bytes:
    """A checkpoint with a line more."""
    found = make.members(copy.deepcopy(USUAL))
    text = Checkpoint(make.ORIGIN, SIZE, TREE.root(SIZE), ("a line more",)).text
    return make.tar({**found, "checkpoint": str(note.sign_note(text, [make.SIGNER])).encode()})


def extra() -> bytes:
    found = selected()
    name = bundles.proof_name(found)
    proof = proofs.parse_inclusion(found[name])
    return make.tar(
        {**found, name: str(proofs.InclusionProof(proof.index, proof.hashes, proof.checkpoint, b"x")).encode()}
    )


def of(*steps: Callable[[Log, dict[str, Any]], object], at: Any = AT, days: int = 20) -> bytes:
    """A log of one event of which nothing was sent, except by the added steps."""
    log = Log()
    decision = log.event("open", at, expires_at=at + timedelta(days=days))
    for step in steps:
        step(log, decision)
    return make.tar(make.members(log))


def ended(kind: str, place: int | None) -> Callable[[Log, dict[str, Any]], object]:
    def step(log: Log, decision: dict[str, Any]) -> None:
        thing = None if place is None else ("transfer", decision["routes"][place]["transfer"])
        log.act(kind, (kind, place), AT + timedelta(days=1), event=decision["event"], object=thing, reason="retention")

    return step


def superseded(log: Log, decision: dict[str, Any]) -> None:
    for place in (0, 2):
        at = AT + timedelta(hours=place + 1)
        later = log.event("open", at, cause="rechecked", supersedes=decision["id"], minute=times.minute(AT),
                          routes=[decision["routes"][place]], expires_at=AT + timedelta(days=20))  # fmt: skip
        log.attempt(later, 0)


def delivered(log: Log, decision: dict[str, Any]) -> None:
    for place in (0, 2):
        log.attempt(decision, place)


def decided_anew(log: Log, decision: dict[str, Any]) -> None:
    """A dead letter is sent on its way again, and its event decided once more."""
    log.act("expired", "letter", AT + timedelta(hours=1), event=decision["event"], reason="dead_letter")
    act = log.act("replayed", "again", AT + timedelta(hours=3), event=decision["event"], reason="dead_letter")
    log.event("open", AT + timedelta(hours=3, minutes=1), cause="replayed", by=act["id"], minute=times.minute(AT),
              routes=decision["routes"], expires_at=AT + timedelta(days=20))  # fmt: skip


def erased_early(log: Log, decision: dict[str, Any]) -> None:
    log.act("erased", "early", AT + timedelta(minutes=5), event=decision["event"], reason="subject_request")


def tenant_erased(log: Log, _: dict[str, Any]) -> None:
    log.act("erased", "close", AT + timedelta(days=1), object=("tenant", TENANT), reason="tenant_closed")


def held(log: Log, decision: dict[str, Any]) -> None:
    log.act("held", "hold", event=decision["event"], object=HOLD)


def lifted(log: Log, decision: dict[str, Any]) -> None:
    log.act("released", "lift", AT + timedelta(days=1), event=decision["event"], object=HOLD)


CONTROLS: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "full": (lambda: make.tar(full()), ()),
    "selection": (lambda: make.tar(selected()), ()),
    "an event of a log": (lambda: bundles.selection({"event": USUAL.entries[0]["event"]}, 0, 1, 2), ()),
    "a person of a log": (lambda: bundles.selection({"subject": USUAL.entries[0]["receipt"]["subjects"][0]}, 0, 1, 2), ()),
    "a destination of a log": (lambda: bundles.selection({"destination": ref("dst", "crm")}, *range(SIZE - 2)), ()),
    "a minute of a log": (lambda: bundles.selection({"after": times.text(AT), "before": times.text(AT + timedelta(minutes=1))}, 0, 1, 2), ()),
    "acts of an hour": (lambda: bundles.selection({"after": times.text(AT + timedelta(hours=2))}, SIZE - 1), ()),
    "nothing of a log": (lambda: bundles.selection({"event": ref("evt", 99)}), ()),
    "an event to the end of time": (lambda: of(lambda log, d: d.update(expires_at="9999-12-31T23:59:59.999Z")), ()),
    "pinned": (lambda: make.tar(full()), ("--vkey", make.SIGNER.vkey)),
    "pinned beside another": (lambda: make.tar(full()), ("--vkey", make.OTHER.vkey, "--vkey", make.SIGNER.vkey)),
    "pinned, own keys unknown": (lambda: make.tar({**full(), "vkeys": f"{make.OTHER.vkey}\n".encode()}), ("--vkey", make.SIGNER.vkey)),
    "an unknown signature": (lambda: make.tar(signed(full(), UNKNOWN[0])), ()),
    "16 signatures": (lambda: make.tar(signed(full(), *UNKNOWN[:15])), ()),
    "64 signatures": (lambda: make.tar(signed(full(), *UNKNOWN[:63])), ()),
    "an extra line": (extra, ()),
    "a line more in the checkpoint": (extended, ()),
    "proofs in a full bundle": (with_proofs, ()),
    "another tar": (pax, ()),
    "open": (lambda: of(), ("--now", times.text(AT + timedelta(days=21)))),
    "open and overdue until the next day": (lambda: of(), ("--now", times.text(AT + timedelta(days=22)))),
    "ended by expiry": (lambda: of(ended("expired", 0), ended("expired", 2)), ()),
    "ended by erasure": (lambda: of(ended("erased", None)), ()),
    "superseded and delivered": (lambda: of(superseded), ()),
    "delivered before its dead letter is decided anew": (lambda: of(delivered, decided_anew), ("--now", LATE)),
    "delivered once its dead letter is decided anew": (lambda: of(decided_anew, delivered), ("--now", LATE)),
    "erased before its dead letter is decided anew": (lambda: of(erased_early, decided_anew), ("--now", LATE)),
    "erased with its tenant": (lambda: of(tenant_erased), ("--now", LATE)),
    "under a hold": (lambda: of(held), ()),
    "goes on next year": (lambda: of(days=330), ("--now", "2028-01-01T00:00:00Z")),
    "empty": (lambda: make.tar(make.members(Log())), ()),
}  # fmt: skip


@VERIFIERS
@pytest.mark.parametrize(("bundle", "arguments"), CONTROLS.values(), ids=CONTROLS)
def test_nothing_is_at_fault_when_a_bundle_is_genuine(
    bundle: Callable[[], bytes], arguments: tuple[str, ...], main: Main, tmp_path: Path
) -> None:
    assert run(main, bundle(), tmp_path, *arguments) == 0


OVERDUE: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "overdue": (lambda: of(), ("--now", LATE)),
    "one of two ended": (lambda: of(ended("expired", 0)), ()),
    "decided anew after its end": (lambda: of(decided_anew), ("--now", LATE)),
    "something else erased": (lambda: of(lambda log, _: log.act("erased", "e", object=("source", ref("src", 1)))), ("--now", LATE)),
    "the hold was lifted": (lambda: of(held, lifted), ()),
    "another hold": (lambda: of(lambda log, _: log.act("held", "h", event=ref("evt", 9), object=HOLD)), ()),
    "failed only": (lambda: of(ended("expired", 0), lambda log, d: log.attempt(d, 2, outcome="failed", code="timeout")), ()),
}  # fmt: skip


@VERIFIERS
@pytest.mark.parametrize(("bundle", "arguments"), OVERDUE.values(), ids=OVERDUE)
def test_a_transfer_is_missed_when_it_has_no_end_in_time(
    bundle: Callable[[], bytes], arguments: tuple[str, ...], main: Main, tmp_path: Path
) -> None:
    assert run(main, bundle(), tmp_path, *arguments) == 2


# The report


def test_the_report_tells_what_was_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(first_main, make.tar(full()), tmp_path, "--json", "--vkey", make.SIGNER.vkey)
    told = json.loads(capsys.readouterr().out)

    assert told | {"as_of": None} == {
        "code": 0, "result": "ok", "origin": make.ORIGIN, "mode": "full", "size": SIZE, "trust": "pinned", "witnesses": 0,
        "as_of": None, "entries": {"attempted": 8, "decided": 4, "viewed": 1},
        "transfers": {"decided": 9, "open": 0, "held": 3}, "decisions": {"redecided": 9, "not_redecided": {}},
        "earlier_checkpoints": 1, "faults": [],
    }  # fmt: skip


def test_a_person_is_told_what_to_do_when_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(first_main, make.tar(bundles.less(full(), 1)), tmp_path)
    said = capsys.readouterr().out

    assert said.startswith("NOT OK: incomplete\n")
    assert "self-attested" in said
    assert "[incomplete] there are fewer entries than the log or the manifest says (1)" in said
    assert "What to do: " in said


@pytest.mark.parametrize(
    "bundle", [lambda: bundles.relaw(lambda law: None), lambda: bundles.reconfigured(lambda c: c.update(zz=1))]
)
def test_it_is_told_when_decisions_were_not_made_again(
    bundle: Callable[[], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(first_main, bundle(), tmp_path) == 5

    assert "Re-decided   0\n" in (said := capsys.readouterr().out)
    assert "9 not: " in said


def test_open_transfers_are_counted_when_there_is_time_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for main in (first_main, second.main):
        run(main, of(), tmp_path, "--now", times.text(AT))

        assert "2 open" in (said := capsys.readouterr().out) or "2 transfers open" in said


def test_all_faults_are_told_when_there_are_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(log: Log) -> None:
        bundles.rule(log).update(ref="GDPR art. 99")
        log.entries[1].update(attempt=2)
        log.entries[-1].update(tenant=ref("tnt", "other"))

    code, names = faults(bundles.forged(change), tmp_path, capsys)

    assert code == 1
    assert names >= {"foreign", "gap", "rule_ref"}


# The form of the law


def test_a_law_is_the_same_when_it_is_loaded_from_its_own_form() -> None:
    law = make.decider().law
    renamed = json.loads(law.canonical)
    renamed["rules"][0]["ref"] = "GDPR art. 99"

    packed = load_pack(law.canonical, law.bulk)
    assert (packed.canonical, packed.hash) == (law.canonical, law.hash)
    for other in (b"", b"[]", b"{}", b'{"laws":[]}', b'{"laws":[{"code":1}]}', leaf.canonical(renamed)):
        with pytest.raises(LawRefused):
            load_pack(other, law.bulk)


def test_a_configuration_is_the_same_when_it_is_read_from_its_document() -> None:
    document = make.configuration().document
    again = configuration_of(json.loads(leaf.canonical(document)))

    assert again.document == document
    assert again.hash == make.configuration().hash


def test_no_network_and_no_sdk_is_loaded_when_a_bundle_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(make.tar(full()))
    script = (
        "import sys, cli; code = cli.main(['verify', '--self-attested', sys.argv[1]]);"
        "bad = {'boto3', 'botocore', 'ssl', 'http.client', 'urllib3', 'chalice'} & set(sys.modules); sys.exit(99 if bad else code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=Path(cli.__file__).parent, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_the_second_verifier_needs_nothing_when_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(make.tar(full()))

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(second.__file__), str(path), "--self-attested"],
        capture_output=True,
        check=False,
    )

    said = b"ok, 0 transfers open, 9 decisions compared with the law but not made again (self-attested)\n"
    assert (done.returncode, done.stdout) == (0, said)
