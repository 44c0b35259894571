"""Withdraw a person's consents because of their own act: a STOP, a block, an unsubscription, a setting of the platform.

1 find the consents that stand → 2 the withdrawal's row, and the person's → 3 the entry. A second run finds its own withdrawals
and completes their entries: ids are derived from event and consent. The event itself is decided without the consents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...core import ids, times
from ...core.errors import WaybillError
from ...core.log import audit
from ...core.log.entry_types import Act
from ...core.tenant.consents import Consent, Withdrawal
from ...runtime import Runtime
from ..routed import RoutedEvent

_WORD = re.compile(r"[a-z0-9]+")


def withdraw(runtime: Runtime, works: Iterable[RoutedEvent]) -> dict[str, BaseException]:
    """Withdraw what the one person of each event has withdrawn by it. Return the faults by message.

    An event about several people says nothing of one of them, and a replayed one said it when it came.
    """
    failed: dict[str, BaseException] = {}
    for work in works:
        if not work.consents or not is_withdrawal(work) or work.replayed_by is not None:
            continue
        try:
            work.consents = tuple(_withdrawn(runtime, work, consent) for consent in work.consents)  # 1, 2
            own = [one for one in work.consents if one.withdrawal is not None and one.withdrawal.id == _id(work, one)]
            outcomes = runtime.audit.append_many([_entry(work, one) for one in own])  # 3
            fault = next((outcome for outcome in outcomes if isinstance(outcome, BaseException)), None)
            if fault is not None:
                failed[work.message.id] = fault
        except WaybillError as fault:
            failed[work.message.id] = fault
    return failed


def is_withdrawal(work: RoutedEvent) -> bool:
    """Return whether the event is the act of one person who withdraws consent."""
    said = work.document.get("consent")
    return said is not None and said["state"] == "withdrawn" and len(work.people) == 1


def is_meant(purposes: Iterable[str], topic: str | None) -> bool:
    """Return whether an act that withdraws a topic means a consent with these purposes.

    ``Marketing messages`` means the purposes ``marketing_messages`` and ``marketing``; an act without a topic means all.
    """
    if topic is None:
        return True
    word = "_".join(_WORD.findall(topic.lower()))
    return any(word == purpose or word.startswith(f"{purpose}_") for purpose in purposes)


def _id(work: RoutedEvent, consent: Consent) -> str:
    return ids.derived("cns", work.document["id"], consent.id)


def _withdrawn(runtime: Runtime, work: RoutedEvent, consent: Consent) -> Consent:
    """Return a consent with its withdrawal. One that was given after the act stands, as does one for another purpose."""
    if consent.withdrawal is not None or consent.given_at > work.received_at:
        return consent
    if not is_meant(consent.purposes, work.document["consent"].get("topic")):
        return consent
    end = Withdrawal(id=_id(work, consent), withdraws=consent.id, at=work.received_at, method="message")
    return runtime.consents.withdraw(work.tenant, consent, end)


def _entry(work: RoutedEvent, consent: Consent) -> Act:
    return audit.act(
        "config_changed",
        tenant=work.tenant,
        minute=times.minute(work.received_at),
        at=work.received_at,
        actor=("service", "route"),
        request=work.document["id"],
        subject=consent.subject,
        object=("consent", consent.id),
        reason="withdrawal",
    )
