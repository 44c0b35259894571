"""A source takes or leaves receipts, typing, standby and ignored things; nothing else is ever left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.channels.base import Ignored, ReceivedRequest, Reply
from chalicelib.core.event.event import Draft, EventKind, Message
from chalicelib.core.tenant.records import ACCEPTED, Source
from chalicelib.flow.hooks.choice import chosen

AT = datetime(2026, 3, 2, tzinfo=UTC)


def status(word: Any) -> Draft:
    return Draft(kind=EventKind.STATUS, native_kind=word, dedupe_id=word, message=Message(id="m", status=word))


DRAFTS = (
    *(status(word) for word in ("queued", "sent", "delivered", "read", "failed", "rejected", "deleted")),
    Draft(kind=EventKind.TYPING, native_kind="typing", dedupe_id="typing"),
    Draft(kind=EventKind.MESSAGE, native_kind="standby", dedupe_id="standby", standby=True),
    Draft(kind=EventKind.MESSAGE, native_kind="message", dedupe_id="message"),
)
IGNORED = (Ignored("account_update", "not about a conversation", {"a": 1}), Ignored("other", "no object"))
KEPT = ["failed", "rejected", "deleted", "message"]
RECEIPTS = ["queued", "sent", "delivered", "read"]


def source(*accepts: Any) -> Source:
    return Source(channel="telegram", name="s", accepts=accepts, id="src_1", created_at=AT)


def received() -> ReceivedRequest:
    return ReceivedRequest("accepted", Reply(), DRAFTS, IGNORED)


@pytest.mark.parametrize(
    ("accepts", "taken"),
    [
        ((), KEPT),
        (("receipts",), [*RECEIPTS, *KEPT]),
        (("typing",), [*KEPT, "typing"]),
        (("standby",), [*KEPT, "standby"]),
        (ACCEPTED, [draft.native_kind for draft in DRAFTS]),
        ((*ACCEPTED, "ignored"), [*(draft.native_kind for draft in DRAFTS), "account_update"]),
    ],
)
def test_source_gets_what_it_accepts(accepts: tuple[Any, ...], taken: list[str]) -> None:
    result = chosen(source(*accepts), received())

    assert sorted(draft.native_kind for draft in result.drafts) == sorted(taken)
    assert len(result.drafts) + len(result.ignored) == len(DRAFTS) + len(IGNORED)
    assert result.verdict == "accepted"


def test_ignored_thing_is_a_system_event_with_its_object_when_the_source_takes_it() -> None:
    (kept,) = chosen(source("ignored"), ReceivedRequest("ignored", Reply(), (), IGNORED)).drafts

    assert (kept.kind, kept.native_kind, kept.raw, kept.is_raw) == (EventKind.SYSTEM, "account_update", {"a": 1}, True)
    assert kept.dedupe_id.startswith("sha256:")


def test_request_is_ignored_when_the_source_takes_nothing_of_it() -> None:
    result = chosen(source(), ReceivedRequest("accepted", Reply(), (status("read"),)))

    assert (result.verdict, result.drafts) == ("ignored", ())
    assert [one.reason for one in result.ignored] == ["the source does not take receipts"]


@pytest.mark.parametrize("verdict", ["handshake", "rejected", "malformed"])
def test_other_verdicts_stay(verdict: Any) -> None:
    given = ReceivedRequest(verdict, Reply(401))

    assert chosen(source(), given) is given
