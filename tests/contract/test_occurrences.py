"""Two occurrences have two names, one occurrence has one, where the platform gives no id of the occurrence itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from chalicelib.channels import CHANNELS
from chalicelib.channels.base import Inbound, judge
from tests.contract.channels.cases import FIXTURES, Case, cases, raw_body

REPEATED_AFTER = timedelta(seconds=1)


class Another(NamedTuple):
    """A request that is another occurrence than a fixture's: one text of its body is another."""

    fixture: str
    what: str
    text: str
    another: str


ANOTHER: tuple[Another, ...] = (
    Another("slack/batch-two-choices", "trigger", "91.3", "91.4"),
    Another("slack/view-closed", "view", "V01", "V02"),
    Another("slack/view-closed", "kind", "view_closed", "view_submission"),
    Another("slack/odd-no-event-id", "text", "Guten Tag", "Gute Nacht"),
    Another("slack/odd-no-event-id", "person", "U0GUEST", "U0HOST"),
    Another("slack/dialog", "value", "Graz", "Linz"),
    Another("discord/lobby-message-edited", "kind", "MESSAGE_UPDATE", "MESSAGE_DELETE"),
    Another("discord/lobby-message-edited", "time", "30:00.123456", "30:01.123456"),
    Another("discord/lobby-message-edited", "message", '"911"', '"912"'),
    Another("discord/authorised", "person", "80351110224678913", "80351110224678914"),
    Another("discord/authorised", "kind", "APPLICATION_AUTHORIZED", "APPLICATION_DEAUTHORIZED"),
    Another("discord/odd-no-id", "person", "80351110224678913", "80351110224678914"),
    Another("teams/typing", "person", "29:1Zq-kunde", "29:2Zq-kunde"),
    Another("teams/typing", "time", "29:58.1234567Z", "29:59.1234567Z"),
    Another("teams/installed", "kind", '"add"', '"remove"'),
    Another("teams/edited", "time", "29:58.1234567Z", "29:59.1234567Z"),
    Another("teams/edited", "kind", "messageUpdate", "messageDelete"),
    Another("teams/deleted", "time", "29:58.1234567Z", "29:59.1234567Z"),
    Another("google_chat/button", "person", "users/1180002", "users/1180003"),
    Another("google_chat/button", "value", '"value": "3"', '"value": "4"'),
    Another("google_chat/button", "function", "water", "weed"),
    Another("google_chat/button", "time", "29:58.123456Z", "29:59.123456Z"),
    Another("google_chat/add-on-button", "input", "late", "early"),
    Another("google_chat/app-command", "command", '"appCommandId": 12', '"appCommandId": 13'),
    Another("google_chat/app-command", "person", "users/1180002", "users/1180003"),
    Another("google_chat/added", "kind", "ADDED_TO_SPACE", "REMOVED_FROM_SPACE"),
    Another("google_chat/added", "space", "spaces/beetBB", "spaces/beetCC"),
    Another("matrix/read", "person", "@zoya:plum.example", "@ira:plum.example"),
    Another("matrix/read", "message", "$e0", "$e1"),
    Another("matrix/redacted", "redaction", "$r", "$s"),
    Another("rocketchat/edited", "text", "слива!", "слива?"),
    Another("rocketchat/edited", "message", "m1plum", "m2plum"),
    Another("rocketchat/edited", "kind", '"isEdited": true', '"isEdited": false'),
    Another("rocketchat/odd-no-message-id", "person", "uZoya", "uIra"),
    Another("mattermost/odd-no-post-id", "person", "user_id=uuuuu", "user_id=vvvvv"),
    Another("freshchat/conversation-reopen", "time", "30:00.250Z", "30:01.250Z"),
    Another("freshchat/conversation-reopen", "conversation", "fcv-1", "fcv-2"),
    Another("freshchat/odd-no-time", "person", "fu-9", "fu-8"),
)


def case_of(fixture: str) -> Case:
    kind, name = fixture.split("/")
    return next(case for case in cases(kind) if case.name == name)


def names(case: Case, request: Inbound) -> set[str]:
    """Return the names of a request's occurrences; its proof is left aside, as another body has another one."""
    return {draft.dedupe_id for draft in judge(CHANNELS[case.kind], request, case.secret).drafts}


def test_occurrences_are_of_fixtures() -> None:
    assert [one.fixture for one in ANOTHER if not (FIXTURES / f"{one.fixture}.json").exists()] == []


@pytest.mark.parametrize("fixture", sorted({one.fixture for one in ANOTHER}))
def test_name_is_the_same_when_a_request_is_repeated(fixture: str) -> None:
    case = case_of(fixture)
    request = case.request()

    repeated = replace(request, now=request.now + REPEATED_AFTER)

    assert names(case, repeated) == names(case, request) != set()


@pytest.mark.parametrize("one", ANOTHER, ids=lambda one: f"{one.fixture}-{one.what}")
def test_name_is_another_when_an_occurrence_is_another(one: Another) -> None:
    case, body = case_of(one.fixture), raw_body(case_of(one.fixture).fixture)
    assert one.text.encode() in body

    changed = replace(case.request(), body=body.replace(one.text.encode(), one.another.encode()))

    assert names(case, changed) != set()
    assert names(case, changed) & names(case, case.request()) == set()


def test_name_of_an_edit_is_another_when_it_goes_back_to_an_earlier_text() -> None:
    first = case_of("rocketchat/edited")
    request = first.request()

    later = replace(request, now=request.now + timedelta(minutes=1))

    assert names(first, later) & names(first, request) == set()
