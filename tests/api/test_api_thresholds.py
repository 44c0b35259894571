"""Legal thresholds over the API, and the file that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest

from chalicelib import law
from chalicelib.core.errors import Misconfigured
from chalicelib.core.law.fact_fields import SHAPE, FactField, Node
from chalicelib.core.law.thresholds import load
from chalicelib.core.law.volumes import COUNTERS
from tests.support.api_cell import RECIPIENT, SOURCE, Api


def counted(tenant: Api) -> dict[str, int]:
    rows: list[dict[str, Any]] = tenant.get("/v1/thresholds").json["data"]
    return {row["id"]: row["count"] for row in rows if row["count"]}


def test_every_threshold_is_listed_when_nobody_was_counted(tenant: Api) -> None:
    page = tenant.get("/v1/thresholds?limit=5").json
    rest = tenant.get(f"/v1/thresholds?cursor={page['next']}").json

    ids = [row["id"] for row in (*page["data"], *rest["data"])]
    assert ids == sorted(row.id for row in law.thresholds())
    assert all(row["count"] == row["percent"] == 0 and not row["near"] and row["ref"] for row in page["data"])
    assert [row["id"] for row in rest["data"] if not row["settled"]] == ["US.identifiers.100000"]


def test_people_are_counted_once_each_when_they_write(tenant: Api) -> None:
    tenant.connect(source={**SOURCE, "subject_country": "CN"})

    for number, chat in enumerate((1, 2, 1, 3)):
        tenant.hook(number=number, chat=chat)

    assert counted(tenant) == {"CN.100000": 3, "CN.1000000": 3}


def test_people_are_counted_by_what_their_events_hold(tenant: Api) -> None:
    tenant.connect(source={**SOURCE, "subject_country": "US"})

    tenant.hook(number=1, chat=1)

    assert counted(tenant) == {"US.identifiers.100000": 1}


def test_nobody_is_counted_where_no_law_counts(tenant: Api) -> None:
    tenant.connect()

    tenant.hook()

    assert counted(tenant) == {}


def test_preflight_knows_that_a_transfer_is_exempt_when_few_people_were_counted(tenant: Api) -> None:
    tenant.connect({**RECIPIENT, "legal_name": "Far"}, {**SOURCE, "subject_country": "CN"})

    (flow,) = tenant.get("/v1/preflight").json["data"]

    assert [gap["path"] for gap in flow["missing"] if gap["path"].startswith(("volumes", "basis:CN.38"))] == []
    assert [gap["path"] for gap in flow["missing"] if "CN." in gap["path"]] != []  # the consent and the assessment


def test_the_list_says_what_the_rules_say() -> None:
    rows = {(row.law, row.counter, row.number): row for row in law.thresholds()}
    text = law.texts()["cn.toml"]

    assert law.installed().bulk == {row.counter: row.reached_at for (code, _, _), row in rows.items() if code == "US"}
    assert all(row.reached == "above" for (code, _, _), row in rows.items() if code == "US")
    for _, counter, number in (key for key in rows if key[0] == "CN"):
        assert f'"volumes.CN.{counter}" = {{lt = {number}}}' in text


def test_counters_are_those_that_facts_may_have() -> None:
    volumes = SHAPE["volumes"]
    assert isinstance(volumes, Node)

    for code, node in volumes.fields.items():
        assert isinstance(node, Node)
        leaves: Mapping[str, FactField | Node] = node.fields
        assert [c.name for c in COUNTERS[code]] == list(leaves)


ONE = (files(law.__name__) / "thresholds.toml").read_text(encoding="utf-8").split("[[threshold]]")[1]


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ('counter = "subjects_ytd"', 'counter = "people"'),
        ('law = "RU"', 'law = "XX"'),
        ("number = 1_000", 'number = "many"'),
        ('reached = "at"', 'reached = "about"'),
        ("settled = true", ""),
        ("settled = true", "settled = true\n[[threshold]]" + ONE),
        ("settled = true", "settled = "),
    ],
)
def test_refused_when_the_file_of_thresholds_has_a_fault(line: str, instead: str) -> None:
    assert len(load("[[threshold]]" + ONE)) == 1

    with pytest.raises(Misconfigured):
        load("[[threshold]]" + ONE.replace(line, instead))
