"""Consents of single people, and the basis records that they amount to for one event.

A consent is of one person, for one recipient. It counts for a delivery only where it covers all of it: the route's purpose,
every class that would leave, and every country where the recipient and all onward parties are or process. It is no ground
for anything outside its scope: a consent can be missing, but never stretched.

A first decision takes records from consents (``grounds_of``); a repeated one, from its entry (``kept_grounds``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from .. import times
from ..event.event import DataClass, Time
from ..ids import ALPHABET, LENGTH
from ..law.bases import BasisKind
from .dates import Instant
from .records import Code, Country, Digest, Purpose, Record

Method = Literal["signature", "web_form", "app", "message", "oral", "import"]
Ref = Annotated[str, StringConstraints(pattern=rf"^sub_[{ALPHABET}]{{{LENGTH}}}$")]
Documents = tuple[dict[str, Any], ...]
Grounds = Callable[[str | None, Mapping[str, Any]], Documents]
"""Return the records that consents amount to: for storing (route None) or for delivering along a route, given its facts."""

STORE = -1
"""The operation *store* in an entry's list of consents that counted."""
_EXPLICIT, _WRITTEN, _SPECIAL, _SEPARATE = 1, 2, 4, 8
_UNSEEN = "sha256:00"
"""Stands for a notice's hash: no rule reads more of it than that there is one."""


class Withdrawal(Record):
    """The end of a consent: a row of its own."""

    id: str
    withdraws: str
    at: Time
    method: Method


class WithdrawalSettings(Record):
    """How a consent was withdrawn."""

    method: Method


class ConsentSettings(Record):
    """The scope of a person's consent, and how it was given. Empty ``law`` means that it counts under any law."""

    subject: Ref
    recipient: str
    purposes: tuple[Purpose, ...] = Field(min_length=1, max_length=20)
    classes: tuple[DataClass, ...] = Field(min_length=1, max_length=len(DataClass))
    countries: tuple[Country, ...] = Field(min_length=1, max_length=50)
    given_at: Instant
    method: Method
    notice_sha256: Digest
    separate_document: bool
    written: bool = False
    special: bool = False
    expires_at: Instant | None = None
    law: tuple[Code, ...] = Field(default=(), max_length=5)

    @model_validator(mode="after")
    def _ordered(self) -> ConsentSettings:
        if self.given_at < times.EARLIEST:
            raise ValueError("given_at must not be before 1970")
        if self.expires_at is not None and self.expires_at <= self.given_at:
            raise ValueError("expires_at must be after given_at")
        return self


class Consent(ConsentSettings):
    """A consent, and its withdrawal if it was withdrawn."""

    id: str
    created_at: Time
    withdrawal: Withdrawal | None = None

    def covers(self, purpose: str, classes: Iterable[str], countries: Iterable[str | None], now: datetime) -> bool:
        """Return whether the consent stands and covers the whole operation."""
        withdrawn = self.withdrawal is not None and self.withdrawal.at <= now
        expired = self.expires_at is not None and self.expires_at <= now
        return (
            not withdrawn
            and not expired
            and self.given_at <= now
            and purpose in self.purposes
            and set(classes) - {"technical"} <= set(self.classes)
            and set(countries) <= set(self.countries)
        )


def _documents(id: str, given_on: str, says: int, laws: Iterable[str], recipient: str | None) -> Documents:
    # The instant of giving was compared already. A law's own day may be the one before, and must not be told that it has
    # not been given yet.
    since = (times.parse(f"{given_on}T00:00:00Z") - timedelta(days=1)).date().isoformat()
    whole: dict[str, Any] = {
        "id": id,
        "kind": (BasisKind.EXPLICIT_CONSENT if says & _EXPLICIT else BasisKind.CONSENT).value,
        "recipient": recipient,
        "valid_from": since,
        "valid_until": None,
        "evidence": _UNSEEN,
        "given_on": given_on,
        "separate_document": bool(says & _SEPARATE),
        "written": bool(says & _WRITTEN),
        "special": bool(says & _SPECIAL),
    }
    return tuple({**whole, "law": law} for law in (sorted(laws) or (None,)))


def says_of(consent: Consent, shared: frozenset[str]) -> int:
    """Return what rules may ask of a consent, as bits.

    A written statement, or one on special categories, is explicit. One document for one recipient: a notice that was used
    for two is no separate document of either.
    """
    separate = consent.separate_document and consent.notice_sha256 not in shared
    explicit = consent.written or consent.special
    return _bits(explicit, consent.written, consent.special, separate)


def _bits(explicit: bool, written: bool, special: bool, separate: bool) -> int:
    return explicit * _EXPLICIT + written * _WRITTEN + special * _SPECIAL + separate * _SEPARATE


def leaving(facts: Mapping[str, Any]) -> set[str]:
    """Return the classes that a delivery would send, or more."""
    sent = set(facts["data"]["classes"])
    if facts["route"]["mode"] == "restrict":
        return set()
    dropped = {r.get("class") for r in facts["route"]["redactions"] if r["action"] == "drop"}
    permitted = facts["recipient"]["classes"]
    return (sent - dropped) & (sent if permitted is None else set(permitted))


