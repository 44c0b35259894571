"""Ask a cell who answers for data, and check every proof that it gives."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from chalicelib.core.errors import AuditBroken, WaybillError
from chalicelib.core.log import merkle, note, proofs
from chalicelib.core.log.leaf import leaf
from chalicelib.core.log.note import VerifierKey

from .. import connection

TRIES: Final = 6
TIMEOUT_S: Final = 60
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
NOT_ANSWERED: Final = 2
WRONG: Final = 3


class NotAnswered(Exception):
    """The cell did not answer; the text says why and what to do, and holds nothing of what was asked."""


class Cell:
    """A cell's API, as one key sees it."""

    def __init__(self, url: str, key: str, sleep: Callable[[float], None] = time.sleep) -> None:
        if not connection.is_safe(url) or "?" in url:
            raise NotAnswered("--url is the https address of a cell's API, or http on this machine")
        if not key.isascii() or not key.isprintable() or not key:
            raise NotAnswered("--key-file holds no API key: one line, wb_…")
        self._url = url.rstrip("/")
        self._key = key
        self._sleep = sleep
        self._opener = connection.opener()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return what a path answers, waiting as long as the cell asks to.

        Raises:
            NotAnswered: it refuses, or does not answer.
        """
        return self._send(urllib.request.Request(f"{self._url}{path}{'?' + urlencode(query) if query else ''}"))

    def post(
        self, path: str, data: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the JSON object that a path answers to a body, which may be sent more than once. Raises as ``get``."""
        sent = {"Content-Type": content_type, **(headers or {})}
        request = urllib.request.Request(f"{self._url}{path}", data, sent, method="POST")
        return _object(self._send(request))

    def _send(self, request: urllib.request.Request) -> str:
        request.add_header("Authorization", f"Bearer {self._key}")
        for attempt in range(TRIES):
            try:
                with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                    data: bytes = answer.read(ANSWER_BYTES_MAX + 1)
                if len(data) > ANSWER_BYTES_MAX:
                    raise NotAnswered("the cell's answer is larger than any of its answers should be")
                return data.decode()
            except urllib.error.HTTPError as fault:
                with fault:
                    if fault.code in (429, 503) and attempt < TRIES - 1:
                        wait = fault.headers.get("Retry-After", "")
                        self._sleep(min(60.0, float(wait)) if wait.isdigit() else 2.0**attempt)
                        continue
                    raise NotAnswered(f"the cell answered {fault.code}: {_detail(fault)}") from None
            except (OSError, ValueError) as fault:
                raise NotAnswered(f"the cell cannot be reached ({type(fault).__name__}): is --url right?") from None
        raise NotAnswered("the cell is busy; try again later")

    def json(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object that a path answers. Raises as ``get``."""
        return _object(self.get(path, query))


def opened(url: str, key_file: Path, sleep: Callable[[float], None] = time.sleep) -> Cell:
    """Return a cell's API, as the key in a file sees it.

    Raises:
        NotAnswered: the file cannot be read, or the address or the key is malformed.
    """
    try:
        key = key_file.read_text("utf-8").strip()
    except (OSError, ValueError):
        raise NotAnswered("--key-file: the file cannot be read") from None
    return Cell(url, key, sleep)


def run_with(
    url: str, key_file: Path, run: Callable[[Cell], int], say: Callable[[str], None], sleep: Callable[[float], None]
) -> int:
    """Run a command against a cell; return its exit code, which is 3 for a wrong file or address, 2 for no answer."""
    try:
        cell = opened(url, key_file, sleep)
    except NotAnswered as fault:
        say(str(fault))
        return WRONG
    try:
        return run(cell)
    except NotAnswered as fault:
        say(str(fault))
        return NOT_ANSWERED


def pages(cell: Cell, path: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield every item of a list, page by page. Raises as ``Cell.get``."""
    query = dict(query or {})
    while True:
        page = cell.json(path, query or None)
        yield from page["data"]
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise NotAnswered("the address did not answer as a cell: is --url the address of its API?")
    return value


def _detail(fault: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(fault.read(100_000))
        texts = [problem["detail"], *(e["msg"] for e in problem.get("errors", ()))]
        return "; ".join(dict.fromkeys(str(t) for t in texts))
    except (ValueError, KeyError, TypeError, OSError):
        return "no reason given"


def ask(
    cell: Cell, question: Mapping[str, str], vkeys: Iterable[VerifierKey], say: Callable[[str], None]
) -> dict[str, Any]:
    """Return the whole answer to a question, with every entry that it rests on, each proof checked.

    Args:
        question: the query of ``GET /v1/answer``.
        vkeys: keys of the log that the reader trusts; none are those that the cell names itself.
        say: takes each line of progress.

    Raises:
        NotAnswered: the cell refuses or does not answer.
    """
    whole: dict[str, Any] = {}
    cursor: str | None = None
    while not whole or cursor is not None:
        page = cell.json("/v1/answer", {**question, **({"cursor": cursor} if cursor else {})})
        cursor = page.pop("next", None)
        if not whole:
            whole = page
        else:
            whole["data"] += page["data"]
            whole["responsibility"] |= page["responsibility"]
            for name in ("laws", "limits"):
                whole[name] = sorted({*whole[name], *page[name]})
        say(f"{len(whole['data'])} events and acts")
    pinned = list(vkeys)
    named = [one["vkey"] for one in cell.json("/v1/audit/keys", {"limit": "250"})["data"]]
    trusted = pinned or [note.parse_vkey(text) for text in named]
    told = {p["entry"]: p for one in whole["data"] for line in one["lines"] for p in line["proofs"]}
    evidence = []
    for number, proof in enumerate(told.values(), 1):
        evidence.append(_proved(cell, proof, trusted))
        if number % 50 == 0 or number == len(told):
            say(f"{number} of {len(told)} proofs")
    states = [one["state"] for one in evidence]
    return {
        "schema": "waybill.report/1",
        "question": dict(question),
        **whole,
        "keys": [key.text for key in trusted],
        "keys_pinned": bool(pinned),
        "proved": {state: states.count(state) for state in ("proved", "not sealed yet", "bad")},
        "evidence": evidence,
    }


def _proved(cell: Cell, told: Mapping[str, Any], keys: list[VerifierKey]) -> dict[str, Any]:
    """Fetch an entry and its proof, and say whether it is proved."""
    entry = cell.json(f"/v1/audit/entries/{told['entry']}")["entry"]
    found = {"entry": told["entry"], "kind": told["kind"], "log": told["log"], "index": told["index"]}
    found["leaf_hash"] = told["leaf_hash"]
    try:
        data = leaf(entry)
    except (WaybillError, KeyError, TypeError):
        return {**found, "leaf": None, "proof": None, "state": "bad"}
    found["leaf"] = data.decode()
    same = entry["id"] == told["entry"] and merkle.leaf_hash(data).hex() == told["leaf_hash"]
    if told["proof"] is None:
        return {**found, "proof": None, "state": "not sealed yet" if same else "bad"}
    text = cell.get(f"/v1/audit/entries/{told['entry']}/proof")
    return {**found, "proof": text, "state": "proved" if same and _holds(text, told["index"], data, keys) else "bad"}


def _holds(text: str, index: int, data: bytes, keys: list[VerifierKey]) -> bool:
    try:
        proof = proofs.parse_inclusion(text.encode())
        if proof.index != index or not proof.checkpoint.check(keys):
            return False
        signed = note.parse_checkpoint(proof.checkpoint.text)
        merkle.verify_inclusion(index, signed.size, merkle.leaf_hash(data), proof.hashes, signed.root)
    except AuditBroken:
        return False
    return True
