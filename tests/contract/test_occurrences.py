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
    Another("telegram/odd-no-update-id", "text", '"text": "x"', '"text": "y"'),
    Another("telegram/odd-no-update-id", "person", '"id": 5550001, "is_bot"', '"id": 5550002, "is_bot"'),
    Another("vk/odd-no-event-id", "text", '"text": "x"', '"text": "y"'),
    Another("vk/odd-no-event-id", "person", "60606", "60607"),
    Another("max/user-added", "person", '"user_id": 660022', '"user_id": 660023'),
    Another("max/user-added", "kind", "user_added", "user_removed"),
    Another("max/user-added", "chat", "-709", "-710"),
    Another("max/voice-without-message", "time", "1772443800000", "1772443800001"),
    Another("max/forwarded-without-body", "text", "Чужие слова", "Другие слова"),
    Another("ok/button", "person", "user:570000000077", "user:570000000078"),
    Another("ok/button", "payload", '"pears"', '"plums"'),
    Another("ok/button", "time", "1772443800000", "1772443800001"),
    Another("ok/chat-changed-without-words", "person", "user:570000000077", "user:570000000078"),
    Another("avito/unknown-payload-of-a-chat", "kind", "chat_read_v2", "chat_left_v2"),
    Another("line/batch-of-presses-of-an-old-version", "payload", '"data"', '"date"'),
    Another("line/batch-of-presses-of-an-old-version", "person", "Uguest01", "Uguest02"),
    Another("wechat/event-click", "key", "MENU_JUJUBE", "MENU_PEAR"),
    Another("wechat/event-click", "event", "CLICK", "SCAN"),
    Another("wechat/event-click", "event", "CLICK", "LOCATION"),
    Another("wechat/event-click", "person", "oJuj-u_be1", "oJuj-u_be2"),
    Another("wechat/event-position", "event", "LOCATION", "subscribe"),
    Another("wechat/odd-no-id", "text", "CDATA[x]", "CDATA[y]"),
    Another("messenger/postback-without-mid", "person", '"24680"', '"999"'),
    Another("messenger/postback-without-mid", "payload", '"START"', '"OTHER"'),
    Another("messenger/postback-without-mid", "time", "1772443800000", "1772443800001"),
    Another("messenger/referral", "person", '"24680"', '"999"'),
    Another("messenger/referral", "link", "window-7", "window-8"),
    Another("messenger/optin", "person", '"24680"', '"999"'),
    Another("messenger/optin", "title", "Harvest", "Other"),
    Another("messenger/notifications-stopped", "choice", "STOP NOT", "RESUME NOT"),
    Another("messenger/reaction", "person", '"24680"', '"999"'),
    Another("messenger/reaction", "time", "1772443800000", "1772443800001"),
    Another("messenger/edited", "time", "1772443800000", "1772443800001"),
    Another("messenger/handover", "person", '"24680"', '"999"'),
    Another("messenger/odd-no-mid", "text", '"text": "x"', '"text": "y"'),
    Another("instagram/postback-without-mid", "person", '"5551212"', '"999"'),
    Another("instagram/postback-without-mid", "payload", '"START"', '"OTHER"'),
    Another("instagram/postback-without-mid", "time", "1772443800000", "1772443800001"),
    Another("instagram/referral", "person", '"5551212"', '"999"'),
    Another("instagram/referral", "link", "window-7", "window-8"),
    Another("instagram/optin", "person", '"5551212"', '"999"'),
    Another("instagram/optin", "title", "Harvest", "Other"),
    Another("instagram/notifications-stopped", "choice", "STOP NOT", "RESUME NOT"),
    Another("instagram/reaction", "person", '"5551212"', '"999"'),
    Another("instagram/reaction", "time", "1772443800000", "1772443800001"),
    Another("instagram/edited", "time", "1772443800000", "1772443800001"),
    Another("instagram/handover", "person", '"5551212"', '"999"'),
    Another("instagram/odd-no-mid", "text", '"text": "x"', '"text": "y"'),
    Another("signal/text", "person", "5b1d4f7e", "5b1d4f7f"),
    Another("signal/text", "device", '"sourceDevice": 2', '"sourceDevice": 3'),
    Another("signal/text", "time", "1772443800077", "1772443800076"),
    Another("signal/odd-no-source", "text", '"message": "x"', '"message": "y"'),
    Another("twilio/status-read", "status", "MessageStatus=read", "MessageStatus=sent"),
    Another("twilio/odd-no-sid", "text", "Body=x", "Body=y"),
    Another("twilio/odd-no-sid", "person", "491709200017", "491709200018"),
    Another("twilio/conversation-joined", "person", "491709200017", "491709200018"),
    Another("twilio/conversation-joined", "kind", "onParticipantAdded", "onParticipantRemoved"),
    Another("twilio/conversation-text-edited", "time", "09%3A31", "09%3A32"),
    Another("twilio/conversation-delivered", "status", "Status=delivered", "Status=read"),
    Another("viber/delivered", "kind", '"delivered"', '"seen"'),
    Another("viber/odd-no-token", "text", '"text": "x"', '"text": "y"'),
    Another("viber/odd-no-token", "person", "pL+m/8==", "pL+m/9=="),
    Another("vonage/status-read", "status", '"read"', '"delivered"'),
    Another("vonage/odd-sms-without-id", "text", "Gr", "Tr"),
    Another("vonage/odd-sms-without-id", "person", "491709200017", "491709200018"),
    Another("whatsapp/status-read", "status", '"read"', '"delivered"'),
    Another(
        "whatsapp/status-in-group",
        "person",
        '"recipient_participant_id": "393330001"',
        '"recipient_participant_id": "393330009"',
    ),
    Another("whatsapp/group-joined", "person", "393330001", "393330009"),
    Another("whatsapp/group-joined", "time", "1772443800", "1772443801"),
    Another("whatsapp/group-created", "request", "rq2", "rq9"),
    Another("whatsapp/marketing-stopped", "choice", '"stop"', '"resume"'),
    Another("whatsapp/marketing-stopped", "person", "393330001", "393330009"),
    Another("whatsapp/marketing-stopped", "time", "1772443850", "1772443851"),
    Another("whatsapp/user-id-updated", "id", "IT.900100200999", "IT.900100200888"),
    Another("whatsapp/call-ended", "event", "terminate", "connect"),
    Another("whatsapp/odd-no-id", "text", '"body": "uno"', '"body": "due"'),
    Another("whatsapp/odd-no-id", "person", "393330001", "393330009"),
    Another("zalo/delivered", "kind", "user_received_message", "user_seen_message"),
    Another("zalo/reaction", "person", "60771", "60772"),
    Another("zalo/reaction", "time", "1772443798123", "1772443798124"),
    Another("zalo/followed", "person", "60771", "60772"),
    Another("zalo/followed", "kind", '"follow"', '"unfollow"'),
    Another("zalo/group-joined", "person", '"60772"', '"60773"'),
    Another("zalo/odd-no-id", "text", '"text": "x"', '"text": "y"'),
    Another("messenger/read", "mark", '"watermark": 1', '"watermark": 2'),
    Another("bitrix24_openlines/edited", "time", "ts=1772443802", "ts=1772443803"),
    Another("bitrix24_openlines/edited", "message", "=86313", "=86314"),
    Another("bitrix24_openlines/edited", "person", "user%5D%5Bid%5D=599", "user%5D%5Bid%5D=598"),
    Another("bitrix24_openlines/reaction", "kind", "action%5D=add", "action%5D=delete"),
    Another("bitrix24_openlines/reaction", "value", "=like", "=kiss"),
    Another("bitrix24_openlines/command", "command", "=%2Fhelp&", "=%2Fstop&"),
    Another("bitrix24_openlines/dialog-started", "kind", "DIALOGSTART", "DIALOGFINISH"),
    Another("bitrix24_openlines/dialog-started", "session", "=3282", "=3283"),
    Another("bitrix24_openlines/session-started", "time", "ts=1772443802", "ts=1772443803"),
    Another("bitrix24_openlines/deleted", "message", "=86313", "=86314"),
    Another("intercom/text", "conversation", '"id": "147"', '"id": "148"'),
    Another("intercom/assigned", "notification", "notif_0013", "notif_0099"),
    Another("intercom/part-redacted", "part", '"4412"', '"4413"'),
    Another("livechat/edited", "message", "PZ070E_3", "PZ070E_4"),
    Another("livechat/button", "value", '"id": "yes"', '"id": "no"'),
    Another("livechat/button", "person", "0c7eff79", "1c7eff79"),
    Another("livechat/seen", "time", "30:00.877000Z", "30:01.877000Z"),
    Another("livechat/user-added", "kind", "user_added_to_chat", "user_removed_from_chat"),
    Another("livechat/chat-ended", "thread", '"PZ070E"', '"QZ070E"'),
)

