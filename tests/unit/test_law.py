"""The loader: its refusals, and its reading of the installed files."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from chalicelib.core.countries import COUNTRIES
from chalicelib.core.law.bases import BasisKind
from chalicelib.core.law.compiling import LANGUAGE
from chalicelib.core.law.loader import LawRefused, load_law, load_pack
from chalicelib.law import installed, texts
from chalicelib.law.pages import DOCS, pages

FIXTURES = Path(__file__).parent.parent / "fixtures" / "residency"

HEADER = """
code = "XX"
countries = ["JP"]
reach = ["collector", "subject", "store"]
time_zone = "Asia/Tokyo"
gate = true
gate_id = "XX.1"
gate_ref = "Act art. 1"
gate_title = "Transfers need a ground"
gate_title_ru = "Передача требует основания"
source = "Act"
weekend = [6, 7]
holidays = {"2026" = "01-01"}
adequate = [{from = 2020-01-01, to = "open", confidence = "memory", countries = "DE FR"}]
"""
RULE = """
[[rule]]
id = "XX.2"
title = "The destination is adequate"
title_ru = "Страна признана надлежащей"
ref = "Act art. 2"
effective_from = 2020-01-01
effective_to = "open"
source = "Act"
checked_on = 2026-11-22
confidence = "verified"
settled = true
kind = "permit"
when = {transfer = true, destination = {in_list = "adequate"}}
"""


def load(text: Any) -> Any:
    whole = texts()
    return load_law({"any.toml": whole["any.toml"], "fines.toml": whole["fines.toml"], "xx.toml": text})


def faults_of(text: Any) -> Any:
    with pytest.raises(LawRefused) as refused:
        load(text)
    return refused.value.faults


def test_law_loads_when_file_is_whole() -> None:
    law = load(HEADER + RULE)

    assert [f.code for f in law.files] == ["XX"]


@pytest.mark.parametrize(
    "key",
    [
        "id",
        "ref",
        "effective_from",
        "effective_to",
        "source",
        "checked_on",
        "confidence",
        "settled",
        "kind",
        "title",
        "title_ru",
    ],
)
def test_law_is_refused_when_rule_lacks_a_field(key: Any) -> None:
    faults = faults_of(HEADER + re.sub(rf"^{key} = .*\n", "", RULE, flags=re.M))

    assert any(f.endswith(f"{key} is missing") for f in faults), faults


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "permit"', 'kind = "allow"', "unknown kind 'allow'"),
        ('kind = "permit"', "kind = 7", "kind is of the wrong type"),
        ('ref = "Act art. 2"', 'ref = " "', "ref is empty"),
        ('effective_to = "open"', "effective_to = 2020-01-01", "effective_to is not after effective_from"),
        ('effective_to = "open"', 'effective_to = "never"', 'to is "open"'),
        ("checked_on = 2026-11-22", 'checked_on = "2026-11-22"', "checked_on is of the wrong type"),
        ('"verified"', '"sure"', "unknown confidence 'sure'"),
        ("transfer = true", "transfers = true", "unknown fact path or operator 'transfers'"),
        ("transfer = true", '"collector.contry" = "DE"', "unknown fact path or operator 'collector.contry'"),
        ("transfer = true", 'transfer = "yes"', "transfer is true or false"),
        ("transfer = true", 'op = "send"', "op: 'send' must be one of"),
        ("transfer = true", '"store.country" = "UK"', "'UK' must be a country"),
        ("transfer = true", '"data.classes" = {has = "secret"}', "'secret' must be one of"),
        ("transfer = true", '"data.classes" = "name"', "ask what it has"),
        ("transfer = true", "held_hours = 72", "held_hours is compared"),
        ("transfer = true", 'relies = ["XX.9"]', "relies on XX.9"),
        ("transfer = true", "any_of = []", "any_of is a list"),
        ("transfer = true", 'basis = {kind = "hope"}', "unknown basis kind 'hope'"),
        ("transfer = true", "basis = {bound = true}", "basis is a table with a kind"),
        ("transfer = true", 'basis = {kind = "scc", colour = "red"}', "unknown field 'colour'"),
        ("transfer = true", 'basis = {kind = "scc", filed_on = {near = 2026-01-01}}', "unknown operator 'near'"),
        ("transfer = true", 'special_in = ["gossip"]', "'gossip' must be one of"),
        ("transfer = true", 'within = {kind = "scc"}', "needs kind, field and working_days"),
        ("transfer = true", 'any_of = [{waited = {kind = "scc"}}]', "waited stands only at the top"),
        ("{in_list =", "{inside =", "unknown operator 'inside'"),
        ('"adequate"}', '"friendly"}', "unknown list name 'friendly'"),
        ("settled = true", 'settled = true\ncolour = "red"', "unknown key 'colour'"),
        ("settled = true", 'settled = true\nfine = "XX.f"', "fine 'XX.f' is not in the fines table"),
        ("settled = true", 'settled = true\nelse = "redact"', "unknown else 'redact'"),
        ("settled = true", 'settled = true\neffect = "maybe"', "unknown effect 'maybe'"),
        ("settled = true", 'settled = true\nwithin = "soon"', "within: not a period"),
        ('kind = "permit"', 'kind = "require"', "a require rule needs else"),
        ("gate = true", "gate = false", "a permit needs a gate"),
        ('gate_ref = "Act art. 1"\n', "", "a gate needs gate_id and gate_ref"),
        ('countries = ["JP"]', 'countries = ["JX"]', "unknown country 'JX'"),
        ('"DE FR"', '"DE FX"', "unknown country 'FX'"),
        ('reach = ["collector", ', 'reach = ["neighbour", ', "unknown reach 'neighbour'"),
        ("Asia/Tokyo", "Asia/Edo", "unknown time zone"),
        ('"01-01"', '"02-30"', "dates that exist"),
        ("weekend = [6, 7]", "weekend = [0]", "weekend holds ISO weekdays"),
        ("weekend = [6, 7]", "weekend = 6.5", "weekend is of the wrong type"),
        ('source = "Act"\nweekend', 'colour = "red"\nsource = "Act"\nweekend', "unknown key 'colour'"),
        ("gate = true\n", "", "gate is missing"),
        ('code = "XX"', 'code = "ANY"', "two files have this code"),
        ('gate_id = "XX.1"', 'gate_id = "XX.2"', "XX.2: duplicate id"),
        ('id = "XX.2"', 'id = "ANY.facts"', "ANY.facts: duplicate id"),
        ("[[rule]]", "[[rule", "not TOML"),
        (RULE, "rule = [1]", "every rule is a table"),
        (RULE, RULE + "x = {a = 1.5}", "fractions"),
        (RULE, RULE + RULE, "XX.2: duplicate id"),
        (RULE, RULE + RULE.replace('"XX.2"', '"XX.2@2024"').replace("= 2020", "= 2024"), "XX.2@2024: overlaps XX.2"),
    ],
)  # fmt: skip
def test_law_is_refused_when_file_is_wrong(old: Any, new: Any, said: Any) -> None:
    text = HEADER + RULE
    assert old in text

    faults = faults_of(text.replace(old, new, 1))

    assert any(said in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "EU.83.4"', 'id = "EU.83.5"', "EU.83.5: duplicate id"),
        ('id = "EU.83.4"', "id = 7", "needs id and breach"),
        ('currency = "EUR"', 'colour = "EUR"', "has only known keys"),
    ],
)
def test_law_is_refused_when_fines_are_wrong(old: Any, new: Any, said: Any) -> None:
    whole = texts()
    assert old in whole["fines.toml"]

    with pytest.raises(LawRefused) as refused:
        load_law(whole | {"fines.toml": whole["fines.toml"].replace(old, new, 1)})

    assert any(said in fault for fault in refused.value.faults)


def test_every_fault_is_listed_when_there_are_several() -> None:
    faults = faults_of(
        (HEADER + RULE).replace('"JP"', '"JX"').replace("transfer = true", "x = 1").replace("Tokyo", "Edo")
    )

    assert len(faults) == 3
    assert all(fault.startswith("xx.toml: ") for fault in faults)


def test_law_is_refused_when_guardrails_are_missing() -> None:
    with pytest.raises(LawRefused) as refused:
        load_law({"xx.toml": HEADER + RULE})

    assert refused.value.faults == ["any.toml: is missing"]


def test_versions_follow_each_other_when_one_ends_as_the_next_begins() -> None:
    first = RULE.replace('"XX.2"', '"XX.2@2020"').replace('"open"', "2024-01-01")
    second = RULE.replace('"XX.2"', '"XX.2@2024"').replace("= 2020", "= 2024")

    law = load(HEADER + first + second)

    assert [r.effective_to for r in law.files[0].permits] == [date(2024, 1, 1), None]


def test_document_lists_every_id_when_law_is_installed() -> None:
    law = installed()
    document = law.document()

    assert document["schema"] == "waybill.law/1"
    assert document["version"] == law.version == "2026.11.2"
    assert [table["code"] for table in document["laws"]] == sorted(t["code"] for t in document["laws"])
    ids = [r["id"] for r in document["rules"]]
    assert ids == sorted(set(ids))
    assert {"EU.44", "TENANT.switch", "ANY.unsettled", "ANY.facts", "RU.18.5@2025-07-01"} <= set(ids)
    of_old = next(r for r in document["rules"] if r["id"] == "RU.18.5@2015-09-01")
    assert (of_old["effective_from"], of_old["effective_to"]) == ("2015-09-01", "2025-07-01")
    assert law.hash == "sha256:" + hashlib.sha256(rfc8785.dumps(document)).hexdigest()
    assert json.loads(law.canonical) == document


def test_hash_changes_when_a_rule_does() -> None:
    changed = texts() | {"ch.toml": texts()["ch.toml"].replace('"P30D"', '"P31D"')}

    assert load_law(changed).hash != installed().hash


def test_rules_are_checked_when_law_is_installed() -> None:
    rules = [r for f in (installed().any, *installed().files) for r in (*f.permits, *f.rules)]

    assert len(rules) == 165
    assert {r.checked_on for r in rules} == {date(2026, 11, 22), date(2026, 11, 30)}


def test_every_jurisdiction_says_what_a_breach_may_cost() -> None:
    without = {f.code for f in installed().files if not any(r.fine for r in f.rules)}

    assert without == set()


def test_published_opinions_are_cited_and_shown() -> None:
    cited = [o for f in installed().files for r in f.rules for o in r.opinions]

    assert {o.body for o in cited} >= {"Roskomnadzor", "Tverskoy District Court of Moscow"}
    page = pages()["ru.md"]
    assert all(f"<{o.url}>" in page and o.date.isoformat() in page for o in cited)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('url = "https://a.example"', 'url = "http://a.example"', "begins with https://"),
        ('says = "so", ', "", "an opinion has body, date, ref, says, url"),
        ("date = 2026-01-01", 'date = "2026-01-01"', "an opinion has body, date, ref, says, url"),
    ],
)
def test_opinion_is_refused_when_it_is_not_whole(old: str, new: str, said: str) -> None:
    opinion = 'opinions = [{body = "B", date = 2026-01-01, ref = "r", says = "so", url = "https://a.example"}]\n'
    assert load(HEADER + RULE + opinion).files[0].permits[0].opinions[0].says == "so"

    assert any(said in fault for fault in faults_of(HEADER + RULE + opinion.replace(old, new)))


def test_pages_are_those_of_the_files_when_compared() -> None:
    made = pages()

    assert {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md") if path.name in made} == made
    assert {path.name for path in DOCS.glob("*.md")} == {*made, "README.md", "adding.md"}


def test_countries_are_those_of_iso_3166_when_compared_with_the_tz_database() -> None:
    from importlib.resources import files

    lines = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8").splitlines()

    assert {line[:2] for line in lines if not line.startswith("#")} == COUNTRIES


def test_every_kind_of_record_has_a_term_when_exported() -> None:
    listed = set((FIXTURES / "dpv-terms.txt").read_text(encoding="utf-8").split())

    for kind in BasisKind:
        prefix, _, term = kind.dpv_iri.rpartition("#")
        vocabulary = {"https://w3id.org/dpv": "dpv:", "https://w3id.org/dpv/legal/eu/gdpr": "eu-gdpr:"}.get(prefix)
        assert vocabulary is None or vocabulary + term in listed, kind
        assert vocabulary is not None or term == kind.value


# Numbers of bulk data


def test_numbers_of_bulk_data_stay_as_long_as_the_rule_language() -> None:
    # A pack holds no numbers: old evidence is decided again with the installed ones.
    assert (LANGUAGE, dict(installed().bulk)) == (
        2,
        {
            "identifiers_12m": 100_001,
            "geo_devices_12m": 1_001,
            "health_12m": 10_001,
            "biometric_12m": 1_001,
            "financial_12m": 10_001,
            "genomic_12m": 101,
        },
    )


def test_a_law_without_the_numbers_that_it_needs_is_refused() -> None:
    with pytest.raises(LawRefused) as refused:
        load_law({name: text for name, text in texts().items() if name != "thresholds.toml"})

    assert refused.value.faults == ["thresholds.toml: is missing"]


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ('counter = "genomic_12m"', 'counter = "health_12m"'),
        ("number = 100\n", 'number = "many"\n'),
        ('law = "US"', 'law = "RU"'),
        ("[[threshold]]", "[[limit]]"),
    ],
)
def test_a_law_is_refused_when_a_number_of_bulk_data_has_a_fault(line: str, instead: str) -> None:
    whole = texts()

    with pytest.raises(LawRefused) as refused:
        load_law(whole | {"thresholds.toml": whole["thresholds.toml"].replace(line, instead)})

    assert [fault.partition(": ")[0] for fault in refused.value.faults] == ["thresholds.toml"]


def test_a_pack_decides_by_the_installed_numbers() -> None:
    law = installed()

    packed = load_pack(law.canonical, law.bulk)
    assert (packed.hash, packed.bulk) == (law.hash, law.bulk)
    with pytest.raises(LawRefused):
        load_pack(law.canonical, {})
