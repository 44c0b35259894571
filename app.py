"""The AWS entry points of a cell: the tenant API and one function per lambda, each named as in AWS. No logic here.

Event handlers stand in this file because Chalice deploys those of a blueprint as another module.
"""

import gc
import os
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from typing import Any

from chalice import Chalice
from chalice.app import Rate, Request, SQSEvent

from chalicelib import observe
from chalicelib.deferred import deferred
from chalicelib.runtime import runtime

CELL = os.environ.get("WAYBILL_CELL", "local")
"""Queues are named when the app is packaged."""
HANDLER = os.environ.get("_HANDLER", "").rpartition(".")[2]
"""The handler that this process runs, as Lambda names it. Empty in a process that runs all of them."""
LOADED = {
    "hooks": ("hooks.http_event", "hooks.receive"),
    "route": ("messages", "routing.route"),
    "deliver": ("messages", "delivery.deliver"),
    "dead_inbox": ("messages", "dead"),
    "dead_outbox": ("messages", "dead"),
    "pump": ("delivery.pump",),
    "jobs": ("jobs.worker",),
    "sweep": ("retention.sweep",),
    "collect": ("sealing.collect",),
    "seal": ("messages", "sealing.seal"),
}
"""The modules of ``flow`` that each handler uses. A process loads only its own, before its first event: Lambda gives
start-up more CPU than a running function. The imports inside the handlers then find them loaded."""

gc.freeze()  # loaded modules stay for good: the collector need not look through them at any event
if HANDLER == "":  # threads share the app of a process that runs all handlers
    from chalicelib.api.gateway import ThreadedApp

    app: Chalice = ThreadedApp(app_name="waybill")
else:
    app = Chalice(app_name="waybill")
if HANDLER in ("", "app"):
    # The API's models take as long to load as all that the other functions need, and its use cases as long again: a
    # process answers a request or two before it needs most of them.
    with deferred("chalicelib.flow") if HANDLER else nullcontext():
        from chalicelib import api

    api.register(app)
for name in LOADED.get(HANDLER, ()):
    import_module(f"chalicelib.flow.{name}")


@app.middleware("all")
def named(event: Any, handle: Callable[[Any], Any]) -> Any:
    """Name the invocation in each log line. Every handler runs inside."""
    context = event.lambda_context if isinstance(event, Request) else getattr(event, "context", None)
    with observe.about(request_id=getattr(context, "aws_request_id", None)):
        return handle(event)


@app.lambda_function(name="hooks")
def hooks(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a webhook from the regional HTTP API (payload 2.0)."""
    from chalicelib.flow.hooks import http_event, receive

    cell = runtime()
    source, request = http_event.request(event, cell.now(), cell.settings.hooks_url)
    return http_event.reply(receive.handle(cell, source, request))


@app.on_sqs_message(queue=f"waybill-{CELL}-inbox.fifo", batch_size=10, name="route")
def route(event: SQSEvent) -> dict[str, Any]:
    """Route events."""
    from chalicelib.flow import messages
    from chalicelib.flow.routing.route import handle

    return messages.answer(handle(runtime(), messages.from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-outbox.fifo", batch_size=10, name="deliver")
def deliver(event: SQSEvent) -> dict[str, Any]:
    """Deliver events to destinations."""
    from chalicelib.flow import messages
    from chalicelib.flow.delivery.deliver import handle

    return messages.answer(handle(runtime(), messages.from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-inbox-dead.fifo", batch_size=10, name="dead_inbox")
def dead_inbox(event: SQSEvent) -> dict[str, Any]:
    """End events that could not be routed."""
    from chalicelib.flow import messages
    from chalicelib.flow.dead import handle_inbox

    return messages.answer(handle_inbox(runtime(), messages.from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-outbox-dead.fifo", batch_size=10, name="dead_outbox")
def dead_outbox(event: SQSEvent) -> dict[str, Any]:
    """End deliveries that could not be made."""
    from chalicelib.flow import messages
    from chalicelib.flow.dead import handle_outbox

    return messages.answer(handle_outbox(runtime(), messages.from_lambda(event.to_dict())))


@app.schedule(Rate(1, unit=Rate.MINUTES), name="pump")
def pump(event: Any) -> None:
    """Wake lanes that are due."""
    from chalicelib.flow.delivery.pump import handle

    handle(runtime())


@app.schedule(Rate(1, unit=Rate.MINUTES), name="jobs")
def jobs(event: Any) -> None:
    """Work on jobs, which take longer than a request."""
    from chalicelib.flow.jobs.worker import handle

    handle(runtime())


@app.schedule(Rate(5, unit=Rate.MINUTES), name="sweep")
def sweep(event: Any) -> None:
    """End records whose life is over and that TTL alone may not delete: people, and all others once an hour."""
    from chalicelib.flow.retention.sweep import handle, handle_people

    hourly = event.time[14:16] < "05"  # of the schedule's time, YYYY-MM-DDThh:mm:ssZ: a late run does its own part
    (handle if hourly else handle_people)(runtime())


@app.schedule(Rate(1, unit=Rate.MINUTES), name="collect")
def collect(event: Any) -> None:
    """Give the logs whose entries have waited long enough to sealers."""
    from chalicelib.flow.sealing.collect import handle

    handle(runtime())


@app.on_sqs_message(queue=f"waybill-{CELL}-sealing.fifo", batch_size=1, name="seal")
def seal(event: SQSEvent) -> dict[str, Any]:
    """Seal a log."""
    from chalicelib.flow import messages
    from chalicelib.flow.sealing.seal import handle

    return messages.answer(handle(runtime(), messages.from_lambda(event.to_dict())))
