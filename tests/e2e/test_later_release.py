"""Messages, secrets and jobs of the next release, after a rollback: they are worked on, or wait for the release that reads them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import job as jobs
from chalicelib.flow import messages
from chalicelib.flow.delivery import deliver
from chalicelib.flow.jobs import replay, worker
from chalicelib.flow.routing import route
from tests.support.world import START, World, world

HANDLERS = {"inbox": route.handle, "outbox": deliver.handle}


def _rewritten(w: World, queue: str, **more: Any) -> None:
    """Post a message, and let the next release write the one that then lies in a queue."""
    w.connect()
    w.post(1)
    if queue == "outbox":
        w.inbox.run(route.handle)
    (message,) = (w.inbox if queue == "inbox" else w.outbox).messages
    message.body = json.dumps({**json.loads(message.body), **more})


@pytest.mark.parametrize("queue", HANDLERS)
def test_a_message_is_delivered_when_it_is_one_version_ahead(queue: str) -> None:
    with world() as w:
        _rewritten(w, queue, v=2, of_later={"a": 1})

        w.run(timedelta(minutes=5))

        assert len(w.receiver.requests) == 1
        assert not w.dead_inbox.messages + w.dead_outbox.messages


@pytest.mark.parametrize("queue", HANDLERS)
def test_a_message_is_kept_for_a_release_that_reads_it_when_it_is_further_ahead(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world() as w:
        _rewritten(w, queue, v=3)

        w.run(timedelta(hours=1))

        assert not w.dead_inbox.messages + w.dead_outbox.messages
        (letter,) = replay.letters(w.runtime, w.tenant)
        assert json.loads(letter["message"])["v"] == 3
        monkeypatch.setattr(messages, "READABLE", (1, 2, 3))
        replay.redrive(w.runtime, w.tenant, letter, ("operator", "duty"))
        w.run(timedelta(minutes=5))
        assert len(w.receiver.requests) == 1


def test_a_job_waits_when_only_a_later_release_knows_its_kind() -> None:
    with world() as w:
        w.connect()
        job = jobs.new("job_06h2v00000000000000000000a", w.tenant, "of_later", START, {}, {})
        assert w.runtime.jobs.insert(job)

        for _ in range(20):
            w.clock += timedelta(minutes=10)
            worker.handle(w.runtime)

        found = w.runtime.jobs.get(w.tenant, job.id, w.runtime.now())
        assert found is not None
        assert found.state in jobs.OPEN


def test_a_job_keeps_the_fields_of_a_later_release() -> None:
    with world() as w:
        w.connect()
        made = jobs.new("job_06h2v00000000000000000000a", w.tenant, "replay", START, {}, {})
        assert w.runtime.jobs.insert(replace(made, others={"of_later": [1]}))

        (due,) = w.runtime.jobs.due(START + timedelta(minutes=1), 10)
        job = w.runtime.jobs.take(due, START + timedelta(minutes=2))
        assert job is not None
        assert w.runtime.jobs.save(replace(job, done=3))

        found = w.runtime.jobs.get(w.tenant, made.id, START)
        assert found is not None
        assert (found.done, found.others) == (3, {"of_later": [1]})


def test_a_message_is_delivered_when_secrets_have_fields_of_a_later_release() -> None:
    with world() as w:
        w.connect()
        store = w.runtime.config
        for record_id in (w.source, w.destination):
            row = store.get(w.tenant, record_id)
            told = store.secrets(w.tenant, record_id, row.sealed)
            if record_id == w.source:
                told[0]["secret"]["of_later"] = 1
            else:
                told["config"]["of_later"] = 1
            store.replace(w.tenant, row.record, row.version, told)

        assert w.post(1).status == 200
        w.run(timedelta(minutes=5))

        assert len(w.receiver.requests) == 1
