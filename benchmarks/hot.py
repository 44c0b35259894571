"""The hottest partition key of each table and index, for one tenant at 1,000 events a second.

The real functions run over moto's tables without the wire, as many processes as the rate needs, in turns and on one clock. Each
call is counted by table or index and by partition key. The last second counts: the ones before warm the processes. One event
in six is of a person who is new: 10,000 a minute.

Reads of a table are counted by key, whether a row is there or not, and a query by what it returns, in units of 4 KB. An index
is written where a row enters it, leaves it or changes in it. A refused write counts, since it costs the same.
"""

from __future__ import annotations

import contextlib
import io
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.core.tenant.records import Source
from chalicelib.destinations import vetted
from chalicelib.flow.delivery import deliver
from chalicelib.flow.hooks import http_event, receive
from chalicelib.flow.messages import answer, from_lambda
from chalicelib.flow.routing import route
from chalicelib.runtime import Runtime
from chalicelib.store.region import Clients
from infra.cell import engines, feeders, local
from simulation.memory import KMS, inserted
from simulation.sqs import Sqs
from simulation.tables import Tables

from . import calls, units, warm
from .results import Result

RATE = 1_000
WRITES_BUDGET = 500.0
READS_BUDGET = 1_500.0
"""Half of what one partition of DynamoDB takes.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html (read 2026-11-30).
"""
NEW_IN = 6
"""Each sixth event is of a person who is new."""
KNOWN = 0.8
"""How many people are known, in seconds of the rate: the first second meets them all."""
RUNS_S: Mapping[str, float] = {"receive": 0.012, "route": 0.06, "deliver": 0.15}
"""Assumed: how long one run of a function takes, as in ``prices``."""
READ_BYTES = 4096
START = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)

Key = tuple[int, str, str, str]
"""Second, table or index, ``writes`` or ``reads``, and partition key."""


@dataclass(frozen=True)
class Scenario:
    """A tenant's state.

    Args:
        subject_country: where the people of the source are.
        status: the answer of the destination.
        seconds: how long the scenario runs; the last second counts.
    """

    name: str
    subject_country: str = "DE"
    status: int = 204
    seconds: int = 2


SCENARIOS = (
    Scenario("delivered"),
    Scenario("held, people counted", subject_country="US"),
    Scenario("destination down", status=503, seconds=4),
)


