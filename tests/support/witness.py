"""A witness on loopback: it does what C2SP tlog-witness demands, or what a test tells it instead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import merkle, note, proofs
from chalicelib.core.log.note import Note, VerifierKey
from tests.fixtures.audit.signers import seeded

Answer = tuple[int, str, bytes]


class LoopbackWitness:
    """A witness that trusts some logs.

    Args:
        name: of its key; its seed is made of it.
    """

    def __init__(self, name: str = "witness.example/w1") -> None:
        self.signer = seeded(name, name.encode().ljust(32, b"w"))
        self.key = VerifierKey(name, note.parse_vkey(self.signer.vkey).public, note.WITNESS)
        self.trusted: list[VerifierKey] = []
        self.kept: dict[str, note.Checkpoint] = {}
        self.asked: list[tuple[str, int, int]] = []
        """Origin, old size and size of each request."""
        self.instead: Callable[[Note], Answer | None] = lambda signed: None
        self.time = 1_790_000_000
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, answer = witness.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/submit"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def setting(self) -> tuple[str, str]:
        return self.key.text, self.url

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def line(self, text: str) -> note.Signature:
        """Cosign the text of a checkpoint."""
        signed = self.signer.sign(f"cosignature/v1\ntime {self.time}\n{text}".encode())
        return note.Signature(self.key.name, self.key.id, self.time.to_bytes(8, "big") + signed)

    def answer(self, path: str, body: bytes) -> Answer:
        """Answer a request in the order of the specification's demands."""
        if path != "/submit/add-checkpoint":
            return 404, "text/plain", b""
        try:
            asked = proofs.parse_consistency(body)
            head = note.parse_checkpoint(asked.checkpoint.text)
        except AuditBroken:
            return 400, "text/plain", b""
        self.asked.append((head.origin, asked.old, head.size))
        told = self.instead(asked.checkpoint)
        if told is not None:
            return told
        trusted = [key for key in self.trusted if key.name == head.origin]
        if not trusted:
            return 404, "text/plain", b""
        if not asked.checkpoint.check(trusted):
            return 403, "text/plain", b""
        if asked.old > head.size:
            return 400, "text/plain", b""
        last = self.kept.get(head.origin)
        size = last.size if last else 0
        if asked.old != size:
            return 409, "text/x.tlog.size", f"{size}\n".encode()
        if last and last.size == head.size and last.root != head.root:
            return 409, "text/plain", b""
        try:
            if last and last.size < head.size:
                merkle.verify_consistency(last.size, head.size, last.root, head.root, asked.hashes)
            elif asked.hashes:
                raise AuditBroken("a proof from nothing")
        except AuditBroken:
            return 422, "text/plain", b""
        self.kept[head.origin] = head
        return 200, "text/plain", f"{self.line(asked.checkpoint.text).line}\n".encode()
