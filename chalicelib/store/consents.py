"""Consents, in the ``config`` table: rows that are only ever inserted, and for each person the union of their rows.

| row | ``pk`` | ``sk`` |
|---|---|---|
| consent | ``{tenant}#consents`` | ``cns_…`` |
| its withdrawal | ``{tenant}#consents`` | ``cns_…#withdrawal`` |
| all consents of one person | the person's key in ``people`` | ``consents`` |
| use of a notice | ``{tenant}#notice#{sha256}`` | ``rcp_…`` |

The round trip that reads the person also reads the person's consents row. That row is the union of the person's rows, and a
withdrawal stays in it. Repeated and reordered writes therefore give the same result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain

from ..core import encoders
from ..core.errors import NotFound, OurError, PreconditionFailed
from ..core.tenant.consents import Consent, Withdrawal
from .items import BATCH_GET, Item, Table, batch_get
from .records import readable, written

OF_ONE_PERSON = 100
"""A row holds 400 KB; a consent takes about one."""
TRIES = 8


class ConsentStore:
    """Read and write what people have consented to."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def key(self, person: str) -> tuple[str, dict[str, str]]:
        """Return the table and key of a person's consents row, for a round trip with other rows."""
        return self.table.name, {"pk": person, "sk": "consents"}

    def read(self, item: Item | None) -> tuple[Consent, ...]:
        """Open a person's row; none where there is none. A consent that cannot be read is no ground."""
        read = (readable(Consent, json.dumps(one)) for one in json.loads(item["doc"])) if item else ()
        return tuple(consent for consent in read if consent is not None)

    def of_person(self, person: str) -> tuple[Consent, ...]:
        """Return all consents of a person, including withdrawn ones."""
        return self.read(self.table.get(self.key(person)[1]))

    def of_people(self, people: Iterable[str]) -> dict[str, tuple[Consent, ...]]:
        """Return the consents of several people by their keys."""
        wanted, found = sorted(people), {}
        for start in range(0, len(wanted), BATCH_GET):
            keys = [self.key(person) for person in wanted[start : start + BATCH_GET]]
            items = batch_get(self.table.client, keys, self.table.region).get(self.table.name, ())
            found.update({str(item["pk"]): self.read(item) for item in items})
        return found

    def insert(self, tenant: str, person: str, consent: Consent) -> Consent:
        """Store a consent and return the stored one, which an earlier try may have made.

        Raises:
            PreconditionFailed: the person has the maximum number of consents.
        """
        stored, _ = self.insert_row(tenant, person, consent)
        self.merge(person, [stored])
        return stored

    def insert_row(self, tenant: str, person: str, consent: Consent) -> tuple[Consent, bool]:
        """Store a consent's own row. Return the stored consent and whether it is new. It counts once it is merged."""
        row = {"pk": f"{tenant}#consents", "sk": consent.id, "doc": written(consent), "person": person}
        if self.table.insert(row):
            return consent, True
        return self.get(tenant, consent.id), False

    def withdraw(self, tenant: str, consent: Consent, withdrawal: Withdrawal) -> Consent:
        """Store a withdrawal once and return the consent with it."""
        key = {"pk": f"{tenant}#consents", "sk": f"{consent.id}#withdrawal"}
        self.table.insert({**key, "doc": written(withdrawal)})
        stored = self.get(tenant, consent.id)
        self.merge(self._item(tenant, consent.id)["person"], [stored])
        return stored

    def _item(self, tenant: str, consent_id: str) -> Item:
        item = self.table.get({"pk": f"{tenant}#consents", "sk": consent_id})
        if item is None:
            raise NotFound("no such resource")
        return item

    def get(self, tenant: str, consent_id: str) -> Consent:
        """Return a consent.

        Raises:
            NotFound: the tenant has none with this id, or it cannot be read.
        """
        item = self._item(tenant, consent_id)
        end = self.table.get({"pk": f"{tenant}#consents", "sk": f"{consent_id}#withdrawal"})
        consent = _whole(item, end)
        if consent is None:
            raise NotFound("this consent cannot be read, and counts as absent")
        return consent

    def list(self, tenant: str, after: str, limit: int) -> Iterator[Consent]:
        """Yield a tenant's consents in order of their ids, starting after ``after``."""
        waiting: Item | None = None
        bound = {":p": f"{tenant}#consents", ":a": f"{after}$" if after else " "}  # "$" is the character after "#"
        for item in chain(self.table.query("pk = :p AND sk > :a", bound, limit=limit), (None,)):
            ends = item if item is not None and item["sk"].endswith("#withdrawal") else None
            consent = _whole(waiting, ends) if waiting is not None else None
            if consent is not None:
                yield consent
            waiting = item if ends is None else None

    def merge(self, person: str, consents: Iterable[Consent]) -> None:
        """Merge a consent or withdrawal into the person's row, so that decisions count it.

        Raises:
            PreconditionFailed: the person has the maximum number of consents.
        """
        consents, (_, key) = list(consents), self.key(person)
        for _ in range(TRIES):
            item = self.table.get(key)
            mine = {c.id: c for c in self.read(item)}
            kept = json.loads(item["doc"]) if item else []
            lost = [one for one in kept if one.get("id") not in mine]
            texts = {one["id"]: encoders.plain(one) for one in kept if one.get("id") in mine}
            for consent in consents:
                before = mine.get(consent.id)
                mine[consent.id] = before if before is not None and before.withdrawal is not None else consent
            if len(mine) > OF_ONE_PERSON:
                raise PreconditionFailed(f"a person has at most {OF_ONE_PERSON} consents")
            told = [json.loads(written(mine[id], texts.get(id))) for id in sorted(mine)]
            doc = json.dumps([*lost, *told], separators=(",", ":"))
            if item is None:
                done = self.table.insert({**key, "doc": doc, "version": 1})
            else:
                values = {**key, "doc": doc, "version": item["version"] + 1}
                done = self.table.replace(values, "version = :v", {":v": item["version"]})
            if done:
                return
        raise OurError("a person's consents change faster than they can be written; try again")

    def expect(self, tenant: str) -> None:
        """Make decisions look for consents of the tenant's people, from the next batch on."""
        key, values = {"pk": tenant, "sk": "tenant"}, {":t": True, ":one": 1}
        self.table.update(key, "SET consents = :t ADD config_version :one", values, "attribute_not_exists(consents)")

    def use_notice(self, tenant: str, notice: str, recipient: str) -> None:
        """Note that a notice was shown for a recipient, and where it was shown for two, that it was."""
        pk = f"{tenant}#notice#{notice}"
        self.table.insert({"pk": pk, "sk": recipient})
        if len(list(self.table.query("pk = :p", {":p": pk}, limit=2))) > 1:
            self.table.insert({"pk": tenant, "sk": f"notice#{notice}"})
            # Again where it was there: an earlier try may have died before it was counted.
            self.table.update({"pk": tenant, "sk": "tenant"}, "ADD config_version :one", {":one": 1})

    def erase(self, tenant: str) -> None:
        """Delete all that a tenant's people have consented to."""
        for item in list(self.table.query("pk = :p", {":p": f"{tenant}#consents"})):
            if "person" in item:
                self.table.delete({"pk": item["person"], "sk": "consents"})
                consent: Consent | None = readable(Consent, item["doc"])
                notice = consent.notice_sha256 if consent is not None else ""
                for use in list(self.table.query("pk = :p", {":p": f"{tenant}#notice#{notice}"})):
                    self.table.delete({"pk": use["pk"], "sk": use["sk"]})
            self.table.delete({"pk": item["pk"], "sk": item["sk"]})


def _whole(item: Item, end: Item | None) -> Consent | None:
    """Return a consent with its withdrawal; None where one of both cannot be read."""
    consent: Consent | None = readable(Consent, item["doc"])
    withdrawal: Withdrawal | None = readable(Withdrawal, end["doc"]) if end is not None else None
    if consent is None or (end is not None and withdrawal is None):
        return None
    return consent if end is None else consent.model_copy(update={"withdrawal": withdrawal})
