"""A complete home from its pinned packages: made, killed part by part, upgraded, backed up, restored and moved. ``make home``.

The commands are those of ``compose.yaml`` and of the systemd units.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.demo.gateway import Gateway, JourneyError
from infra.demo.sink import Sink
from tests.home.parts import PARTS, ROOT, Home, pause
from tests.home.traffic import Traffic, verify
from tests.support.shop import Shop, shop

pytestmark = pytest.mark.home


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


def trust(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process's requests trust a home's certificates, and no others."""
    monkeypatch.setenv("SSL_CERT_FILE", str(home.authority))
    monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers the authorities before


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    trust(made, monkeypatch)
    yield made
    made.down()


def tenant(home: Home, sink: Sink) -> Shop:
    """Create a tenant that sends all messages to the sink."""
    return shop(Gateway(home.url), sink, home.key())


def test_nothing_is_lost_when_each_part_is_killed(home: Home, sink: Sink) -> None:
    home.up()
    assert "fit to serve: dynoxide in RU" in home.run("init")
    assert {path.stat().st_mode & 0o77 for path in (home.folder, *home.folder.iterdir())} == {0}
    one = tenant(home, sink)

    with Traffic(home.url, one, sink) as traffic:
        for part in ("store", "objects", "serve", "proxy"):
            pause(2)
            home.kill(part)
            pause(1)
            home.start(part)
        pause(2)
    print(traffic.judge())
    with traffic:
        pause(2)
        home.kill("queues")
        pause(1)
        home.start("queues")
        pause(2)

    print(traffic.judge(ordered=False))
    assert traffic.refused
    assert verify(one, home.folder.parent) >= 2 * traffic.count
    said = "".join(home.log(part).read_text("utf-8") for part in PARTS)
    secrets = [
        one.secret["secret_token"],
        one.tenant.key,
        home.key(),
        *(t for c in traffic.accepted.values() for t in c),
    ]
    assert [secret for secret in secrets if secret in said] == []


def test_nothing_is_lost_when_the_home_is_upgraded(home: Home, sink: Sink) -> None:
    commit = tomllib.loads((ROOT / "tests" / "fixtures" / "previous_release.toml").read_text("utf-8"))["commit"]
    home.source = home.folder.parent / "previous"
    home.source.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(home.source)], input=archive, check=True)
    home.changes = {"WAYBILL_ENGINE": "alternator", "SERVE_HEALTH": "/healthz"}  # what the release before has
    now, home.source = home.source, ROOT
    home.run("prepare")
    home.start("store", "queues", "objects")
    home.run("init")
    home.source = now
    home.start("serve", "proxy")
    one = tenant(home, sink)

    with Traffic(home.url, one, sink) as traffic:
        pause(4)
        home.source, home.changes = ROOT, {}
        home.stop("serve")
        home.run("init")
        home.start("serve")
        pause(4)

    print(traffic.judge())
    verify(one, home.folder.parent)


def test_nothing_is_lost_when_the_home_moves(home: Home, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    home.up()
    one = tenant(home, sink)
    with Traffic(home.url, one, sink) as traffic:
        pause(3)
    home.down()

    moved = Home(home.folder.parent / "moved", ports=home.ports)
    subprocess.run(["cp", "-a", str(home.folder), str(moved.folder)], check=True)
    shutil.rmtree(home.folder)
    trust(moved, monkeypatch)
    moved.up()
    try:
        with traffic:
            pause(3)

        print(traffic.judge(ordered=False))
        verify(one, home.folder.parent)
    finally:
        moved.down()


def sealed(home: Home) -> dict[str, bytes]:
    """Read the objects of the evidence bucket, by name."""
    bucket = home.folder / "objects" / "buckets" / "waybill-home1-evidence"
    return {str(path.relative_to(bucket)): path.read_bytes() for path in bucket.rglob("*") if path.is_file()}


def test_evidence_comes_back_from_a_backup_and_tenants_begin_again(
    home: Home, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.up()
    one = tenant(home, sink)
    with Traffic(home.url, one, sink) as traffic:
        pause(3)
    traffic.judge()
    verify(one, home.folder.parent)
    backup = home.folder.parent / "backup"
    assert "stop the cell first" in home.run("backup", str(backup), code=1)
    home.stop("serve")
    home.run("backup", str(backup))
    before = sealed(home)
    assert before
    keys = {name: (home.folder / "keys" / name).read_bytes() for name in ("seal.seed", "master.key", "operator.sha256")}
    operator = home.key()
    home.down()
    shutil.rmtree(home.folder)

    machine = Home(home.folder.parent / "empty", ports=home.ports)
    trust(machine, monkeypatch)
    (machine.folder / "keys").mkdir(mode=0o700, parents=True)
    for name, content in keys.items():
        (machine.folder / "keys" / name).touch(0o600)
        (machine.folder / "keys" / name).write_bytes(content)
    machine.run("prepare")
    machine.run("restore", str(backup))
    machine.up()
    try:
        # The keys of tenants and people are gone: the restored log is the operator's, and tenants begin again.
        with pytest.raises(JourneyError, match="no such tenant"):
            one.tenant("GET", "/v1/audit/entries")
        assert sealed(machine).items() >= before.items()
        another = shop(Gateway(home.url), sink, operator)
        with Traffic(home.url, another, sink) as fresh:
            pause(2)
        print(fresh.judge())
        verify(another, home.folder.parent)
    finally:
        machine.down()
