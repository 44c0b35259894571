"""A log over the API in the layout of tlog-tiles: an outsider needs nothing but the prefix, a key and a verifier key."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from chalicelib.core.errors import AuditBroken
from chalicelib.core.log import merkle, note, tiles
from chalicelib.core.log.tiles import Tile
from tests.support.api_cell import Answer, Api
from tests.support.sealed import acts, seal_at_once

SIZE, EARLIER = 600, 300
"""Two full tiles and a partial one; at the earlier size one and another."""


@pytest.fixture(scope="module", params=[False, True], ids=["bundles", "compact"])
def log(cell: Api, request: pytest.FixtureRequest) -> Iterator[Api]:
    """A tenant whose log of this year has ``SIZE`` entries, in two seals."""
    cell.runtime.settings = replace(cell.runtime.settings, evidence_compact=request.param)
    tenant = cell.new_tenant()
    seal_at_once(tenant, acts(tenant.made["tenant"], tenant.clock.at, 0, EARLIER))
    seal_at_once(tenant, acts(tenant.made["tenant"], tenant.clock.at, EARLIER, SIZE))
    yield tenant
    cell.runtime.settings = replace(cell.runtime.settings, evidence_compact=False)


def get(api: Api, path: str, **headers: Any) -> Answer:
    return api.call("GET", f"/v1/audit/logs/{api.clock.at.year}/{path}", **headers)


def content(answer: Answer) -> bytes:
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "application/octet-stream"
    return base64.b64decode(answer.text, validate=True)


def head(api: Api) -> note.Checkpoint:
    answer = get(api, "checkpoint")
    key = note.parse_vkey(api.get("/v1/audit/keys").json["data"][0]["vkey"])
    signed = note.parse_note(answer.text.encode())
    assert signed.check([key]) == {key}
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return note.parse_checkpoint(signed.text)


def test_a_monitor_gets_the_signed_root_from_tiles_and_the_tiles_from_entries(log: Api) -> None:
    signed = head(log)
    assert signed.size == SIZE
    hashes: list[bytes] = []
    for index in range(3):
        width = min(256, SIZE - 256 * index)
        entries = tiles.unbundle(content(get(log, tiles.entries_path(index, width))))
        tile = content(get(log, Tile(0, index, width).path))
        assert tiles.hashes_of(tile) == [merkle.leaf_hash(entry) for entry in entries]
        hashes += tiles.hashes_of(tile)
    assert merkle.root(hashes) == signed.root

    node = tiles.node_from(cache(lambda tile: content(get(log, tile.path))), SIZE)
    for index in (0, 255, 256, 511, 512, 599):
        merkle.verify_inclusion(index, SIZE, hashes[index], merkle.inclusion_proof(index, SIZE, node), signed.root)
    before = merkle.root(hashes[:EARLIER])
    merkle.verify_consistency(EARLIER, SIZE, before, signed.root, merkle.consistency_proof(EARLIER, SIZE, node))
    with pytest.raises(AuditBroken):
        merkle.verify_consistency(
            EARLIER, SIZE, signed.root, signed.root, merkle.consistency_proof(EARLIER, SIZE, node)
        )


def test_partial_tiles_of_every_published_size_are_served(log: Api) -> None:
    leaves = tiles.hashes_of(content(get(log, "tile/0/001")))

    assert tiles.hashes_of(content(get(log, "tile/0/001.p/44"))) == leaves[:44]  # of the earlier checkpoint
    assert content(get(log, "tile/1/000.p/1")) == content(get(log, "tile/1/000.p/2"))[:32]


def test_a_tile_may_be_kept_for_long_by_its_reader_alone(log: Api) -> None:
    assert get(log, "tile/0/000").headers["Cache-Control"] == "private, max-age=31536000, immutable"


def test_entries_come_compressed_when_the_reader_takes_that(log: Api) -> None:
    plain = get(log, "tile/entries/000")
    smaller = get(log, "tile/entries/000", accept_encoding="br, gzip;q=0.5")

    assert "Content-Encoding" not in plain.headers
    assert smaller.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(content(smaller)) == content(plain)
    assert len(smaller.text) < len(plain.text) / 3


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002",  # not full yet
        "tile/0/002.p/89",  # wider than the log
        "tile/0/003.p/1",
        "tile/1/000",
        "tile/1/000.p/3",
        "tile/2/000.p/1",
        "tile/entries/002",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/0/000/000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/%30%30%300",
        "tile/0/x001/x001/x001/x001/000",
    ],
)
def test_a_path_is_not_found_when_the_log_has_no_such_tile(log: Api, path: str) -> None:
    answer = get(log, path)

    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("year", ["2001", "26", "logs", "20260"])
def test_a_log_is_not_found_when_it_has_no_entries(log: Api, year: str) -> None:
    for path in ("checkpoint", "tile/0/000", "tile/entries/000.p/1"):
        assert log.get(f"/v1/audit/logs/{year}/{path}").status == 404


def test_a_log_is_not_shown_to_another_tenant_or_without_the_scope(log: Api) -> None:
    other = Api(log.runtime, log.operator_key, log.clock, log.engine).new_tenant()
    reader = log.with_key(scopes=["read"])

    assert get(other, "tile/0/000").status == 404
    for path in ("checkpoint", "tile/0/000", "tile/entries/000"):
        assert get(reader, path).status == 403
        assert get(log, path, Authorization="").status == 401
