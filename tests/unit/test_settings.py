"""Settings: missing or wrong ones are named, and a cell runs in its own region and country only."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import runtime as shells
from chalicelib import settings
from chalicelib.core.errors import Misconfigured, WrongRegion
from chalicelib.settings import from_environment
from chalicelib.store.region import Clients

GOOD = {"WAYBILL_CELL": "eu1", "AWS_REGION": "eu-central-1", "WAYBILL_COUNTRY": "DE"}


def test_read_when_complete() -> None:
    settings = from_environment(
        {**GOOD, "WAYBILL_EXTRA_PORTS": "8444, 9443", "WAYBILL_HOOKS_URL": "https://h.example/"}
    )

    assert settings.prefix == "waybill-eu1"
    assert settings.extra_ports == {8444, 9443}
    assert settings.hooks_url == "https://h.example"
    assert settings.insert == "partiql"
    assert settings.allow_cidrs == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"WAYBILL_CELL": ""}, "WAYBILL_CELL"),
        ({"AWS_REGION": ""}, "AWS_REGION"),
        ({"WAYBILL_REGION": "me-central-1"}, "WAYBILL_REGION"),
        ({"WAYBILL_INSERT": "update"}, "WAYBILL_INSERT"),
        ({"WAYBILL_ALLOW_CIDRS": "everything"}, "WAYBILL_ALLOW_CIDRS"),
        ({"WAYBILL_KEY_RATE_PER_S": "many"}, "rate"),
        ({"WAYBILL_OFF_RECORD_S": "15"}, "WAYBILL_OFF_RECORD_S"),
        ({"WAYBILL_OFF_RECORD_S": "nan"}, "WAYBILL_OFF_RECORD_S"),
        ({"WAYBILL_ACCOUNT": "12345"}, "WAYBILL_ACCOUNT"),
        ({"WAYBILL_ACCOUNT": "12345678901²"}, "WAYBILL_ACCOUNT"),
    ],
)
def test_refused_and_named_when_a_setting_is_wrong(changes: dict[str, str], told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        from_environment({**GOOD, **changes})


def test_refused_when_the_country_is_not_the_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**GOOD, "WAYBILL_COUNTRY": "US"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WAYBILL_REGION", raising=False)
    shells.install(None)

    with pytest.raises(Misconfigured, match="DE"):
        shells.runtime()


@pytest.mark.parametrize("region", ["", "aws-global", "aws-us-gov-global"])
def test_no_client_when_the_region_is_none(region: str) -> None:
    with pytest.raises(WrongRegion):
        Clients(region)


def test_no_client_when_another_region_is_asked_for_or_made() -> None:
    class Meta:
        region_name = "us-east-1"

    class Client:
        meta = Meta()

    made: list[Any] = []

    def make(service: str, region: str) -> Any:
        made.append((service, region))
        return Client()

    clients = Clients("eu-central-1", make=make)

    with pytest.raises(WrongRegion):
        clients.get("dynamodb", "us-east-1")
    assert made == []
    with pytest.raises(WrongRegion):
        clients.get("dynamodb")


WITNESS = "witness.example/w1+1f2e3d4c+B" + "A" * 43
SECOND = "witness.example/w2+1f2e3d4c+B" + "P" + "z" * 42


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        (WITNESS, ((WITNESS, ""),)),
        (f"{WITNESS} https://w.example/submit/", ((WITNESS, "https://w.example/submit"),)),
        (f"{WITNESS} https://w.example, {SECOND}", ((WITNESS, "https://w.example"), (SECOND, ""))),
        (f"{WITNESS} http://127.0.0.1:9000", ((WITNESS, "http://127.0.0.1:9000"),)),
    ],
)
def test_witnesses_are_read_with_their_addresses(text: str, found: tuple[tuple[str, str], ...]) -> None:
    assert settings.witnesses(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "https://w.example",
        "witness.example/w1",
        WITNESS.replace("+B", "+A"),  # a log's key
        f"{WITNESS} https://w.example https://x.example",
        f"{WITNESS} {WITNESS}",
        f"{WITNESS} ftp://w.example",
        f"{WITNESS} https://user@w.example",
        f"{WITNESS} https://w.example/?a=b",
    ],
)
def test_witnesses_are_refused_when_a_key_or_an_address_is_none(text: str) -> None:
    with pytest.raises(Misconfigured, match="WAYBILL_WITNESSES"):
        settings.witnesses(text)
