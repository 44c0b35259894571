"""A route in the mode restrict: the notice's pull link, and pulls by it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from chalicelib.runtime import install
from tests.support.world import World

TEXT = "canary text"
RESTRICTED = {"mode": "restrict"}
US = {"entity_country": "US", "processing_countries": ("US",)}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def told(cell: World, number: int = 1, **changes: Any) -> str:
    """Connect a ``restrict`` route, make a person write, and return the link that its recipient got."""
    cell.connect(**{"route": RESTRICTED, **changes})
    cell.post(number, text=TEXT)
    cell.settle()
    return link(cell)


def link(cell: World) -> str:
    """The link of the notice that came last."""
    return str(cell.receiver.requests[-1][2]["data"]["pull_url"])


def pull(cell: World, url: str, method: str = "GET") -> Answer:
    os.environ.setdefault("WAYBILL_CELL", "local")
    import app
    from chalicelib.api import gateway

    install(cell.runtime)
    base, path, token = url.partition("/pull/")
    assert base == "https://cell.example"
    answer = gateway.handle(app.app, method, path + token, "", [], b"")
    return Answer(answer["statusCode"], dict(answer["headers"]), answer["body"])


def views(cell: World) -> list[dict[str, Any]]:
    return cell.of_kind("viewed")
