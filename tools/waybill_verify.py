#!/usr/bin/env python3
"""Verify a bundle of evidence with nothing but Python: a second opinion, written from docs/bundle.md and docs/verify.md.

    python3 waybill_verify.py BUNDLE [--vkey V]... [--witness V]... [--quorum N] [--seen CHECKPOINT] [--now TIME]

It shares no code with Waybill and needs no package. Exit: 0 ok, 1 proof bad, 2 incomplete, 3 a decision does not follow,
4 malformed, 64 wrong usage. It checks all of stages 1 to 3 and, of the last, what the bundle shows without deciding again:
the strictest verdict, classes, unknown places, destination and recipient as configured, attempts under held or refused, to
another destination or of more classes, and that each rule is in the law file, in force, with that article. It does not
decide again; of an entry's form it checks fields, ids, times and lists of words, not every list of codes; and it reads the
whole bundle into memory, its members below 8 GiB.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import re
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

ORDER = {4: "malformed", 1: "proof bad", 2: "incomplete", 3: "decision does not follow"}
REF = "[0-9a-hjkmnp-tv-z]{26}"
NAMES = re.compile(
    r"checkpoint|entries\.jsonl|vkeys|proofs/ent_[0-9a-z]{26}\.tlog-proof|(?:checkpoints|consistency)/(?:0|[1-9]\d{0,18})"
    r"|(?:rules|configs)/[0-9a-f]{64}\.json", re.ASCII)  # fmt: skip
VERDICTS = ["allowed", "redacted", "held", "refused"]
ACTS = "viewed exported edited hidden unhidden restricted erased expired held released config_changed replayed".split()
ALL = {"schema", "kind", "id", "log", "tenant", "at"}
FIELDS = {
    "decided": ALL | set("event cause by supersedes receipt expires_at facts rules_hash config_hash routes".split()),
    "attempted": ALL
    | set("event decided transfer destination attempt take outcome code classes size_bytes took_ms".split()),
    **{act: ALL | set("actor event subject object range before after reason request".split()) for act in ACTS},
}
RECEIPT = set("source channel kind received_at classes size_bytes commitment subjects conversation store".split())
ROUTE = set("route transfer destination decision rules basis recipient classes_out".split())
PREFIXES = {"id": "ent", "tenant": "tnt", "event": "evt", "decided": "ent", "transfer": "trf", "destination": "dst",
            "by": "ent", "supersedes": "ent", "route": "rte", "subject": "sub"}  # fmt: skip
OUTCOMES = ["delivered", "failed", "rejected", "gave_up"]
WORDS = {"cause": ["received", "replayed", "released", "rechecked"], "outcome": OUTCOMES, "decision": VERDICTS}
FORMS = {
    "log": r"\d{4}",
    "at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "rules_hash": "[0-9a-f]{64}",
    "code": "[a-z0-9_]+",
}
FORMS |= {"expires_at": FORMS["at"], "received_at": FORMS["at"], "config_hash": FORMS["rules_hash"]}


class Bad(Exception):
    """Something has not its form, or a proof does not hold."""


def need(holds: Any, what: Any = "form") -> None:
    if not holds:
        raise Bad(what)


# Ed25519, RFC 8032 section 5.1.7, for a handful of signatures.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p: Any, q: Any) -> Any:
    """Add points in extended coordinates: x = X/Z, y = Y/Z, x * y = T/Z."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def times_point(n: Any, point: Any) -> Any:
    total = (0, 1, 1, 0)
    while n:
        total, point, n = (add(total, point) if n & 1 else total), add(point, point), n >> 1
    return total


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
    try:
        need(len(public) == 32 and len(signature) == 64 and int.from_bytes(signature[32:], "little") < L)
        key, point = point_of(public), point_of(signature[:32])
    except Bad:
        return False
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left = times_point(int.from_bytes(signature[32:], "little"), BASE)
    right = add(point, times_point(hashed, key))
    return all((left[axis] * right[2] - right[axis] * left[2]) % P == 0 for axis in (0, 1))


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
    lines, signatures = tail[:-1].split("\n"), []
    need(len(lines) <= 64)
    for line in lines:
        name, _, blob = line[2:].partition(" ")
        need(line.startswith("\u2014 ") and name and not re.search(r"[\s+]", name))
        raw = unbase64(blob)
        need(len(raw) > 4)
        signatures.append((name, raw[:4], raw[4:]))
    return text + "\n", signatures


