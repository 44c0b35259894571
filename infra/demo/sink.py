"""A recipient's server on loopback, for the journey of the demo and the rehearsal."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from .messengers import Json


class Sink:
    """A recipient's server on loopback: it accepts only requests signed with its secret."""

    def __init__(self) -> None:
        self.received: dict[str, list[Json]] = {}
        self.refused = 0
        self.secrets: dict[str, str] = {}
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name = self.path.strip("/")
                try:
                    Webhook(sink.secrets[name]).verify(body, dict(self.headers.items()))
                except (KeyError, WebhookVerificationError):
                    sink.refused += 1
                    self.send_response(401)
                else:
                    sink.received.setdefault(name, []).append(json.loads(body))
                    self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()