def reached(facts: Mapping[str, Any]) -> set[str | None]:
    """Return every country that a delivery reaches; None where one of them is unknown."""
    recipient = facts["recipient"]
    parties = (recipient, *(recipient["onward"] or ()))
    return {c for p in parties for c in (p["entity_country"], *p["processing_countries"])}


def grounds_of(consents: Iterable[Consent], shared: frozenset[str]) -> Grounds:
    """Return the grounds that an event's person has given.

    Args:
        shared: notices that were used for more than one recipient.
    """
    consents = sorted(consents, key=lambda c: c.id)

    def of(route: str | None, facts: Mapping[str, Any]) -> Documents:
        now = times.parse(facts["now"])
        found: list[dict[str, Any]] = []
        for one in consents:
            if route is None:
                store = facts["store"]
                place, recipient = (store["country"], *store["copies"]), None
                covered = one.covers(facts["purpose"], facts["data"]["classes"], place, now)
            else:
                recipient = one.recipient
                covered = recipient == facts["recipient"]["id"] and one.covers(
                    facts["purpose"], leaving(facts), reached(facts), now
                )
            if covered:
                given_on = times.text(one.given_at)[:10]
                found += _documents(one.id, given_on, says_of(one, shared), one.law, recipient)
        return tuple(found)

    return of


def assumed(form: Mapping[str, bool], route_id: str) -> Grounds:
    """Return the grounds of a hypothetical person who has consented to all of a route, and to storing its events.

    Args:
        form: ``separate_document``, ``written`` and ``special`` of the consent.
    """
    written, special = form["written"], form["special"]
    says = _bits(written or special, written, special, form["separate_document"])

    def of(route: str | None, facts: Mapping[str, Any]) -> Documents:
        recipient = facts["recipient"]["id"] if route is not None else None
        return _documents("cns_assumed", facts["now"][:10], says, (), recipient) if route in (None, route_id) else ()

    return of


def none_given(route: str | None, facts: Mapping[str, Any]) -> Documents:
    """Return the grounds of a person who has consented to nothing."""
    return ()


def kept(store: Documents, routes: Iterable[Documents]) -> list[dict[str, Any]]:
    """Return the record of the consents that counted for an entry, at most 120 bytes each as a rule.

    Args:
        store: those for storing; ``routes`` those for each route, in the entry's order.
    """
    found: dict[str, dict[str, Any]] = {}
    for place, documents in enumerate((store, *routes), start=STORE):
        for one in documents:
            explicit = one["kind"] != BasisKind.CONSENT.value
            says = _bits(explicit, one["written"], one["special"], one["separate_document"])
            blank = {"id": one["id"], "given": one["given_on"], "law": [], "on": [], "says": says}
            line = found.setdefault(one["id"], blank)
            if one["law"] is not None and one["law"] not in line["law"]:
                line["law"].append(one["law"])
            if place not in line["on"]:
                line["on"].append(place)
    return [found[id] for id in sorted(found)]


def is_kept(lines: object) -> bool:
    """Say whether a value has the form that an entry keeps consents in."""
    return isinstance(lines, list) and all(isinstance(line, dict) and _is_kept(line) for line in lines)


def _is_kept(line: Mapping[str, Any]) -> bool:
    forms = {"id": str, "given": str, "law": list, "on": list, "says": int}
    if line.keys() != forms.keys() or not all(isinstance(line[name], form) for name, form in forms.items()):
        return False
    try:
        return date.fromisoformat(line["given"]).year >= 1970 and all(isinstance(law, str) for law in line["law"])
    except ValueError:
        return False


def kept_grounds(lines: Iterable[Mapping[str, Any]], place: int) -> Grounds:
    """Return the grounds that an entry kept, as they counted for storing and for the route at ``place``."""
    lines = list(lines)

    def of(route: str | None, facts: Mapping[str, Any]) -> Documents:
        here, recipient = (STORE, None) if route is None else (place, facts["recipient"]["id"])
        return tuple(
            document
            for line in lines
            if here in line["on"]
            for document in _documents(line["id"], line["given"], line["says"], line["law"], recipient)
        )

    return of


SUBJECTS_MAX = 16


def subjects_of(document: Mapping[str, Any]) -> list[str]:
    """Return the platform's ids of the people an event is about, the sender first.

    Our own account is no subject: its message in a direct conversation is about the person it writes to.
    """
    sender, conversation = document["sender"], document["conversation"]
    found: list[str | None] = []
    if sender is not None and not sender["is_self"]:
        found.append(sender["id"])
    elif conversation["direct"]:
        found.append(conversation["id"])
    found.extend(member["id"] for member in document["members"])
    return list(dict.fromkeys(i for i in found if i is not None))[:SUBJECTS_MAX]
