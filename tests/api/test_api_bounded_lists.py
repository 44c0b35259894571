"""What one request for a list may cost, however far back it asks."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store import entries as store_entries
from chalicelib.store.entries import Entries
from tests.support.api_cell import Api, acts

LONG_AGO = "2000-01-01T00:00:00Z"
SUBJECT = "sub_" + "0" * 26


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The logs that are queried, one for each query."""
    made: list[str] = []
    query = Entries._query

    def counted(self: Entries, log: str, **more: Any) -> Any:
        made.append(log)
        return query(self, log, **more)

    monkeypatch.setattr(Entries, "_query", counted)
    return made


@pytest.mark.parametrize("path", ["/v1/audit/entries", f"/v1/audit/entries?subject={SUBJECT}"])
def test_request_makes_few_queries_however_far_back_it_asks(tenant: Api, calls: list[str], path: str) -> None:
    tenant.connect()
    calls.clear()

    answer = tenant.get(f"{path}{'&' if '?' in path else '?'}after={LONG_AGO}")

    assert answer.status == 200
    assert 0 < len(calls) <= store_entries.PAGE_CALLS + 10
    assert set(calls) <= {f"{year:04d}" for year in range(tenant.clock.at.year - 1, tenant.clock.at.year + 2)}


def test_list_from_long_ago_comes_to_every_entry_in_the_end(tenant: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant.connect()
    monkeypatch.setattr(store_entries, "PAGE_CALLS", 20)
    after, found, cursor = f"{tenant.clock.at.year - 1}-06-01T00:00:00Z", 0, ""

    for _ in range(200):
        page = tenant.get(
            "/v1/audit/entries", after=after, kind="config_changed", **({"cursor": cursor} if cursor else {})
        )
        found += len(page.json["data"])
        cursor = page.json["next"]
        if cursor is None:
            break

    assert cursor is None and found == len(acts(tenant)) > 0
