"""``/v1/answer``: who held the data, who received them, and who answers for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from ..core.errors import Invalid
from ..core.log.entry import EventId, Subject
from ..flow.ask import accountability as accountability_flow
from ..flow.pagination import Filter
from .endpoint import ApiCall, Resource, Schema, TimeQuery
from .problems import EndpointResponse

accountability = Resource("accountability", "Accountability")


class AnswerQuery(TimeQuery):
    """The subject of a report: a person, an event or a period. An old event needs ``after`` and ``before`` too."""

    limit: int = Field(default=20, ge=1, le=100)
    subject: Subject | None = None
    event: EventId | None = None


class ShownParty(Schema):
    """A legal person. Its name and contact are null if its record was deleted."""

    kind: Literal["tenant", "operator", "recipient"]
    id: str | None
    legal_name: str | None
    contact: str | None
    country: str | None


class ShownAccount(Schema):
    """The lines of a report about one event, or about one act without an event."""

    event: str | None
    at: str
    subjects: list[str]
    conversation: str | None
    lines: list[dict[str, Any]]


class ShownDuty(Schema):
    """The parties that answer for a duty under a law. One party is accountable."""

    op: str
    law: str
    accountable: ShownParty
    responsible: list[ShownParty]
    jointly: list[ShownParty]
    told: list[ShownParty]
    ref: str


class ShownAnswer(Schema):
    """A page of an accountability report. Each line names its matrix of ``responsibility``."""

    made_at: str
    asked_by: dict[str, str]
    cell: dict[str, str]
    tenant: ShownParty
    operator: ShownParty
    laws: list[str]
    data: list[ShownAccount]
    responsibility: dict[str, list[ShownDuty]]
    limits: list[str]
    next: str | None


def _wrong(text: str, place: str) -> Invalid:
    return Invalid(text, [{"loc": f"query.{place}", "code": "one_form", "msg": text}])


def _wanted(asked: AnswerQuery) -> Filter:
    if asked.subject is not None and asked.event is not None:
        raise _wrong("ask about one thing: subject, event, or after and before", "event")
    if asked.subject is not None and (asked.after is not None or asked.before is not None):
        raise _wrong("an answer about a person takes no after and before", "subject")
    if asked.subject is None and asked.event is None and (asked.after is None or asked.before is None):
        raise _wrong("give subject, or event, or both after and before", "after")
    if asked.after is not None and asked.before is not None and asked.before <= asked.after:
        raise _wrong("before must be later than after", "before")
    return Filter(after=asked.after, before=asked.before)


@accountability.endpoint(
    "GET", "/v1/answer", operation_id="get_accountability_report", scope="audit", query=AnswerQuery, answer=ShownAnswer
)
def show(call: ApiCall) -> EndpointResponse:
    """Report who held data, who received them and who is accountable.

    Ask about one person, one event or one period.
    """
    asked, wanted = call.query, _wanted(call.query)
    request = call.request
    if asked.subject is not None:
        steps = accountability_flow.of_subject(request, asked.subject, call.position())
    elif asked.event is not None:
        steps = accountability_flow.of_event(request, asked.event, wanted, call.position())
    else:
        steps = accountability_flow.of_period(request, wanted, call.position())
    found = call.listed(steps)
    shown = accountability_flow.page(request, found.body["data"])
    limits = {"first_person"} if asked.subject is not None else {"event_time"} if asked.event is None else set()
    shown["limits"] = sorted({*shown["limits"], *limits})
    return replace(found, body={**shown, "next": found.body["next"]})


RESOURCES = (accountability,)
