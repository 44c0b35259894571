"""Messengers that post until each post is taken, a receiver, and the judge of what was lost, doubled or out of order."""

from __future__ import annotations

import itertools
import json
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from http.client import HTTPException
from pathlib import Path

from infra.demo.gateway import Gateway, JourneyError
from infra.demo.messengers import telegram
from infra.demo.sink import Sink
from tests.home.parts import ROOT
from tests.support.races import PATIENCE_S, eventually
from tests.support.shop import Shop

CONVERSATIONS = 6
BACK_S = 500
"""Longer than a message that a killed process had in hand stays invisible."""
VERIFIERS = {"waybill verify": ("cli.py", "verify"), "the second verifier": ("tools/waybill_verify.py",)}


class Traffic:
    """Posts messages in turn to several conversations while its block runs. A refused post is repeated, as platforms do."""

    def __init__(self, url: str, shop: Shop, sink: Sink) -> None:
        self.url = url
        self.shop = shop
        self.sink = sink
        self.accepted: dict[int, list[str]] = defaultdict(list)
        self.refused = 0
        self._numbers = itertools.count(int(time.time()) % 1_000_000 * 1000)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Traffic:
        self._stopping.clear()
        self._threads = [threading.Thread(target=self._post, args=(n,)) for n in range(CONVERSATIONS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _post(self, conversation: int) -> None:
        until = 0.0
        while not self._stopping.is_set() or until:
            text = f"{conversation} {secrets.token_hex(4)}"
            post = telegram(self.shop.secret, conversation, int(time.time()))
            document = json.loads(post.body)
            number = next(self._numbers)
            document |= {"update_id": number}
            document["message"] |= {"message_id": number, "text": text}
            until = time.monotonic() + PATIENCE_S
            while not self._taken(json.dumps(document).encode(), post.headers):
                self.refused += 1
                assert time.monotonic() < until, "no post is taken any more"
                time.sleep(0.3)
            self.accepted[conversation].append(text)
            until = 0.0
            time.sleep(0.1)

    def _taken(self, body: bytes, headers: object) -> bool:
        try:
            return Gateway(self.url).call("POST", f"/hooks/{self.shop.source}", body, headers)[0] == 200  # type: ignore[arg-type]
        except (OSError, HTTPException):
            return False

    @property
    def count(self) -> int:
        """How many messages were accepted."""
        return sum(map(len, self.accepted.values()))

    def arrived(self) -> dict[int, list[str]]:
        """Return the texts that arrived, by conversation, each once, in the order of its first arrival."""
        found: dict[int, dict[str, None]] = defaultdict(dict)
        for body in list(self.sink.received.get(self.shop.name, ())):
            if body.get("type", "").startswith("event.") or "message" in body.get("data", {}):
                text = body["data"]["message"]["text"]
                found[int(text.split()[0])][text] = None
        return {conversation: list(texts) for conversation, texts in found.items()}

    def judge(self, ordered: bool = True) -> str:
        """Wait until all is delivered, and compare what was accepted with deliveries, their order, transfers and events.

        Args:
            ordered: False where ElasticMQ was restarted: it forgets then which conversations have messages in hand.

        Returns:
            A report in one line.
        """
        until = time.monotonic() + BACK_S
        while sum(map(len, self.arrived().values())) < self.count and time.monotonic() < until:
            time.sleep(0.5)
        arrived = self.arrived()
        wrong = {
            conversation: {
                "lost": [n for n, text in enumerate(texts) if text not in arrived.get(conversation, ())],
                "order": [texts.index(text) if text in texts else None for text in arrived.get(conversation, ())],
            }
            for conversation, texts in self.accepted.items()
            if (arrived.get(conversation) if ordered else sorted(arrived.get(conversation, ()), key=texts.index))
            != texts
        }
        assert not wrong, f"positions of what was accepted, as it was lost or arrived: {wrong}"
        eventually(lambda: [t["outcome"] for t in self._transfers()] == ["delivered"] * self.count)
        events = [e for e in self.shop.tenant.all("/v1/events") if e["kind"] == "message"]
        assert len(events) == self.count
        received = len(self.sink.received[self.shop.name])
        return (
            f"{self.count} webhooks accepted, {self.refused} refused and repeated; {len(events)} events, "
            f"{received} deliveries of which {received - self.count} repeated; "
            f"0 lost{', all in order' if ordered else ''}"
        )

    def _transfers(self) -> list[dict[str, str]]:
        return [t for t in self.shop.tenant.all("/v1/transfers") if t["event"].startswith("evt_")]


def verify(shop: Shop, folder: Path) -> int:
    """Fetch a tenant's log as a bundle, over its public link, and let two programs verify it. Return its entries."""
    tenant = shop.tenant
    eventually(lambda: all(item["index"] is not None for item in tenant.all("/v1/audit/entries")))
    job = tenant("POST", "/v1/audit/bundle", {"mode": "full"}, expect=(202,))["id"]
    done: dict[str, object] = {}

    def ended() -> bool:
        done.update(tenant("GET", f"/v1/jobs/{job}"))
        if done["state"] == "failed":
            raise JourneyError(f"the bundle's job failed: {done['error']}")
        return done["state"] == "done"

    eventually(ended)
    path = folder / f"{job}.tar"
    with urllib.request.urlopen(str(done["url"]), timeout=60) as answer:
        path.write_bytes(answer.read())
    vkey = tenant("GET", "/v1/audit/keys")["data"][0]["vkey"]
    for name, program in VERIFIERS.items():
        command = [sys.executable, *program, str(path), "--vkey", vkey]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert told.returncode == 0, (name, told.stdout, told.stderr)
    summary = done["summary"]
    assert isinstance(summary, dict)
    return int(summary["entries"])
