"""Pull links: the content of a token, and that no one without the tenant's key can make one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core import ids
from chalicelib.core.delivery import links
from chalicelib.core.envelope import TenantKeys

NOW = datetime(2026, 11, 22, 9, 0, 59, 999_000, tzinfo=UTC)
TENANT, TRANSFER = ids.derived("tnt", "a"), ids.derived("trf", "a")
KEY = TenantKeys(b"\x07" * 32).links[0]


def token(hours: int = 24) -> str:
    return links.token(KEY, TENANT, TRANSFER, NOW, hours)


def test_a_token_says_whose_it_is_what_it_leads_to_and_until_when() -> None:
    link = links.read(token())

    assert link is not None
    assert (link.tenant, link.transfer) == (TENANT, TRANSFER)
    assert link.ends_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert link.is_genuine(KEY)


@pytest.mark.parametrize("hours", [1, 24, 72])
def test_a_link_ends_with_a_whole_minute_within_its_hours(hours: int) -> None:
    link = links.read(token(hours))

    assert link is not None
    assert timedelta(0) <= NOW + timedelta(hours=hours) - link.ends_at < timedelta(minutes=1)
    assert link.ends_at.second == 0


def test_a_token_is_the_same_when_it_is_made_again() -> None:
    assert token() == token()
    assert len(token()) == 84


@pytest.mark.parametrize(
    "other", [TenantKeys(b"\x08" * 32).links[0], TenantKeys(b"\x07" * 32).cursors[0], b"", KEY + b"\0" * 33]
)
def test_a_token_is_not_genuine_under_another_key(other: bytes) -> None:
    link = links.read(token())

    assert link is not None
    assert not link.is_genuine(other)


def test_a_token_is_not_genuine_when_it_says_another_tenant_transfer_or_end() -> None:
    for said in (
        links.token(KEY, ids.derived("tnt", "b"), TRANSFER, NOW, 24),
        links.token(KEY, TENANT, ids.derived("trf", "b"), NOW, 24),
        links.token(KEY, TENANT, TRANSFER, NOW, 25),
    ):
        forged = links.read(said[: -ids.LENGTH] + token()[-ids.LENGTH :])

        assert forged is not None
        assert not forged.is_genuine(KEY)


def test_a_link_of_one_use_is_none_of_the_other() -> None:
    restricted = links.read(token())
    large = links.read(links.large_token(KEY, TENANT, TRANSFER, NOW + timedelta(hours=24)))

    assert restricted is not None and large is not None
    assert (restricted.transfer, restricted.ends_at) == (large.transfer, large.ends_at)
    assert [one.use([KEY]) for one in (restricted, large)] == [links.LinkPurpose.RESTRICT, links.LinkPurpose.LARGE]
    assert not large.is_genuine(KEY)
    assert large.use([b"other"]) is None


@pytest.mark.parametrize(
    "text",
    ["", "a", token()[1:], token() + "0", token().upper(), token()[:-1] + "u", token()[:-1] + "é", token() + "\n"],
)
def test_a_text_that_has_not_the_form_of_a_token_is_none(text: str) -> None:
    assert links.read(text) is None


def test_the_last_end_that_a_token_can_say_is_read() -> None:
    link = links.read("z" * 84)

    assert link is not None
    assert link.ends_at.year > 4000
    assert not link.is_genuine(KEY)


def test_a_notice_names_the_event_and_holds_nothing_else_of_it() -> None:
    document = {"id": "evt_1", "kind": "message", "sender": {"name": "canary"}, "message": {"text": "canary"}}

    notice = links.notice(document, "https://cell.example/pull/x")

    assert notice == {"id": "evt_1", "kind": "message", "pull_url": "https://cell.example/pull/x"}
