"""Witnesses cosign what is published, behind the seals: a witness that fails delays nothing, and is asked again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.core.log import note, proofs
from chalicelib.core.log.note import VerifierKey
from tests.support.api_cell import Api
from tests.support.sealed import content, entries, made, sealed, verified
from tests.support.witness import LoopbackWitness

ROOT = Path(__file__).parents[2]
BASIS = {"kind": "instruction", "valid_from": "2026-01-01", "valid_until": None, "evidence": "sha256:" + "ab" * 32}


@pytest.fixture
def witness() -> Iterator[LoopbackWitness]:
    found = LoopbackWitness()
    yield found
    found.stop()


@pytest.fixture
def log(tenant: Api, witness: LoopbackWitness) -> Iterator[Api]:
    """A tenant of a cell with a witness that trusts the tenant's log."""
    tenant.runtime.settings = replace(tenant.runtime.settings, witnesses=(witness.setting,))
    tenant.runtime.silent_witnesses.clear()
    witness.trusted.append(key_of(tenant))
    yield tenant
    tenant.runtime.settings = replace(tenant.runtime.settings, witnesses=())


def key_of(api: Api) -> VerifierKey:
    return note.parse_vkey(api.get("/v1/audit/keys").json["data"][0]["vkey"])


def grow(api: Api) -> None:
    """Append an entry and seal it."""
    api.made_by("/v1/bases", BASIS)
    sealed(api)


def cosigners(api: Api, text: str, *witnesses: LoopbackWitness) -> set[VerifierKey]:
    """Return the witnesses that have cosigned; the log itself must have signed."""
    found = note.parse_note(text.encode()).check([key_of(api), *(one.key for one in witnesses)])
    assert key_of(api) in found
    return set(found) - {key_of(api)}


def asks(api: Api, witness: LoopbackWitness) -> list[tuple[int, int]]:
    """Return old size and size of each request about the tenant's log; the cell has other logs, too."""
    return [(old, size) for origin, old, size in witness.asked if origin == key_of(api).name]


def newest(api: Api) -> str:
    texts = {api.get("/v1/audit/checkpoint").text, api.get(f"/v1/audit/logs/{api.clock.at.year}/checkpoint").text}
    assert len(texts) == 1
    return texts.pop()


def test_checkpoint_is_cosigned_after_each_seal(log: Api, witness: LoopbackWitness) -> None:
    for _ in range(3):
        grow(log)
        assert cosigners(log, newest(log), witness) == {witness.key}

    sizes = [size for _, size in asks(log, witness)]
    assert [old for old, _ in asks(log, witness)] == [0, *sizes[:-1]]  # each goes on where the last ended


def test_proofs_carry_the_cosignature(log: Api, witness: LoopbackWitness) -> None:
    grow(log)
    size = note.parse_checkpoint(note.parse_note(newest(log).encode()).text).size
    grow(log)
    entry = entries(log)[0]

    inclusion = proofs.parse_inclusion(log.get(f"/v1/audit/entries/{entry['id']}/proof").text.encode())
    earlier = proofs.parse_inclusion(log.get(f"/v1/audit/entries/{entry['id']}/proof", size=size).text.encode())
    consistency = proofs.parse_consistency(log.call("GET", f"/v1/audit/consistency?from={size}").text.encode())

    for proof in (inclusion, earlier, consistency):
        assert cosigners(log, str(proof.checkpoint), witness) == {witness.key}


