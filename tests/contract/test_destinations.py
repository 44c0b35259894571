"""The rules of every destination kind. A kind takes part by its line in ``KINDS``, its fixture and its page.

A fixture, ``tests/fixtures/destinations/{kind}.json``:

| field | holds |
|---|---|
| ``config`` | a configuration that breaks no rule |
| ``secrets`` | the secrets in it, which may never be shown |
| ``refused_configs`` | configurations that break a rule of ``Config``; ``s-e-c-r-e-t`` in them may not be shown |
| ``refused_places`` | places that ``Config`` accepts but ``check`` and each attempt refuse; may be empty |
| ``whole_event`` | whether the request carries the whole event, or the kind's own rendering of it |
| ``renewed`` | whether a request names the time of its attempt, so that a later one differs (its body never does) |

``FAILURES`` is the table of failures before anything is sent; a kind that is not in it connects to a host.
"""

from __future__ import annotations

import json
import pathlib
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from botocore import exceptions as faults
from pydantic import BaseModel, ValidationError

from chalicelib.core.countries import COUNTRIES
from chalicelib.core.delivery.retry import CODES, Outcome
from chalicelib.core.errors import DeliveryError, Invalid
from chalicelib.destinations import KINDS, of_kind
from chalicelib.destinations.base import DestinationCapabilities, SendingClients
from chalicelib.destinations.vetted import Limits
from tests.support import tenant_aws
from tests.support.destination_kinds import AWS_KINDS, DOCUMENT, NOW, SIGNING_SECRET, delivery, fixture

DOCS = pathlib.Path(__file__).parents[2] / "docs/destinations"

kinds = pytest.mark.parametrize("kind", sorted(KINDS))


def hidden(kind: str) -> list[str]:
    return [*fixture(kind)["secrets"], SIGNING_SECRET, "c-o-n-t-e-n-t", "p-e-r-s-o-n", "s-e-c-r-e-t"]


