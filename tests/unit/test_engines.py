"""The abilities that an engine must have, and the settings that a cell may not have with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from importlib.resources import files

import pytest

from chalicelib import runtime as shells
from chalicelib.core.countries import COUNTRIES
from chalicelib.core.errors import Misconfigured, WrongRegion
from chalicelib.settings import Settings, from_environment
from chalicelib.store import data, engines, items, queues
from chalicelib.store.audit import BATCH_INSERT
from chalicelib.store.engines import CAPABILITIES, EngineProfile, check, profile

PROFILES = ["alternator", "dynamodb", "dynoxide", "ydb"]
AT_HOME = {
    "dynamodb": "https://tables.example",
    "sqs": "https://queues.example",
    "s3": "https://objects.example",
}
FRANKFURT = Settings(cell="eu1", region="eu-central-1", country="DE")
MOSCOW = Settings(
    cell="ru1", region="ru-home1", country="RU", insert="put", engine="alternator", endpoints=AT_HOME,
    master_key="master.key", seal_seed="seal.seed",
)  # fmt: skip
CLOUD = replace(MOSCOW, region="ru-central1", engine="ydb")


def lacking(one: EngineProfile, capability: str) -> EngineProfile:
    return replace(one, capabilities=one.capabilities - {capability})


def test_every_file_is_a_profile() -> None:
    assert engines.names() == PROFILES


@pytest.mark.parametrize("name", PROFILES)
def test_profile_says_where_each_of_its_facts_was_read(name: str) -> None:
    one = profile(name)
    told = {fact for source in one.sources for fact in source["tells"]}

    assert date(2026, 11, 22) <= one.checked_on <= date(2026, 11, 30)
    assert all(source["url"].startswith("https://") for source in one.sources)
    facts = set(CAPABILITIES) - {
        "single_country",
        "key_service",
        "conditional_put",
        "streams",
        "pitr",
        "deny_per_action",
    }
    assert facts - told == set() or name == "dynamodb"
    if not one.on_aws:
        assert {"streams", "pitr", "deny_per_action", "conditional_put"} - told == set()
        assert {limit for limit, value in one.limits.items() if value} - told == set()
    assert set(one.regions.values()) <= COUNTRIES


@pytest.mark.parametrize("name", PROFILES)
def test_what_we_send_is_within_the_limits(name: str) -> None:
    limits = profile(name).limits

    assert limits["batch_get_items"] >= items.BATCH_GET
    assert limits["messages_a_call"] >= queues.ENTRIES_A_CALL
    assert limits["message_bytes"] >= queues.BYTES_A_CALL
    if "insert_only_partiql" in profile(name).capabilities:
        assert limits["batch_statements"] >= max(BATCH_INSERT, data.INSERTS_A_CALL)


@pytest.mark.parametrize("settings", [FRANKFURT, MOSCOW, CLOUD], ids=lambda s: s.region)
def test_cell_may_stand_where_engine_and_settings_agree(settings: Settings) -> None:
    check(profile(settings.engine), settings)


@pytest.mark.parametrize("capability", ["conditional_put", "single_country"])
def test_engine_is_refused_by_name_and_remedy_when_it_lacks_what_is_needed(capability: str) -> None:
    with pytest.raises(Misconfigured, match=f"alternator lacks {capability}: take an engine"):
        check(lacking(profile("alternator"), capability), MOSCOW)


@pytest.mark.parametrize(
    "capability",
    sorted(set(CAPABILITIES) - {"conditional_put", "single_country", "insert_only_partiql", "key_service"}),
)
def test_engine_will_do_when_it_lacks_what_has_a_substitute(capability: str) -> None:
    check(lacking(profile("dynamodb"), capability), FRANKFURT)


def endpoints(**changes: str) -> dict[str, str]:
    return {**AT_HOME, **changes}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (replace(CLOUD, insert="partiql"), "ydb lacks insert_only_partiql"),
        (replace(CLOUD, region="ru-north9"), "ydb has no region ru-north9: AWS_REGION is one of kz1, ru-central1"),
        (replace(CLOUD, region="eu-central-1"), "ydb has no region eu-central-1"),
        (replace(CLOUD, country="KZ"), "the region ru-central1 is in RU"),
        (replace(CLOUD, endpoints={"s3": "https://objects.example"}), "set WAYBILL_DYNAMODB_URL, WAYBILL_SQS_URL"),
        (replace(CLOUD, endpoints=endpoints(sqs="http://queues.example")), "WAYBILL_SQS_URL is not encrypted"),
        (replace(CLOUD, endpoints=endpoints(sqs="http://8.8.8.8")), "WAYBILL_SQS_URL is not encrypted"),
        (
            replace(CLOUD, endpoints=endpoints(s3="https://s3.eu-central-1.amazonaws.com")),
            "WAYBILL_S3_URL is an address of AWS",
        ),
        (replace(CLOUD, master_key=""), "ydb lacks key_service: set WAYBILL_MASTER_KEY to"),
        (replace(CLOUD, master_key="", seal_seed=""), "set WAYBILL_MASTER_KEY and WAYBILL_SEAL_SEED to"),
        (replace(MOSCOW, region="eu-central-1"), "is one of AWS's"),
        (replace(MOSCOW, region="home1"), "AWS_REGION names the country first"),
        (replace(MOSCOW, country="KZ"), "AWS_REGION names the country first"),
        (replace(MOSCOW, country="XX", region="xx-home1"), "ISO 3166-1"),
        (
            replace(FRANKFURT, country="RU"),
            "AWS has no region in RU: set WAYBILL_ENGINE to .*alternator, dynoxide, ydb",
        ),
        (replace(FRANKFURT, country="FR"), "the region eu-central-1 is in DE: set WAYBILL_COUNTRY"),
        (replace(FRANKFURT, endpoints=AT_HOME), "WAYBILL_DYNAMODB_URL is for engines other than dynamodb"),
        (replace(FRANKFURT, master_key="master.key"), "WAYBILL_MASTER_KEY is for engines without a key service"),
    ],
)
def test_settings_are_refused_with_a_remedy_when_the_engine_is_elsewhere_or_cannot(
    settings: Settings, told: str
) -> None:
    with pytest.raises(Misconfigured, match=told):
        check(profile(settings.engine), settings)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "10.1.2.3", "172.31.0.1:9000", "192.168.4.4", "[fd00::1]"]
)
def test_address_may_be_unencrypted_when_it_is_of_a_private_network(host: str) -> None:
    check(profile("alternator"), replace(MOSCOW, endpoints=endpoints(dynamodb=f"http://{host}")))


def test_profile_is_refused_when_it_is_unknown_or_tells_of_other_capabilities() -> None:
    text = (files(engines.__package__ or "") / "ydb.toml").read_text("utf-8")

    with pytest.raises(Misconfigured, match="WAYBILL_ENGINE is one of alternator, dynamodb, dynoxide, ydb"):
        profile("../ydb")
    with pytest.raises(Misconfigured, match="tells of telepathy, ttl wrongly"):
        engines.read("ydb", text.replace("ttl = true", "telepathy = true"))


ENVIRONMENT = {
    "WAYBILL_CELL": "ru1", "AWS_REGION": "ru-central1", "WAYBILL_COUNTRY": "RU", "WAYBILL_ENGINE": "ydb",
    "WAYBILL_DYNAMODB_URL": "https://tables.example/ru-central1/b1g/etn/", "WAYBILL_SQS_URL": "https://queues.example",
    "WAYBILL_S3_URL": "https://objects.example", "WAYBILL_MASTER_KEY": "master.key", "WAYBILL_SEAL_SEED": "seal.seed",
}  # fmt: skip


def test_home_is_read_from_the_environment_and_appends_by_put() -> None:
    settings = from_environment(ENVIRONMENT)

    assert (settings.engine, settings.insert, settings.master_key) == ("ydb", "put", "master.key")
    assert settings.endpoints["dynamodb"] == "https://tables.example/ru-central1/b1g/etn"
    check(profile(settings.engine), settings)


def test_home_is_on_aws_when_the_environment_names_no_engine() -> None:
    settings = from_environment({"WAYBILL_CELL": "eu1", "AWS_REGION": "eu-central-1", "WAYBILL_COUNTRY": "DE"})

    assert (settings.engine, settings.insert, settings.endpoints) == ("dynamodb", "partiql", {})


@pytest.mark.parametrize(
    "url", ["queues.example", "ftp://queues.example", "https://me:word@queues.example", "https://q.example?a=b", "https://[x"]
)  # fmt: skip
def test_address_is_refused_when_it_is_none(url: str) -> None:
    with pytest.raises(Misconfigured, match="WAYBILL_SQS_URL is a base address"):
        from_environment({**ENVIRONMENT, "WAYBILL_SQS_URL": url})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"WAYBILL_ENGINE": ""}, "AWS has no region in RU"),
        ({"WAYBILL_ENGINE": "floppy"}, "WAYBILL_ENGINE is one of"),
        ({"WAYBILL_INSERT": "partiql"}, "insert_only_partiql"),
    ],
)
def test_process_does_not_start_when_its_engine_will_not_do(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], told: str
) -> None:
    for name, value in {**ENVIRONMENT, **changes}.items():
        monkeypatch.setenv(name, value)
    shells.install(None)

    with pytest.raises(Misconfigured, match=told):
        shells.runtime()


def test_clients_are_of_the_named_addresses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": "https://elsewhere.example"}.items():
        monkeypatch.setenv(name, value)
    shells.install(None)

    cell = shells.runtime()

    assert cell.clients.get("sqs").meta.endpoint_url == "https://queues.example"
    assert cell.clients.get("dynamodb").meta.endpoint_url == "https://tables.example/ru-central1/b1g/etn"
    for service in ("kms", "sts", "lambda"):
        with pytest.raises(WrongRegion, match=f"this home has no {service}"):
            cell.clients.get(service)
    with pytest.raises(WrongRegion):
        cell.clients.get("sqs", "eu-central-1")
    for service in ("sqs", "dynamodb"):
        cell.clients.get(service).close()
    shells.install(None)
