"""What-if: a draft is asked about past transfers, and reports exactly those that it would have changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.commands.preflight import read
from chalicelib.commands.what_if import as_text, draft
from chalicelib.core import times
from chalicelib.core.decide.plan import plan, routes_of
from chalicelib.core.explain.what_if import WhatIfReport, since
from chalicelib.core.law.residency import Decider
from chalicelib.core.tenant.records import Route
from chalicelib.core.verify.redecide import configuration_of
from chalicelib.law import installed, texts
from infra.client import fetch
from tests.support.nord import IN_RUSSIA, NORD

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
BEGAN = NOW - timedelta(days=30)
DRAFT = """# A draft: one messenger is prohibited for people in Russia.
code = "RU-DRAFT"
countries = ["RU"]
reach = ["subject"]
time_zone = "Europe/Moscow"
gate = false

[[rule]]
id = "RU-DRAFT.1"
title = "A bill would forbid it"
title_ru = "Законопроект это запрещает"
ref = "draft bill, art. 1"
effective_from = 2020-01-01
effective_to = "open"
source = "draft"
checked_on = 2026-11-22
confidence = "unsure"
settled = false
kind = "forbid"
when = {delivers = true, channel = "whatsapp"}
effect = "deny"
"""


class Past:
    """Transfers that were decided by the installed law, as the log describes them."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.configurations: dict[str, Any] = {}
        self.decider = Decider(installed())

    def add(
        self,
        text: Any,
        channel: Any = "telegram",
        subject: Any = "RU",
        at: Any = NOW - timedelta(days=1),
        classes: Any = ("content",),
        country: Any = "RU",
    ) -> Any:
        planned = read(text, at)
        (source,) = planned.configuration.sources.values()
        source = source.model_copy(update={"channel": channel, "subject_country": subject, "id": "src_" + "0" * 26})
        route = Route(
            id="rte_" + "0" * 26,
            created_at=BEGAN,
            name="r",
            pattern={"kind": ["message"]},
            destination="crm",
            purpose="customer_support",
        )
        configuration = replace(planned.configuration, sources={source.id: source}, routes={route.id: route})
        number = len(self.entries)
        document = {"id": f"evt_{number:026d}", "kind": "message"}
        received = {"minute": 0, "received_at": at, "now": at}
        made = plan(document, list(classes), configuration, source, planned.cell, self.decider.decide, **received)
        self.configurations[configuration.hash] = configuration.document
        self.entries.append(
            {
                "kind": "decided",
                "id": f"ent_{number:026d}",
                "at": times.text(at),
                "config_hash": configuration.hash,
                "facts": made.facts,
                "receipt": {
                    "source": source.id,
                    "classes": sorted(classes),
                    "received_at": times.text(at),
                    "store": {"region": planned.cell.region, "country": planned.cell.country},
                },
                "routes": [
                    {**route, "transfer": f"trf_{number:026d}"} for route in routes_of(made.transfers)
                ],
            }
        )  # fmt: skip
        return self.entries[-1]["routes"][0]["decision"]

    def under(self, law: Any) -> Any:
        found = WhatIfReport(Decider(law).decide, self.configuration, BEGAN, NOW)
        for entry in self.entries:
            found.take(entry)
        return found.report()

    def configuration(self, digest: Any) -> Any:
        return configuration_of(self.configurations[digest]) if digest in self.configurations else None


