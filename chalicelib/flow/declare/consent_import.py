"""Import many consents and withdrawals at once: each line counts by itself, once, however often it is sent.

1 check → 2 the person of each → 3 the notices' use, the tenant's mark → 4 rows → 5 entries → 6 each person's row → 7 wake held
transfers. A consent's id is derived from its content. A second try, or the same line in another file, therefore finds the
first one and completes it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ...core import ids
from ...core.errors import Invalid, NotFound
from ...core.log.entry_types import Act
from ...core.tenant.consent_lines import ImportResult, RefusedLine, WithdrawalLine
from ...core.tenant.consents import Consent, ConsentSettings, Withdrawal
from ...store.consents import OF_ONE_PERSON
from ..request import Request
from .changes import invalid, must_exist, wake_held
from .consents import check_said, entry_of

Line = tuple[int, ConsentSettings | WithdrawalLine]


def take(request: Request, lines: Sequence[Line]) -> ImportResult:
    """Import lines; a wrong line does not stop the others.

    Args:
        lines: at most ``LINES_MAX``, each with its number.

    Raises:
        Unavailable: not all is stored; the same request again completes it.
    """
    refused: list[RefusedLine] = []
    consents = _consents(request, lines, refused)
    ends = _withdrawals(request, lines, refused)
    runtime, tenant = request.runtime, request.tenant.id
    for notice, recipient in sorted({(c.notice_sha256, c.recipient) for _, _, c in consents}):  # 3
        runtime.consents.use_notice(tenant, notice, recipient)
    if consents:
        runtime.consents.expect(tenant)
    counted: Counter[str] = Counter()
    entries: list[Act] = []
    open_rows: dict[str, list[Consent]] = {}
    mine = runtime.consents.of_people({person for _, person, _ in consents})
    for number, person, consent in consents:
        there = {c.id for c in (*mine.get(person, ()), *open_rows.get(person, ()))}
        if consent.id in there:
            counted["already"] += 1
            continue
        if len(there) >= OF_ONE_PERSON:
            refused.append(RefusedLine(line=number, code="too_many", loc="line.subject"))
            continue
        stored, new = runtime.consents.insert_row(tenant, person, consent)  # 4
        counted["taken" if new else "already"] += 1
        entries.append(_entry(request, stored, stored.id, "created"))
        open_rows.setdefault(person, []).append(stored)
    withdrawn = {consent.id for consent, _ in ends if consent.withdrawal is not None}
    for consent, end in ends:
        stored = runtime.consents.withdraw(tenant, consent, end)
        counted["already" if consent.id in withdrawn else "taken"] += 1
        withdrawn.add(consent.id)
        if stored.withdrawal is not None and stored.withdrawal.id == end.id:
            entries.append(_entry(request, stored, end.id, "withdrawal"))
    for outcome in runtime.audit.append_many(entries):  # 5
        if isinstance(outcome, Exception):
            raise outcome
    for person, given in open_rows.items():  # 6
        runtime.consents.merge(person, given)
    if open_rows:
        wake_held(request)  # 7: once, however many they are
    refused.sort(key=lambda one: one.line)
    return ImportResult(taken=counted["taken"], already=counted["already"], refused=refused)


def refused_line(number: int, fault: Invalid) -> RefusedLine:
    """Return the refusal of a line; its place is said of the line, not of the body."""
    first = fault.errors[0]
    return RefusedLine(line=number, code=first["code"], loc="line" + first["loc"].removeprefix("body"))


def _consents(request: Request, lines: Iterable[Line], refused: list[RefusedLine]) -> list[tuple[int, str, Consent]]:
    """Return the consents that may be stored, each with its line and its person's key."""
    given = [(number, line) for number, line in lines if isinstance(line, ConsentSettings)]
    people = request.runtime.people.of_refs(request.tenant.id, {line.subject for _, line in given})  # 2
    recipients: dict[str, Invalid | None] = {}
    found = []
    for number, line in given:
        try:
            _check(request, line, recipients)  # 1
            if line.subject not in people:
                raise invalid("body.subject", "unknown_id", "the log knows no sub_… of this name")
        except Invalid as fault:
            refused.append(refused_line(number, fault))
            continue
        consent = Consent(**dict(line), id=_id(request, line), created_at=request.at)
        found.append((number, people[line.subject], consent))
    return found


def _check(request: Request, line: ConsentSettings, recipients: dict[str, Invalid | None]) -> None:
    if line.recipient not in recipients:
        recipients[line.recipient] = None
        try:
            must_exist(request, line.recipient, "rcp", "body.recipient")
        except Invalid as fault:
            recipients[line.recipient] = fault
    if (unknown := recipients[line.recipient]) is not None:
        raise unknown
    check_said(request, line)


def _withdrawals(
    request: Request, lines: Iterable[Line], refused: list[RefusedLine]
) -> list[tuple[Consent, Withdrawal]]:
    found = []
    for number, line in lines:
        if not isinstance(line, WithdrawalLine):
            continue
        try:
            if not ids.is_id(line.withdraws, "cns"):
                raise NotFound("no such resource")
            consent = request.runtime.consents.get(request.tenant.id, line.withdraws)
        except NotFound:
            refused.append(RefusedLine(line=number, code="unknown_id", loc="line.withdraws"))
            continue
        id = _named(request, consent, "withdrawal", consent.id)
        found.append((consent, Withdrawal(id=id, withdraws=consent.id, at=request.at, method=line.method)))
    return found


def _id(request: Request, line: ConsentSettings) -> str:
    """Derive a consent's id from its content; the order of its lists does not matter."""
    values: dict[str, Any] = line.model_dump(mode="json")
    said = {name: sorted(value) if isinstance(value, list) else value for name, value in values.items()}
    return _named(request, line, "consent", json.dumps(said, sort_keys=True, separators=(",", ":")))


def _named(request: Request, given: ConsentSettings, use: str, text: str) -> str:
    digest = hmac.digest(request.keys.external_ids, f"import\0{use}\0{text}".encode(), hashlib.sha256)
    return ids.sortable("cns", given.given_at, digest)


def _entry(request: Request, consent: Consent, made: str, reason: str) -> Act:
    """Make the entry of a consent or of its withdrawal; its id is derived from theirs, so that each has one entry.

    Args:
        made: the id of its row.
    """
    end = consent.withdrawal
    at = end.at if reason == "withdrawal" and end is not None else consent.created_at
    return entry_of(request, consent, reason, at, f"import:{made}")
