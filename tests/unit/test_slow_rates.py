"""Rates below one a second: as a tenant sends them, and as two releases store them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.core.tenant.records import Destination, DestinationSettings
from chalicelib.store import records


def destination(rate: float | None) -> Destination:
    return Destination(
        id="dst_1", name="a", kind="http", recipient="rcp_1", created_at=datetime(2026, 1, 1, tzinfo=UTC),
        rate_limit_per_s=rate,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "stored"),
    [
        (None, {}),
        (10, {"rate_limit_per_s": 10}),
        (10.0, {"rate_limit_per_s": 10}),
        (0.5, {"rate_limit_per_s": 1, "exact_rate_per_s": 0.5}),
        (2.5, {"rate_limit_per_s": 3, "exact_rate_per_s": 2.5}),
    ],
)
def test_stored_rate_is_a_whole_number_for_the_earlier_release(rate: float | None, stored: dict[str, Any]) -> None:
    text = records.written(destination(rate))

    assert {name: value for name, value in json.loads(text).items() if "rate" in name} == stored
    assert isinstance(json.loads(text).get("rate_limit_per_s", 1), int)
    assert records.parse(Destination, text) == destination(rate)


def test_rate_that_the_earlier_release_has_changed_counts() -> None:
    changed = {**json.loads(records.written(destination(0.5))), "rate_limit_per_s": 7}

    assert records.parse(Destination, json.dumps(changed)).rate_limit_per_s == 7


@pytest.mark.parametrize("rate", [4, None])
def test_exact_rate_is_gone_when_the_rate_is_changed(rate: float | None) -> None:
    before = records.written(destination(0.5))

    after = json.loads(records.written(destination(rate), before))

    assert "exact_rate_per_s" not in after
    assert records.parse(Destination, json.dumps(after)).rate_limit_per_s == rate


@pytest.mark.parametrize("exact", ["0.5", None, True, [1]])
def test_record_is_read_whatever_stands_in_the_exact_rate(exact: object) -> None:
    text = json.dumps({**json.loads(records.written(destination(1))), "exact_rate_per_s": exact})

    assert records.parse(Destination, text).rate_limit_per_s == 1


@pytest.mark.parametrize("rate", ["0", "0.001", "-1", "1001", "1e400", '"1"', "true"])
def test_rate_out_of_bounds_is_refused(rate: str) -> None:
    with pytest.raises(ValidationError):
        DestinationSettings.model_validate_json(
            f'{{"name":"a","kind":"http","recipient":"rcp_1","rate_limit_per_s":{rate}}}', strict=True
        )


def test_tenant_cannot_send_the_stored_field() -> None:
    with pytest.raises(ValidationError):
        DestinationSettings.model_validate(
            {"name": "a", "kind": "http", "recipient": "rcp_1", "rate_limit_per_s": 1, "exact_rate_per_s": 0.5}
        )