def folder(tmp_path: Any, text: Any = DRAFT) -> Any:
    (tmp_path / "ru_draft.toml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def past() -> Any:
    made = Past()
    lawful = IN_RUSSIA.replace(
        'entity_country = "DE"\nprocessing_countries = ["DE"]', 'entity_country = "RU"\nprocessing_countries = ["RU"]'
    )
    lawful += '\n[[basis]]\nkind = "consent"\nlaw = "RU"\nrecipient = "crm"\nvalid_from = 2026-01-01\nevidence = "sha256:ab"\nwritten = true\nseparate_document = true\n'
    assert made.add(lawful, channel="vk") == "allowed"
    assert made.add(lawful, channel="whatsapp") in ("allowed", "held", "refused")
    assert made.add(lawful, channel="whatsapp", at=NOW - timedelta(days=40)) in ("allowed", "held", "refused")
    assert made.add(NORD, channel="whatsapp", subject="DE") == "allowed"
    return made


def test_draft_reports_exactly_the_transfers_that_it_forbids_when_a_channel_is_forbidden(
    past: Any, tmp_path: Path
) -> None:
    before = past.entries[1]["routes"][0]["decision"]

    report = past.under(draft(folder(tmp_path)))

    assert report["changed"] == [
        {"rule": "RU-DRAFT.1", "from": before, "to": "refused", "count": 1, "by_country": {"RU": 1}, "recipients": ["crm"]}
    ]  # fmt: skip
    assert (report["decided"], report["would_deny"], report["would_hold"], report["not_decided"]) == (3, 1, 0, 0)
    assert "RU-DRAFT.1" in as_text(report)


def test_nothing_changes_when_the_draft_is_the_law_itself(past: Any, tmp_path: Path) -> None:
    report = past.under(draft(tmp_path))

    assert (report["changed"], report["decided"]) == ([], 3)
    assert as_text(report).endswith("Nothing would change.")


def test_old_rule_is_named_when_a_draft_is_milder(past: Any, tmp_path: Path) -> None:
    abroad = NORD.replace('processing_countries = ["DE"]', 'processing_countries = ["US"]')
    assert past.add(abroad, subject="DE") == "held"
    milder = texts()["eu.toml"].replace(
        "adequate = [", 'adequate = [\n  {from = 2020-01-01, to = "open", confidence = "unsure", countries = "US"},', 1
    )
    assert milder != texts()["eu.toml"]
    (tmp_path / "eu.toml").write_text(milder, encoding="utf-8")

    (change,) = past.under(draft(tmp_path))["changed"]

    assert (change["rule"], change["from"], change["to"]) == ("EU.44", "held", "allowed")


def test_last_decision_counts_when_a_transfer_was_decided_twice(past: Any, tmp_path: Path) -> None:
    first = past.entries[1]
    later = {**first, "id": "ent_" + "9" * 26, "routes": [{**first["routes"][0], "decision": "refused"}]}
    past.entries.append(later)

    report = past.under(draft(folder(tmp_path)))

    assert (report["changed"], report["decided"]) == ([], 3)


def test_transfer_is_not_decided_when_its_configuration_is_not_there_or_a_switch_refused_it(
    past: Any, tmp_path: Path
) -> None:
    past.entries[0]["config_hash"] = "0" * 64
    past.entries[3]["routes"][0]["rules"] = [
        {"id": "TENANT.switch", "verdict": "refused", "ref": "tenant's own switch"}
    ]

    report = past.under(draft(tmp_path))

    assert (report["decided"], report["not_decided"], report["changed"]) == (1, 2, [])


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["telegram", "whatsapp", "vk", "line"]),
            st.sampled_from(["DE", "RU", "TR", "JP", None]),
            st.sampled_from(["DE", "US", "RU", "GB"]),
            st.sets(st.sampled_from(["identifier", "content", "media", "technical"]), min_size=1),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_identical_pack_changes_nothing_whatever_was_decided(rows: Any) -> None:
    made = Past()
    for channel, subject, to, classes in rows:
        text = NORD.replace('processing_countries = ["DE"]', f'processing_countries = ["{to}"]')
        made.add(text, channel=channel, subject=subject, classes=sorted(classes))

    report = made.under(installed())

    assert (report["changed"], report["not_decided"], report["decided"]) == ([], 0, len(rows))


@pytest.mark.parametrize(
    ("text", "at"),
    [("PT24H", "2026-11-21"), ("P30D", "2026-10-23"), ("P9M", "2026-02-22"), ("P1Y", "2025-11-22")],
)
def test_period_is_counted_back_when_it_is_one(text: Any, at: Any) -> None:
    assert since(text, NOW).isoformat().startswith(at)


@pytest.mark.parametrize("text", ["P5WD", "30", "P-1D", ""])
def test_period_is_refused_when_it_is_none(text: Any) -> None:
    with pytest.raises(ValueError, match="period"):
        since(text, NOW)


# From a cell


class Cell(BaseHTTPRequestHandler):
    """A cell that makes a bundle of this year, after a moment, and knows no other year."""

    asked: list[str]
    year = "2026"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append(body)
        known = f'"log": "{self.year}"' in body and self.headers["Authorization"] == "Bearer wb_key"
        self.answer(202 if known else 404, '{"id": "job_1", "state": "queued", "url": null}')

    def do_GET(self) -> Any:
        if self.path == "/result":
            return self.answer(200, "the tar")
        host = f"http://127.0.0.1:{self.connection.getsockname()[1]}"
        return self.answer(200, f'{{"id": "job_1", "state": "done", "url": "{host}/result"}}')

    def answer(self, status: Any, text: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def cell() -> Iterator[Any]:
    Cell.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cell)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_bundle_of_each_year_is_fetched_when_the_cell_has_one(cell: Any, tmp_path: Path) -> None:
    waited: list[Any] = []

    files = list(fetch.bundles(cell, "wb_key", NOW - timedelta(days=365), NOW, tmp_path, waited.append))

    assert [(f.name, f.read_text()) for f in files] == [("2026.tar", "the tar")]
    assert len(Cell.asked) == 2 and waited == [fetch.POLL_S]


@pytest.mark.parametrize("url", ["http://elsewhere.example", "file:///etc/passwd", "http://127.0.0.1:1"])
def test_nothing_is_fetched_when_the_address_is_not_one_to_send_a_key_to(url: Any, tmp_path: Path) -> None:
    with pytest.raises(fetch.NotFetched) as refused:
        list(fetch.bundles(url, "wb_key", BEGAN, NOW, tmp_path, lambda _: None))

    assert "wb_key" not in str(refused.value)
