"""Where the commands send an API key: to the cell that was named, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.client import connection, fetch
from infra.client.report.asking import Cell, NotAnswered
from tests.fixtures.destinations.vendor import Reply, Request, Vendor, running

AFTER, BEFORE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


class Elsewhere(Vendor):
    """Whoever a redirect leads to."""

    def answer(self, request: Request) -> Reply:
        return Reply(200, {"data": [], "next": None})


class Redirecting(Vendor):
    """Redirects every request; a bundle's job is done, and its result is at ``place``."""

    def __init__(self, to: str, status: int, place: str | None = None) -> None:
        super().__init__()
        self.to, self.status, self.place = to, status, place

    def answer(self, request: Request) -> Reply:
        if self.place is not None and request.method == "POST":
            return Reply(202, {"id": "job_1", "state": "done", "url": self.place})
        return Reply(self.status, None, {"Location": f"{self.to}{request.path}"})


@pytest.fixture
def elsewhere() -> Iterator[Vendor]:
    with running(Elsewhere()) as vendor:
        yield vendor


def fetched(url: str, folder: Path) -> None:
    list(fetch.bundles(url, "wb_key", AFTER, BEFORE, folder, lambda _: None))


def asked(url: str, folder: Path) -> None:
    Cell(url, "wb_key", lambda _: None).get("/v1/answer")


@pytest.mark.parametrize("send", [fetched, asked])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_the_key_goes_nowhere(
    elsewhere: Vendor, tmp_path: Path, send: Callable[[str, Path], None], status: int
) -> None:
    with running(Redirecting(elsewhere.url, status)) as cell, pytest.raises((fetch.NotFetched, NotAnswered)):
        send(cell.url, tmp_path)

    assert elsewhere.requests == []


@pytest.mark.parametrize("place", ["file:///etc/hostname", "http://localhost.evil.example/x", "ftp://127.0.0.1/x"])
def test_bundle_is_not_read_from_an_unsafe_address(tmp_path: Path, place: str) -> None:
    with running(Redirecting("", 302, place)) as cell, pytest.raises(fetch.NotFetched):
        fetched(cell.url, tmp_path)

    assert list(tmp_path.iterdir()) == []


UNSAFE: tuple[Any, ...] = (
    *("http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example"),
    *("http://evil.example", "ftp://127.0.0.1", "file:///x", "https://", "https://user@cell.example", "", "http://[x"),
    *("http://localhost@evil.example", "//cell.example", "https://cell.example/#x"),
)


@pytest.mark.parametrize("url", UNSAFE)
def test_address_is_refused_before_anything_is_sent(tmp_path: Path, url: str) -> None:
    assert not connection.is_safe(url)
    for send in (fetched, asked):
        with pytest.raises((fetch.NotFetched, NotAnswered)):
            send(url, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "https://cell.example",
        "https://cell.example:8443/api",
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_address_is_taken_when_it_is_of_https_or_of_this_machine(url: str) -> None:
    assert connection.is_safe(url)
