"""The ``people`` table: random refs and wrapped data keys of subjects and conversations.

``pk`` = tenant ‖ keyed hash of the platform's id. A second row leads back, ``pk`` = tenant ‖ ref; that of a conversation
names its source. The table has no backup: a deleted key stays deleted.

When a person ends: ``person_ends``. Rows that a sweep of an earlier release has marked (``ending``) are taken as they are:
the first process that finds the mark removes it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..core.envelope import NONCE_BYTES, TenantKeys, decrypt, encrypt
from ..core.ids import random_ref
from .items import BATCH_GET, Item, Table, batch_get
from .person_ends import look_at

MARK = "n#"
"""How attributes begin that mark a subject as counted."""
OTHER = "o#"
"""How attributes begin that name the rows of people who proved to be this one."""
PREFIX = {"subject": "sub", "conversation": "cnv"}


@dataclass(frozen=True)
class PersonRow:
    """The row of a subject or a conversation: its ref in the log, and the key of its content.

    ``marks`` name the counters that have counted a subject (``volumes``). ``ends_at`` and ``unsure`` are those of
    ``person_ends``. ``same_as`` is the key of the row that stands for the same person, by another id of theirs.
    """

    pk: str
    ref: str
    key: bytes = field(repr=False)
    marks: frozenset[str] = frozenset()
    ends_at: int | None = None
    unsure: bool = False
    same_as: str | None = None


def people_key(tenant: str, keys: TenantKeys, kind: str, channel: str, source: str, platform_id: str) -> str:
    """Return the key of a person's or a conversation's row.

    A subject is one person on one channel whichever of the tenant's sources they write to; a conversation belongs to
    one source.
    """
    scope = channel if kind == "subject" else source
    text = "\0".join((kind, scope, platform_id)).encode("utf-8", "surrogatepass")
    return f"{tenant}#{hmac.digest(keys.people, text, 'sha256')[:16].hex()}"


def others_of(row: Item) -> list[str]:
    """Return the keys of the people who proved to be the one of a row."""
    tenant = str(row["pk"]).partition("#")[0]
    return [f"{tenant}#{name.removeprefix(OTHER)}" for name in row if name.startswith(OTHER)]


def _place_of_ref(tenant: str, ref: str) -> str:
    return f"{tenant}#{ref}"


class PeopleStore:
    """Find or make the refs and keys of people."""

    def __init__(self, table: Table, randomness: Callable[[int], bytes]) -> None:
        self.table = table
        self._random = randomness

    def context(self, pk: str) -> str:
        """Return the context under which the data key of a row is wrapped."""
        return f"{self.table.region}/{pk}"

    def read(self, item: Item, keys: TenantKeys) -> PersonRow:
        """Open a row."""
        data_key = decrypt(keys.wrap, item["key"], self.context(item["pk"]))
        marks = frozenset(name for name in item if name.startswith(MARK))
        same_as = item.get("same_as")
        return PersonRow(item["pk"], item["ref"], data_key, marks, item.get("ends_at"), "unsure" in item, same_as)

    def get_many(self, wanted: Iterable[tuple[str, TenantKeys]]) -> dict[str, PersonRow]:
        """Return those of the rows that exist, in one round trip."""
        keys = dict(wanted)
        found = batch_get(self.table.client, ((self.table.name, {"pk": pk}) for pk in keys), self.table.region)
        return {i["pk"]: self.read(i, keys[i["pk"]]) for i in found.get(self.table.name, ())}

    def of_ref(self, tenant: str, ref: str) -> str | None:
        """Return the key of the subject with this ``ref`` in the log; None where the tenant has none any longer."""
        way = self.table.get({"pk": _place_of_ref(tenant, ref)})
        row = self.table.get({"pk": way["of"]}) if way is not None else None
        return str(row["pk"]) if row is not None and row["ref"] == ref else None

    def conversation(self, tenant: str, ref: str) -> tuple[str, str] | None:
        """Return the key and the source of the conversation that the log knows by ``ref``; None as ``of_ref``."""
        way = self.table.get({"pk": _place_of_ref(tenant, ref)})
        row = self.table.get({"pk": way["of"]}) if way is not None and "source" in way else None
        return (row["pk"], way["source"]) if way is not None and row is not None and row["ref"] == ref else None

    def of_refs(self, tenant: str, refs: Iterable[str]) -> dict[str, str]:
        """Return the keys of subjects by their refs in the log; unknown refs are left out."""
        ways = self._rows({"pk": _place_of_ref(tenant, ref)} for ref in sorted(refs))
        rows = self._rows({"pk": way["of"]} for way in ways)
        return {str(row["ref"]): str(row["pk"]) for row in rows}

    def _rows(self, keys: Iterable[Mapping[str, str]]) -> list[Item]:
        wanted, found = list(keys), []
        for start in range(0, len(wanted), BATCH_GET):
            some = [(self.table.name, key) for key in wanted[start : start + BATCH_GET]]
            found += batch_get(self.table.client, some, self.table.region).get(self.table.name, [])
        return found

    def find_or_make(
        self,
        wanted: Mapping[str, tuple[str, TenantKeys]],
        read: Iterable[Item] | None = None,
        sources: Mapping[str, str] = MappingProxyType({}),
        ends: Mapping[str, int] = MappingProxyType({}),
        same_as: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, PersonRow]:
        """Return a person for each ``pk: (kind, the tenant's keys)``, and make new rows for people seen for the first time.

        Args:
            read: rows that another round trip has read already.
            sources: of the conversations that need a row leading back.
            ends: the ``ends_at`` of subjects that are made now.
            same_as: the rows that stand for the same people, for those that are made now.

        Two concurrent calls get the same person: the row is inserted only if absent, then read.
        """
        if read is None:
            read = self._rows({"pk": pk} for pk in wanted)
        rows = [row for row in read if "ending" not in row or self._stays(row)]
        found = {row["pk"]: self.read(row, wanted[row["pk"]][1]) for row in rows}
        for pk, (kind, keys) in wanted.items():
            if pk in found:
                continue
            key = self._random(32)
            row: dict[str, Any] = {
                "pk": pk,
                "ref": random_ref(PREFIX[kind], self._random(16)),
                "key": encrypt(keys.wrap, self._random(NONCE_BYTES), key, self.context(pk)),
                "ends_at": ends.get(pk),
                "same_as": same_as.get(pk),
            }
            way = _place_of_ref(pk.partition("#")[0], row["ref"])
            if kind == "subject" or pk in sources:
                # The row leading back first: a crash between the two leaves a row that leads to no person.
                look = look_at(ends[pk], row["ref"]) if pk in ends else None
                self.table.insert({"pk": way, "of": pk, "source": sources.get(pk), "look_at": look})
            if not self.table.insert(row):
                if pk in ends:  # another process was faster, and made another row leading back
                    self.table.update({"pk": way}, "REMOVE look_at", {})
                stored = self.table.get({"pk": pk})
                if stored is None or "ending" in stored:  # erased, or about to be: once more
                    return self.find_or_make(wanted, sources=sources, ends=ends, same_as=same_as)
                row = stored
            found[pk] = self.read(row, keys)
        return found

    def join(self, pk: str, same_as: str) -> None:
        """Note in both rows that one stands for the same person as the other. A row that leads elsewhere already still does."""
        name = {"#o": OTHER + pk.partition("#")[2]}
        self.table.update({"pk": same_as}, "SET #o = :yes", {":yes": True}, names=name)
        new = "attribute_exists(pk) AND attribute_not_exists(same_as)"
        self.table.update({"pk": pk}, "SET same_as = :s", {":s": same_as}, new)

    def is_joined(self, item: Item) -> bool:
        """Return whether a person has other rows, as their stored row tells."""
        return "same_as" in item or bool(others_of(item))

    def all_rows_of(self, pks: Iterable[str]) -> list[str]:
        """Return the keys of one person's rows, with those of rows that stand for them and of people who proved to be them."""
        found = list(dict.fromkeys(pks))
        for _ in range(2):
            rows = self._rows({"pk": pk} for pk in found)
            mains = [str(row["same_as"]) for row in rows if "same_as" in row]
            found = list(dict.fromkeys([*found, *mains, *(pk for row in rows for pk in others_of(row))]))
            if not mains:
                break
        return found

    def _stays(self, row: Item) -> bool:
        """Take the mark of an ending person away. Return False where the person has ended."""
        seen = {":e": row["ending"]}
        if self.table.update({"pk": row["pk"]}, "REMOVE ending", seen, condition="ending = :e") is not None:
            return True  # keep the marks of the counters
        now = self.table.get({"pk": row["pk"]})  # another writer was faster
        return now is not None and now["ref"] == row["ref"]