class Remembered:
    """A destination's memory in this process."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.claimed: set[str] = set()

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def put(self, name: str, value: str, for_s: int) -> None:
        self.kept[name] = value

    def claim(self, name: str, for_s: int) -> bool:
        free = name not in self.claimed
        self.claimed.add(name)
        return free

    def release(self, name: str) -> None:
        self.claimed.discard(name)


def resolves_to(*answers: str) -> SendingClients:
    return SendingClients(resolver=lambda *_: list(answers), limits=Limits(0.2, 0.2, 0.4), memory=Remembered())


def unresolved() -> SendingClients:
    def resolver(*_: object) -> list[str]:
        raise OSError("h-e-a-d-e-r-key")

    return SendingClients(resolver=resolver, memory=Remembered())


Failure = tuple[str, Callable[[], SendingClients], str]
HOST_FAILURES: tuple[Failure, ...] = (
    ("inside", lambda: resolves_to("10.20.30.40"), "forbidden_address"),
    ("mixed", lambda: resolves_to("1.1.1.1", "127.0.0.1"), "forbidden_address"),
    ("no answer", resolves_to, "dns"),
    ("no resolver", unresolved, "dns"),
)


def aws(fault: Exception | None = None, demands: str | None = tenant_aws.EXTERNAL_ID) -> Callable[[], SendingClients]:
    role = "arn:aws:iam::999988887777:role/waybill-events"
    return lambda: tenant_aws.faked(lambda: NOW, role, fault=fault, demands=demands)[0]


AWS_FAILURES: tuple[Failure, ...] = (
    ("another external id", aws(demands="wbx_of-another"), "denied"),
    ("own rights", aws(tenant_aws.refusal("ExpiredToken", 403)), "unavailable"),
    ("own region", aws(tenant_aws.refusal("RegionDisabledException", 403)), "unavailable"),
    ("asked too often", aws(tenant_aws.refusal("Throttling", 400)), "throttled"),
    ("no answer", aws(faults.ReadTimeoutError(endpoint_url="https://s-e-c-r-e-t.example")), "timeout"),
    ("no connection", aws(faults.EndpointConnectionError(endpoint_url="https://s-e-c-r-e-t.example")), "connect"),
    ("no credentials", aws(faults.NoCredentialsError()), "unavailable"),
)
FAILURES: Mapping[str, tuple[Failure, ...]] = dict.fromkeys(AWS_KINDS, AWS_FAILURES)
"""Per kind that connects to no host of its own: the faults before anything is sent, and the code of the attempt."""
WORKING: Mapping[str, tuple[Callable[[], SendingClients], ...]] = dict.fromkeys(AWS_KINDS, (aws(),))
"""Per kind of ``FAILURES``: clients that its configuration is taken with at creation."""


def failures(kind: str) -> tuple[Failure, ...]:
    return FAILURES.get(kind, HOST_FAILURES)


def working(kind: str) -> tuple[Callable[[], SendingClients], ...]:
    return WORKING.get(kind, (lambda: resolves_to("1.1.1.1"), unresolved))


@kinds
def test_kind_is_complete_when_it_is_in_the_table(kind: str) -> None:
    module = of_kind(kind)

    assert kind == module.KIND
    assert issubclass(module.Config, BaseModel)
    assert module.Config.model_config["extra"] == "forbid"
    assert module.Config.model_config["hide_input_in_errors"] is True
    assert isinstance(module.CAPABILITIES, DestinationCapabilities)
    assert all(callable(getattr(module, name)) for name in ("check", "place", "render", "send"))
    assert f"[`{kind}`]({kind}.md)" in (DOCS / "README.md").read_text()
    assert (DOCS / f"{kind}.md").stat().st_size > 0


def test_kind_is_refused_when_it_is_unknown() -> None:
    with pytest.raises(Invalid) as refusal:
        of_kind("carrier_pigeon")

    assert refusal.value.errors[0]["loc"] == "body.kind"
    assert "http" in refusal.value.detail


@kinds
def test_request_is_the_same_when_it_is_rendered_again(kind: str) -> None:
    module = of_kind(kind)
    document = json.loads(json.dumps(DOCUMENT))

    first, second = module.render(document, delivery(kind)), module.render(document, delivery(kind))

    assert first == second
    assert document == DOCUMENT


@kinds
def test_request_still_names_the_delivery_when_it_is_a_later_attempt(kind: str) -> None:
    module = of_kind(kind)

    later = module.render(DOCUMENT, delivery(kind, attempt=2, now=NOW + timedelta(hours=1)))

    first = module.render(DOCUMENT, delivery(kind))
    assert isinstance(first.body, bytes)
    assert later.body == first.body
    assert (later != first) is fixture(kind)["renewed"]


@kinds
def test_request_carries_the_event_when_its_kind_sends_whole_events(kind: str) -> None:
    body = of_kind(kind).render(DOCUMENT, delivery(kind)).body

    if fixture(kind)["whole_event"]:
        texts = {json.dumps(DOCUMENT["message"]["text"], ensure_ascii=ascii_only) for ascii_only in (True, False)}
        assert any(text.encode() in body for text in texts)
        assert DOCUMENT["id"].encode() in body


@kinds
def test_no_fault_but_render_is_raised_when_the_document_cannot_be_written(kind: str) -> None:
    loop: dict[str, Any] = {"message": "c-o-n-t-e-n-t"}
    loop["loop"] = loop
    for document in ({"a": float("nan")}, {"a": {1, 2}}, {"a": b"c-o-n-t-e-n-t"}, loop):
        try:
            of_kind(kind).render(document, delivery(kind))
        except DeliveryError as error:
            assert error.attempt_code == "render"
            assert (error.retryable, error.sent) == (False, False)
            assert not any(text in "".join(traceback.format_exception(error)) for text in hidden(kind))
        else:
            assert fixture(kind)["whole_event"] is False


@pytest.mark.parametrize(
    ("kind", "clients", "code"),
    [
        pytest.param(kind, clients, code, id=f"{kind}: {name}")
        for kind in sorted(KINDS)
        for name, clients, code in failures(kind)
    ],
)
def test_send_raises_a_delivery_error_of_a_known_code_when_it_fails(
    kind: str, clients: Callable[[], SendingClients], code: str
) -> None:
    module = of_kind(kind)
    request = module.render(DOCUMENT, delivery(kind))

    with pytest.raises(DeliveryError) as error:
        module.send(request, clients())

    assert error.value.attempt_code == code
    assert error.value.retryable == (CODES[code] is Outcome.FAILED)
    assert error.value.sent is False
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + error.value.detail
    assert not any(text in shown for text in [*hidden(kind), "10.20.30.40", "127.0.0.1"])


@kinds
def test_nothing_secret_is_shown_when_values_are_printed(kind: str) -> None:
    made = delivery(kind)
    request = of_kind(kind).render(DOCUMENT, made)

    shown = "".join(f"{value!r} {value!s}" for value in (made, made.config, request))

    assert not any(text in shown for text in hidden(kind))


@kinds
def test_config_is_refused_without_showing_it_when_it_breaks_a_rule(kind: str) -> None:
    for config in fixture(kind)["refused_configs"]:
        with pytest.raises(ValidationError) as refusal:
            of_kind(kind).Config.model_validate(config)

        assert "s-e-c-r-e-t" not in str(refusal.value)


@kinds
def test_place_is_refused_at_creation_and_at_each_attempt_in_the_same_words_when_nothing_is_sent_there(
    kind: str,
) -> None:
    module = of_kind(kind)
    for document in fixture(kind)["refused_places"]:
        config = module.Config.model_validate(document)
        with pytest.raises(Invalid) as at_creation:
            module.check(config, working(kind)[0]())

        with pytest.raises(DeliveryError) as at_attempt:
            module.send(module.render(DOCUMENT, delivery(kind, config=config)), working(kind)[0]())

        assert at_attempt.value.attempt_code == "forbidden_address"
        assert at_attempt.value.detail == at_creation.value.detail
        assert "s-e-c-r-e-t" not in at_creation.value.detail


@kinds
def test_config_is_taken_when_it_breaks_no_rule(kind: str) -> None:
    module = of_kind(kind)

    for clients in working(kind):
        module.check(delivery(kind).config, clients())

    place = module.place(delivery(kind).config)
    assert place is None or (place and set(place) <= COUNTRIES)


def test_the_tables_of_this_suite_are_about_kinds_that_there_are() -> None:
    assert all(fixture(kind)["refused_configs"] for kind in KINDS)
    assert set(FAILURES) == set(WORKING)
    assert set(FAILURES) <= set(KINDS)
