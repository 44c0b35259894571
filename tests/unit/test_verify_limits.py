"""Hostile bundles cost both verifiers bounded memory and linear work; what is too large is refused in one sentence."""

from __future__ import annotations

import os
import re
import sys
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core import times
from chalicelib.core.log import leaf, merkle, note
from chalicelib.core.verify import bundle
from chalicelib.core.verify.faults import Faults
from chalicelib.core.verify.whole import CompletenessCheck
from tests.fixtures.audit import make
from tests.fixtures.audit.made import ref
from tests.fixtures.audit.make import AT, Log, Members
from tests.support.bundles import faults, first_main, full, run, second, selected, under

MB = 2**20
VERIFIERS = pytest.mark.parametrize("main", [first_main, second.main], ids=["ours", "second"])
Main = Callable[[list[str]], int]


def test_both_verifiers_know_the_same_limits() -> None:
    kinds = {"proof": "proofs", "earlier": "checkpoints", "rules": "rules", "config": "configs"}
    limits = {kinds.get(kind, kind): size for kind, size in bundle.BYTES_MAX.items()}

    assert {kind: second.BYTES.get(kind, 1 << 16) for kind in limits} == limits
    assert (second.MEMBERS, second.ENTRIES, second.VALUES) == (
        bundle.MEMBERS_MAX, bundle.ENTRIES_MAX, bundle.VALUES_MAX,
    )  # fmt: skip
    assert (second.CHECKS, second.GROUNDS, second.TAIL) == (bundle.CHECKS_MAX, bundle.GROUNDS_BYTES, bundle.TAIL_BYTES)


def test_the_documentation_names_the_limits() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text("utf-8").replace(",", "")

    for limit in (bundle.ENTRIES_MAX, bundle.MEMBERS_MAX, bundle.VALUES_MAX, bundle.CHECKS_MAX, leaf.LEAF_BYTES):
        assert str(limit) in page
    for size in {*bundle.BYTES_MAX.values(), bundle.GROUNDS_BYTES, bundle.TAIL_BYTES}:
        assert (f"{size // MB} MiB" if size >= MB else f"{size // 1024} KiB") in page


# A lower limit, and a bundle that is over it


def many_signatures() -> bytes:
    """A selection, each of whose proofs repeats the log's signature in its own way."""
    found = selected()
    for number, name in enumerate(sorted(name for name in found if name.startswith("proofs/"))):
        last = found[name][found[name].rindex("— ".encode()) :]
        found[name] += last * (number + 1)
    return make.tar(found)


LIMITS: dict[str, tuple[str, str, int, Callable[[], bytes]]] = {
    "entries": ("ENTRIES_MAX", "ENTRIES", 12, lambda: make.tar(full())),
    "members": ("MEMBERS_MAX", "MEMBERS", 7, lambda: make.tar(full())),
    "values": ("VALUES_MAX", "VALUES", 400, lambda: make.tar(full())),
    "laws and configurations": ("GROUNDS_BYTES", "GROUNDS", 6000, lambda: make.tar(full())),
    "signatures": ("CHECKS_MAX", "CHECKS", 50, many_signatures),
}


@VERIFIERS
@pytest.mark.parametrize(("ours", "theirs", "limit", "made"), LIMITS.values(), ids=LIMITS)
def test_a_bundle_is_refused_when_it_has_too_many(
    ours: str, theirs: str, limit: int, made: Callable[[], bytes], main: Main, tmp_path: Path, monkeypatch: Any
) -> None:
    data = made()
    assert run(main, data, tmp_path) == 0

    monkeypatch.setattr(bundle, ours, limit)
    monkeypatch.setattr(second, theirs, limit)

    assert run(main, data, tmp_path) == 4


