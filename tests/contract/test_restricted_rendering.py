"""The request of every destination kind on a ``restrict`` route: a notice in its own envelope, without personal data."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.delivery import signature
from chalicelib.core.errors import DeliveryError
from chalicelib.core.tenant.records import Destination
from chalicelib.destinations import KINDS, of_kind
from chalicelib.flow import rendering
from tests.support.canary_event import CANARY, EVENT
from tests.support.destination_kinds import fixture

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://cell.example/pull/" + "0" * 84
SELECTING = sorted(kind for kind in KINDS if rendering.selects(kind))
WRITING = sorted(set(KINDS) - set(SELECTING))
ALL = [(kind, form) for kind in SELECTING for form in of_kind(kind).CAPABILITIES.formats]


def rendered(kind: str, form: str = "standard", **changes: Any) -> Any:
    """The request of an attempt, with a configuration that has no secret of its own to be found."""
    destination = Destination.model_validate(
        {
            "name": "one", "kind": kind, "recipient": "rcp_1", "id": ids.derived("dst", "a"), "created_at": NOW,
            "format": form, "external_id": "wbx_1" if of_kind(kind).CAPABILITIES.prove is not None else None,
        }
    )  # fmt: skip
    sealed = {
        "config": fixture(kind)["config"],
        "signing": [{"secret": signature.make_secret(b"\7" * 24), "until": None}],
    }
    delivery = rendering.delivery_of(
        destination, sealed, EVENT, NOW, delivery_id=ids.derived("dlv", "a"), transfer_id=ids.derived("trf", "a"),
        event_id=EVENT["id"], tenant_id=EVENT["tenant"], conversation=ids.derived("cnv", "a"),
    )  # fmt: skip
    return rendering.render(destination, None, EVENT, dataclasses.replace(delivery, **changes), URL)


def everything(request: Any) -> str:
    """Everything that leaves: the body, and the headers or arguments."""
    around = request.headers if hasattr(request, "headers") else request.arguments
    return str(json.dumps(dict(around), default=str) + request.body.decode())


@pytest.mark.parametrize(("kind", "form"), ALL)
def test_nothing_of_the_event_leaves_but_its_id_and_kind(kind: str, form: str) -> None:
    request = rendered(kind, form)

    content = json.loads(request.body)
    notice = content["data"] if form != "cloudevents_binary" and kind == "http" else content
    assert notice == {"id": EVENT["id"], "kind": "message", "pull_url": URL}
    assert CANARY not in everything(request)


@pytest.mark.parametrize(("kind", "form"), ALL)
def test_around_the_notice_stand_only_refs_times_and_the_channel(kind: str, form: str) -> None:
    first = everything(rendered(kind, form))
    known = [
        EVENT["id"],
        EVENT["tenant"],
        EVENT["source"],
        *(ids.derived(p, "a") for p in ("dlv", "trf", "cnv", "dst")),
    ]

    other = rendered(kind, form, conversation=None, source_id=None)

    assert CANARY not in everything(other)
    named = {word for word in re.findall(r"[a-z]{3}_[0-9a-z]{26}", first) if ids.is_id(word, word[:3])}
    assert {EVENT["id"]} <= named <= set(known)


@pytest.mark.parametrize("kind", WRITING)
def test_nothing_is_rendered_by_a_kind_with_a_form_of_its_own(kind: str) -> None:
    with pytest.raises(DeliveryError) as fault:
        rendered(kind)

    assert (fault.value.attempt_code, fault.value.sent, fault.value.retryable) == ("render", False, False)
    assert CANARY not in fault.value.detail


def test_all_kinds_and_formats_are_asked() -> None:
    assert {kind for kind, _ in ALL} | set(WRITING) == set(KINDS)
    assert {form for kind, form in ALL if kind == "http"} == set(of_kind("http").CAPABILITIES.formats)
