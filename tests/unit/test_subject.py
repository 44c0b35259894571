"""Which country an event's people are in, and how that is known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.core.decide.plan import Cell, source_facts
from chalicelib.core.event.numbering import countries_of
from chalicelib.core.law.fact_fields import SHAPE, FactField, Node
from chalicelib.core.tenant.configuration import Configuration
from chalicelib.core.tenant.records import Source, SourceSettings, Tenant
from chalicelib.core.tenant.subject import SIGNALS, people_of, subject_facts
from chalicelib.law import installed
from tests.support.stores import new_tenant

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DECLARED = {"signal": "tenant_declared", "confidence": "declared"}
BY_NUMBER = {"signal": "phone_prefix", "confidence": "inferred"}
UNKNOWN = {"country": None, "signal": "none", "confidence": "unknown"}


def source(**fields: Any) -> Source:
    return Source(id="src_1", created_at=NOW, channel="whatsapp", name="shop", **fields)


def sent_by(id: str | None, phone: str | None = None, **fields: Any) -> dict[str, Any]:
    sender = {"id": id, "phone": phone, "is_self": False, **fields}
    return {"sender": sender, "conversation": {"id": id, "direct": True}, "members": []}


def facts(
    document: dict[str, Any], tenant: Tenant | None = None, numbers: bool = False, **fields: Any
) -> dict[str, Any]:
    tenant = tenant or new_tenant()
    people = people_of(tenant, source(**fields), document, numbers)
    return subject_facts(people, tenant, source(**fields))


@pytest.mark.parametrize(
    ("number", "countries"),
    [
        ("+4915112345678", ("DE",)),
        ("+77011234567", ("KZ",)),
        ("+76001234567", ("KZ",)),
        ("+79161234567", ("RU",)),
        ("+73001234567", ("RU",)),
        ("+8613800138000", ("CN",)),
        ("+85212345678", ("HK",)),
        ("+85312345678", ("MO",)),
        ("+88691234567", ("TW",)),
        ("+12025550100", ("US",)),
        ("+14165550100", ("CA",)),
        ("+18095550100", ("DO",)),
        ("+17875550100", ("PR",)),
        ("+18005550100", ()),
        ("+447911123456", ("GG",)),
        ("+447400123456", ("GB",)),
        ("+441534123456", ("JE",)),
        ("+447924123456", ("GB", "IM")),
        ("+390612345678", ("IT",)),
        ("+358412345678", ("FI",)),
        ("+590690001234", ("BL", "GP", "MF")),
        ("+38349123456", ()),
        ("+88212345678", ()),
        ("+80012345678", ()),
    ],
)
def test_the_longest_prefix_names_the_country_when_a_number_is_looked_up(
    number: str, countries: tuple[str, ...]
) -> None:
    assert countries_of(number) == countries


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({}, {"country": "CN", **BY_NUMBER}),
        ({"subject_country": "FR"}, {"country": "FR", **DECLARED}),
        ({"number_ranges": [{"prefix": "+86", "country": "HK"}]}, {"country": "HK", **DECLARED}),
        (
            {"subject_country": "FR", "number_ranges": [{"prefix": "+86", "country": "HK"}, {"prefix": "+8613", "country": "TW"}]},
            {"country": "TW", **DECLARED},
        ),
        ({"number_ranges": [{"prefix": "+49", "country": "AT"}]}, {"country": "CN", **BY_NUMBER}),
    ],
)  # fmt: skip
def test_the_first_that_answers_counts_when_several_tell_a_country(
    declared: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert facts(sent_by("8613800138000", "+8613800138000"), **declared) == expected


def test_the_controllers_country_counts_only_when_the_tenant_has_a_procedure() -> None:
    procedure = new_tenant(collected_in=True)

    assert facts(sent_by("opaque")) == UNKNOWN
    assert facts(sent_by("opaque"), procedure) == {"country": "DE", "signal": "collected_in", "confidence": "inferred"}
    assert facts(sent_by("8613800138000", "+8613800138000"), procedure)["country"] == "CN"


@pytest.mark.parametrize("number", ["+79161234567", "+77011234567"])
def test_either_country_may_be_a_persons_when_plus_seven_is_not_trusted(number: str) -> None:
    strict = facts(sent_by("x", number), new_tenant(strict_plus7=True))

    assert strict == {"country": None, "candidates": ["KZ", "RU"], **BY_NUMBER}


@pytest.mark.parametrize(
    ("id", "numbers", "country"),
    [
        ("8613800138000", True, "CN"),
        ("+8613800138000", True, "CN"),
        ("8613800138000", False, None),
        ("US.13001380013", True, None),
        ("0613800138000", True, None),
        ("123456", True, None),
        ("1234567890123456", True, None),
    ],
)
def test_an_id_is_a_number_only_where_the_channel_says_so(id: str, numbers: bool, country: str | None) -> None:
    assert facts(sent_by(id), numbers=numbers)["country"] == country


def test_the_customer_is_the_subject_when_we_ourselves_write() -> None:
    echo = sent_by("4915112345678", "+4915112345678", is_self=True)
    echo["conversation"] = {"id": "8613800138000", "direct": True}

    assert facts(echo, numbers=True) == {"country": "CN", **BY_NUMBER}
    assert facts(echo) == UNKNOWN


def test_every_country_is_a_candidate_when_people_of_one_event_differ() -> None:
    event = sent_by("8613800138000", "+8613800138000")
    event["members"] = [{"id": "4915112345678"}]

    assert facts(event, numbers=True) == {"country": None, "candidates": ["CN", "DE"], **BY_NUMBER}
    assert facts(event) == UNKNOWN  # of the second nothing is known


def test_the_source_tells_when_an_event_is_about_nobody() -> None:
    nobody: Any = {"sender": None, "conversation": {"id": None, "direct": None}, "members": []}

    assert facts(nobody, subject_country="FR") == {"country": "FR", **DECLARED}
    assert facts(nobody) == UNKNOWN


def test_all_candidates_laws_apply_when_a_country_is_one_of_several() -> None:
    from chalicelib.core.law.residency import decide

    tenant = new_tenant(strict_plus7=True)
    subject = facts(sent_by("x", "+79161234567"), tenant)
    base = source_facts(
        Configuration(tenant, 1), source(special=()), Cell("eu-central-1", "DE"), op="store", classes=["content"],
        now=NOW, received_at=NOW, subject=subject,
    )  # fmt: skip

    decision = decide(base, installed())

    assert {"RU", "KZ"} <= set(decision.laws)
    assert "subject.country" not in decision.missing
    assert decision.verdict == "refused"  # neither is content with a first record in Germany


@pytest.mark.parametrize(
    "ranges",
    [
        [{"prefix": "86", "country": "CN"}],
        [{"prefix": "+8613800138", "country": "CN"}],
        [{"prefix": "+86", "country": "XX"}],
        [{"prefix": "+86", "country": "CN"}, {"prefix": "+86", "country": "HK"}],
        [{"prefix": f"+{n}", "country": "CN"} for n in range(100, 151)],
    ],
)
def test_refused_when_number_ranges_say_too_much_or_nothing(ranges: list[dict[str, str]]) -> None:
    with pytest.raises(ValidationError):
        SourceSettings.model_validate({"channel": "whatsapp", "name": "shop", "number_ranges": ranges})


def test_signals_and_confidences_are_those_that_facts_may_have() -> None:
    subject = SHAPE["subject"]
    assert isinstance(subject, Node)
    signal, confidence = subject.fields["signal"], subject.fields["confidence"]
    assert isinstance(signal, FactField)
    assert isinstance(confidence, FactField)

    assert [signal.read(name) for name in SIGNALS] == list(SIGNALS)
    assert {confidence.read(name) for name in SIGNALS.values()} == set(SIGNALS.values())


def test_the_configuration_reads_as_before_when_nothing_new_is_declared() -> None:
    plain = Configuration(new_tenant(), 1, sources={"src_1": source()}).document
    told = Configuration(
        new_tenant(collected_in=True),
        1,
        sources={"src_1": source(number_ranges=[{"prefix": "+86", "country": "HK"}])},
    ).document

    assert "collected_in" not in plain["tenant"]
    assert "number_ranges" not in plain["sources"][0]
    assert told["tenant"]["collected_in"] is True
    assert told["sources"][0]["number_ranges"] == [{"prefix": "+86", "country": "HK"}]