def head_of(text: Any) -> Any:
    lines = text.split("\n")
    need(len(lines) >= 4 and all(lines[:-1]))
    return lines[0], integer(lines[1]), unbase64(lines[2], 32)


def signers_of(note: Any, keys: Any) -> Any:
    text, found = note[0].encode(), set()
    for name, hint, signature in note[1]:
        for key in keys:
            if key[:2] == (name, hint):
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


def below(size: Any) -> Any:
    return 1 << (size - 1).bit_length() - 1


def tree(hashes: Any) -> Any:
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    return node(tree(hashes[: below(len(hashes))]), tree(hashes[below(len(hashes)) :]))


def climb(index: Any, size: Any, leaf: Any, path: Any) -> Any:
    """The root that an inclusion proof leads to."""
    if size == 1:
        need(not path, "inclusion")
        return leaf
    need(path, "inclusion")
    half = below(size)
    if index < half:
        return node(climb(index, half, leaf, path[:-1]), path[-1])
    return node(path[-1], climb(index - half, size - half, leaf, path[:-1]))


def grown(old: Any, new: Any, path: Any, known: Any) -> Any:
    """The old and the new root that a consistency proof leads to; ``known`` is the old one while it is a whole subtree."""
    if old == new:
        need(len(path) == (known is None), "consistency")
        return (known or path[0],) * 2
    need(path, "consistency")
    half = below(new)
    if old <= half:
        a, b = grown(old, half, path[:-1], known)
        return a, node(b, path[-1])
    a, b = grown(old - half, new - half, path[:-1], None)
    return node(path[-1], a), node(path[-1], b)


def consistent(old: Any, size: Any, proof: Any, text: Any, old_root: Any, root: Any) -> None:
    need(0 < old <= size and proof[0] == old and proof[2][0] == text, "consistency")
    need(grown(old, size, proof[1], old_root) == (old_root, root), "consistency")


# The bundle.
def untar(data: Any) -> Any:
    found: dict[str, Any] = {}
    at = 0
    while any(data[at : at + 512]):
        header = data[at : at + 512]
        need(len(header) == 512 and header[257:265] in (b"ustar\x0000", b"ustar  \x00") and header[156:157] in b"0\x00")
        try:
            size, total = int(header[124:136].strip(b" \x00"), 8), int(header[148:156].strip(b" \x00"), 8)
            name = header[:100].rstrip(b"\x00").decode("ascii")
        except ValueError:
            raise Bad("tar") from None
        need(total == sum(header) - sum(header[148:156]) + 256 and not any(header[345:500]) and name not in found)
        need(name == "manifest.json" if not found else NAMES.fullmatch(name))
        end = at + 512 + size
        need(end <= len(data))
        found[name], at = data[at + 512 : end], end + -size % 512
        need(not any(data[end:at]))
    need(found and len(data) - at >= 1024 and not any(data[at:]))
    return found


def parse(data: Any) -> Any:
    def once(pairs: Any) -> Any:
        need(len(dict(pairs)) == len(pairs))
        return dict(pairs)

    def no_float(_: Any) -> None:
        raise Bad("float")

    try:
        return json.loads(data.decode(), object_pairs_hook=once, parse_float=no_float, parse_constant=no_float)
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
        if name in ("by", "supersedes", "event", "subject") and value is None and name in thing:
            continue
        if name in PREFIXES:
            need(isinstance(value, str) and re.fullmatch(f"{PREFIXES[name]}_{REF}", value))
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
            need(all(rule["verdict"] in VERDICTS for rule in route["rules"]))
            need(route["recipient"] is None or set(route["recipient"]) == {"id", "country", "processing"})
    elif entry["kind"] in ACTS:
        need(entry["object"] is None or set(entry["object"]) == {"kind", "id"})
    return entry


