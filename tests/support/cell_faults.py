"""Faults of a whole cell, by name: how each is brought about, and the alarms that must ring."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.api import endpoint
from chalicelib.core.log import audit
from chalicelib.flow.delivery import attempt
from chalicelib.flow.hooks import http_event, receive
from chalicelib.flow.retention import sweep
from chalicelib.flow.sealing import reconcile
from chalicelib.store.seal_requests import SealTask
from chalicelib.store.signer import KmsSigner
from infra.deploy import tripwire
from tests.support.api_cell import TENANT
from tests.support.logs import act, append
from tests.support.watched import RESOURCES, Died, Watched

Drive = Callable[[Watched], None]
FAULTS: dict[str, tuple[Drive, frozenset[str]]] = {}


def fault(*alarms: str, name: str = "") -> Callable[[Drive], Drive]:
    """Register a fault, and the alarms that it sets off."""

    def register(drive: Drive) -> Drive:
        FAULTS[name or drive.__name__] = drive, frozenset(alarms)
        return drive

    return register


def posts(c: Watched, number: int = 3) -> None:
    """Some people write, a minute apart."""
    for chat in range(number):
        c.post(chat=chat)
        c.w.clock += timedelta(minutes=1)
    c.w.clock += timedelta(minutes=5)


def queued(c: Watched, queue: str) -> None:
    """A message of each queue."""
    c.post()
    if queue != "inbox":
        c.run(1, "route")


def dead(c: Watched, queue: str) -> None:
    """A message lies in a dead-letter queue."""
    queued(c, queue)
    source = {"inbox": c.w.inbox, "outbox": c.w.outbox}[queue]
    target = {"inbox": c.w.dead_inbox, "outbox": c.w.dead_outbox}[queue]
    (message,) = source.receive()
    source.fifo.delete(message.handle, c.w.now_s)
    target.fifo.add(message.body, message.group, message.deduplication, c.w.now_s)


# The doors


@fault("hooks-5xx")
def every_webhook_is_answered_503(c: Watched) -> None:
    c.refuse("send_message", "ThrottlingException", "inbox")
    c.refuse("send_message_batch", "ThrottlingException", "inbox")
    posts(c)


@fault("hooks-5xx")
def a_bug_in_hooks(c: Watched) -> None:
    c.broken(receive, "_handle")
    posts(c)


@fault("hooks-5xx", "hooks-errors")
def hooks_fails_outright(c: Watched) -> None:
    c.broken(http_event, "request")
    posts(c)


@fault("hooks-5xx", "hooks-throttles")
def hooks_is_throttled(c: Watched) -> None:
    c.throttled.add("hooks")
    posts(c)


def calls(c: Watched) -> None:
    """The operator calls the API, again and again."""
    for _ in range(4):
        c.call("POST", "/v1/tenants", TENANT)
    c.w.clock += timedelta(minutes=5)


@fault("api-5xx")
def a_bug_in_the_api(c: Watched) -> None:
    c.broken(endpoint, "identify")
    calls(c)


@fault("api-5xx", "api-errors")
def the_api_fails_outright(c: Watched) -> None:
    c.broken(endpoint, "identify", Died)
    calls(c)


@fault("api-5xx", "api-throttles")
def the_api_is_throttled(c: Watched) -> None:
    c.throttled.add("app")
    calls(c)


# The queues


@fault("dead-letters")
def a_bug_in_route(c: Watched) -> None:
    c.broken(c.w.runtime.people, "find_or_make")
    c.post()
    c.run(20, "route", "deliver", "dead_inbox", "dead_outbox")


@fault("dead-letters")
def a_bug_in_deliver(c: Watched) -> None:
    queued(c, "outbox")
    c.broken(attempt, "send")
    c.run(40, "deliver", "dead_outbox", "pump")


@fault("route-errors")
def the_process_of_route_dies(c: Watched) -> None:
    c.broken(c.w.runtime.people, "find_or_make", Died)
    c.post()
    c.run(6, "route")


@fault("deliver-errors")
def the_process_of_deliver_dies(c: Watched) -> None:
    queued(c, "outbox")
    c.broken(c.w.runtime.config, "snapshot", Died)
    c.run(6, "deliver")


@fault("inbox-age")
def the_mapping_of_route_is_disabled(c: Watched) -> None:
    c.stopped.add("route")
    posts(c)
    c.run(10, "deliver")


@fault("outbox-age")
def the_mapping_of_deliver_is_disabled(c: Watched) -> None:
    queued(c, "outbox")
    c.run(10, "route")


@fault("route-throttles", "inbox-age")
def route_is_throttled(c: Watched) -> None:
    c.throttled.add("route")
    posts(c)
    c.run(10, "route")


for _queue in ("inbox", "outbox"):

    @fault(f"{_queue}-dead", name=f"a_bug_in_dead_{_queue}")
    def _bug(c: Watched, queue: str = _queue) -> None:
        dead(c, queue)
        for name in ("append", "append_many", "of_event", "get_many"):
            c.broken(c.w.runtime.audit, name)
        c.run(20, f"dead_{queue}")

    @fault(f"dead-{_queue}-errors", name=f"the_process_of_dead_{_queue}_dies")
    def _dies(c: Watched, queue: str = _queue) -> None:
        dead(c, queue)
        c.broken(c.w.runtime.data, "insert_dead", Died)
        c.run(6, f"dead_{queue}")


# The clocks


@fault("pump-errors")
def a_bug_in_pump(c: Watched) -> None:
    c.broken(c.w.runtime.data, "due_lanes")
    c.run(6, "pump")


@fault("jobs-errors")
def a_bug_in_jobs(c: Watched) -> None:
    c.broken(c.w.runtime.jobs, "due")
    c.run(6, "jobs")


@fault("seal-errors")
def a_bug_in_seal(c: Watched) -> None:
    c.w.sealing.send([SealTask(c.w.tenant, "2026", ()).message("task")])
    c.broken(c.w.runtime, "monotonic")
    c.run(6, "seal")


@fault("collect-errors")
def a_bug_in_collect(c: Watched) -> None:
    c.broken(c.w.runtime.seal_requests, "receive")
    c.run(6, "collect")


@fault("sweep-errors")
def a_bug_in_sweep(c: Watched) -> None:
    c.broken(c.w.runtime.config, "tenants")
    c.run(6, "sweep")


def _silent(function: str, minutes: int) -> None:
    @fault(f"{function}-silent", name=f"the_rule_of_{function}_is_disabled")
    def drive(c: Watched) -> None:
        c.stopped.add(function)
        c.run(minutes, function, every_s=60 * minutes // 15)


for _function, _minutes in (("pump", 15), ("jobs", 15), ("collect", 15), ("sweep", 180)):
    _silent(_function, _minutes)


# The log


@fault("seals-failed", "kms-failed")
def kms_refuses_to_sign(c: Watched) -> None:
    class Refusing:
        def sign(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "Sign")

    public_key = c.w.runtime.signer.public_key
    made = KmsSigner(lambda: Refusing(), "alias/waybill-test-seal")
    made.__dict__["public_key"] = public_key
    c.w.runtime.signer = made
    append(c.w, act(c.w, 1))
    c.run(30, "collect", "seal")


@fault("seal-lag")
def sealing_fails_for_hours(c: Watched) -> None:
    c.broken(c.w.runtime.seals, "insert")
    append(c.w, act(c.w, 1))
    c.run(140, "collect", "seal", every_s=120)


@fault("sealing-age")
def no_sealer_takes_tasks(c: Watched) -> None:
    append(c.w, act(c.w, 1))
    c.run(90, "collect", every_s=120)


@fault("audit-broken")
def a_checkpoint_was_removed(c: Watched) -> None:
    append(c.w, act(c.w, 1))
    c.run(7, "collect", "seal")
    s3, bucket = c.w.engine.make_client("s3", "eu-central-1"), c.w.runtime.settings.evidence_bucket
    for found in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        if "/checkpoints/" in found["Key"]:
            s3.delete_object(Bucket=bucket, Key=found["Key"])
    append(c.w, act(c.w, 2))
    c.run(12, "collect", "seal")


def _at_the_hour(c: Watched, days: int = 1) -> None:
    c.w.clock += timedelta(days=days)
    while not reconcile.due(c.w.tenant, c.w.clock):
        c.w.clock += timedelta(hours=1)
    c.run(60, "sweep", every_s=300)


@fault("entries-unsealed")
def a_seal_request_was_lost(c: Watched) -> None:
    append(c.w, act(c.w, 1))
    c.w.seal_requests.lose()
    _at_the_hour(c)


@fault("reconciliations-failed")
def a_reconciliation_fails(c: Watched) -> None:
    c.broken(sweep, "reconcile")
    _at_the_hour(c)


@fault("reconciliations-late")
def reconciliations_are_late(c: Watched) -> None:
    c.monkeypatch.setattr(sweep, "UNTIL_S", 1)
    c.monkeypatch.setattr(c.w.runtime, "monotonic", iter(range(10_000)).__next__)
    _at_the_hour(c)


@fault("expiry-failed")
def expiry_fails(c: Watched) -> None:
    c.broken(c.w.runtime.person_ends, "due")
    c.run(180, "sweep", every_s=600)


@fault("expiry-late")
def expiry_is_late(c: Watched) -> None:
    c.monkeypatch.setattr(sweep, "EXPIRY_UNTIL_S", 0)
    c.run(240, "sweep", every_s=600)


@fault("hold-walks-failed")
def the_events_of_a_hold_cannot_be_walked(c: Watched) -> None:
    c.w.runtime.hold_walks.begin(c.w.tenant, "hld_" + "0" * 26, "secure", c.w.clock)
    c.broken(c.w.runtime.legal_holds, "get")
    c.broken(c.w.runtime.jobs, "events")
    c.run(15, "jobs")


# AWS


def _slow(table: str, metric: str, kind: str) -> None:
    @fault(f"{table}-{kind}-throttles", "aws-unavailable", name=f"{kind}s_of_{table}_are_throttled")
    def drive(c: Watched) -> None:
        if table.startswith("audit-") and int(table[6:]) > c.w.clock.year:
            c.w.clock = datetime(int(table[6:]), 1, 2, 9, tzinfo=UTC)
        for chat in range(4):
            c.post(chat=chat)
        c.slow_table(table, metric)
        since = c.w.clock
        for _ in range(6):
            c.post(chat=5)
            for _ in range(2):
                c.call("POST", "/v1/tenants", TENANT)
            c.run(1)
        c.w.clock = since + timedelta(minutes=15)


for _name in [r["Properties"]["TableName"] for r in RESOURCES.values() if r.get("Type") == "AWS::DynamoDB::Table"]:
    for _metric, _kind in (("ReadThrottleEvents", "read"), ("WriteThrottleEvents", "write")):
        _slow(_name.removeprefix("waybill-test-"), _metric, _kind)


@fault("aws-unavailable")
def seal_requests_are_not_taken(c: Watched) -> None:
    c.refuse("send_message_batch", "RequestThrottled", "seal-requests")
    for chat in range(4):
        c.post(chat=chat)
    c.run(10)


@fault("kms-failed")
def the_cells_key_is_disabled(c: Watched) -> None:
    client = c.w.runtime.clients.get("kms")

    def refuses(operation: str, arguments: Mapping[str, Any]) -> Any:
        raise ClientError({"Error": {"Code": "DisabledException", "Message": ""}}, operation)

    c.w.clock += timedelta(minutes=10)  # keys are kept for five minutes
    c.monkeypatch.setattr(client, "_make_api_call", refuses)
    posts(c, 5)


# The tripwire


def changed(c: Watched) -> None:
    """Someone changes a row of the log, and the stream tells."""
    record = {
        "eventName": "MODIFY",
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:000000000000:table/waybill-test-audit-2026/stream/1",
        "dynamodb": {"Keys": {"pk": {"S": c.w.tenant}, "sk": {"S": audit.act.__name__}}, "SequenceNumber": "1"},
    }
    (on,) = [r["Properties"] for n, r in RESOURCES.items() if n == "TripwireOn2026"]
    (found,) = on["FilterCriteria"]["Filters"]
    if record["eventName"] in json.loads(found["Pattern"])["eventName"]:
        c.invoke("tripwire", {"Records": [record]})
    c.w.clock += timedelta(minutes=5)


@fault("tripwire")
def an_entry_was_changed(c: Watched) -> None:
    c.monkeypatch.setenv("WAYBILL_EVIDENCE_BUCKET", c.w.runtime.settings.evidence_bucket)
    c.monkeypatch.setattr(tripwire, "client", lambda: c.w.engine.make_client("s3", "eu-central-1"))
    changed(c)


@fault("tripwire", "tripwire-errors")
def the_tripwire_cannot_keep_an_image(c: Watched) -> None:
    c.monkeypatch.setenv("WAYBILL_EVIDENCE_BUCKET", "no-such-bucket")
    c.monkeypatch.setattr(tripwire, "client", lambda: c.w.engine.make_client("s3", "eu-central-1"))
    changed(c)
