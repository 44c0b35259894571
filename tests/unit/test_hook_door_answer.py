"""The hook door's answers, in API Gateway's form."""

from __future__ import annotations

from chalicelib.channels.base import Reply
from chalicelib.flow.hooks import http_event


def test_one_content_type_when_a_channel_sets_its_own() -> None:
    answer = http_event.reply(Reply(200, "<Response/>", {"Content-Type": "text/xml"}))

    assert answer["headers"] == {"content-type": "text/xml"}
    assert answer["body"] == "<Response/>"
