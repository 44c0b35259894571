"""Run the sealer of a cell, as its clock and its queue do."""

from __future__ import annotations

from chalicelib.flow.messages import answer, from_lambda
from chalicelib.flow.sealing import collect, seal
from chalicelib.runtime import Runtime
from infra.cell import feeders


def seal_due(runtime: Runtime) -> None:
    """Seal every log that is due."""
    collect.handle(runtime)
    sqs, queue = runtime.clients.get("sqs"), runtime.sealing
    while feeders.feed_once(
        sqs, queue.url, runtime.settings.region, queue.name, lambda e, _: answer(seal.handle(runtime, from_lambda(e)))
    ):
        pass
