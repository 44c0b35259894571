"""The last leg of the journey: each tenant's log is sealed, fetched as a bundle, and verified by two programs that trust a key alone."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from chalicelib.core.verify import bundle

from ..deploy.template import ROOT
from .gateway import JourneyError
from .journey import Made, Say

VERIFIERS: Final = {
    "waybill verify": (ROOT / "cli.py", "verify"),
    "second verifier": (ROOT / "tools/waybill_verify.py",),
}
MALFORMED, PROOF_BAD = 4, 1


def run(made: Iterable[Made], say: Say, timeout_s: float, logcheck: Path | None = None) -> None:
    """Prove every tenant's log, and check that altered copies are refused.

    Args:
        logcheck: the program built from ``tools/logcheck``; it follows each log before and after the bundles are made.

    Raises:
        JourneyError: a result differs from the expected one.
    """
    made = list(made)
    with tempfile.TemporaryDirectory(prefix="waybill-followed-") as folder:
        _wait_until_sealed(made, timeout_s)
        say("The log is sealed")
        if logcheck is not None:
            _follow(made, logcheck, Path(folder), say)
        _prove_bundles(made, say, timeout_s)
        if logcheck is not None:  # each bundle is an entry of its own
            _wait_until_sealed(made, timeout_s)
            _follow(made, logcheck, Path(folder), say)


def _wait_until_sealed(made: Iterable[Made], timeout_s: float) -> None:
    for each in made:
        _wait(f"{each.situation.name}: the log is not sealed", timeout_s, lambda each=each: _sealed(each))  # type: ignore[misc]


def _follow(made: Iterable[Made], logcheck: Path, folder: Path, say: Say) -> None:
    """Follow each log with the checker in Go, which keeps the checkpoints that it saw."""
    say("A checker written in Go follows each log, tile by tile")
    for each in made:
        key = each.tenant("GET", "/v1/audit/keys")["data"][0]
        secret = folder / f"{each.situation.name}.key"
        secret.touch(0o600)
        secret.write_text(each.tenant.key)
        seen = folder / f"{each.situation.name}.seen"
        prefix = f"{each.tenant.api.url}/v1/audit/logs/{key['log']}"
        ended = subprocess.run(
            [str(logcheck), "-prefix", prefix, "-vkey", key["vkey"], "-key-file", str(secret), "-seen", str(seen)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ended.returncode != 0:
            raise JourneyError(f"{each.situation.name}: the checker refuses the log: {ended.stderr}")
        for line in ended.stdout.splitlines():
            say(f"    {each.situation.name}: {line}")


def _prove_bundles(made: Sequence[Made], say: Say, timeout_s: float) -> None:
    say("Each tenant fetches its log as a bundle, and two programs verify it, offline, with only the log's key")
    jobs = {
        each.situation.name: each.tenant("POST", "/v1/audit/bundle", {"mode": "full"}, expect=(202,)) for each in made
    }
    with tempfile.TemporaryDirectory(prefix="waybill-bundles-") as folder:
        for each in made:
            name, job = each.situation.name, jobs[each.situation.name]["id"]
            done = _wait(f"{name}: no bundle", timeout_s, lambda each=each, job=job: _done(each, job))  # type: ignore[misc]
            with urllib.request.urlopen(done["url"], timeout=60) as answer:  # no key: the link is enough
                tar = answer.read()
            path = Path(folder) / "bundle.tar"
            path.write_bytes(tar)
            vkey = each.tenant("GET", "/v1/audit/keys")["data"][0]["vkey"]
            report = _verified(path, vkey, 0, f"{name}: the bundle")
            say(f"  {name}: {done['summary']['entries']} entries, {len(tar)} bytes")
        for line in filter(None, report.splitlines()):
            say(f"    {line}")
        _forge(path, tar, vkey, say)


def _wait(fault: str, timeout_s: float, condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > until:
            raise JourneyError(f"{fault} after {timeout_s:.0f} s")
        time.sleep(0.5)
    return found


def _sealed(made: Made) -> bool:
    return all(item["index"] is not None for item in made.tenant.all("/v1/audit/entries"))


def _done(made: Made, job: str) -> Any:
    shown = made.tenant("GET", f"/v1/jobs/{job}")
    if shown["state"] == "failed":
        raise JourneyError(f"the bundle's job failed: {shown['error']}")
    return shown if shown["state"] == "done" else None


def _verified(path: Path, vkey: str, expected: int, what: str) -> str:
    """Run both verifiers. Return the first one's report.

    Raises:
        JourneyError: one of them ends with another code than expected.
    """
    reports = []
    for name, command in VERIFIERS.items():
        arguments = [sys.executable, *map(str, command), str(path), "--vkey", vkey]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
        if ended.returncode != expected:
            told = (ended.stdout + ended.stderr)[-2000:]
            raise JourneyError(f"{what}: {name} ended with {ended.returncode}, not {expected}:\n{told}")
        reports.append(ended.stdout.strip())
    return reports[0]


def _forge(path: Path, tar: bytes, vkey: str, say: Say) -> None:
    """Alter one byte of an entry; then make the manifest agree with it, too. Both MUST be refused."""
    first, end = bundle.read(tar)[bundle.ENTRIES]
    at = tar.index(b'"at":"', first) + len('"at":"2026-01-01T00:00:00.00')
    forged = bytearray(tar)
    forged[at] = ord("7") if forged[at] != ord("7") else ord("8")
    path.write_bytes(forged)
    _verified(path, vkey, MALFORMED, "one altered byte")
    told, fits = (hashlib.sha256(data[first:end]).hexdigest().encode() for data in (tar, forged))
    path.write_bytes(bytes(forged).replace(told, fits, 1))
    report = _verified(path, vkey, PROOF_BAD, "one altered byte with a matching manifest")
    say("  One byte of an entry altered in a copy: both refuse it, even with a matching manifest")
    for line in report.splitlines():
        if line.startswith(("NOT OK", "[")):
            say(f"    {line}")
