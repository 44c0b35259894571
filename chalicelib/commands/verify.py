"""``waybill verify``: verify an evidence bundle and report the faults. Reads its arguments and the clock, nothing else."""

from __future__ import annotations

import argparse
import json
import mmap
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import law as laws
from ..core import times
from ..core.errors import AuditBroken
from ..core.log import note
from ..core.log.note import WITNESS, VerifierKey
from ..core.verify.faults import FAULTS, MALFORMED, STAGES
from ..core.verify.stages import Report, VerifierInput, verify
from .parser import CommandParser
from .terminal import escaped

KEYS = {
    "pinned": "pinned",
    "self-attested": "self-attested: the keys are the bundle's own, as you accepted",
    "unverified": "unverified identity: the keys are the bundle's own",
}
"""How the reader knows whose log it is, in words."""
SHOWN_MAX = 20
"""Faults of one kind that are listed one by one."""


USAGE = 64
"""The exit code for wrong usage; those from 1 to 6 belong to the bundle."""


def arguments(parser: CommandParser) -> None:
    """Add the command's options and help."""
    parser.usage_code = USAGE
    parser.add_argument("bundle", type=Path, metavar="BUNDLE.tar", help="the evidence bundle")
    identity = parser.add_mutually_exclusive_group()
    identity.add_argument("--vkey", action="append", default=[], help="trust this key of the log; may be repeated")
    identity.add_argument(
        "--self-attested", action="store_true", help="accept the bundle's own key: it then vouches for itself"
    )
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="VKEY",
        help="a witness whose cosignature counts; may be repeated",
    )
    parser.add_argument(
        "--quorum", type=int, default=0, metavar="N", help="the number of these witnesses that must have cosigned"
    )
    parser.add_argument("--seen", metavar="FILE", help="a checkpoint that you kept: the log must continue it")
    parser.add_argument("--now", metavar="TIME", help="judge open transfers at this time (default: the clock's)")
    parser.add_json()
    parser.explain(
        "One evidence bundle: the tar that the API's /v1/audit/bundle makes. Nothing else is read but the arguments and "
        "the clock: no network, no installed rule files.",
        "waybill verify evidence.tar --vkey audit.waybill.example/eu-central-1/tnt_.../2026+1f2e3d4c+AQ...",
        {
            0: "the bundle's content is in the log, complete, and follows from the rules",
            1: "a proof is bad",
            2: "incomplete",
            3: "a decision does not follow from the rules",
            4: "malformed, or larger than a bundle may be",
            5: "a decision was not made again: this version cannot use its law, configuration or facts",
            6: "unverified identity: neither --vkey nor --self-attested was given",
            USAGE: "wrong usage, or a file cannot be read",
        },
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    try:
        trusted = trust(
            arguments.vkey,
            arguments.witness,
            arguments.quorum,
            arguments.seen,
            arguments.now,
            self_attested=arguments.self_attested,
        )
        report = of_file(arguments.bundle, trusted)
    except BadArgument as error:
        print(f"waybill verify: {escaped(str(error))}", file=sys.stderr)
        return USAGE
    print(as_json(report) if arguments.json else as_text(report))
    return report.code


class BadArgument(Exception):
    """An argument cannot be used; the text says which and why."""


def trust(
    vkeys: Sequence[str],
    witnesses: Sequence[str],
    quorum: int,
    seen: str | None,
    now: str | None,
    *,
    self_attested: bool = False,
) -> VerifierInput:
    """Read what the reader trusts from the arguments of the command.

    Raises:
        BadArgument: a key, a time or the file of a checkpoint cannot be read.
    """
    if quorum < 0 or quorum > len(witnesses):
        raise BadArgument("--quorum is from 0 to the number of --witness keys")
    return VerifierInput(
        vkeys=tuple(_key("--vkey", text, note.LOG) for text in vkeys),
        witnesses=tuple(_key("--witness", text, WITNESS) for text in witnesses),
        quorum=quorum,
        seen=_seen(Path(seen)) if seen is not None else None,
        now=_time(now) if now is not None else datetime.now(UTC),
        bulk=laws.bulk(),
        self_attested=self_attested,
    )


def _key(option: str, text: str, algorithm: int) -> VerifierKey:
    try:
        key = note.parse_vkey(text)
    except AuditBroken as error:
        raise BadArgument(f"{option}: {error.detail}") from None
    if key.algorithm != algorithm:
        raise BadArgument(f"{option}: the key is not of a {'witness' if algorithm == WITNESS else 'log'}")
    return key


def _seen(path: Path) -> tuple[note.Note, note.Checkpoint]:
    try:
        read = note.parse_note(path.read_bytes())
        return read, note.parse_checkpoint(read.text)
    except OSError as error:
        raise BadArgument(_unread(path, error)) from None
    except AuditBroken as error:
        raise BadArgument(f"--seen: {error.detail}") from None


def _time(text: str) -> datetime:
    try:
        return times.parse(text)
    except ValueError as error:
        raise BadArgument(f"--now: {error}") from None


def of_file(path: Path, trusted: VerifierInput) -> Report:
    """Verify the bundle in a file.

    Raises:
        BadArgument: there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return verify(b"", trusted)  # nothing to map
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return verify(data, trusted)
    except OSError as error:
        raise BadArgument(_unread(path, error)) from None


def _unread(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file {path}"
    return f"{path} cannot be read: {error.strerror or 'no regular file'}"


def as_json(report: Report) -> str:
    """Write a report for a program."""
    return json.dumps(report.document(), ensure_ascii=True, indent=2)


def as_text(report: Report) -> str:
    """Write a report for a person."""
    told = report.told
    attested = " (self-attested)" if told and told["trust"] == "self-attested" else ""
    lines = [f"NOT OK: {_verdict(report)}" if report.code else f"OK{attested}: {_verdict(report)}"]
    if told:
        lines += ["", *_told(told)]
    by_name: dict[str, list[str | None]] = {}
    for fault in report.faults:
        by_name.setdefault(fault.name, []).append(fault.place)
    kinds = {fault.name: fault.kind for fault in report.faults}
    for name, places in by_name.items():
        kind = kinds[name]
        lines += ["", f"[{STAGES[kind.stage]}] {kind.says} ({len(places)})"]
        lines += [f"    {place}" for place in places[:SHOWN_MAX] if place is not None]
        if len(places) > SHOWN_MAX:
            lines.append(f"    and {len(places) - SHOWN_MAX} more; --json lists all")
        lines.append(f"    What to do: {kind.remedy}")
    return escaped("\n".join(lines))


def _verdict(report: Report) -> str:
    if report.code == MALFORMED and not report.told:
        return "malformed; there is no bundle to verify"
    return STAGES.get(report.code, "the bundle is complete, in the log, and its decisions follow from the rules")


def _told(told: Mapping[str, Any]) -> list[str]:
    decisions, transfers = told["decisions"], told["transfers"]
    entries = ", ".join(f"{count} {kind}" for kind, count in told["entries"].items()) or "none"
    lines = [
        f"Log          {told['origin']}, {told['size']} entries ({told['mode']} bundle)",
        f"Keys         {KEYS[told['trust']]}",
        f"Witnesses    {told['witnesses']}",
        f"Entries      {entries}",
        f"Transfers    {transfers['decided']} decided, {transfers['open']} open, {transfers['held']} held",
        f"Re-decided   {decisions['redecided']}",
        f"As of        {told['as_of']}",
    ]
    for reason, count in decisions["not_redecided"].items():
        lines.append(f"             {count} not: {FAULTS[f'{reason}_unusable'].says}")
    if told["mode"] == "selection":
        lines.append("A selection proves its own entries; only a full bundle proves that no entry is missing.")
    return lines
