"""The doors for AWS: the tenant API and the cell's lambdas. No logic here.

Event handlers stand in this file because Chalice deploys those of a blueprint as another module.
"""

import gc
import os
from typing import Any

from chalice import Chalice
from chalice.app import Rate, SQSEvent

from chalicelib import flow
from chalicelib.shell import shell

CELL = os.environ.get("WAYBILL_CELL", "local")
"""Queues are named when the app is packaged."""
HANDLER = os.environ.get("_HANDLER", "").rpartition(".")[2]
"""Which of the handlers below this process is for, as Lambda says; empty where it is for all of them."""
LOADED = {
    "hooks": ("door", "receive"),
    "on_inbox": ("messages", "route"),
    "on_outbox": ("messages", "deliver"),
    "on_inbox_dead": ("messages", "dead"),
    "on_outbox_dead": ("messages", "dead"),
    "on_minute": ("pump",),
    "on_jobs": ("jobs",),
    "on_hour": ("sweep",),
    "on_seal": ("seal",),
}
"""What each handler uses. Lambda starts a process faster than it runs one, so this is loaded before the first event."""

gc.freeze()  # what is loaded stays for good: the collector need not look through it, now or at any event
app = Chalice(app_name="waybill")
if HANDLER in ("", "app"):
    # The API's models take as long to load as all that the other functions need.
    from chalicelib import api

    api.register(app)
for name in LOADED.get(HANDLER, ()):
    getattr(flow, name)


@app.lambda_function(name="hooks")
def hooks(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a webhook from the regional HTTP API (payload 2.0)."""
    cell = shell()
    source, request = flow.door.request(event, cell.now(), cell.settings.hooks_url)
    return flow.door.reply(flow.receive.handle(cell, source, request))


@app.on_sqs_message(queue=f"waybill-{CELL}-inbox.fifo", batch_size=10, name="route")
def on_inbox(event: SQSEvent) -> dict[str, Any]:
    """Route events."""
    return flow.messages.answer(flow.route.handle(shell(), flow.messages.from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-outbox.fifo", batch_size=10, name="deliver")
def on_outbox(event: SQSEvent) -> dict[str, Any]:
    """Deliver what was allowed."""
    return flow.messages.answer(flow.deliver.handle(shell(), flow.messages.from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-inbox-dead.fifo", batch_size=10, name="dead_inbox")
def on_inbox_dead(event: SQSEvent) -> dict[str, Any]:
    """End events that could not be routed."""
    return flow.messages.answer(flow.dead.handle_inbox(shell(), flow.messages.from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-outbox-dead.fifo", batch_size=10, name="dead_outbox")
def on_outbox_dead(event: SQSEvent) -> dict[str, Any]:
    """End deliveries that could not be made."""
    return flow.messages.answer(flow.dead.handle_outbox(shell(), flow.messages.from_lambda(event.to_dict())))


@app.schedule(Rate(1, unit=Rate.MINUTES), name="pump")
def on_minute(event: Any) -> None:
    """Wake lanes that are due."""
    flow.pump.handle(shell())


@app.schedule(Rate(1, unit=Rate.MINUTES), name="jobs")
def on_jobs(event: Any) -> None:
    """Work on what takes longer than a request."""
    flow.jobs.handle(shell())


@app.schedule(Rate(1, unit=Rate.HOURS), name="sweep")
def on_hour(event: Any) -> None:
    """End what TTL alone may not."""
    flow.sweep.handle(shell())


@app.schedule(Rate(1, unit=Rate.MINUTES), name="seal")
def on_seal(event: Any) -> None:
    """Seal the logs whose entries have waited long enough."""
    flow.seal.handle(shell())
