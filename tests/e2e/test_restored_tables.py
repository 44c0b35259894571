"""A cell goes on with tables that were restored to an earlier time: nothing is sent twice, and the log stays whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.core.errors import Misconfigured
from chalicelib.settings import from_environment, restored_tables
from infra.deploy import template
from infra.deploy.template import Cell
from tests.support.logs import everything
from tests.support.world import REGION, World, world

RESTORED = {"config": "r1", "data": "r1"}


def restore(w: World) -> None:
    """Restore both tables as they are now, under another name, as point-in-time recovery does."""
    client = w.engine.make_client("dynamodb", REGION)
    for name, suffix in RESTORED.items():
        source = f"waybill-test-{name}"
        client.restore_table_to_point_in_time(
            SourceTableName=source, TargetTableName=f"{source}-{suffix}", UseLatestRestorableTime=True
        )


def point_to_restored(w: World) -> None:
    """Start new processes, whose setting names the restored tables."""
    w.restart()
    w.runtime.settings = replace(w.runtime.settings, restored=RESTORED)


def test_nothing_is_sent_twice_when_the_tables_are_of_an_earlier_time() -> None:
    with world() as w:
        w.connect()
        w.post(1)
        w.run(timedelta(minutes=1))
        w.receiver.answer = lambda _: (503, {})
        w.post(2)
        w.run(timedelta(minutes=1))  # it waits in its lane
        restore(w)
        w.receiver.answer = lambda _: (204, {})
        w.run(timedelta(hours=1))
        w.post(3)
        w.run(timedelta(minutes=1))
        assert w.receiver.texts() == ["m1", "m2", "m3"]

        point_to_restored(w)
        for number in (4, 5):
            w.clock += timedelta(hours=1)
            w.pump()  # the world itself looks for due lanes in the table that it made
            w.settle()
            w.post(number)
            w.settle()

        assert w.receiver.texts() == ["m1", "m2", "m3", "m4", "m5"]
        assert [r for r in w.rows("data-r1") if r["pk"]["S"].startswith("lane#")] == []
        everything(w)


def test_a_declaration_made_since_is_gone_when_config_is_of_an_earlier_time() -> None:
    with world() as w:
        w.connect()
        restore(w)
        w.change(w.recipient, granted=False)

        point_to_restored(w)

        # The runbook tells the operator to declare it again: the log has the change, the table has not.
        assert w.runtime.config.get(w.tenant, w.recipient).record.granted is True


@pytest.mark.parametrize(
    "text", ["people=r1", "data", "data=R1", "data=r1;config=r1", "audit-2026=r1", "data=r1 data=r2"]
)
def test_a_table_that_cannot_be_restored_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="WAYBILL_RESTORED_TABLES"):
        restored_tables(text)


def test_the_setting_names_the_tables() -> None:
    environment = {"WAYBILL_CELL": "eu1", "AWS_REGION": REGION, "WAYBILL_COUNTRY": "DE"}

    settings = from_environment({**environment, "WAYBILL_RESTORED_TABLES": "data=r1"})

    assert (settings.table("data"), settings.table("config")) == ("waybill-eu1-data-r1", "waybill-eu1-config")


@pytest.mark.parametrize("function", sorted(json.loads(template.CONFIG.read_text("utf-8"))["lambda_functions"]))
def test_a_role_may_do_with_the_restored_table_what_it_might_with_the_other(function: str) -> None:
    before = json.dumps(template.policy(function, Cell("eu1", REGION, "DE")))
    after = json.dumps(template.policy(function, Cell("eu1", REGION, "DE", (("config", "r1"), ("data", "r1")))))

    assert after == before.replace("table/waybill-eu1-config", "table/waybill-eu1-config-r1").replace(
        "table/waybill-eu1-data", "table/waybill-eu1-data-r1"
    )
    assert "-config" not in before or after != before
