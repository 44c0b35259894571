"""The law as data: law files compiled into rules, with everything wrong in them reported at once.

The format is in ``docs/law/README.md``. Nothing here reads a file: texts come in, a ``Law`` comes out.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Any

import rfc8785

from ..errors import Misconfigured
from .compiling import LANGUAGE
from .derived import BY_VOLUME, BulkCounts, bulk_counts
from .fines import FINES, fine_ids
from .law_file import TEXTS, LawFile, read_law_file
from .raised import RAISED
from .rules import Provision

SCHEMA = "waybill.law/1"
THRESHOLDS = "thresholds.toml"
NOT_LAWS = frozenset({FINES, "regions.toml", THRESHOLDS})


class LawRefused(Misconfigured):
    """A set of law files cannot be used. ``faults`` names every place, sorted."""

    code = "law_refused"

    def __init__(self, faults: list[str]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True)
class Law:
    """A compiled set of law files. ``hash`` names it in every decision; equal hashes are equal law."""

    version: str
    any: LawFile
    files: tuple[LawFile, ...]
    hash: str
    canonical: bytes
    language: int = LANGUAGE
    bulk: BulkCounts = field(default_factory=dict)
    """Numbers of ``thresholds.toml``. They are no part of the hash, but of the rule language."""

    @cached_property
    def provisions(self) -> Mapping[str, Provision]:
        """All provisions that a decision can name, by id."""
        return {p.id: p for p in (*RAISED, *(p for f in (self.any, *self.files) for p in f.provisions()))}

    @cached_property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """The rules as their files have them, by id, dates being dates."""
        tables = (f.table for f in (self.any, *self.files))
        return {row["id"]: _with_dates(row) for table in tables for row in table.get("rule", ())}

    @cached_property
    def reads_volumes(self) -> frozenset[str]:
        """The jurisdictions of which some rule turns on how many people there are."""
        return frozenset(f.code for f in (self.any, *self.files) if _reads(f.table.get("rule", ()), _is_volume))

    @cached_property
    def asked_of_records(self) -> Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]]:
        """The conditions on records in each jurisdiction's rules, each with the kind of its rule."""
        return {f.code: tuple(_asked_of_records(f.table.get("rule", ()))) for f in self.files}

    def file(self, code: str) -> LawFile:
        """Return the file of a jurisdiction that this law has."""
        return next(f for f in (self.any, *self.files) if f.code == code)

    def marked(self, rules: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
        """Say of rules, as decisions and entries name them, how they stand; nothing of one that this law has not."""
        marked: list[dict[str, Any]] = []
        for rule in rules:
            known = self.provisions.get(rule["id"])
            marked.append({"id": rule["id"], "ref": rule["ref"], "verdict": rule["verdict"], **_standing(known)})
        return marked

    def title(self, rule: str) -> str:
        """Return the title of a rule; empty where this law has none."""
        known = self.provisions.get(rule)
        return known.title if known is not None else ""

    def obliged(self, obligations: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Say of a decision's obligations which provision each is of, and how it stands."""
        of = [(one, self.provisions[str(one["rule"])]) for one in obligations]
        return [{**one, "ref": provision.ref, **_standing(provision)} for one, provision in of]

    def document(self) -> dict[str, Any]:
        """Return ``waybill.law/1``: the files as JSON, and every id that a decision can name with its time in force."""
        return _document(self.version, (self.any, *self.files))


def _asked_of_records(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for rule in rules:
        for found in _records_in([rule.get("when", {}), rule.get("require", {})]):
            yield rule["kind"], found


def _records_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every ``basis`` table anywhere in conditions."""
    if isinstance(value, Mapping):
        if isinstance(value.get("basis"), Mapping):
            yield value["basis"]
        for inner in value.values():
            yield from _records_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _records_in(inner)


def _standing(provision: Provision | None) -> dict[str, Any]:
    if provision is None:
        return {}
    titles = {"title": provision.title, "title_ru": provision.title_ru} if provision.title else {}
    return {**titles, "settled": provision.settled, "confidence": provision.confidence}


def _is_volume(name: str) -> bool:
    return name.startswith("volumes.") or name in BY_VOLUME


def _reads(value: Any, wanted: Callable[[str], bool]) -> bool:
    if isinstance(value, Mapping):
        return any(wanted(key) or _reads(inner, wanted) for key, inner in value.items())
    return isinstance(value, (list, tuple)) and any(_reads(inner, wanted) for inner in value)


def _document(version: str, files: tuple[LawFile, ...]) -> dict[str, Any]:
    provisions = [p for f in files for p in f.provisions()] + list(RAISED)
    return {
        "schema": SCHEMA,
        "version": version,
        "laws": [f.table for f in sorted(files, key=lambda f: f.code)],
        "rules": [
            {
                "id": p.id,
                "ref": p.ref,
                "effective_from": p.effective_from.isoformat(),
                "effective_to": p.effective_to.isoformat() if p.effective_to else None,
            }
            for p in sorted(provisions, key=lambda p: p.id)
        ],
    }


def load_law(texts: Mapping[str, str]) -> Law:
    """Compile law files.

    Args:
        texts: TOML by file name: ``any.toml``, ``fines.toml``, ``thresholds.toml`` and one file a jurisdiction.

    Raises:
        LawRefused: with every fault of every file.
    """
    faults: list[str] = []
    tables = {name: _parse(name, text, faults) for name, text in sorted(texts.items())}
    fines = fine_ids(tables.get(FINES, {}), faults)
    if "any.toml" not in texts:
        faults.append("any.toml: is missing")
    elif tables["any.toml"].get("language") != LANGUAGE:
        faults.append(f"any.toml: language must be {LANGUAGE}")
    bulk: BulkCounts = {}
    if THRESHOLDS in tables:
        try:
            bulk = bulk_counts(tables[THRESHOLDS])
        except ValueError as fault:
            faults.append(f"{THRESHOLDS}: {fault}")
    laws = {name: table for name, table in tables.items() if name not in NOT_LAWS and table}
    faults += _untitled(laws)
    return _compile(laws, fines, faults, bulk)


def _untitled(laws: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield each rule and gate without a title in plain words, which packs of earlier releases lack."""
    for name, table in laws.items():
        rows = [row for row in table.get("rule", ()) if isinstance(row, dict)]
        wanted: list[tuple[str, Mapping[str, Any], str]] = [(f"{name}: {r.get('id')}", r, "title") for r in rows]
        wanted += [(name, table, "gate_title")] if table.get("gate") is True else []
        for place, row, key in wanted:
            yield from (f"{place}: {k} is missing" for k in (key, f"{key}_ru") if not str(row.get(k, "")).strip())


def load_pack(canonical: bytes, bulk: BulkCounts) -> Law:
    """Compile a law from its own ``canonical`` form, as a bundle of evidence holds it.

    Args:
        bulk: the numbers of the installed ``thresholds.toml``, which a pack does not have.

    Raises:
        LawRefused: it does not compile, or this version would compile it to something else.
    """
    try:
        tables = json.loads(canonical)["laws"]
        laws = {str(table["code"]): _with_dates(table) for table in tables}
        rules = [row for table in laws.values() for row in table.get("rule", ()) if isinstance(row, dict)]
        # A pack comes without the table of fines: that each fine is in it was seen when the pack was made.
        law = _compile(laws, frozenset(str(row["fine"]) for row in rules if "fine" in row), [], bulk)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):  # the JSON may come from anyone
        raise LawRefused(["the pack: is no JSON of law files"]) from None
    if law.canonical != canonical:
        raise LawRefused(["the pack: was compiled by another version"])
    return law


_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def _with_dates(value: Any, key: str = "") -> Any:
    """Undo ``plain``: texts in the form of a date are dates, but for keys that hold texts."""
    if isinstance(value, dict):
        return {name: _with_dates(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_dates(item, key) for item in value]
    if isinstance(value, str) and key not in TEXTS and _ISO.match(value):
        return date.fromisoformat(value)
    return value


def _compile(tables: Mapping[str, dict[str, Any]], fines: frozenset[str], faults: list[str], bulk: BulkCounts) -> Law:
    language = next((t["language"] for t in tables.values() if t.get("code") == "ANY" and "language" in t), 1)
    found = [read_law_file(name, table, fines, faults, language) for name, table in tables.items()]
    files = [f for f in found if f is not None]
    faults += _clashes(files)
    guard = next((f for f in files if f.code == "ANY"), None)
    if faults or guard is None:
        raise LawRefused(faults or ["ANY: is missing"])
    version = str(guard.table.get("version", "0"))
    if not bulk and any(_reads(file.table.get("rule", ()), BY_VOLUME.__contains__) for file in files):
        raise LawRefused([f"{THRESHOLDS}: is missing"])
    others = tuple(sorted((f for f in files if f is not guard), key=lambda f: f.code))
    canonical = rfc8785.dumps(_document(version, (guard, *others)))
    return Law(version, guard, others, "sha256:" + hashlib.sha256(canonical).hexdigest(), canonical, language, bulk)


def _parse(name: str, text: str, faults: list[str]) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        faults.append(f"{name}: not TOML: {fault}")
        return {}
    if not table:
        faults.append(f"{name}: is empty")
    return table


def _clashes(files: list[LawFile]) -> Iterator[str]:
    codes: set[str] = set()
    seen: dict[str, Provision] = {p.id: p for p in RAISED}
    versions: dict[str, list[Provision]] = {}
    for file in files:
        if file.code in codes:
            yield f"{file.code}: two files have this code"
        codes.add(file.code)
        for provision in file.provisions():
            if provision.id in seen:
                yield f"{provision.id}: duplicate id"
                continue
            seen[provision.id] = provision
            versions.setdefault(provision.id.partition("@")[0], []).append(provision)
    for of_one in versions.values():
        ordered = sorted(of_one, key=lambda p: (p.effective_from, p.id))
        for earlier, later in pairwise(ordered):
            if earlier.effective_to is None or later.effective_from < earlier.effective_to:
                yield f"{later.id}: overlaps {earlier.id}"