def moment(text: Any) -> Any:
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Bad("time") from None
    need(at.tzinfo is not None)
    return at


def manifest_of(data: Any) -> Any:
    found = parse(data)
    need(
        isinstance(found, dict)
        and found.get("schema") == "waybill.bundle/1"
        and found.get("mode") in ("full", "selection")
    )
    need(set(found) == set("schema origin tenant region log mode query size count made_at files".split()))
    need(all(isinstance(found[name], str) for name in ("origin", "tenant", "region", "log", "made_at")))
    need(all(type(found[name]) is int and found[name] >= 0 for name in ("size", "count")))
    need(found["query"] is None or isinstance(found["query"], dict))
    need(isinstance(found["files"], dict) and all(NAMES.fullmatch(name) for name in found["files"]))
    moment(found["made_at"])
    return found


def law_of(data: Any) -> Any:
    found, rules = {}, parse(data)["rules"]
    need(isinstance(rules, list))
    for rule in rules:
        need(isinstance(rule["id"], str) and isinstance(rule["ref"], str) and rule["id"] not in found)
        days = [rule["effective_from"], rule["effective_to"]]
        need(all(day is None or len(day) == 10 for day in days) and days[0])
        found[rule["id"]] = (rule["ref"], *(day and date.fromisoformat(day) for day in days))
    return found


def configuration_of(data: Any) -> Any:
    rows = parse(data)["destinations"]
    found = {each["id"]: each.get("recipient") for each in rows}
    need(isinstance(rows, list))
    need(all(isinstance(id, str) and (to is None or isinstance(to, dict)) for id, to in found.items()))
    return found


