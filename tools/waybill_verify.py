#!/usr/bin/env python3
"""Verify a bundle of evidence with nothing but Python: a second opinion, written from docs/bundle.md and docs/verify.md.

    python3 waybill_verify.py BUNDLE (--vkey V... | --self-attested) [--witness V]... [--quorum N] [--seen FILE] [--now TIME]

It shares no code with Waybill and needs only Python 3.11. Exit: 0 ok, 1 proof bad, 2 incomplete, 3 a decision does not
follow, 4 malformed, 5 a decision cannot be made again, 6 unverified identity, 64 wrong usage. It checks all of stages 1 to
3. Of decisions it checks what the bundle shows: the strictest verdict, classes, unknown places, destination and recipient
as configured, attempts that a decision does not allow, that each rule is in the law file, in force, with that article, and
that another decision has its parts. It does not decide again, and knows fields, ids, times and words, not every code.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import itertools
import json
import mmap
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

ORDER = {4: "malformed", 1: "proof bad", 2: "incomplete", 3: "decision does not follow",
         5: "decision cannot be made again", 6: "unverified identity"}  # fmt: skip
REF = "[0-9a-hjkmnp-tv-z]{26}"
NAMES = re.compile(
    r"checkpoint|entries\.jsonl|vkeys|proofs/ent_[0-9a-z]{26}\.tlog-proof|(?:checkpoints|consistency)/(?:0|[1-9]\d{0,18})"
    r"|(?:rules|configs)/[0-9a-f]{64}\.json", re.ASCII)  # fmt: skip
VERDICTS = ["allowed", "redacted", "held", "refused"]
ACTS = "viewed exported edited hidden unhidden restricted erased expired held released config_changed replayed".split()
ALL = {"schema", "kind", "id", "log", "tenant", "at"}
TRY = ALL | set("event decided transfer destination attempt take outcome code classes size_bytes took_ms".split())
FIELDS = {
    "decided": ALL | set("event cause by supersedes receipt expires_at facts rules_hash config_hash routes".split()),
    "attempted": TRY,
    **dict.fromkeys(ACTS, ALL | set("actor event subject object range before after reason request".split())),
}
RECEIPT = set("source channel kind received_at classes size_bytes commitment subjects conversation store".split())
ROUTE = set("route transfer destination decision rules basis recipient classes_out".split())
PREFIXES = {"id": "ent", "tenant": "tnt", "event": "evt", "decided": "ent", "transfer": "trf", "destination": "dst",
            "by": "ent", "supersedes": "ent", "route": "rte", "subject": "sub"}  # fmt: skip
OUTCOMES = ["delivered", "failed", "rejected", "gave_up"]
WORDS = {"cause": ["received", "replayed", "released", "rechecked"], "outcome": OUTCOMES, "decision": VERDICTS}
DAY, HEX = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[0-9a-f]{64}"
FORMS = {"log": r"\d{4}", "at": DAY, "expires_at": DAY, "received_at": DAY, "rules_hash": HEX, "config_hash": HEX,
         "code": "[a-z0-9_]+"}  # fmt: skip
# What docs/bundle.md allows: bytes of a member by the first part of its name (else 64 KiB), of laws and configurations
# together, and behind the end; members, entries, JSON values, signatures of known keys.
BYTES = {"manifest.json": 1 << 24, "rules": 1 << 22, "configs": 1 << 24, "entries.jsonl": 1 << 60}
GROUNDS, TAIL, MEMBERS, ENTRIES, VALUES, CHECKS = 1 << 27, 1 << 20, 150_000, 1_000_000, 8_000_000, 2048
QUERY = {"after", "before", "subject", "event", "destination"}
CONFIGURATION = set("schema tenant sources destinations recipients bases routes".split())
FACTS = set("now subject special held_since switch bases otr volumes messenger".split())
EPOCH, DIGITS, MS = datetime(1970, 1, 1, tzinfo=UTC), "0123456789abcdefghjkmnpqrstvwxyz", timedelta(milliseconds=1)


class Bad(Exception):
    """Something has not its form, or a proof does not hold."""


def need(holds: Any, what: Any = "form") -> None:
    if not holds:
        raise Bad(what)


def shown(text: Any) -> Any:  # nothing steers a terminal
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


# Ed25519, RFC 8032 section 5.1.7, for a handful of signatures.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p: Any, q: Any) -> Any:
    """Add points in extended coordinates: x = X/Z, y = Y/Z, x * y = T/Z."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_of(raw: Any) -> Any:
    y, sign = int.from_bytes(raw, "little") & (1 << 255) - 1, raw[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    need(y < P and x * x % P == square and not (x == 0 and sign))
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519(public: Any, message: Any, signature: Any) -> Any:
    """Whether S * B - h * A is R: both products in one pass over the bits."""
    try:
        need(len(public) == 32 and len(signature) == 64 and int.from_bytes(signature[32:], "little") < L)
        x, y, _, product = point_of(public)
    except Bad:
        return False
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    scalar, minus, total = int.from_bytes(signature[32:], "little"), (P - x, y, 1, P - product), (0, 1, 1, 0)
    summands = (None, BASE, minus, add(BASE, minus))
    for bit in reversed(range(253)):
        total = add(total, total)
        summand = summands[(scalar >> bit & 1) + 2 * (hashed >> bit & 1)]
        total = add(total, summand) if summand else total
    x, y = (axis * pow(total[2], -1, P) % P for axis in total[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# Notes, keys, proofs.
def unbase64(text: Any, length: Any = None) -> Any:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Bad("base64") from None
    need(raw and base64.b64encode(raw).decode() == text and length in (None, len(raw)))
    return raw


def integer(text: Any) -> Any:
    need(re.fullmatch(r"0|[1-9]\d{0,18}", text, re.ASCII) and int(text) < 2**63)
    return int(text)


def key_of(line: Any) -> Any:
    name, hint, data = ([*line.split("+", 2), "", ""])[:3]
    raw = unbase64(data, 33)
    need(name and not re.search(r"[\s\x00-\x1f]", name) and raw[0] in (1, 4))
    need(hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8] == hint)
    return name, bytes.fromhex(hint), raw[0], raw[1:]


def note_of(data: Any) -> Any:
    try:
        text, _, tail = data.decode("utf-8").rpartition("\n\n")
    except UnicodeDecodeError:
        raise Bad("note") from None
    need(text and tail.endswith("\n") and not re.search(r"[\x00-\x09\x0b-\x1f]", data.decode()))
    lines = [re.fullmatch("\u2014 ([^\\s+]+) (.+)", line) for line in tail[:-1].split("\n")]
    signatures = [(line[1], unbase64(line[2])) for line in lines if line]
    need(len(signatures) == len(lines) <= 64 and all(len(raw) > 4 for _, raw in signatures))
    return text + "\n", [(name, raw[:4], raw[4:]) for name, raw in signatures]


def head_of(text: Any) -> Any:
    lines = text.split("\n")
    need(len(lines) >= 4 and all(lines[:-1]))
    return lines[0], integer(lines[1]), unbase64(lines[2], 32)


def signers_of(note: Any, keys: Any) -> Any:
    text, found = note[0].encode(), set()
    for key, signature in ((keys[line[:2]], line[2]) for line in note[1] if line[:2] in keys):
        message = text
        if key[2] == 4:
            stamp, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            need(stamp < 2**63, "signature")
            message = b"cosignature/v1\ntime %d\n" % stamp + text
        need(ed25519(key[3], message, signature), "signature")
        found.add(key)
    return found


def proof_of(data: Any, first_lines: Any) -> Any:
    head, _, rest = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Bad("proof") from None
    note = note_of(rest)
    if first_lines == "index":
        need(lines.pop(0) == "c2sp.org/tlog-proof@v1")
        if lines and lines[0].startswith("extra "):
            unbase64(lines.pop(0)[6:])
    need(lines and lines[0].startswith(first_lines + " ") and len(lines) <= 64)
    return integer(lines[0].split(" ", 1)[1]), [unbase64(line, 32) for line in lines[1:]], note


# The tree: RFC 6962 sections 2.1 to 2.1.2, recursively, as it is defined.
def node(left: Any, right: Any) -> Any:
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots_of(hashes: Any, sizes: Any) -> Any:
    """The roots of the tree at these sizes, in one pass."""
    stack, found = list[Any](), {0: hashlib.sha256().digest()}
    for size, right in enumerate(hashes, 1):
        for _ in range((size & -size).bit_length() - 1):
            right = node(stack.pop(), right)
        stack.append(right)
        if size in sizes:
            found[size] = functools.reduce(lambda right, left: node(left, right), reversed(stack))
    return found


def climb(index: Any, size: Any, leaf: Any, path: Any) -> Any:
    """The root that an inclusion proof leads to."""
    need(bool(path) == (size > 1), "inclusion")
    if size == 1:
        return leaf
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return node(climb(index, half, leaf, path[:-1]), path[-1])
    return node(path[-1], climb(index - half, size - half, leaf, path[:-1]))


def grown(old: Any, new: Any, path: Any, known: Any) -> Any:
    """The old and the new root that a consistency proof leads to; ``known`` is the old one while it is a whole subtree."""
    if old == new:
        need(len(path) == (known is None), "consistency")
        return (known or path[0],) * 2
    need(path, "consistency")
    half = 1 << (new - 1).bit_length() - 1
    a, b = grown(old, half, path[:-1], known) if old <= half else grown(old - half, new - half, path[:-1], None)
    return (a, node(b, path[-1])) if old <= half else (node(path[-1], a), node(path[-1], b))


def untar(data: Any) -> Any:
    """Where each member begins and ends."""
    found: dict[str, Any] = {}
    at = 0
    while any(data[at : at + 512]):
        header = data[at : at + 512]
        need(len(header) == 512 and header[257:265] in (b"ustar\x0000", b"ustar  \x00") and header[156:157] in b"0\x00")
        numbers = [re.fullmatch(rb" *([0-7]{1,11})[\x00 ]*", field) for field in (header[124:136], header[148:156])]
        size, total = (int(number[1], 8) if number else -1 for number in numbers)
        size = int.from_bytes(header[125:136], "big") if header[124] == 0x80 else size
        name = header[:100].rstrip(b"\x00").decode("latin-1")
        need(total == sum(header) - sum(header[148:156]) + 256 and not any(header[345:500]) and size >= 0)
        need(name not in found and len(found) < MEMBERS)
        need(name == "manifest.json" if not found else NAMES.fullmatch(name))
        end = at + 512 + size
        found[name], at = (at + 512, end), end + -size % 512
        need(at <= len(data) and not any(data[end:at]))
    need(found and 1024 <= len(data) - at <= TAIL and not any(data[at:]))
    return found


def parse(data: Any) -> Any:
    def once(pairs: Any) -> Any:
        need(len(dict(pairs)) == len(pairs))
        return dict(pairs)

    try:
        return json.loads(
            data.decode(), object_pairs_hook=once, parse_float=lambda _: need(0), parse_constant=lambda _: need(0)
        )
    except (ValueError, RecursionError):
        raise Bad("json") from None


def canonical(value: Any) -> Any:
    """RFC 8785 of values without floats: names are sorted by their UTF-16 code units."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    need(not isinstance(value, int) or abs(value) < 2**53)
    return json.dumps(value, ensure_ascii=False)


def formed(thing: Any, fields: Any) -> None:
    need(isinstance(thing, dict) and set(thing) == fields)
    for name, value in thing.items():
        if name in PREFIXES:
            absent = value is None and name in ("by", "supersedes", "event", "subject")
            need(absent or (isinstance(value, str) and re.fullmatch(f"{PREFIXES[name]}_{REF}", value)))
        elif name in FORMS:
            need(isinstance(value, str) and re.fullmatch(FORMS[name], value, re.ASCII))
            need(not name.endswith("at") or moment(value))
        elif name in WORDS:
            need(value in WORDS[name])
        elif name in ("classes", "classes_out", "processing"):
            need(isinstance(value, list) and all(isinstance(each, str) for each in value))
            need(name == "processing" or all(a < b for a, b in itertools.pairwise(value)))
        elif name in ("attempt", "take", "size_bytes", "took_ms"):
            need((value is None and name == "size_bytes") or (type(value) is int and value >= (name == "attempt")))


def entry_of(line: Any) -> Any:
    entry = parse(line)
    need(isinstance(entry, dict) and entry.get("schema") == "waybill.audit/1" and entry.get("kind") in FIELDS)
    need(canonical(entry).encode("utf-8", "surrogatepass") == line and len(line) < 65536)
    formed(entry, FIELDS[entry["kind"]])
    if entry["kind"] == "decided":
        formed(entry["receipt"], RECEIPT)
        need(isinstance(entry["receipt"]["subjects"], list) and isinstance(entry["routes"], list))
        for route in entry["routes"]:
            formed(route, ROUTE)
            need(isinstance(route["rules"], list) and all(set(r) == {"id", "verdict", "ref"} for r in route["rules"]))
            need(all(rule["verdict"] in VERDICTS and isinstance(rule["id"], str) for rule in route["rules"]))
            need(route["recipient"] is None or set(route["recipient"]) == {"id", "country", "processing"})
        subjects, destinations = entry["receipt"]["subjects"], [route["destination"] for route in entry["routes"]]
        need(isinstance(entry["facts"], dict) and all(isinstance(subject, str) for subject in subjects))
        return {**entry, "subjects": subjects, "destinations": destinations}
    if entry["kind"] == "attempted":
        return {**entry, "subjects": [None], "destinations": [entry["destination"]]}
    thing = entry["object"] or {"kind": None, "id": None}
    need(set(thing) == {"kind", "id"} and all(value is None or isinstance(value, str) for value in thing.values()))
    kept = {name: entry[name] for name in ("id", "kind", "log", "tenant", "at", "event", "subject")}
    return kept | {"thing": (thing["kind"], thing["id"]), "subjects": [kept["subject"]], "destinations": [thing["id"]]}


def moment(text: Any) -> Any:
    try:
        at = datetime.fromisoformat(text)
        need(at.tzinfo is not None and len(text) >= 20)
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Bad("time") from None


def manifest_of(data: Any) -> Any:
    found = parse(data)
    need(isinstance(found, dict) and found.get("schema") == "waybill.bundle/1")
    need(set(found) == set("schema origin tenant region log mode query size count made_at files".split()))
    need(all(isinstance(found[name], str) for name in ("origin", "tenant", "region", "log", "made_at")))
    need(all(type(found[name]) is int and found[name] >= 0 for name in ("size", "count")))
    query = found["query"] or {}
    need(found["mode"] == ("full" if found["query"] is None else "selection") and set(query) <= QUERY)
    need(all(isinstance(value, str) for value in query.values()))
    need(all(moment(query[name]) for name in {"after", "before"} & set(query)))
    need(isinstance(found["files"], dict) and all(NAMES.fullmatch(name) for name in found["files"]))
    moment(found["made_at"])
    return found


def law_of(data: Any) -> Any:
    """The rules of a law file, and whether it has laws by which to decide again."""
    law, found = parse(data), {}
    need(isinstance(law["rules"], list))
    for rule in law["rules"]:
        need(isinstance(rule["id"], str) and isinstance(rule["ref"], str) and rule["id"] not in found)
        days = [rule["effective_from"], rule["effective_to"]]
        need(all(day is None or len(day) == 10 for day in days) and days[0])
        found[rule["id"]] = (rule["ref"], *(day and date.fromisoformat(day) for day in days))
    return found, law.get("schema") == "waybill.law/1" and bool(law.get("laws"))


def configuration_of(data: Any) -> Any:
    """The recipients of a configuration, and whether it has the parts by which to decide again."""
    read = parse(data)
    found = {each["id"]: each.get("recipient") for each in read["destinations"]}
    need(isinstance(read["destinations"], list))
    need(all(isinstance(id, str) and (to is None or isinstance(to, dict)) for id, to in found.items()))
    return found, read.get("schema") == "waybill.config/1" and set(read) - {"switches", "lost"} == CONFIGURATION


class Check:
    """One verification: what was read, and the faults found, as pairs of exit code and text."""

    def __init__(self, vkeys: Any, witnesses: Any, quorum: Any, seen: Any, now: Any) -> None:
        self.witnesses, self.quorum, self.seen, self.now, self.pinned = witnesses, quorum, seen, now, bool(vkeys)
        self.keys = {key[:2]: key for key in (*vkeys, *witnesses)}
        self.faults: list[Any] = []
        self.checked: dict[Any, Any] = {}
        self.open = self.checks = self.decided = 0

    def fault(self, code: Any, text: Any) -> Any:
        self.faults.append((code, text))

    def read(self, code: Any, text: Any, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (Bad, KeyError, TypeError, AttributeError, ValueError, RecursionError) as why:
            self.fault(1 if str(why) in ("signature", "inclusion", "consistency") else code, text)
            return None

    def need(self, holds: Any, text: Any, code: Any = 4) -> Any:
        if not holds:
            self.fault(code, text)

    def text(self, name: Any) -> Any:
        return self.data[slice(*self.files[name])]

    def run(self, data: Any) -> None:
        self.data, self.files, values, grounds = data, self.read(4, "the tar", untar, data) or {}, 0, 0
        for name, (start, end) in self.files.items():
            kind = name.partition("/")[0]
            self.need(end - start <= BYTES.get(kind, 1 << 16), f"{name} is larger than it may be")
            if kind in ("manifest.json", "rules", "configs") and end - start <= BYTES[kind]:
                values += sum(map(self.text(name).count, (b",", b"[", b"{")))
                grounds += end - start if kind != "manifest.json" else 0
        self.need(values <= VALUES and grounds <= GROUNDS, "law files and configurations are larger than they may be")
        manifest = None if self.faults else self.read(4, "manifest.json", manifest_of, self.text("manifest.json"))
        if manifest is None:
            return
        self.manifest, self.laws, self.configurations = manifest, dict[Any, Any](), dict[Any, Any]()
        readers = {"rules/": (law_of, self.laws), "config": (configuration_of, self.configurations)}
        for name, (start, end) in self.files.items():
            digest = hashlib.sha256(memoryview(data)[start:end]).hexdigest()
            self.need(
                name == "manifest.json" or digest == manifest["files"].get(name), f"{name} is not in the manifest"
            )
            if name[:6] in readers:
                function, into = readers[name[:6]]
                self.need(digest == name[-69:-5], f"{name} is not what its name says", 1)
                into[name[-69:-5]] = self.read(4, name, function, self.text(name)) or (None, True)
        for name in set(manifest["files"]) - set(self.files):
            self.fault(2, f"{name} is absent")
        if "vkeys" in self.files:
            lines = self.text("vkeys").decode("utf-8", "replace").split("\n")
            self.need(lines.pop() == "", "vkeys")
            own = [self.read(4, "vkeys", key_of, line) for line in lines]
            wanted = [key for key in own if key and not self.pinned and (key[2] == 1 or not self.witnesses)]
            self.keys = {key[:2]: key for key in wanted} | self.keys
        self.entries()
        self.attempts()

    def lines(self) -> Any:
        at, end = self.files.get("entries.jsonl", (0, 0))
        for _ in range(ENTRIES):
            stop = self.data.find(b"\n", at, min(end, at + 65536))
            if stop < 0:
                break
            yield self.data[at:stop]
            at = stop + 1
        self.need(at == end, "entries.jsonl has too many lines, one too long, or no end")

    def entries(self) -> Any:
        manifest, full = self.manifest, self.manifest["mode"] == "full"
        self.note, self.head = self.headed("checkpoint")
        signers = self.signed(self.note, "checkpoint") if self.head else set()
        self.all, self.last, hashes, count = [], -1, [], 0
        for count, line in enumerate(self.lines(), 1):
            hashes.append(hashlib.sha256(b"\x00" + line).digest())
            entry = self.read(4, f"line {count}", entry_of, line)
            if entry:
                self.prove(count - 1, entry, hashes[-1], full)
                self.all.append(self.decision(entry) if entry["kind"] == "decided" else entry)
        ids = {entry["id"] for entry in self.all}
        self.need(len(ids) == len(self.all), "one id twice", 1)
        own = all((e["tenant"], e["log"]) == (manifest["tenant"], manifest["log"]) for e in self.all)
        self.need(own, "an entry of another tenant or log", 1)
        if self.head is None:
            return self.fault(2, "no checkpoint")
        origin, size, root = self.head
        logs = {key[0] for key in self.keys.values() if key[2] == 1}
        tail = f"/{manifest['region']}/{manifest['tenant']}/{manifest['log']}"
        self.need(origin == manifest["origin"] and origin in logs and origin.endswith(tail), "the origin", 1)
        cosigned = {key[3] for key in signers if key in self.witnesses}
        self.need(len(cosigned) >= self.quorum, "too few witnesses", 2)
        self.need(size == manifest["size"] and count == manifest["count"], "the manifest's size or count", 2)
        self.need(not full or count >= max(size, manifest["size"]), "entries are missing", 2)
        self.need(count <= size, "more entries than the log has", 1)
        kept = {self.seen[1][1]} if self.seen else set()
        earlier = {int(name[12:]) for name in self.files if name.startswith("checkpoints/")}
        self.roots = roots_of(hashes, {size} | earlier | kept) if full else {}
        self.need(not full or count < size or self.roots[size] == root, "the root", 1)
        for name in self.files:
            kind, _, number = name.partition("/")
            fits = number[:30] in ids if kind == "proofs" else kind != "consistency" or int(number) in earlier | kept
            self.need(fits, f"{name} has no entry or checkpoint", 2)
            past, before = self.headed(name) if kind == "checkpoints" else (None, None)
            if before:
                self.signed(past, name)
                self.need(before[:2] == (origin, int(number)), name, 1)
                self.compare(name, before)
        self.selection(count)
        if self.seen:
            self.signed(self.seen[0], "--seen")
            self.need(self.seen[1][0] == origin, "--seen is of another log", 1)
            self.need(self.seen[1][1] <= size, "--seen is of a larger log", 2)
            if self.seen[1][0] == origin and self.seen[1][1] <= size:
                self.compare("--seen", self.seen[1])
        return None

    def selection(self, count: Any) -> None:
        """Compare the entries of a selection with its query."""
        query, touched, others = self.manifest["query"] or {}, set(), []
        for entry in self.all:
            minute = functools.reduce(lambda number, digit: number * 32 + DIGITS.index(digit), entry["id"][4:10], 0)
            at, asked = EPOCH + timedelta(minutes=minute), query.get("event") in (None, entry["event"])
            asked &= all(query[name] in entry[name + "s"] for name in ("subject", "destination") if name in query)
            asked &= "after" not in query or moment(query["after"]) - at < timedelta(minutes=1)
            asked &= "before" not in query or (moment(query["before"]) - EPOCH) // MS > (at - EPOCH) // MS
            others += [] if asked else [entry["event"]]
            touched |= {entry["event"]} - {None} if asked else set()
        whole = self.manifest["query"] != {} or count >= self.head[1]
        self.need(whole and set(others) <= touched, "the selection is not what its query asks for", 2)

    def headed(self, name: Any) -> Any:
        note = self.read(4, name, note_of, self.text(name)) if name in self.files else None
        return note, self.read(4, name, head_of, note[0]) if note else None

    def signed(self, note: Any, name: Any) -> Any:
        key = hashlib.sha256(repr(note).encode()).digest()
        if key not in self.checked:
            self.checks += sum(line[:2] in self.keys for line in note[1])
            if self.checks > CHECKS:
                return self.fault(4, f"{name}: more signatures than a bundle may hold") or set()
            self.checked[key] = self.read(1, f"{name}: a signature", signers_of, note, self.keys) or set()
            named = any(k[2] == 1 and k[0] == self.head[0] for k in self.checked[key])
            self.need(named, f"{name}: no trusted key signed it", 1)
        return self.checked[key]

    def prove(self, at: Any, entry: Any, leaf: Any, full: Any) -> None:
        name = f"proofs/{entry['id']}.tlog-proof"
        there = name in self.files or self.need(full, f"{name} is missing", 2)
        proof = self.read(4, name, proof_of, self.text(name), "index") if there else None
        if proof and self.head:
            (index, path, note), (_, size, root) = proof, self.head
            self.signed(note, name)
            self.need(index > self.last and (not full or index == at), f"{name}: the order", 1)
            self.last = index
            leads = note[0] == self.note[0] and index < size
            leads = leads and self.read(1, name, climb, index, size, leaf, path) == root
            self.need(leads, f"{name}: it does not lead to the root", 1)

    def compare(self, name: Any, past: Any) -> Any:
        """Compare an earlier head with this one."""
        (_, old, old_root), (_, size, root) = past, self.head
        if old > size or (old == size and old_root != root) or self.roots.get(old, old_root) != old_root:
            return self.fault(1, f"{name}: another log")
        there = f"consistency/{old}"
        if there in self.files:
            proof = self.read(4, there, proof_of, self.text(there), "old")
            if proof:
                self.signed(proof[2], there)
                leads = 0 < old == proof[0] and proof[2][0] == self.note[0]
                leads = leads and self.read(1, there, grown, old, size, proof[1], old_root) == (old_root, root)
                self.need(leads, f"{there}: it does not lead to the root", 1)
        elif 0 < old < size and not (old in self.roots and name == "--seen"):
            self.fault(2, f"{name}: no consistency proof")
        return None

    def attempts(self) -> None:
        decided = [entry for entry in self.all if entry["kind"] == "decided"]
        routes = {(d["id"], route["transfer"]): (d, route) for d in decided for route in d["routes"]}
        tries: dict[str, Any] = {}
        ended = set()
        for entry in (entry for entry in self.all if entry["kind"] == "attempted"):
            tries.setdefault(entry["transfer"], set()).add((entry["attempt"], entry["take"]))
            _, route = routes.get((entry["decided"], entry["transfer"]), (None, None))
            if route is None:
                self.fault(2, f"{entry['id']}: its decision is missing")
                continue
            ended |= {entry["transfer"]} if entry["outcome"] != "failed" else set()  # under any of its decisions
            fits = entry["destination"] == route["destination"] and set(entry["classes"]) <= set(route["classes_out"])
            fits &= route["decision"] in ("allowed", "redacted")
            self.need(fits, f"{entry['id']}: its decision does not allow it", 3)
        received = {route["transfer"] for d, route in routes.values() if d["cause"] == "received"}
        for transfer, made in tries.items():
            numbers = {number for number, _ in made}
            first = 1 if transfer in received else min(numbers)
            takes = all(not take or (number, take - 1) in made for number, take in made)
            self.need(takes and len(numbers) == max(numbers) - first + 1, f"{transfer}: an attempt is missing", 2)
        gone = {(d["supersedes"], route["transfer"]) for d, route in routes.values()}
        acts = [entry for entry in self.all if entry["kind"] in ACTS]
        lifted = {act["thing"] for act in acts if act["kind"] == "released"}
        placed = [a for a in acts if a["kind"] == "held" and a["thing"][0] == "hold" and a["thing"] not in lifted]
        held = {act["event"] or act["subject"] for act in placed}
        if any(act["kind"] == "erased" and act["thing"][0] == "tenant" for act in acts):
            return  # with its tenant all that was under way has ended
        endings: dict[str, Any] = {}  # of a transfer or event: whether it was erased, and when it ended last
        for act in acts:
            if act["kind"] in ("expired", "erased") and act["thing"][0] in (None, "transfer"):
                owner = act["thing"][1] or act["event"]
                erased, latest = endings.get(owner, (False, ""))
                endings[owner] = (erased or act["kind"] == "erased", max(latest, act["at"]))
        for (_, transfer), (entry, route) in routes.items():
            if route["decision"] in ("held", "refused") or transfer in ended or (entry["id"], transfer) in gone:
                continue
            # a replay takes back what ended before it, but not an erasure
            written = [endings[owner] for owner in (transfer, entry["event"]) if owner in endings]
            if any(entry["cause"] != "replayed" or erased or at >= entry["at"] for erased, at in written):
                continue
            self.open += 1
            over = self.now - moment(entry["expires_at"]) > timedelta(days=2)
            over &= entry["expires_at"][:4] <= self.manifest["log"]
            self.need(not over or held & {None, entry["event"], *entry["subjects"]}, f"{transfer}: it has no end", 2)

    def decision(self, entry: Any) -> Any:
        """Check a decision. What remains of it is what the other entries are compared with."""
        law, again = self.laws.get(entry["rules_hash"], (None, True))
        known, whole = self.configurations.get(entry["config_hash"], (None, True))
        wanted = [f"rules/{entry['rules_hash']}.json"] + [f"configs/{entry['config_hash']}.json"] * bool(
            entry["routes"]
        )
        self.need(all(name in self.files for name in wanted), f"{entry['id']}: law or configuration is missing", 2)
        enough = again and whole and {"now", "subject", "special"} <= set(entry["facts"]) <= FACTS
        self.need(enough or not entry["routes"], f"{entry['id']}: too little is here to decide again", 5)
        day, one = moment(entry["at"]).date(), timedelta(days=1)
        for route in entry["routes"]:
            self.decided += 1
            leaves, recipient = set(route["classes_out"]), route["recipient"]
            said, strictest = route["decision"], max([VERDICTS.index(r["verdict"]) for r in route["rules"]] or [3])
            wrong = said != VERDICTS[strictest] or not leaves <= set(entry["receipt"]["classes"])
            placed = recipient and recipient["country"] and recipient["processing"]
            wrong |= bool(leaves) if said in ("held", "refused") else not placed
            for rule in route["rules"] if law is not None else ():
                ref, since, until = law.get(rule["id"], (None, date.min, None))
                wrong |= ref != rule["ref"] or since - day > one or (until is not None and day - until >= one)
            if known is not None:
                there = known.get(route["destination"])
                unrecorded = recipient is None and (there is None or there.get("country") is None)
                wrong |= route["destination"] not in known or not (recipient == there or unrecorded)
            self.need(not wrong, f"{entry['id']}: the decision for {route['transfer']} does not follow", 3)
            route["rules"] = None
        return {name: value for name, value in entry.items() if name not in ("facts", "receipt")}


def main(arguments: Any = None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.error = lambda message: parser.exit(64, f"{parser.prog}: {shown(message)}\n")  # type: ignore[method-assign]
    parser.add_argument("bundle", type=Path)
    identity = parser.add_mutually_exclusive_group()
    identity.add_argument("--vkey", action="append", default=[])
    identity.add_argument("--self-attested", action="store_true")
    parser.add_argument("--witness", action="append", default=[])
    parser.add_argument("--quorum", type=int, default=0)
    parser.add_argument("--seen", type=Path)
    parser.add_argument("--now")
    given = parser.parse_args(arguments)
    for path in (path for path in (given.bundle, given.seen) if path and not path.is_file()):
        parser.error(f"there is no file {path}")
    try:
        seen = note_of(given.seen.read_bytes()) if given.seen else None
        keys, witnesses = [key_of(text) for text in given.vkey], [key_of(text) for text in given.witness]
        need({key[2] for key in keys} <= {1} and {key[2] for key in witnesses} <= {4})
        need(0 <= given.quorum <= len(witnesses))
        now = moment(given.now) if given.now else datetime.now(UTC)
        check = Check(keys, witnesses, given.quorum, (seen, head_of(seen[0])) if seen else None, now)
        with given.bundle.open("rb") as file:
            empty = not given.bundle.stat().st_size
            check.run(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (Bad, OSError):
        parser.error("an argument cannot be read")
    if not given.vkey and not given.self_attested:
        check.fault(6, "only the bundle itself says whose log it is: give --vkey, or --self-attested")
    code = next((code for code in ORDER if code in {found for found, _ in check.faults}), 0)
    lines = [f"[{ORDER[found]}] {text}" for found, text in check.faults]
    compared = f"ok, {check.open} transfers open, {check.decided} decisions compared with the law but not made again"
    lines.append(ORDER.get(code, compared) + (" (self-attested)" if given.self_attested else ""))
    sys.stdout.write(shown("\n".join(lines) + "\n"))
    return code


if __name__ == "__main__":
    sys.exit(main())
