"""The reason why an event's content is restricted instead of erased, stored in the event's row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..core import times
from .items import Item


@dataclass(frozen=True)
class Restriction:
    """The ground of the request to erase, and the rules that demand the content; it is gone when ``until`` comes."""

    until: datetime
    ground: str
    rules: tuple[Mapping[str, str], ...]


def read(item: Item) -> Restriction | None:
    """Read the restriction of an event's row; None where there is none."""
    if "restricted" not in item:
        return None
    told = json.loads(item["restricted"])
    return Restriction(times.parse(told["until"]), told["ground"], tuple(told["rules"]))


def write(why: Restriction) -> str:
    """Write what ``read`` reads."""
    rules = [{"id": r["id"], "verdict": r["verdict"], "ref": r["ref"]} for r in why.rules]
    return json.dumps({"until": times.text(why.until), "ground": why.ground, "rules": rules})
