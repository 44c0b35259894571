"""The table of docs/delivery.md: which answer of a destination is delivered, rejected, tried again, waits or disables."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

from chalicelib.core.delivery.retry import CODES, LOST_ACCESS, UNCOUNTED, Outcome
from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import KINDS, aws_client, of_kind, vetted
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import SendingClients
from chalicelib.destinations.vetted import Limits
from tests.fixtures.destinations.vendor import Reply, Request, Vendor, running
from tests.support.crm import Process, Rows, document
from tests.support.destination_kinds import AWS_KINDS, delivery, fixture

PAGE = pathlib.Path(__file__).parents[2] / "docs/delivery.md"
STATUSES = (
    *(200, 204, 301, 302, 303, 304, 307, 308, *range(400, 419), 420, 421, 422, 423, 424, 425, 426, 428, 429, 430, 431),
    *(444, 451, 460, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 530, 599),
)
ENDS = ("delivered", "rejected", "throttles", "waits for access", "disables")
AGAIN = "tried again"
CLIENTS = SendingClients(policy=Policy(allow_cidrs=("127.0.0.0/8",)), limits=Limits(5, 5, 5))


def table() -> dict[str, dict[str, list[str]]]:
    """Return the cells of the page's table, by kind and heading."""
    found = {}
    for kinds, *cells in re.findall(
        r"^\| (`[a-z0-9`, ]+`) \| (2xx) \| (.*?) \| (.*?) ?\| (.*?) ?\| (.*?) ?\|$", PAGE.read_text(), re.M
    ):
        for kind in re.findall(r"`(\w+)`", kinds):
            assert kind not in found
            found[kind] = dict(zip(ENDS, (re.findall(r"[0-9]xx|[0-9]{3}", cell) for cell in cells), strict=True))
    return found


def documented(kind: str, status: int) -> str:
    for end, statuses in table()[kind].items():
        if str(status) in statuses or f"{status // 100}xx" in statuses:
            return end
    return AGAIN


class Always(Vendor):
    """A service that always answers with one status and an empty object."""

    status = 200

    def answer(self, request: Request) -> Reply:
        return Reply(self.status, {}, {"Location": "https://elsewhere.example/"})


def end_of(fault: DeliveryError) -> str:
    if fault.gone:
        return "disables"
    if fault.attempt_code in UNCOUNTED:
        return "throttles"
    if fault.attempt_code in LOST_ACCESS:
        return "waits for access"
    return {Outcome.REJECTED: "rejected", Outcome.FAILED: AGAIN}[CODES[fault.attempt_code]]


def sent(kind: str, root: str) -> str:
    """Send to a kind whose service is at ``root``; return what becomes of the event."""
    config: dict[str, Any] = fixture(kind)["config"]
    at = {"http": {"url": root}, "chatwoot": {"url": root}}.get(kind, {"api_url": root})
    module = of_kind(kind)
    made = delivery(kind, config=module.Config.model_validate({**config, **at}))
    try:
        module.send(
            module.render(document(), made),
            SendingClients(CLIENTS.policy, limits=CLIENTS.limits, memory=Process(Rows())),
        )
    except DeliveryError as fault:
        return end_of(fault)
    return "delivered"


def test_the_table_has_every_kind() -> None:
    assert table().keys() == KINDS.keys()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(AWS_KINDS)))
def test_a_kind_does_with_each_status_as_the_table_says(kind: str) -> None:
    with running(Always()) as service:
        for status in STATUSES:
            if kind != "http" and status < 300:
                continue  # a service says in its body whether it has taken the event
            service.status = status
            assert (status, sent(kind, service.url)) == (status, documented(kind, status))


@pytest.mark.parametrize("kind", AWS_KINDS)
def test_an_aws_kind_does_with_each_status_as_the_table_says(kind: str) -> None:
    for status in STATUSES:
        if status >= 300 and status not in (302, 303, 304, 308):  # AWS answers with none of these
            fault = vetted.failure(aws_client.code_of("", status))
            assert (status, end_of(fault)) == (status, documented(kind, status))
