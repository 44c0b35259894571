"""Make several declarations from one form: show all of it, then make exactly the accepted form.

The order is: 1 the records, none of which moves data, 2 the route, which makes the flow run, 3 one ``config_changed`` entry.
Each record names the profile, the digest and its declaration, so that a second try finds the records of the first and
completes it. Until the route exists nothing is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ... import law as laws
from ...core.decide.plan import route_facts, source_facts
from ...core.errors import AuditConflict, Conflict, Invalid, NotFound
from ...core.explain import profile as profiles
from ...core.explain.profile import FormProfile, SpelledDeclaration
from ...core.ids import derived
from ...core.law.decision import STRICTNESS
from ...core.tenant.configuration import Configuration
from ...core.tenant.records import (
    Basis,
    BasisSettings,
    Destination,
    DestinationSettings,
    ProfileReference,
    Recipient,
    RecipientSettings,
    Route,
    RouteSettings,
)
from ...store.records import RecordRow
from ..ask.decisions import snapshot_of
from ..request import Request
from .bases import create_basis
from .changes import invalid, must_exist, noted, wake_held
from .connect import activation_gaps, check_config, checked, create_destination
from .recipients import create_recipient
from .routes import create_route
from .source_law import ALL_CLASSES

Made = tuple[RecordRow, dict[str, Any]]
_Record = Basis | Destination | Recipient | Route


def _destination(request: Request, body: dict[str, Any]) -> Made:
    config = body.pop("config")
    return create_destination(request, checked(DestinationSettings, body, "body"), config)


_MAKES: Mapping[str, tuple[str, type[Any], type[Any], Callable[[Request, dict[str, Any]], Made]]] = {
    "POST /v1/bases": (
        "bas", BasisSettings, Basis,
        lambda request, body: (create_basis(request, checked(BasisSettings, body, "body")), {}),
    ),
    "POST /v1/recipients": (
        "rcp", RecipientSettings, Recipient,
        lambda request, body: (create_recipient(request, checked(RecipientSettings, body, "body")), {}),
    ),
    "POST /v1/destinations": ("dst", DestinationSettings, Destination, _destination),
    "POST /v1/routes": (
        "rte", RouteSettings, Route,
        lambda request, body: (create_route(request, checked(RouteSettings, body, "body")), {}),
    ),
}  # fmt: skip
"""Each call: its ids' prefix, the settings, the record, and the use case that makes it. The same as of a call of its own."""


def of_name(name: str) -> FormProfile:
    """Return a profile.

    Raises:
        NotFound: there is none of this name.
    """
    found = laws.profiles().get(name)
    if found is None:
        raise NotFound("no such profile; GET /v1/profiles lists them")
    return found


