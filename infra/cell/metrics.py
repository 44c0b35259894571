"""``GET /metrics``: the metrics of a served cell in Prometheus' text format.

The names of all that the product counts begin with ``waybill_``. No label is a tenant, a destination or a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from .census import Census
from .local_server import Response
from .readiness import GOOD, Readiness

PREFIX: Final = "waybill_"
SECONDS: Final = (1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400)
"""The buckets of durations: a seal is due after minutes, and a lag of hours is a fault."""
GAUGES: Final = {
    "waybill_queue_messages": ("Messages of each queue, by state", ("queue", "state")),
    "waybill_ready": ("1 if this part of the cell is good, as at /readyz", ("part",)),
    "waybill_job_ended_timestamp_seconds": ("When a job last completed, in seconds since 1970", ("job",)),
    "waybill_lanes": ("Lanes in which deliveries wait, by state", ("state",)),
    "waybill_lane_lag_seconds": ("For how long the oldest due lane has been due", ()),
    "waybill_breakers": ("Destinations that take no deliveries now, or only some, by state", ("state",)),
}
"""The gauges, with their help and labels."""


class _Gauges(Collector):
    """Gauges of the last look and the last census; a scrape waits for no engine."""

    def __init__(self, readiness: Readiness, census: Census) -> None:
        self._readiness = readiness
        self._census = census

    def collect(self) -> Iterable[GaugeMetricFamily]:
        readiness, census = self._readiness, self._census
        found: dict[str, list[tuple[tuple[str, ...], float]]] = {
            "waybill_queue_messages": [
                ((queue, state), number)
                for queue, depths in readiness.depths.items()
                for state, number in depths.items()
            ],
            "waybill_ready": [((part,), float(found == GOOD)) for part, found in readiness.parts.items()],
            "waybill_job_ended_timestamp_seconds": [((r.name,), r.ended_at / 1000) for r in readiness.runs],
            "waybill_lanes": [((state,), number) for state, number in census.lanes.items()],
            "waybill_lane_lag_seconds": [((), census.lag_s)],
            "waybill_breakers": [((state,), number) for state, number in census.breakers.items()],
        }
        for name, (told, labels) in GAUGES.items():
            family = GaugeMetricFamily(name, told, labels=labels)
            for values, number in found[name]:
                family.add_metric(values, number)
            yield family


class Metrics:
    """The metrics of one process. Prometheus adds those of several."""

    def __init__(self, readiness: Readiness, census: Census) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gauges(readiness, census))
        self._made: dict[str, Counter | Histogram] = {}

    def record(self, metric: str, number: float, unit: str, dimensions: Mapping[str, str]) -> None:
        """Add to a metric as the product counts it; it appears with its first value."""
        made = self._made.get(metric)
        if made is None:
            made = self._made[metric] = self._make(metric, unit, tuple(dimensions))
        one = made.labels(**dimensions) if dimensions else made
        if isinstance(one, Histogram):
            one.observe(number)
        else:
            one.inc(number)

    def _make(self, metric: str, unit: str, labels: tuple[str, ...]) -> Counter | Histogram:
        told = f"The metric {metric} of docs/operations.md"
        if unit == "Seconds":
            return Histogram(name_of(metric), told, labels, registry=self._registry, buckets=SECONDS)
        return Counter(name_of(metric), told, labels, registry=self._registry)

    def answer(self) -> Response:
        """Answer a scrape."""
        return 200, {"content-type": CONTENT_TYPE_PLAIN_0_0_4}, generate_latest(self._registry)


def name_of(metric: str) -> str:
    """Return the name that a metric of the product has here. A counter's samples end in ``_total``."""
    return PREFIX + (metric.removesuffix("_s") + "_seconds" if metric.endswith("_s") else metric)
