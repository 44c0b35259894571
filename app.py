"""The doors for AWS: the tenant API and the cell's lambdas. No logic here.

Event handlers stand in this file because Chalice deploys those of a blueprint as another module.
"""

import os
from typing import Any

from chalice import Chalice
from chalice.app import Rate, SQSEvent

from chalicelib import api
from chalicelib.flow import dead, deliver, door, pump, receive, route, sweep
from chalicelib.flow.messages import answer, from_lambda
from chalicelib.shell import shell

CELL = os.environ.get("WAYBILL_CELL", "local")
"""Queues are named when the app is packaged."""

app = Chalice(app_name="waybill")
api.register(app)


@app.lambda_function(name="hooks")
def hooks(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a webhook from the regional HTTP API (payload 2.0)."""
    cell = shell()
    source, request = door.request(event, cell.now(), cell.settings.hooks_url)
    return door.reply(receive.handle(cell, source, request))


@app.on_sqs_message(queue=f"waybill-{CELL}-inbox.fifo", batch_size=10, name="route")
def on_inbox(event: SQSEvent) -> dict[str, Any]:
    """Route events."""
    return answer(route.handle(shell(), from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-outbox.fifo", batch_size=10, name="deliver")
def on_outbox(event: SQSEvent) -> dict[str, Any]:
    """Deliver what was allowed."""
    return answer(deliver.handle(shell(), from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-inbox-dead.fifo", batch_size=10, name="dead_inbox")
def on_inbox_dead(event: SQSEvent) -> dict[str, Any]:
    """End events that could not be routed."""
    return answer(dead.handle_inbox(shell(), from_lambda(event.to_dict())))


@app.on_sqs_message(queue=f"waybill-{CELL}-outbox-dead.fifo", batch_size=10, name="dead_outbox")
def on_outbox_dead(event: SQSEvent) -> dict[str, Any]:
    """End deliveries that could not be made."""
    return answer(dead.handle_outbox(shell(), from_lambda(event.to_dict())))


@app.schedule(Rate(1, unit=Rate.MINUTES), name="pump")
def on_minute(event: Any) -> None:
    """Wake lanes that are due."""
    pump.handle(shell())


@app.schedule(Rate(1, unit=Rate.HOURS), name="sweep")
def on_hour(event: Any) -> None:
    """End what TTL alone may not."""
    sweep.handle(shell())
