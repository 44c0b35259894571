"""The local cell's own door for results of jobs: a link is good for its object, its name and its time, and for nothing else."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

import app
from infra.cell import wsgi
from infra.cell.local_server import ExportLinks


def links(url: str) -> ExportLinks:
    return ExportLinks(url, lambda key: f"content of {key}".encode())


@pytest.fixture
def door() -> Iterator[ExportLinks]:
    served = wsgi.App(app.app)
    server = wsgi.Server(served, "127.0.0.1", 0, threads=1, body_bytes=1000)
    served.exports = links(server.url)
    server.start()
    yield served.exports
    server.stop()


def fetched(link: str) -> tuple[int, bytes, str | None]:
    try:
        with urllib.request.urlopen(link, timeout=60) as answer:
            return answer.status, answer.read(), answer.headers["Content-Disposition"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(), None


def test_the_object_is_given_under_its_name_when_the_link_is_good(door: ExportLinks) -> None:
    link = door.link("bundles/job_1.tar", "log.tar", 900)

    assert fetched(link) == (200, b"content of bundles/job_1.tar", 'attachment; filename="log.tar"')


@pytest.mark.parametrize(
    ("old", "new"),
    [("job_1", "job_2"), ("log.tar", "other.tar"), ("expires=", "expires=9"), ("mac=", "mac=0"), ("key=", "no=")],
)
def test_nothing_is_given_when_the_link_was_altered(door: ExportLinks, old: str, new: str) -> None:
    link = door.link("bundles/job_1.tar", "log.tar", 900)

    status, body, _ = fetched(link.replace(old, new))

    assert (status, b"content" in body) == (403, False)


def test_nothing_is_given_when_the_link_is_too_old(door: ExportLinks) -> None:
    assert fetched(door.link("bundles/job_1.tar", "log.tar", -1))[0] == 403


def test_nothing_is_given_when_another_door_made_the_link(door: ExportLinks) -> None:
    url = door.link("bundles/job_1.tar", "log.tar", 900).partition("/exports/")[0]

    assert fetched(links(url).link("bundles/job_1.tar", "log.tar", 900))[0] == 403