class Check:
    """One verification: what was read, and the faults found, as pairs of exit code and text."""

    def __init__(self, vkeys: Any, witnesses: Any, quorum: Any, seen: Any, now: Any) -> None:
        self.keys, self.witnesses, self.quorum, self.seen, self.now = [*vkeys, *witnesses], witnesses, quorum, seen, now
        self.faults: list[Any] = []
        self.checked: dict[Any, Any] = {}
        self.pinned, self.open = bool(vkeys), 0

    def fault(self, code: Any, text: Any) -> None:
        self.faults.append((code, text))

    def read(self, code: Any, text: Any, function: Any, *arguments: Any) -> Any:
        """Call a reader; a fault and None where it refuses."""
        try:
            return function(*arguments)
        except (Bad, KeyError, TypeError, AttributeError, ValueError, RecursionError) as why:
            self.fault(1 if str(why) in ("signature", "inclusion", "consistency") else code, text)
            return None

    def run(self, data: Any) -> None:
        files = self.read(4, "the tar", untar, data)
        manifest = self.read(4, "manifest.json", manifest_of, files["manifest.json"]) if files else None
        if manifest is None:
            return
        self.files, self.manifest = files, manifest
        for name in set(files) - {"manifest.json"}:
            if hashlib.sha256(files[name]).hexdigest() != manifest["files"].get(name):
                self.fault(4, f"{name} is not what the manifest names")
        for name in set(manifest["files"]) - set(files):
            self.fault(2, f"{name} is absent")
        if "vkeys" in files:
            lines = files["vkeys"].decode("utf-8", "replace").split("\n")
            if lines.pop() != "":
                self.fault(4, "vkeys")
            own = [self.read(4, "vkeys", key_of, line) for line in lines]
            self.keys += [] if self.pinned else [key for key in own if key]
        self.laws = {n[6:70]: law for n in files if n[:6] == "rules/" and (law := self.read(4, n, law_of, files[n]))}
        self.configurations = {
            n[8:72]: read
            for n in files
            if n[:8] == "configs/" and (read := self.read(4, n, configuration_of, files[n]))
        }
        for name in files:
            named = name.startswith(("rules/", "configs/"))
            if named and hashlib.sha256(files[name]).hexdigest() != name[-69:-5]:
                self.fault(1, f"{name} is not what its name says")
        self.entries()
        self.decisions()

    def entries(self) -> Any:
        manifest, full = self.manifest, self.manifest["mode"] == "full"
        lines = self.files.get("entries.jsonl", b"").split(b"\n")
        if lines.pop() != b"":
            self.fault(4, "entries.jsonl does not end with a line")
        read = [self.read(4, f"line {n}", entry_of, line) for n, line in enumerate(lines, 1)]
        self.all = [entry for entry in read if entry]
        hashes = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
        if len({entry["id"] for entry in self.all}) < len(self.all):
            self.fault(1, "one id twice")
        if any((entry["tenant"], entry["log"]) != (manifest["tenant"], manifest["log"]) for entry in self.all):
            self.fault(1, "an entry of another tenant or log")
        note = self.read(4, "checkpoint", note_of, self.files["checkpoint"]) if "checkpoint" in self.files else None
        head = self.read(4, "checkpoint", head_of, note[0]) if note else None
        if note is None or head is None:
            return self.fault(2, "no checkpoint")
        origin, size, root = self.head = head
        self.text = note[0]
        logs = {key[0] for key in self.keys if key[2] == 1}
        tail = f"/{manifest['region']}/{manifest['tenant']}/{manifest['log']}"
        if not (origin == manifest["origin"] and origin in logs and origin.endswith(tail)):
            self.fault(1, "the origin")
        signers = self.signed(note, "checkpoint")
        if len({key[3] for key in signers if key in self.witnesses}) < self.quorum:
            self.fault(2, "too few witnesses")
        if size != manifest["size"]:
            self.fault(2, "the manifest's size")
        if len(lines) < manifest["count"] or (full and len(lines) < max(size, manifest["size"])):
            self.fault(2, "entries are missing")
        if len(lines) > size:
            self.fault(1, "more entries than the log has")
        if full and len(lines) >= size and tree(hashes[:size]) != root:
            self.fault(1, "the root")
        self.prove(read, hashes, full)
        for name in self.files:
            kind, _, number = name.partition("/")
            if kind == "checkpoints":
                self.earlier(name, int(number), hashes, full)
            alone = kind == "consistency" and f"checkpoints/{number}" not in self.files
            if alone and not (self.seen and self.seen[1][1] == int(number)):
                self.fault(2, f"{name} has no checkpoint")
        if self.seen:
            self.signed(self.seen[0], "--seen")
            if self.seen[1][0] != origin:
                self.fault(1, "--seen is of another log")
            elif self.seen[1][1] > size:
                self.fault(2, "--seen is of a larger log")
            else:
                self.compare("--seen", self.seen[1], hashes, full)
        return None

    def earlier(self, name: Any, size: Any, hashes: Any, full: Any) -> None:
        note = self.read(4, name, note_of, self.files[name])
        past = self.read(4, name, head_of, note[0]) if note else None
        if past:
            self.signed(note, name)
            if past[0] != self.head[0] or past[1] != size:
                self.fault(1, name)
            self.compare(name, past, hashes, full)

    def signed(self, note: Any, name: Any) -> Any:
        key = (note[0], tuple(note[1]))
        if key not in self.checked:
            found = self.checked[key] = self.read(1, f"{name}: a signature", signers_of, note, self.keys) or set()
            if not any(k[2] == 1 and k[0] == self.head[0] for k in found):
                self.fault(1, f"{name}: no trusted key signed it")
        return self.checked[key]

    def prove(self, read: Any, hashes: Any, full: Any) -> None:
        last, (_, size, root) = -1, self.head
        for at, entry in enumerate(read):
            name = f"proofs/{entry['id']}.tlog-proof" if entry else None
            if name not in self.files:
                if entry and not full:
                    self.fault(2, f"{name} is missing")
                continue
            proof = self.read(4, name, proof_of, self.files[name], "index")
            if proof is None:
                continue
            index, path, note = proof
            self.signed(note, name)
            if index <= last or (full and index != at):
                self.fault(1, f"{name}: the order")
            last = index
            if note[0] != self.text or index >= size:
                self.fault(1, f"{name}: another checkpoint or place")
            elif self.read(1, name, climb, index, size, hashes[at], path) not in (root, None):
                self.fault(1, f"{name}: another root")
        ids = {entry["id"] for entry in self.all}
        for name in self.files:
            if name[:7] == "proofs/" and name[7:37] not in ids:
                self.fault(2, f"{name} has no entry")

    def compare(self, name: Any, past: Any, hashes: Any, full: Any) -> Any:
        """Compare an earlier head with this one."""
        (_, old, old_root), (_, size, root) = past, self.head
        whole = full and len(hashes) >= old
        if old > size or (old == size and old_root != root) or (whole and tree(hashes[:old]) != old_root):
            return self.fault(1, f"{name}: another log")
        there = self.files.get(f"consistency/{old}")
        if there is not None:
            proof = self.read(4, f"consistency/{old}", proof_of, there, "old")
            if proof:
                self.signed(proof[2], f"consistency/{old}")
                self.read(1, f"consistency/{old}", consistent, old, size, proof, self.text, old_root, root)
        elif 0 < old < size and not (whole and name == "--seen"):
            self.fault(2, f"{name}: no consistency proof")
        return None

    def decisions(self) -> None:
        decided = {entry["id"]: entry for entry in self.all if entry["kind"] == "decided"}
        routes = {(d["id"], route["transfer"]): (d, route) for d in decided.values() for route in d["routes"]}
        for entry in decided.values():
            self.decision(entry)
        tries: dict[str, Any] = {}
        ended = set()
        for entry in self.all:
            if entry["kind"] != "attempted":
                continue
            key = (entry["decided"], entry["transfer"])
            tries.setdefault(entry["transfer"], set()).add((entry["attempt"], entry["take"]))
            if key not in routes:
                self.fault(2, f"{entry['id']}: its decision is missing")
                continue
            route = routes[key][1]
            if entry["outcome"] != "failed":
                ended.add(entry["transfer"])  # whichever of its decisions it was under
            barred = route["decision"] in ("held", "refused") or entry["destination"] != route["destination"]
            if barred or not set(entry["classes"]) <= set(route["classes_out"]):
                self.fault(3, f"{entry['id']}: its decision does not bear it")
        received = {route["transfer"] for d, route in routes.values() if d["cause"] == "received"}
        for transfer, made in tries.items():
            numbers = {number for number, _ in made}
            first = 1 if transfer in received else min(numbers)
            if numbers != set(range(first, max(numbers) + 1)) or any(
                take and (n, take - 1) not in made for n, take in made
            ):
                self.fault(2, f"{transfer}: an attempt or take is missing")
        self.ends(routes, ended)

    def ends(self, routes: Any, ended: Any) -> None:
        latest = max([moment(self.manifest["made_at"]), *(moment(entry["at"]) for entry in self.all)])
        now, gone = self.now or latest, {(d["supersedes"], route["transfer"]) for d, route in routes.values()}
        acts = [entry for entry in self.all if entry["kind"] in ACTS]
        lifted = [act["object"] for act in acts if act["kind"] == "released"]
        holds = [
            a
            for a in acts
            if a["kind"] == "held" and (a["object"] or {}).get("kind") == "hold" and a["object"] not in lifted
        ]
        if any(a["kind"] == "erased" and (a["object"] or {}).get("kind") == "tenant" for a in acts):
            return  # with its tenant all that was under way has ended
        endings: dict[str, Any] = {}
        for act in acts:
            thing = act["object"]
            if act["kind"] in ("expired", "erased") and (thing is None or thing["kind"] == "transfer"):
                endings.setdefault(thing["id"] if thing else act["event"], []).append(act)
        for key, (entry, route) in routes.items():
            if route["decision"] in ("held", "refused") or key[1] in ended or key in gone:
                continue
            written = endings.get(key[1], []) + endings.get(entry["event"], [])
            # a replay takes back what ended before it, but not an erasure
            if any(entry["cause"] != "replayed" or a["kind"] == "erased" or a["at"] >= entry["at"] for a in written):
                continue
            self.open += 1
            over = (
                moment(entry["expires_at"]) + timedelta(days=2) < now
                and entry["expires_at"][:4] <= self.manifest["log"]
            )
            held = any(
                hold["event"] == entry["event"]
                or (not hold["event"] and hold["subject"] in (None, *entry["receipt"]["subjects"]))
                for hold in holds
            )
            if over and not held:
                self.fault(2, f"{key[1]}: it has no end")

    def decision(self, entry: Any) -> None:
        law, known = self.laws.get(entry["rules_hash"]), self.configurations.get(entry["config_hash"])
        if f"rules/{entry['rules_hash']}.json" not in self.files:
            self.fault(2, f"{entry['id']}: its law file is missing")
        if entry["routes"] and f"configs/{entry['config_hash']}.json" not in self.files:
            self.fault(2, f"{entry['id']}: its configuration is missing")
        day, one = moment(entry["at"]).date(), timedelta(days=1)
        for route in entry["routes"]:
            leaves, recipient = set(route["classes_out"]), route["recipient"]
            said, strictest = route["decision"], max([VERDICTS.index(r["verdict"]) for r in route["rules"]] or [3])
            wrong = said != VERDICTS[strictest] or not leaves <= set(entry["receipt"]["classes"])
            if said in ("held", "refused"):
                wrong |= bool(leaves)
            else:
                wrong |= not (recipient and recipient["country"] and recipient["processing"])
            for rule in route["rules"] if law is not None else ():
                ref, since, until = (law or {}).get(rule["id"], (None, date.max, None))
                wrong |= ref != rule["ref"] or since - one > day or (until is not None and until <= day - one)
            if known is not None:
                there = known.get(route["destination"])
                unrecorded = recipient is None and (there is None or there.get("country") is None)
                wrong |= route["destination"] not in known or not (recipient == there or unrecorded)
            if wrong:
                self.fault(3, f"{entry['id']}: the decision for {route['transfer']} does not follow")


