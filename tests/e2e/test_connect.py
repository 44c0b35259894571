"""``waybill connect`` against a whole cell, whose platform calls the webhook while it is set."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cli
from infra.cell import local
from infra.cell.local_options import Options
from tests.fixtures.destinations.vendor import Reply, Request, running
from tests.fixtures.platforms.base import CANARY
from tests.fixtures.platforms.russian import VkHooks
from tests.support.api_cell import TENANT


class CallingVk(VkHooks):
    """A community that asks the server for its string, as VK does when a server is added."""

    def answer(self, request: Request) -> Reply:
        reply = super().answer(request)
        if request.path.endswith("groups.addCallbackServer"):
            server = self.servers[0]
            event = {"type": "confirmation", "group_id": 777, "secret": server["secret_key"]}
            asked = urllib.request.Request(server["url"], json.dumps(event).encode())
            asked.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(asked, timeout=20) as answer:
                server["status"] = "ok" if answer.read().decode() == self.code else "failed"
        return reply


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[local.Cell]:
    with local.running(Options()) as found:
        body = json.dumps(TENANT).encode()
        headers = {"Authorization": f"Bearer {found.operator_key}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{found.url}/v1/tenants", body, headers)) as answer:
            (tmp_path / "key").write_text(json.load(answer)["key"]["secret"])
        yield found


def test_one_command_makes_a_source_that_its_platform_has_confirmed(
    cell: local.Cell, tmp_path: Path, capsys: Any
) -> None:
    with running(CallingVk()) as community:
        community.code = "fr0mVK"
        (tmp_path / "values").write_text(json.dumps(dict(community.credentials)))
        options = ["--values", str(tmp_path / "values"), "--api-url", community.url, "--keep", "--wait", "20", "--json"]
        code = cli.main(["connect", "vk", "--url", cell.url, "--key-file", str(tmp_path / "key"), *options])

    written = capsys.readouterr()
    assert code == 0, written.err
    result = json.loads(written.out.splitlines()[-1])  # before it are the lines of the cell, which is in this process
    assert (result["subscription"]["state"], result["webhook_received"]) == ("active", True)
    assert community.servers[0]["url"] == result["url"] and community.servers[0]["status"] == "ok"
    assert CANARY not in written.out + written.err