def larger(name: str, size: int) -> Callable[[], bytes]:
    def made() -> bytes:
        found: Members = {**full(), name: b"[" + b"[]," * (size // 3)}
        return make.tar(found, size=len(make.usual().entries))

    return made


LARGE = {
    "a law": lambda: under(b'{"rules":[' + b"[]," * (5 * MB // 3)),
    "a configuration": lambda: under(make.decider().law.canonical, b"[" + b"[]," * (17 * MB // 3)),
    "a checkpoint": larger("checkpoint", 70_000),
    "an earlier checkpoint": larger("checkpoints/4", 70_000),
    "a consistency proof": larger("consistency/4", 70_000),
    "keys": larger("vkeys", 70_000),
}


@VERIFIERS
@pytest.mark.parametrize("made", LARGE.values(), ids=LARGE)
def test_a_member_is_not_read_when_it_is_too_large(made: Callable[[], bytes], main: Main, tmp_path: Path) -> None:
    data = made()

    assert run(main, data, tmp_path) == 4
    assert peak(lambda: run(main, data, tmp_path)) < 3 * len(data) + 30 * MB


def peak(work: Callable[[], object]) -> int:
    """Return how much memory was taken at most, above what was taken before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@VERIFIERS
@pytest.mark.parametrize("where", ["a line", "behind the end"])
def test_a_sparse_file_is_not_read_into_memory(where: str, main: Main, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    size = 96 * MB
    if where == "a line":
        head = b"".join(bundle.write([bundle.member("manifest.json", b"{}")]))[:1024]
        parts = bundle.write([bundle.member("manifest.json", b"{}"), bundle.BundleMember("entries.jsonl", size, ())])
        manifest = bundle.manifest(
            origin=make.ORIGIN, mode="full", query=None, size=1, count=1, made_at="2026-05-01T00:00:00Z", files={}
        )
        head = b"".join(bundle.write([bundle.member("manifest.json", manifest)]))
        head = head[: 512 + len(manifest) + -len(manifest) % 512]
        path.write_bytes(head + next(part for part in parts if part.startswith(b"entries.jsonl")))
        size += path.stat().st_size + 2048
    else:
        path.write_bytes(make.tar(full()))
    os.truncate(path, size)

    codes: list[int] = []
    assert peak(lambda: codes.append(main([str(path), "--self-attested"]))) < 16 * MB
    assert codes == [4]


def test_a_refusal_says_what_is_too_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults(LARGE["a law"](), tmp_path, capsys)[1] >= {"limit"}

    run(first_main, LARGE["a law"](), tmp_path)

    assert re.search(r"rules/[0-9a-f]{64}\.json: more than 4194304 bytes", capsys.readouterr().out)


# Work that grows with the square of something


def steps(work: Callable[[], object]) -> int:
    """Count the calls and the resumed generators of a piece of work."""
    count = 0

    def step(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def overdue_under_holds(number: int) -> Log:
    """Transfers without an end, each beside a legal hold on something else."""
    log = Log()
    template = log.event(0, expires_at=AT + timedelta(days=20))
    for n in range(1, number):
        log.entries.append(template | {"id": ref("ent", n), "event": ref("evt", n), "routes": renamed(template, n)})
        log.act("held", n, event=ref("evt", (n, "other")), object=("hold", ref("hld", n)))
    return log


def replayed_after_ends(number: int) -> Log:
    """One event that expired and was replayed, again and again."""
    log = Log()
    template = log.event(0, expires_at=AT + timedelta(days=20))
    for n in range(1, number):
        again = {"id": ref("ent", n), "cause": "replayed", "at": times.text(AT + timedelta(days=9))}
        log.entries.append(template | again | {"routes": renamed(template, n)})
        log.act("expired", n, event=template["event"], reason="retention")
    return log


def renamed(entry: dict[str, Any], n: int) -> list[dict[str, Any]]:
    return [{**route, "transfer": ref("trf", (n, place))} for place, route in enumerate(entry["routes"])]


def first_steps(log: Log) -> int:
    check = CompletenessCheck(Faults(), "2026", AT + timedelta(days=60))
    for entry in log.entries:
        check.take(entry)
    return steps(check.finish)


def second_steps(log: Log) -> int:
    check = second.Check([], [], 0, None, AT + timedelta(days=60))
    check.files, check.laws, check.configurations = {}, {}, {}
    check.manifest = {"log": "2026"}
    read = [second.entry_of(leaf.canonical(entry)) for entry in log.entries]
    check.all = [check.decision(entry) if entry["kind"] == "decided" else entry for entry in read]
    return steps(check.attempts)


@pytest.mark.parametrize("log", [overdue_under_holds, replayed_after_ends])
@pytest.mark.parametrize("counted", [first_steps, second_steps], ids=["ours", "second"])
def test_the_work_doubles_when_the_entries_do(counted: Callable[[Log], int], log: Callable[[int], Log]) -> None:
    assert counted(log(200)) < 2.5 * counted(log(100))


def test_roots_of_many_sizes_are_found_in_one_pass() -> None:
    hashes = [note.to_base64(bytes([n])).encode().ljust(32)[:32] for n in range(64)]
    few, many = (steps(lambda sizes=sizes: second.roots_of(hashes, sizes)) for sizes in ({64}, set(range(65))))  # type: ignore[misc]

    assert many < 5 * few
    assert second.roots_of(hashes, set(range(65)))[33] == merkle.root(hashes[:33])