@dataclass
class Heat:
    """Counts of reads and writes by partition key."""

    tables: Mapping[str, Mapping[str, Any]]
    counts: Counter[Key] = field(default_factory=Counter)
    now_s: float = 0.0

    def write(self, table: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """Count one write of a row, and of its entries in indexes."""
        key = (new or old or {})["pk"]["S"]
        self._add(table, "writes", key)
        for index in units.indexes_of(self.tables[table]):
            before, after = _entry(old, index), _entry(new, index)
            for entry in (before, after) if before != after else ():
                if entry is not None:
                    self._add(f"{table}, index {index.name}", "writes", entry[index.keys[0]])

    def read(self, place: str, key: str, number: int = 1) -> None:
        """Count reads."""
        self._add(place, "reads", key, number)

    def _add(self, place: str, kind: str, key: str, number: int = 1) -> None:
        self.counts[int(self.now_s), place, kind, key] += number

    def hottest(self, second: int) -> dict[tuple[str, str], tuple[int, str]]:
        """Return the hottest key of each table and index in a second, for writes and for reads."""
        found: dict[tuple[str, str], tuple[int, str]] = {}
        for (at, place, kind, key), number in self.counts.items():
            if at == second:
                found[place, kind] = max(found.get((place, kind), (0, "")), (number, key))
        return found


def _entry(item: Mapping[str, Any] | None, index: units.Index) -> dict[str, str] | None:
    if item is None or any(name not in item for name in index.keys):
        return None
    return {name: str(item[name]) if name not in index.keys else item[name]["S"] for name in index.projected}


class Counting:
    """DynamoDB whose calls are counted, one at a time."""

    def __init__(self, tables: Tables, heat: Heat) -> None:
        self.meta = tables.meta
        self._tables, self._heat = tables, heat
        self._lock = threading.RLock()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            with self._lock:
                return getattr(self, f"_{operation}")(arguments)

        return call

    def _peek(self, table: str, item: Mapping[str, Any]) -> Mapping[str, Any] | None:
        key = {name: item[name] for name in ("pk", "sk") if name in item}
        found: Mapping[str, Any] | None = self._tables.get_item(TableName=table, Key=key, ConsistentRead=True).get(
            "Item"
        )
        return found

    def _written(self, table: str, key: Mapping[str, Any], act: Callable[[], Any]) -> Any:
        indexed = bool(units.indexes_of(self._heat.tables[table]))
        old = self._peek(table, key) if indexed else key
        try:
            return act()
        finally:
            self._heat.write(table, old or key, (self._peek(table, key) if indexed else key) or None)

    def _inserted(self, table: str, item: Mapping[str, Any], act: Callable[[], Any]) -> Any:
        try:
            answer = act()
        except ClientError:
            self._heat.write(table, item, item)
            raise
        refused = "Error" in (answer.get("Responses") or [{}])[0]
        self._heat.write(table, item if refused else None, item)
        return answer

    def _get_item(self, arguments: Any) -> Any:
        self._heat.read(arguments["TableName"], arguments["Key"]["pk"]["S"])
        return self._tables.get_item(**arguments)

    def _batch_get_item(self, arguments: Any) -> Any:
        for table, request in arguments["RequestItems"].items():
            for key in request["Keys"]:
                self._heat.read(table, key["pk"]["S"])
        return self._tables.batch_get_item(**arguments)

    def _query(self, arguments: Any) -> Any:
        found, table, index = self._tables.query(**arguments), arguments["TableName"], arguments.get("IndexName")
        size = sum(map(units.item_bytes, found["Items"]))
        name = next(v for v in (":p", ":d", ":h", ":s") if v in arguments["ExpressionAttributeValues"])
        key = arguments["ExpressionAttributeValues"][name]["S"]
        self._heat.read(f"{table}, index {index}" if index else table, key, max(1, math.ceil(size / READ_BYTES)))
        return found

    def _put_item(self, arguments: Any) -> Any:
        insert = arguments["ConditionExpression"] == "attribute_not_exists(pk)"
        counted = self._inserted if insert else self._written
        return counted(arguments["TableName"], arguments["Item"], lambda: self._tables.put_item(**arguments))

    def _update_item(self, arguments: Any) -> Any:
        return self._written(arguments["TableName"], arguments["Key"], lambda: self._tables.update_item(**arguments))

    def _delete_item(self, arguments: Any) -> Any:
        return self._written(arguments["TableName"], arguments["Key"], lambda: self._tables.delete_item(**arguments))

    def _batch_execute_statement(self, arguments: Any) -> Any:
        found = []
        for statement in arguments["Statements"]:
            table, item = inserted(statement)
            act = partial(self._tables.batch_execute_statement, Statements=[statement])
            found += self._inserted(table, item, act)["Responses"]
        return {"Responses": found}


class Cell:
    """A cell of many processes with one tenant."""

    def __init__(self, engine: engines.Engine, scenario: Scenario, batch: int, rate: int) -> None:
        created = {str(table["TableName"]): table for table in calls.tables()}
        self.heat, self._batch, self._rate = Heat(created), batch, rate
        self._sqs = Sqs(warm.REGION, lambda: self.heat.now_s, int(START.timestamp() * 1000))
        tables = Tables(engine, warm.REGION, lambda *_: None)
        services = {"dynamodb": Counting(tables, self.heat), "sqs": self._sqs, "kms": KMS(warm.REGION)}
        self._make = lambda service, region: services[service]
        self.warm = warm.Warm(self._make)
        self.warm.at = START
        self._down = scenario.status != 204
        self._declare(scenario)
        numbers = {"receive": rate, "route": rate / batch, "deliver": rate / batch}
        self.processes = {
            stage: [self._process() for _ in range(math.ceil(numbers[stage] * RUNS_S[stage]))] for stage in RUNS_S
        }
        self._turns: Counter[str] = Counter()

    def _declare(self, scenario: Scenario) -> None:
        config = self.warm.runtime.config
        (tenant,) = config.tenants()
        (row,) = config.list(tenant, "src")
        changed: Source = row.record.model_copy(update={"subject_country": scenario.subject_country})
        config.replace(tenant, changed, row.version)
        config.mark_published(tenant, config.snapshot(tenant).configuration.hash)

    def _process(self) -> Runtime:
        return Runtime(
            self.warm.runtime.settings, Clients(warm.REGION, make=self._make),
            now=lambda: START + timedelta(seconds=self.heat.now_s),
            monotonic=lambda: self.heat.now_s,
            sleep=lambda _s: None,
            random=self.warm._random,
        )  # fmt: skip

    def _next(self, stage: str) -> Runtime:
        self._turns[stage] += 1
        processes = self.processes[stage]
        return processes[self._turns[stage] % len(processes)]

    def run(self, seconds: int) -> None:
        """Let so many seconds of events pass through hooks, route and deliver."""
        known = int(KNOWN * self._rate)
        for number in range(seconds * self._rate):
            self.heat.now_s = number / self._rate
            self.warm.at = START + timedelta(seconds=self.heat.now_s)
            chat = number + known if number % NEW_IN == 0 else number % known
            source, request = http_event.request(self.warm.webhook(chat + 1), self.warm.at, "https://hooks.example")
            if http_event.reply(receive.handle(self._next("receive"), source, request))["statusCode"] != 200:
                raise RuntimeError("a webhook was refused")
            if (number + 1) % self._batch == 0:
                self._feed("route", "inbox", lambda runtime, event: answer(route.handle(runtime, from_lambda(event))))
                self._feed("deliver", "outbox", lambda runtime, e: answer(deliver.handle(runtime, from_lambda(e))))

    def _feed(self, stage: str, queue: str, handle: Callable[[Runtime, dict[str, Any]], dict[str, Any]]) -> None:
        url = f"waybill-{warm.CELL}-{queue}.fifo"
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=self._batch)["Messages"]:
            failed = handle(self._next(stage), feeders.sqs_event(messages, warm.REGION, url))["batchItemFailures"]
            if failed and not self._down:
                raise RuntimeError(f"{stage} gave messages back")
            back = {one["itemIdentifier"] for one in failed}
            done = [message for message in messages if message["MessageId"] not in back]
            entries: list[Mapping[str, Any]] = [
                {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(done)
            ]
            self._sqs.delete_message_batch(QueueUrl=url, Entries=entries)


@contextlib.contextmanager
def answering(status: int) -> Iterator[None]:
    """Answer every request to a destination at once, without a connection."""
    real = vetted.request
    vetted.request = lambda *_arguments, **_named: vetted.HttpResponse(status, {}, b"", False)
    try:
        yield
    finally:
        vetted.request = real


def measure(scenario: Scenario, batch: int, rate: int = RATE) -> dict[tuple[str, str], tuple[int, str]]:
    """Return the hottest key of each table and index in one second, as ``Heat.hottest`` does."""
    with engines.moto() as engine, answering(scenario.status), contextlib.redirect_stdout(io.StringIO()):
        local.make_stores(engine, warm.CELL, warm.REGION, warm.COUNTRY)
        cell = Cell(engine, scenario, batch, rate)
        cell.run(scenario.seconds)
        return cell.heat.hottest(scenario.seconds - 1)


def run(quick: bool = False) -> list[Result]:
    """Measure each scenario at batches of 1 and of 10."""
    results = []
    prefix = f"waybill-{warm.CELL}-"
    for scenario in SCENARIOS:
        for batch in (10,) if quick else (10, 1):
            found = measure(scenario, batch)
            for kind, budget in (("writes", WRITES_BUDGET), ("reads", READS_BUDGET)):
                places = {place: number for (place, of), (number, _) in found.items() if of == kind}
                for place, number in sorted(places.items()):
                    name = f"hottest key, {scenario.name}, batch {batch}: {place.removeprefix(prefix)}"
                    results.append(Result(name, number, f"{kind}/s", budget))
    return results
