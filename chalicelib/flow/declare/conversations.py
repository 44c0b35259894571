"""Take a conversation off the record or back on, and list its intervals.

1 the conversation → 2 the law → 3 the tenant's mark, from which on hooks looks → 4 the interval → 5 the entry. An interval names
the request that began or ended it, so that a retry after a crash writes the missing entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...core import times
from ...core.decide.off_record import forbidden_by
from ...core.errors import NotFound, OffRecordForbidden
from ...core.log import audit
from ...core.log.entry_types import Act
from ...core.tenant.intervals import Change, Interval, Intervals, is_off_record, is_open, turned
from ...core.tenant.operational import source_id
from ..request import Request
from .changes import invalid

INTERVALS_MAX = 200
"""Of one conversation: the door reads all of them with each of its webhooks."""


def _place(request: Request, conversation: str) -> tuple[str, str]:
    found = request.runtime.people.conversation(request.tenant.id, conversation)
    if found is None or found[1] == source_id(request.tenant.id):
        raise NotFound("no such conversation")
    return found


def intervals_of(request: Request, conversation: str) -> Intervals:
    """Return when a conversation was off the record, oldest first.

    Raises:
        NotFound: the tenant has no such conversation.
    """
    return request.runtime.off_record_intervals.of(_place(request, conversation)[0])


def turn(request: Request, conversation: str, off_record: bool) -> Intervals:
    """Take a conversation off the record, or back on, ``core.tenant.intervals.EFFECT`` from now; repeating it changes nothing.

    Raises:
        NotFound: the tenant has no such conversation.
        OffRecordForbidden: the law forbids it.
        Invalid: it has been off the record too often.
    """
    runtime, tenant = request.runtime, request.tenant.id
    place, source = _place(request, conversation)  # 1
    if off_record:
        _ask(request, source)  # 2
        runtime.off_record_intervals.expect(tenant)  # 3
    # Not the request's own time: what counts is when the mark was there.
    change = Change(at=times.parse(times.text(runtime.now())), actor=request.actor, request=request.id)

    def step(before: Intervals) -> Intervals:
        after = turned(before, off_record, change)
        if len(after) > INTERVALS_MAX:
            raise invalid(
                "body.otr", "too_many", f"a conversation has at most {INTERVALS_MAX} intervals off the record"
            )
        return after

    after = runtime.off_record_intervals.change(tenant, conversation, place, step)  # 4
    if after:
        _note(request, conversation, after[-1])  # 5
    return after


def _ask(request: Request, source: str) -> None:
    configuration = request.runtime.config.snapshot(request.tenant.id).configuration
    declared = configuration.sources.get(source)
    if declared is None:
        raise NotFound("no such conversation")
    runtime = request.runtime
    rules = forbidden_by(configuration, declared, runtime.cell, runtime.decider.decide, request.at)
    if rules:
        articles = ", ".join(rule["ref"] for rule in rules)
        raise OffRecordForbidden(f"the law wants this conversation on the record: {articles}", rules, ())


def _note(request: Request, conversation: str, interval: Interval) -> None:
    def entry(change: Change, until: datetime | None, reason: str) -> Act:
        return audit.act(
            "config_changed",
            tenant=request.tenant.id,
            minute=times.minute(change.at),
            at=change.at,
            actor=change.actor,
            request=change.request,
            object=("conversation", conversation),
            range={
                "after": times.text(interval.since),
                "before": times.text(until) if until else None,
                "count": None,
            },
            reason=reason,
        )

    request.runtime.audit.append(
        entry(interval.on, None, "enabled")
    )  # an earlier try may have crashed before this entry
    if interval.off is not None:
        request.runtime.audit.append(entry(interval.off, interval.until, "disabled"))


def shown(request: Request, conversation: str, intervals: Intervals) -> Mapping[str, Any]:
    """Return a conversation as the API shows it."""
    now = request.runtime.now()
    last = intervals[-1] if intervals else None
    return {
        "conversation": conversation,
        "otr": is_open(intervals),
        "since": times.text(last.until or last.since) if last is not None else None,
        "now": is_off_record(intervals, now),
        "intervals": [
            {"since": times.text(i.since), "until": times.text(i.until) if i.until is not None else None}
            for i in intervals
        ],
    }
