"""The local cell's own door for results of jobs: a link is good for its object, its name and its time, and for nothing else."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from threading import Thread

import pytest

from infra.cell.local_server import LocalServer


@pytest.fixture
def door() -> Iterator[LocalServer]:
    server = LocalServer(("127.0.0.1", 0), None)
    server.export = lambda key: f"content of {key}".encode()
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(link: str) -> tuple[int, bytes, str | None]:
    try:
        with urllib.request.urlopen(link, timeout=60) as answer:
            return answer.status, answer.read(), answer.headers["Content-Disposition"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(), None


def test_the_object_is_given_under_its_name_when_the_link_is_good(door: LocalServer) -> None:
    link = door.link("bundles/job_1.tar", "log.tar", 900)

    assert fetched(link) == (200, b"content of bundles/job_1.tar", 'attachment; filename="log.tar"')


@pytest.mark.parametrize(
    ("old", "new"),
    [("job_1", "job_2"), ("log.tar", "other.tar"), ("expires=", "expires=9"), ("mac=", "mac=0"), ("key=", "no=")],
)
def test_nothing_is_given_when_the_link_was_altered(door: LocalServer, old: str, new: str) -> None:
    link = door.link("bundles/job_1.tar", "log.tar", 900)

    status, body, _ = fetched(link.replace(old, new))

    assert (status, b"content" in body) == (403, False)


def test_nothing_is_given_when_the_link_is_too_old(door: LocalServer) -> None:
    assert fetched(door.link("bundles/job_1.tar", "log.tar", -1))[0] == 403


def test_nothing_is_given_when_another_door_made_the_link(door: LocalServer) -> None:
    other = LocalServer(("127.0.0.1", 0), None)
    link = other.link("bundles/job_1.tar", "log.tar", 900)
    other.server_close()

    assert fetched(link.replace(f":{other.server_address[1]}/", f":{door.server_address[1]}/"))[0] == 403
