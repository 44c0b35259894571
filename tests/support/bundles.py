"""Evidence bundles, right and changed in one place, and both verifiers to judge them."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cli
from chalicelib.core import times
from chalicelib.core.log import leaf, note
from chalicelib.core.log.note import Signature
from tests.fixtures.audit import make
from tests.fixtures.audit.make import Log, Members

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("waybill_verify", ROOT / "tools" / "waybill_verify.py")
assert _spec is not None and _spec.loader is not None
second = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(second)

LAW = f"rules/{make.decider().law.hash.removeprefix('sha256:')}.json"
CONFIGURATION = f"configs/{make.configuration().hash}.json"
USUAL = make.usual()
SIZE = len(USUAL.entries)
CREATED = {"manifest.json", "checkpoint", "entries.jsonl", "vkeys", LAW, CONFIGURATION}


def full(**given: Any) -> Members:
    return make.members(copy.deepcopy(USUAL), earlier=(4,), **given)


def selected() -> Members:
    return make.members(copy.deepcopy(USUAL), chosen=range(SIZE), earlier=(4,))


def selection(query: dict[str, str], *indexes: int) -> bytes:
    """A selection that claims to be what a query asks for."""
    return make.tar(make.members(copy.deepcopy(USUAL), chosen=indexes), query=query, mode="selection")


def proof_name(found: Members) -> str:
    return next(name for name in found if name.startswith("proofs/"))


def replaced(found: Members, name: str, was: bytes, becomes: bytes) -> Members:
    assert was in found[name]
    return {**found, name: found[name].replace(was, becomes, 1)}


def swapped(found: Members, first: int = 0, other: int = 1) -> Members:
    lines = found["entries.jsonl"].split(b"\n")
    lines[first], lines[other] = lines[other], lines[first]
    return {**found, "entries.jsonl": b"\n".join(lines)}


def signed(found: Members, *signatures: Signature) -> Members:
    """Put signatures before the log's own."""
    head = note.parse_note(found["checkpoint"])
    return {**found, "checkpoint": str(note.Note(head.text, (*signatures, *head.signatures))).encode()}


def forged(change: Callable[[Log], object], log: Log | None = None) -> bytes:
    """A log that a dishonest operator wrote and signed."""
    log = copy.deepcopy(log or USUAL)
    change(log)
    return make.tar(make.members(log))


def route(log: Log, place: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = log.entries[0]["routes"][place]
    return found


def rule(log: Log) -> dict[str, Any]:
    found: dict[str, Any] = route(log)["rules"][0]
    return found


def raw_tar(*files: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data) if kind == tarfile.REGTYPE else 0, kind
            made.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


def unpacked(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as made:
        return [(m.name, made.extractfile(m).read()) for m in made.getmembers()]  # type: ignore[union-attr]


def with_manifest(change: Callable[[bytes], bytes]) -> bytes:
    (name, manifest), *rest = unpacked(make.tar(full()))
    changed = change(manifest)
    assert changed != manifest
    return raw_tar((name, changed), *rest)


def relaw(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The usual log under a law file without ``laws``, changed."""
    law = json.loads(make.decider().law.canonical)
    del law["laws"]
    change(law)
    data = leaf.canonical(law)
    return under(data)


def under(law: bytes, config: bytes | None = None) -> bytes:
    """The usual log, its decisions naming this law file and configuration."""
    log = copy.deepcopy(USUAL)
    for entry in log.entries:
        if entry["kind"] == "decided":
            entry["rules_hash"] = hashlib.sha256(law).hexdigest()
            if config is not None:
                entry["config_hash"] = hashlib.sha256(config).hexdigest()
    found = make.members(log)
    del found[LAW]
    found[f"rules/{hashlib.sha256(law).hexdigest()}.json"] = law
    if config is not None:
        del found[CONFIGURATION]
        found[f"configs/{hashlib.sha256(config).hexdigest()}.json"] = config
    return make.tar(found)


def reconfigured(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = copy.deepcopy(make.configuration().document)
    change(document)
    return under(make.decider().law.canonical, leaf.canonical(document))


def opened(log: Log | None = None, **given: Any) -> Log:
    """A log whose one event was allowed and never sent."""
    log = log or Log()
    log.event("open", **given)
    return log


def later_law(text: str, key: str = "effective_from") -> bytes:
    def change(law: dict[str, Any]) -> None:
        for row in law["rules"]:
            if row["id"] == "ANY.contract":
                row[key] = text

    return relaw(change)


def checkpoint_file(root: bytes, size: int, tmp: Path, **given: Any) -> str:
    path = tmp / f"seen-{size}"
    path.write_text(str(make.checkpoint(root, size, **given)), encoding="utf-8")
    return str(path)


LEAVES = [leaf.canonical(entry) for entry in USUAL.entries]
TREE = make.Tree(LEAVES)
UNKNOWN = [Signature(f"somebody.example/{n}", bytes([n] * 4), bytes(64)) for n in range(70)]


def without(found: Members, *names: str) -> Members:
    assert set(names) <= set(found)
    return {name: data for name, data in found.items() if name not in names}


def less(found: Members, lines: int) -> Members:
    kept = found["entries.jsonl"].split(b"\n")[:-1][:-lines]
    return {**found, "entries.jsonl": b"".join(line + b"\n" for line in kept)}


def run(main: Callable[[list[str]], int], data: bytes, tmp: Path, *arguments: str) -> int:
    """Verify a bundle as of when it was made, by its own key unless one is pinned."""
    path = tmp / "bundle.tar"
    path.write_bytes(data)
    own = () if "--vkey" in arguments else ("--self-attested",)
    now = () if "--now" in arguments else ("--now", times.text(make.MADE_AT))
    return main([str(path), *arguments, *own, *now])


def first_main(arguments: list[str]) -> int:
    return cli.main(["verify", *arguments])


def faults(data: bytes, tmp: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, set[str]]:
    capsys.readouterr()
    code = run(first_main, data, tmp, "--json", *arguments)
    report = json.loads(capsys.readouterr().out)
    assert report["code"] == code
    return code, {fault["fault"] for fault in report["faults"]}