def main(arguments: Any = None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.error = lambda message: parser.exit(64, f"{parser.prog}: {message}\n")  # type: ignore[method-assign]
    parser.add_argument("bundle", type=Path)
    for option in ("--vkey", "--witness"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("--quorum", type=int, default=0)
    parser.add_argument("--seen", type=Path)
    parser.add_argument("--now")
    given = parser.parse_args(arguments)
    try:
        seen = note_of(given.seen.read_bytes()) if given.seen else None
        keys, witnesses = [key_of(text) for text in given.vkey], [key_of(text) for text in given.witness]
        need(all(key[2] == 1 for key in keys) and all(key[2] == 4 for key in witnesses))
        need(0 <= given.quorum <= len(witnesses))
        now = moment(given.now) if given.now else None
        check = Check(keys, witnesses, given.quorum, (seen, head_of(seen[0])) if seen else None, now)
    except (Bad, OSError):
        parser.error("an argument cannot be read")
    try:
        check.run(given.bundle.read_bytes())
    except OSError:
        check.fault(4, "the bundle cannot be read")
    code = next((code for code in ORDER if code in {found for found, _ in check.faults}), 0)
    lines = [f"[{ORDER[found]}] {text}" for found, text in check.faults]
    lines.append(ORDER.get(code, f"ok, {check.open} transfers open") + ("" if given.vkey else " (self-attested)"))
    sys.stdout.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