def second_verifier(tar: bytes, folder: Path, *options: str) -> int:
    (folder / "bundle.tar").write_bytes(tar)
    command = [sys.executable, "tools/waybill_verify.py", str(folder / "bundle.tar"), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def test_bundle_keeps_cosignatures_and_both_verifiers_count_them(
    log: Api, witness: LoopbackWitness, tmp_path: Path
) -> None:
    grow(log)
    grow(log)

    tar = made(log)

    assert content(tar, "vkeys").decode().splitlines() == [key_of(log).text, witness.key.text]
    report = verified(log, tar, witnesses=(witness.key,), quorum=1)
    assert (report.code, report.told["witnesses"]) == (0, 1)
    options = ("--vkey", key_of(log).text, "--witness", witness.key.text, "--quorum", "1")
    assert second_verifier(tar, tmp_path, *options) == 0
    stranger = LoopbackWitness("stranger.example/w9")
    stranger.stop()
    assert verified(log, tar, witnesses=(stranger.key,), quorum=1).code == 2
    assert second_verifier(tar, tmp_path, *options[:2], "--witness", stranger.key.text, "--quorum", "1") == 2


def test_bundle_of_a_log_that_no_witness_has_cosigned_verifies(tenant: Api) -> None:
    grow(tenant)

    tar = made(tenant)

    assert content(tar, "vkeys").decode().splitlines() == [key_of(tenant).text]
    assert verified(tenant, tar).code == 0


def test_sealing_goes_on_and_the_witness_is_asked_again_when_it_was_down(log: Api, witness: LoopbackWitness) -> None:
    witness.instead = lambda signed: (503, "text/plain", b"")
    grow(log)
    before = newest(log)
    assert cosigners(log, before, witness) == set()

    witness.instead = lambda signed: None
    sealed(log)  # nothing new: the request that the failure left asks again

    assert note.parse_note(newest(log).encode()).text == note.parse_note(before.encode()).text
    assert cosigners(log, newest(log), witness) == {witness.key}
    asked = len(asks(log, witness))
    sealed(log)
    assert len(asks(log, witness)) == asked  # and nothing is asked once it has cosigned


def test_a_silent_witness_is_asked_once_a_minute(log: Api, witness: LoopbackWitness) -> None:
    witness.stop()
    grow(log)

    assert log.runtime.silent_witnesses.keys() == {witness.url}
    assert log.runtime.silent_witnesses[witness.url] <= log.runtime.monotonic() + 60
    assert cosigners(log, newest(log), witness) == set()


def test_old_checkpoints_are_not_submitted_for_ever(log: Api, witness: LoopbackWitness) -> None:
    witness.instead = lambda signed: (404, "text/plain", b"")
    grow(log)
    log.clock.at += timedelta(days=1)
    sealed(log)
    asked = len(asks(log, witness))

    sealed(log)

    assert len(asks(log, witness)) == asked


@pytest.mark.parametrize("known", ["nothing", "an earlier size"])
def test_witness_names_the_size_that_it_knows_when_ours_is_another(
    log: Api, witness: LoopbackWitness, known: str
) -> None:
    grow(log)
    if known == "nothing":
        witness.kept.clear()
    witness.instead = lambda signed: (500, "text/plain", b"")
    grow(log)
    witness.instead = lambda signed: None

    grow(log)

    assert cosigners(log, newest(log), witness) == {witness.key}
    assert asks(log, witness)[-1][0] == (0 if known == "nothing" else asks(log, witness)[0][1])


def answers(witness: LoopbackWitness, other: LoopbackWitness) -> dict[str, object]:
    line = lambda signed, by=witness: f"{by.line(signed.text).line}\n".encode()  # noqa: E731
    size = "text/x.tlog.size"
    return {
        "another text": lambda s: (200, "text/plain", f"{witness.line('other' + s.text).line}\n".encode()),
        "another witness": lambda s: (200, "text/plain", line(s, other)),
        "our own line": lambda s: (200, "text/plain", str(s).rpartition("\n\n")[2].encode()),
        "a text before it": lambda s: (200, "text/plain", b"\nmore\n\n" + line(s)),
        "no end": lambda s: (200, "text/plain", line(s)[:-1]),
        "nothing": lambda s: (200, "text/plain", b""),
        "bytes": lambda s: (200, "text/plain", bytes(range(256))),
        "too much": lambda s: (200, "text/plain", line(s) * 2000),
        "no size": lambda s: (409, size, b"many\n"),
        "no ascii": lambda s: (409, size, b"\xff\n"),
        "ahead": lambda s: (409, size, b"999999999\n"),
        "no word of a size": lambda s: (409, "text/plain", b""),
        "always another size": lambda s: (409, size, b"0\n"),
        "redirect": lambda s: (302, "text/plain", b""),
    }


@pytest.mark.parametrize(
    "name", list(answers(LoopbackWitness.__new__(LoopbackWitness), LoopbackWitness.__new__(LoopbackWitness)))
)
def test_nothing_is_stored_when_the_witness_does_not_cosign(log: Api, witness: LoopbackWitness, name: str) -> None:
    other = LoopbackWitness("other.example/w2")
    other.stop()
    witness.instead = answers(witness, other)[name]  # type: ignore[assignment]

    grow(log)

    text = newest(log)
    assert cosigners(log, text, witness, other) == set()
    assert len(note.parse_note(text.encode()).signatures) == 1
    assert 1 <= len(asks(log, witness)) <= 2


def test_each_witness_counts_by_itself_and_one_without_an_address_is_only_shown(
    log: Api, witness: LoopbackWitness
) -> None:
    second = LoopbackWitness("second.example/w2")
    second.trusted.append(key_of(log))
    log.runtime.settings = replace(log.runtime.settings, witnesses=(witness.setting, second.setting))
    grow(log)
    assert cosigners(log, newest(log), witness, second) == {witness.key, second.key}

    second.stop()
    log.runtime.settings = replace(log.runtime.settings, witnesses=(witness.setting, (second.key.text, "")))
    assert cosigners(log, newest(log), witness, second) == {witness.key, second.key}
    grow(log)
    assert cosigners(log, newest(log), witness, second) == {witness.key}


def test_the_stored_checkpoint_stays_as_the_release_before_reads_it(log: Api, witness: LoopbackWitness) -> None:
    grow(log)

    size = asks(log, witness)[-1][1]
    place = f"logs/{log.made['tenant']}/{log.clock.at.year}"
    stored = log.runtime.evidence.get(f"{place}/checkpoint")
    assert stored == log.runtime.evidence.get(f"{place}/checkpoints/{size}")
    assert len(note.parse_note(stored or b"").signatures) == 1
    assert log.runtime.evidence.get(f"{place}/cosignatures/{size}/{witness.key.id.hex()}") is not None