DELIVERED_AGAIN: tuple[Another, ...] = (
    Another("messenger/postback-without-mid", "time of the delivery", "1772443800100", "1772443899999"),
    Another("instagram/postback-without-mid", "time of the delivery", "1772443800100", "1772443899999"),
    Another("twilio/conversation-joined", "count of deliveries", "RetryCount=0", "RetryCount=1"),
    Another("vonage/odd-sms-without-id", "time of the signature", "1772443800", "1772443899"),
    Another("whatsapp/marketing-stopped", "name beside it", "Ospite 3", "Ospite Tre"),
)
"""Parts of a request that can differ between the repeats of one occurrence."""


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


def with_text(one: Another) -> Inbound:
    """Return the fixture's request with the other text, in its body or in the query of one without a body."""
    request, body = case_of(one.fixture).request(), raw_body(case_of(one.fixture).fixture)
    if body:
        assert one.text.encode() in body
        return replace(request, body=body.replace(one.text.encode(), one.another.encode()))
    query = {name: value.replace(one.text, one.another) for name, value in request.query.items()}
    assert query != request.query
    return replace(request, query=query)


@pytest.mark.parametrize("one", ANOTHER, ids=lambda one: f"{one.fixture}-{one.what}")
def test_name_is_another_when_an_occurrence_is_another(one: Another) -> None:
    case, request = case_of(one.fixture), with_text(one)

    assert names(case, request) != set()
    assert names(case, request) & names(case, case.request()) == set()


@pytest.mark.parametrize("one", DELIVERED_AGAIN, ids=lambda one: f"{one.fixture}-{one.what}")
def test_name_is_the_same_when_only_the_delivery_differs(one: Another) -> None:
    case = case_of(one.fixture)

    assert names(case, with_text(one)) == names(case, case.request()) != set()


def test_name_of_an_edit_is_another_when_it_goes_back_to_an_earlier_text() -> None:
    first = case_of("rocketchat/edited")
    request = first.request()

    later = replace(request, now=request.now + timedelta(minutes=1))

    assert names(first, later) & names(first, request) == set()


def test_second_yes_is_another_occurrence_where_the_platform_never_repeats() -> None:
    first, second = case_of("kakaotalk/yes"), case_of("kakaotalk/yes-again")

    assert raw_body(first.fixture) == raw_body(second.fixture)
    assert names(first, first.request()) & names(second, second.request()) == set()
