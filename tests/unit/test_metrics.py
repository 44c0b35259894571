"""The metrics of a served cell: every metric that the product counts has its name, and the dashboard shows only such."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chalicelib import observe
from chalicelib.core import times
from chalicelib.core.delivery.breaker import BreakerState
from infra.cell import metrics
from infra.cell.census import Census
from infra.cell.metrics import GAUGES, Metrics
from infra.cell.readiness import Readiness
from tests.support.metrics import counted
from tests.support.served import NOW, Engine, cell

DASHBOARD = json.loads((Path(metrics.__file__).parent / "grafana.json").read_text("utf-8"))


class Waiting:
    """Lanes and destinations of a cell that wait."""

    def due_lanes(self, now: Any, limit: int) -> Iterator[tuple[str, str]]:
        yield "tnt_a#dst_a#cnv_a", times.text(NOW.replace(minute=0, hour=11))
        yield "tnt_a#dst_a#cnv_b", times.text(NOW.replace(hour=13))
        for name in ("open", "waking", "slow"):
            yield f"health#tnt_a#dst_{name}", times.text(NOW)

    def get(self, tenant: str, destination: str) -> Any:
        states = {
            "dst_open": BreakerState(opened_at=NOW),
            "dst_waking": BreakerState(wake_at=NOW),
            "dst_slow": BreakerState(not_before=NOW),
        }

        class Stored:
            state = states[destination]

        return Stored


@pytest.fixture
def served() -> Iterator[Metrics]:
    """Metrics of a cell in which every metric of the product was counted once."""
    runtime = cell(Engine())
    for name in ("data", "destination_state"):
        vars(runtime)[name] = Waiting()
    readiness, census = Readiness(runtime), Census(runtime)
    readiness.look()
    census.count()
    made = Metrics(readiness, census)
    observe.record_with(made.record)
    for metric, dimensions in sorted(counted(), key=str):
        if metric.endswith("_s"):
            observe.measure(metric, 42)
        else:
            observe.count(metric, 3, **dict.fromkeys(dimensions, "word"))
    yield made
    observe.record_with(None)


def samples(made: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, headers, body = made.answer()
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(body.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_every_metric_of_the_product_is_shown_and_none_is_written_to_the_log(
    served: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    found = samples(served)

    for metric, dimensions in counted():
        labels = tuple(sorted((name, "word") for name in dimensions))
        if metric.endswith("_s"):
            assert found[f"waybill_{metric.removesuffix('_s')}_seconds_sum", ()] == 42
        else:
            assert found[f"waybill_{metric}_total", labels] == 3
    assert "_aws" not in capsys.readouterr().out


def test_gauges_show_the_last_look_and_the_last_count(served: Metrics) -> None:
    found = samples(served)

    assert found["waybill_queue_messages", (("queue", "inbox"), ("state", "waiting"))] == 3
    assert found["waybill_ready", (("part", "clock"),)] == 1
    assert found["waybill_job_ended_timestamp_seconds", (("job", "sweep"),)] == 1000
    assert found["waybill_lanes", (("state", "due"),)] == found["waybill_lanes", (("state", "waiting"),)] == 1
    assert found["waybill_lane_lag_seconds", ()] == 3600
    assert [found["waybill_breakers", (("state", s),)] for s in ("open", "waking", "waiting")] == [1, 1, 1]
    assert {name for name, _ in found} >= set(GAUGES)


def test_nothing_in_the_metrics_names_a_tenant_or_a_destination(served: Metrics) -> None:
    assert not re.search("(tnt|dst|cnv|evt)_", served.answer()[2].decode())


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_dashboard_asks_for_metrics_and_labels_that_exist(served: Metrics, panel: dict[str, Any]) -> None:
    there: dict[str, set[str]] = {}
    for name, pairs in samples(served):
        there.setdefault(name, set()).update(label for label, _ in pairs)

    assert panel["targets"]
    for target in panel["targets"]:
        asked = re.findall(r"\bwaybill_[a-z_]+", target["expr"])
        labels = {w for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for w in by.split(", ")}
        assert asked
        for name in asked:
            assert name in there, f"{panel['title']}: no metric {name}"
            assert labels <= there[name], f"{panel['title']}: {name} has no {labels - there[name]}"
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels


@pytest.mark.parametrize(
    ("file", "hidden"),
    [
        ("infra/home/Caddyfile", r"handle /metrics \{\s+respond 404\s+\}"),
        ("docs/homes-without-a-region.md", r"location = /metrics \{ return 404; \}"),
    ],
)
def test_proxies_hide_the_metrics_from_the_world(file: str, hidden: str) -> None:
    text = (Path(metrics.__file__).parents[2] / file).read_text("utf-8")

    assert re.search(hidden, text)
