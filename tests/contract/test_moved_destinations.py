"""No kind of destination lets a change of its address send kept secrets to another host.

``MOVES`` holds, for each kind with secrets, whole configurations whose secrets are apart from their address, and a change of
each address field. The address is the host that ``check`` looks up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chalicelib.core.errors import Invalid
from chalicelib.destinations import KINDS, of_kind
from chalicelib.destinations.address import Policy
from chalicelib.destinations.base import SendingClients, secrets_in
from chalicelib.flow.declare.moved import check_secrets_given
from tests.support.destination_kinds import AWS_KINDS, fixture

Json = dict[str, Any]

APP = {"client_id": "c-l-i-e-n-t", "client_secret": "s-e-c-r-e-t", "refresh_token": "r-e-f-r-e-s-h"}
BOT = {"token": "xoxb-1-2-s3cr3t0000000000000000", "channel": "C0123456789"}
DISCORD_BOT = {"token": "d" * 24 + "." + "e" * 6 + "." + "f" * 27, "channel": "100000000000000000"}
STAND_IN = {"api_url": "http://127.0.0.1:9"}

MOVES: Mapping[str, list[tuple[Json, Json]]] = {
    "amocrm": [
        ({**fixture("amocrm")["config"]}, {"host": "other.amocrm.ru"}),
        ({**fixture("amocrm")["config"]}, STAND_IN),
        (
            {"host": "nord.amocrm.ru", "app": {**APP, "redirect_uri": "https://nord.example/"}, "field_id": 1},
            {"host": "other.kommo.com"},
        ),
    ],
    "bitrix24": [
        ({"url": "https://nord.bitrix24.ru", "app": APP}, {"url": "https://other.bitrix24.ru"}),
        ({"url": "https://nord.bitrix24.ru", "app": APP}, STAND_IN),
    ],
    "chatwoot": [({**fixture("chatwoot")["config"]}, {"url": "https://other.example.com"})],
    "discord": [(DISCORD_BOT, STAND_IN)],
    "http": [
        ({**fixture("http")["config"]}, {"url": "https://other.example.com/in"}),
        ({**fixture("http")["config"]}, {"url": "https://hook.example.com/other"}),
    ],
    "hubspot": [({**fixture("hubspot")["config"]}, STAND_IN), ({"app": APP}, STAND_IN)],
    "slack": [(BOT, STAND_IN)],
    "telegram": [({**fixture("telegram")["config"]}, STAND_IN)],
}
moves = pytest.mark.parametrize(
    ("kind", "config", "change"),
    [(kind, config, change) for kind, cases in MOVES.items() for config, change in cases],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)


def read(kind: str, config: Json) -> Any:
    return of_kind(kind).Config.model_validate_json(json.dumps(config), strict=True)


def looked_up(kind: str, config: Json) -> str | None:
    """Return the host that a kind would send to; None where it refuses the configuration or sends to no host."""
    hosts: list[str] = []

    def resolver(host: str, ipv6: bool, timeout_s: float) -> list[str]:
        hosts.append(host)
        return ["93.184.216.34"]

    try:
        of_kind(kind).check(read(kind, config), SendingClients(policy=Policy(), resolver=resolver))
    except (Invalid, ValueError):
        return None
    return hosts[0] if hosts else None


def other_values(value: Any) -> Iterator[Any]:
    """Yield changed values of one field."""
    if isinstance(value, str):
        for old, new in (("hook.", "other."), ("nord.", "other."), ("chat.", "other."), ("a", "b"), ("1", "2")):
            if old in value:
                yield value.replace(old, new, 1)
    elif isinstance(value, int):
        yield value + 1


def test_every_kind_with_secrets_is_in_the_table() -> None:
    with_secrets = {kind for kind in KINDS if secrets_in(read(kind, fixture(kind)["config"]))}

    assert with_secrets <= set(MOVES)
    assert {kind for kind in KINDS if of_kind(kind).CAPABILITIES.address_fields} == set(MOVES)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(AWS_KINDS)))
def test_address_fields_are_fields_and_each_field_that_changes_the_host_is_one(kind: str) -> None:
    fields = of_kind(kind).CAPABILITIES.address_fields
    assert set(fields) <= set(of_kind(kind).Config.model_fields)
    assert "api_url" not in of_kind(kind).Config.model_fields or "api_url" in fields
    configs = [fixture(kind)["config"], *(config for config, _ in MOVES.get(kind, ()))]
    for config in configs:
        for name, value in config.items():
            for other in other_values(value):
                host = looked_up(kind, {**config, name: other})
                assert host is None or host == looked_up(kind, config) or name in fields, name


@moves
def test_every_secret_is_demanded_when_the_address_changes(kind: str, config: Json, change: Json) -> None:
    new = {**config, **change}
    places = [place for place in secrets_in(read(kind, new)) if place[0] not in change]

    with pytest.raises(Invalid) as refused:
        check_secrets_given(kind, config, new, read(kind, new), change)

    assert {error["code"] for error in refused.value.errors} == {"secret_needed"}
    assert [error["loc"] for error in refused.value.errors] == [".".join(("body.config", *p)) for p in places]


@moves
def test_change_is_taken_when_the_secrets_are_given_or_the_address_stays(kind: str, config: Json, change: Json) -> None:
    new = {**config, **change}
    stays = {name: value for name, value in config.items() if name not in of_kind(kind).CAPABILITIES.address_fields}

    check_secrets_given(kind, config, new, read(kind, new), new)
    check_secrets_given(kind, config, config, read(kind, config), {})
    check_secrets_given(kind, config, {**config, **stays}, read(kind, config), {})


def test_one_given_secret_does_not_stand_for_another() -> None:
    config = {"url": "https://hook.example.com/in", "headers": {"A": "one", "B": "two"}}
    new = {**config, "url": "https://other.example.com/in"}

    with pytest.raises(Invalid) as refused:
        check_secrets_given("http", config, new, read("http", new), {"url": new["url"], "headers": {"A": "one"}})

    assert [error["loc"] for error in refused.value.errors] == ["body.config.headers.B"]
