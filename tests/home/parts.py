"""A home of its own parts in a folder, as containers and units run them: each part is one process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from infra.cell.engines import free_port

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "home"
ENGINES = ("store", "queues", "objects")
PARTS = (*ENGINES, "serve", "proxy")
PORTS = ("STORE_PORT", "QUEUES_PORT", "OBJECTS_PORT", "SERVE_PORT", "HTTP_PORT", "HTTPS_PORT")


@dataclass
class Home:
    """One machine: a folder with all that a home keeps, and its running parts.

    ``source`` is the checkout of the release that serves.
    """

    folder: Path
    source: Path = ROOT
    changes: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=lambda: {name: str(free_port()) for name in PORTS})

    @property
    def url(self) -> str:
        """The address of its proxy."""
        return f"https://localhost:{self.ports['HTTPS_PORT']}"

    @property
    def authority(self) -> Path:
        """The certificate that its proxy's own certificates rest on, as the domain is ``localhost``."""
        return self.folder / "proxy" / "pki" / "authorities" / "local" / "root.crt"

    @property
    def environment(self) -> dict[str, str]:
        """The settings, as ``home.env`` has them, and where this machine has what."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WAYBILL_"))}
        return {
            **kept, **self.ports,
            "WAYBILL_HOME": str(self.folder), "WAYBILL_PARTS": str(BUILT), "WAYBILL_PYTHON": sys.executable,
            "WAYBILL_CELL": "home1", "WAYBILL_COUNTRY": "RU", "WAYBILL_DOMAIN": "localhost", "WAYBILL_HOOKS_URL": self.url,
            "WAYBILL_OPERATOR_NAME": "Sever Hosting OOO", "WAYBILL_OPERATOR_CONTACT": "privacy@sever.example",
            "WAYBILL_OPERATOR_COUNTRY": "RU", "WAYBILL_OPERATOR_DOMAIN": "sever.example",
            "WAYBILL_ALLOW_CIDRS": "127.0.0.0/8", "WAYBILL_SEAL_S": "2", **self.changes,
        }  # fmt: skip

    def command(self, *arguments: str) -> list[str]:
        """Return the command of a part, of this checkout in every case."""
        return [str(ROOT / "infra" / "home" / "part"), *arguments]

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end, and return its output."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.source, env=self.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def log(self, part: str) -> Path:
        """Return the file with a part's output."""
        return self.folder.parent / f"{self.folder.name}-{part}.log"

    def start(self, *parts: str) -> None:
        """Start parts, and wait until they answer."""
        for part in parts:
            options = ("--clock-s", "0.5") if part == "serve" else ()
            with self.log(part).open("ab") as output:
                self.running[part] = subprocess.Popen(
                    self.command(part, *options), cwd=self.source, env=self.environment, stdout=output, stderr=output
                )
        for part in parts:
            self.run("await", part)
            assert self.running[part].poll() is None, self.log(part).read_text("utf-8")[-4000:]

    def up(self) -> None:
        """Bring the whole home up, in the order of ``compose.yaml``."""
        self.run("prepare")
        self.start(*ENGINES)
        self.run("init")
        self.start("serve", "proxy")

    def kill(self, part: str) -> None:
        """Kill a part at once, as ``kill -9`` and a crash do."""
        process = self.running.pop(part)
        process.kill()
        process.wait()

    def stop(self, *parts: str) -> None:
        """Ask parts to end, and wait for it."""
        for part in parts:
            process = self.running.pop(part)
            process.send_signal(signal.SIGTERM)
            process.wait(120)

    def down(self) -> None:
        """Stop all parts, the engines last."""
        self.stop(*[part for part in reversed(PARTS) if part in self.running])

    def key(self) -> str:
        """Return the operator's key, which the first start has made."""
        return (self.folder / "keys" / "operator.key").read_text("utf-8").strip()


def pause(seconds: float) -> None:
    """Let traffic go on for a time."""
    time.sleep(seconds)
