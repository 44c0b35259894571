"""Rehearse a deployment: ``python -m infra.deploy.rehearse``.

The real package is deployed by the real code to an emulator of AWS on this machine, and then used through its API
gateways. Then the next release takes its place and writes data, and the first one goes on with them (``later``).
A rehearsal finds what the local cell cannot: a dependency that is not packaged, a policy or queue mapping that
the template lacks, a gateway that changes a request. The emulator enforces no policy; the tests of the policies do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..demo import journey, proving
from ..demo.gateway import Gateway, JourneyError
from . import later
from .deploy import DeployFault, Deployment
from .package import BadPackage, Package, package
from .template import ROOT

STAGE: Final = "rehearsal"
READY_LIMIT_S: Final = 60
REQUEST_LIMIT_S: Final = 60
JOURNEY_LIMIT_S: Final = 240  # the clock that wakes parked deliveries ticks once a minute


class RehearsalFault(Exception):
    """The rehearsal failed. The text names the step."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A deployed rehearsal: its addresses and the operator's key."""

    api_url: str
    hooks_url: str
    operator_key: str
    endpoint: str
    region: str


@contextlib.contextmanager
def emulator(scratch: Path, region: str) -> Iterator[str]:
    """Run the emulator on a free port of the loopback interface and yield its address; stop it afterwards.

    Raises:
        RehearsalFault: it did not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment = {
        **kept,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": region,
        "TMPDIR": str(scratch),
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",  # otherwise it listens on a fixed port of every interface
        "PYTHONWARNINGS": "ignore",
    }
    address = f"http://127.0.0.1:{port}"
    log = scratch / "ministack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.deploy.emulator"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, address, log)
            yield address
        except (RehearsalFault, DeployFault, JourneyError):
            print(f"the emulator's last words:\n{_tail(log)}", file=sys.stderr)
            raise
        finally:
            # Its children are the functions' processes. It has no state to save.
            with contextlib.suppress(ProcessLookupError):  # it may have ended already
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(15)


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    ends = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise RehearsalFault(f"the emulator ended with {process.returncode}:\n{_tail(log)}")
        try:
            with urllib.request.urlopen(f"{address}/_ministack/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RehearsalFault(f"the emulator was not ready after {READY_LIMIT_S} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])


def check_imports(made: Package, scratch: Path) -> None:
    """Import the packaged app with only the standard library beside it.

    The emulator's functions see this machine's packages; Lambda's do not.

    Raises:
        RehearsalFault: something is not in the package.
    """
    unpacked = scratch / "package"
    with zipfile.ZipFile(made.archive) as archive:
        archive.extractall(unpacked)
    environment = {"AWS_REGION": made.cell.region, "WAYBILL_CELL": made.cell.name, "WAYBILL_COUNTRY": made.cell.country}
    code = f"import sys; sys.path.insert(0, {str(unpacked)!r}); import app"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise RehearsalFault("the package does not import by itself:\n" + "\n".join(done.stderr.splitlines()[-5:]))


def wait_for_doors(stand: Stand) -> None:
    """Wait until both gateways answer: the emulator restarts the functions of a changed release.

    Raises:
        RehearsalFault: one does not answer in time.
    """
    ends = time.monotonic() + READY_LIMIT_S
    while True:
        try:
            return check_doors(stand)
        except RehearsalFault:
            if time.monotonic() > ends:
                raise
            time.sleep(1)


def check_doors(stand: Stand) -> None:
    """Ask each gateway once: for health, and for a source that does not exist.

    Raises:
        RehearsalFault: a gateway does not answer, or answers otherwise than expected.
    """
    status, _, _ = _get(f"{stand.api_url}/healthz")
    if status != 200:
        raise RehearsalFault(f"the tenant API's /healthz answered {status}")
    status, kind, body = _get(f"{stand.hooks_url}/hooks/src_00000000000000000000000000")
    if (status, kind) != (404, "application/problem+json") or json.loads(body).get("status") != 404:
        raise RehearsalFault(f"the hook door answered an unknown source with {status} {kind}")


def _get(url: str) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=REQUEST_LIMIT_S) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers.get_content_type(), refused.read()
    except OSError as fault:
        raise RehearsalFault(f"no answer at {url}: {fault}") from fault


def deploy_to(address: str, made: Package, operator_key: str = "") -> Stand:
    """Deploy a package to an emulator.

    Args:
        operator_key: the stack's; empty makes a new one.
    """
    # The emulator takes any credentials. Real ones must not reach it.
    os.environ.update(AWS_ACCESS_KEY_ID="rehearsal", AWS_SECRET_ACCESS_KEY="rehearsal")
    os.environ.pop("AWS_PROFILE", None)
    os.environ.pop("AWS_SESSION_TOKEN", None)
    operator_key = operator_key or "wb_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(operator_key.encode()).hexdigest()
    deployed = Deployment(made, digest, lambda line: print(f"  {line}", flush=True), endpoint=address).run()
    outputs = deployed.outputs
    # Addressed by path: not every resolver knows names below localhost.
    return Stand(
        api_url=f"{address}/restapis/{outputs['RestAPIId']}/api/_user_request_",
        hooks_url=f"{address}/_aws/execute-api/{outputs['HooksApiId']}/$default",
        operator_key=operator_key,
        endpoint=address,
        region=made.cell.region,
    )


def main() -> int:
    """Rehearse, and print the result."""
    started = time.monotonic()

    def step(text: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="waybill-rehearse-") as scratch:
        try:
            step("packaging")
            made = package(STAGE, Path(scratch) / "out")
            step(
                f"packaged {made.zipped_bytes / 1e6:.1f} MB, unzipped {made.unzipped_bytes / 1e6:.1f} MB; importing it alone"
            )
            check_imports(made, Path(scratch))
            step("starting the emulator")
            with emulator(Path(scratch), made.cell.region) as address:
                step("deploying")
                stand = deploy_to(address, made)
                step("asking both doors")
                check_doors(stand)
                hooks = Gateway(stand.hooks_url)
                next_release = later.later(made, Path(scratch))

                def deploy(is_later: bool) -> None:
                    deploy_to(address, next_release if is_later else made, stand.operator_key)
                    wait_for_doors(stand)

                def prove(tenants: list[journey.Made], say: journey.Say, timeout_s: float) -> None:
                    table = later.config_table(address, stand.region, made.cell.name)
                    later.run(tenants, hooks, say, timeout_s, deploy, table)
                    proving.run(tenants, say, timeout_s)

                lines = journey.run(
                    Gateway(stand.api_url),
                    hooks,
                    stand.operator_key,
                    step,
                    prove,
                    timeout_s=JOURNEY_LIMIT_S,
                )
                step(f"{len(lines)} transfers ended as the law and the routes say")
        except (BadPackage, DeployFault, RehearsalFault, JourneyError) as fault:
            print(f"rehearsal failed: {fault}", file=sys.stderr)
            return 1
    step("the rehearsal went well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