def ask(request: Request, profile: FormProfile, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Show the declarations that answers would make, the decision on them, and the digest of both. Nothing is stored.

    Raises:
        Invalid: an answer has the wrong type for its question, or names an unknown record.
    """
    missing = [question.model_dump(mode="json") for question in profiles.unanswered(profile, answers)]
    read = profiles.checked(profile, answers)
    _check_tenant(request, profile, read)
    if missing:
        return {"would_create": [], "decision": None, "missing": missing, "digest": None}
    spelled = profiles.spell(profile, read)
    decision = _decision(request, read["source"], spelled)
    return {
        "would_create": [each.document() for each in spelled],
        "decision": decision,
        "missing": [],
        "digest": profiles.digest(profile, request.tenant.id, spelled, decision),
    }


def _check_tenant(request: Request, profile: FormProfile, answers: Mapping[str, Any]) -> None:
    """Refuse a class of organisation that the tenant has not declared: decisions read the declared one.

    Raises:
        Invalid: with the call that declares it.
    """
    declared = request.tenant.tenant_class
    for question in profile.question:
        given = answers.get(question.name)
        if question.type == "tenant_class" and given not in (None, declared):
            text = f'the tenant is declared as {declared}; PATCH /v1/tenant {{"tenant_class": "{given}"}} changes that'
            raise invalid(f"body.answers.{question.name}", "declared_otherwise", text)


def accept(
    request: Request, profile: FormProfile, answers: Mapping[str, Any], digest: str
) -> list[tuple[_Record, Any]]:
    """Make the shown declarations; return each record and its one-time secrets, in the order of the profile.

    Raises:
        Invalid: a question has no answer, or an answer is not acceptable.
        Conflict: ``digest`` is not the current digest of these answers.
    """
    shown = ask(request, profile, answers)
    if shown["missing"]:
        faults = [_missing(question["name"]) for question in shown["missing"]]
        raise Invalid("answer every question; errors names those without", faults)
    spelled = profiles.spell(profile, profiles.checked(profile, answers))
    found = _made_before(snapshot_of(request).configuration, digest)
    if shown["digest"] != digest and len(found) < len(spelled):
        raise Conflict("accept is not the current digest of these answers; ask again and check the result")
    ids: dict[str, str] = {}
    made: list[tuple[_Record, Any]] = []
    for each in spelled:
        more: dict[str, Any] = {}
        record = found.get(each.name)
        if record is None:
            mark = ProfileReference(name=profile.name, digest=digest, declaration=each.name)
            # Of its own for each declaration, and the same for each try.
            seed = hashlib.sha256(request.seed + each.name.encode()).digest()
            own = replace(request, profile=mark, seed=seed)
            row, more = _MAKES[each.call][3](own, profiles.resolved(each.body, ids))
            record = row.record
        ids[each.name] = record.id
        made.append((record, more))
    _written(request, made, digest)
    wake_held(request)
    return made


def _missing(name: str) -> dict[str, str]:
    return {"loc": f"body.answers.{name}", "code": "missing", "msg": "needs an answer"}


def _made_before(configuration: Configuration, digest: str) -> dict[str, _Record]:
    """Return the records of an earlier try, by declaration."""
    kinds: Sequence[Mapping[str, _Record]] = (
        configuration.recipients, configuration.destinations, configuration.bases, configuration.routes,
    )  # fmt: skip
    records = (record for kind in kinds for record in kind.values())
    return {r.profile.declaration: r for r in records if r.profile is not None and r.profile.digest == digest}


def _written(request: Request, made: Sequence[tuple[_Record, Any]], digest: str) -> None:
    now = snapshot_of(request).configuration

    def without(records: Mapping[str, Any]) -> dict[str, Any]:
        return {id: r for id, r in records.items() if r.profile is None or r.profile.digest != digest}

    before = replace(
        now,
        recipients=without(now.recipients),
        destinations=without(now.destinations),
        bases=without(now.bases),
        routes=without(now.routes),
    )
    # The entry of an earlier try stands, even if the configuration has changed since.
    with suppress(AuditConflict):
        noted(request, made[-1][0].id, "profile", before.hash)


def _decision(request: Request, source_id: str, spelled: Sequence[SpelledDeclaration]) -> dict[str, Any]:
    """Return the decision on every message of the source along the route, as if all declarations were made."""
    must_exist(request, source_id, "src", "body.answers.source")
    now, configuration = request.runtime.now(), snapshot_of(request).configuration
    records: dict[str, dict[str, Any]] = {
        "rcp": dict(configuration.recipients),
        "dst": dict(configuration.destinations),
        "bas": dict(configuration.bases),
        "rte": dict(configuration.routes),
    }
    ids: dict[str, str] = {}
    for each in spelled:
        prefix, settings, record, _ = _MAKES[each.call]
        # Named alike each time, so that the same answers are shown, and stood for, alike.
        ids[each.name] = derived(prefix, "profile", each.name)
        body = profiles.resolved(each.body, ids)
        if prefix == "dst":
            check_config(request, body["kind"], body.pop("config"))
        declared = checked(settings, body, "body.answers")
        if prefix == "rcp" and (gaps := activation_gaps(declared)):
            raise invalid("body.answers", "missing", f"the recipient lacks {', '.join(gaps)}")
        records[prefix][ids[each.name]] = record(**dict(declared), id=ids[each.name], created_at=request.at)
    planned = replace(
        configuration,
        recipients=records["rcp"],
        destinations=records["dst"],
        bases=records["bas"],
        routes=records["rte"],
    )
    decide = request.runtime.decider.decide
    base = source_facts(
        planned, planned.sources[source_id], request.cell, op="store", classes=ALL_CLASSES, now=now, received_at=now
    )
    deliver = decide(route_facts(base, planned, planned.routes[ids[spelled[-1].name]]))
    strictest = max((deliver, decide(base)), key=lambda decision: STRICTNESS[decision.decision])
    return strictest.document()
