"""The consent that would lift a hold: its content, and whether any consent could lift the hold. Pure.

The law itself answers which holds a consent could lift. It decides again with a hypothetical consent, first with one that
states as little as possible. A hypothetical consent is never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..tenant.configuration import Configuration
from ..tenant.consents import Documents, Grounds, assumed, leaving, reached
from ..tenant.records import Route
from .plan import Decide, Facts, RouteDecision, judge, route_facts, with_grounds

FORMS: tuple[Mapping[str, bool], ...] = (
    {"separate_document": False, "written": False, "special": False},
    {"separate_document": True, "written": False, "special": False},
    {"separate_document": True, "written": True, "special": False},
    {"separate_document": True, "written": True, "special": True},
)
"""How a consent may be given, from the least to the most that a law asks for."""


@dataclass(frozen=True)
class ConsentRequest:
    """The scope that a consent needs to count for one route, the form it needs, and the rules that ask for it."""

    recipient: str
    routes: frozenset[str]
    purposes: frozenset[str]
    classes: frozenset[str]
    countries: frozenset[str]
    rules: frozenset[tuple[str, str]]
    form: Mapping[str, bool]

    def and_(self, other: ConsentRequest) -> ConsentRequest:
        """Return one request that counts for both routes; both have the same recipient."""
        return ConsentRequest(
            self.recipient,
            self.routes | other.routes,
            self.purposes | other.purposes,
            self.classes | other.classes,
            self.countries | other.countries,
            self.rules | other.rules,
            {name: value or other.form[name] for name, value in self.form.items()},
        )

    def document(self) -> dict[str, Any]:
        """Return the request as the tenant gets it: refs, enums and articles."""
        return {
            "recipient": self.recipient,
            "routes": sorted(self.routes),
            "purposes": sorted(self.purposes),
            "classes": sorted(self.classes),
            "countries": sorted(self.countries),
            "rules": [{"id": id, "ref": ref} for id, ref in sorted(self.rules)],
            "laws": sorted({id.partition(".")[0] for id, _ in self.rules}),
            **self.form,
        }


def _joined(*grounds: Grounds) -> Grounds:
    def of(route: str | None, facts: Mapping[str, Any]) -> Documents:
        return tuple(document for one in grounds for document in one(route, facts))

    return of


def _lifts(before: RouteDecision, after: RouteDecision) -> bool:
    if after.verdict in ("allowed", "redacted"):
        return True
    return after.verdict == "held" and bool(set(before.missing) - set(after.missing))


def wanted(
    configuration: Configuration, route: Route, base: Facts, decide: Decide, grounds: Grounds
) -> ConsentRequest | None:
    """Return the consent of an event's person that would help a held transfer on.

    Args:
        base: the facts of storing the event, without consents.
        grounds: the consents that the person has given already.

    Returns:
        None where nothing is held, no consent helps, or the needed scope is unknown.
    """
    facts = route_facts(base, configuration, route)
    countries, facts_now = reached(facts), with_grounds(base, None, grounds)
    stored = decide(facts_now)
    held = judge(configuration, route, stored, facts_now, decide, grounds=grounds)
    if held.verdict != "held" or None in countries or not countries:
        return None
    tried: list[tuple[tuple[bool, int], Mapping[str, bool], RouteDecision, bool]] = []
    for form in FORMS:
        given = _joined(grounds, assumed(form, route.id))
        facts_then = with_grounds(base, None, given)
        stored_then = decide(facts_then)
        then = judge(configuration, route, stored_then, facts_then, decide, grounds=given)
        if _lifts(held, then):
            rank = then.verdict == "held", len(then.missing)
            tried.append((rank, form, then, bool(set(stored.missing) - set(stored_then.missing))))
    if not tried:
        return None
    _, form, then, stores = min(tried, key=lambda one: one[0])  # the first of equals says the least
    classes, purposes = leaving(facts), {route.purpose}
    if stores:
        classes, purposes = classes | set(base["data"]["classes"]), purposes | {base["purpose"]}
        countries = countries | {base["store"]["country"], *base["store"]["copies"]}
    if not classes - {"technical"}:
        return None
    still = {r["id"] for r in then.rules} if then.verdict == "held" else set()
    asking = [r for r in held.rules if r["id"] not in still] or list(held.rules)
    return ConsentRequest(
        recipient=facts["recipient"]["id"],
        routes=frozenset({route.id}),
        purposes=frozenset(purposes),
        classes=frozenset(classes - {"technical"}),
        countries=frozenset(str(c) for c in countries),
        rules=frozenset((r["id"], r["ref"]) for r in asking),
        form=form,
    )


def by_recipient(found: Iterable[ConsentRequest | None]) -> list[ConsentRequest]:
    """Join the requests for the routes of one event, one for each recipient, in order of their ids."""
    joined: dict[str, ConsentRequest] = {}
    for one in found:
        if one is not None:
            before = joined.get(one.recipient)
            joined[one.recipient] = one if before is None else before.and_(one)
    return [joined[id] for id in sorted(joined)]
