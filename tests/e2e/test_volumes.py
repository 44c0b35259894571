"""People are counted, and a law that depends on their number follows it: in route, at the next attempt, and in the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import cli
from chalicelib.channels.base import Inbound
from chalicelib.channels.fields import hmac_sha256
from chalicelib.core import ids, times
from chalicelib.core.tenant.records import Basis, Route, Source
from chalicelib.core.verify.redecide import configuration_of, redecide
from chalicelib.flow import alone
from chalicelib.flow.hooks import receive
from chalicelib.flow.routing import route
from chalicelib.store.volume_rows import CounterKey
from tests.support import deaths
from tests.support.logs import let_seal, tar
from tests.support.world import World, raw, world

NUMBER = "8613800138000"
"""A number that may appear only in sealed content."""


def declare(cell: World, **source: Any) -> None:
    """A tenant whose people are in China, with all that a transfer needs except the number of people."""
    cell.connect(source={"subject_country": "CN", **source})
    for kind, fields in (
        ("explicit-consent", {"recipient": cell.recipient, "separate_document": True, "special": True}),
        ("impact-assessment", {}),
    ):
        basis: dict[str, Any] = {"id": ids.sortable("bas", cell.clock, cell.randomness.randbytes(11)), "kind": kind}
        basis |= {"valid_from": "2026-01-01", "evidence": "sha256:" + "00" * 32, "created_at": cell.clock, **fields}
        cell.runtime.config.insert(cell.tenant, Basis.model_validate(basis))


@pytest.fixture
def cell() -> Iterator[World]:
    with world() as made:
        declare(made)
        yield made


def place(cell: World, law: str = "CN") -> CounterKey:
    return CounterKey(cell.tenant, law, 2026)


def there_are(cell: World, people: int) -> None:
    """Set the number of counted people."""
    _, key = cell.runtime.volumes.key(place(cell))
    row: dict[str, Any] = {**key, "subjects_ytd": people, "sensitive_ytd": 0, "version": 1, "open": "{}"}
    assert cell.runtime.volumes.table.insert(row)


def newest(cell: World) -> dict[str, Any]:
    found = [e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "telegram"]
    return max(found, key=lambda e: (str(e["at"]), e["supersedes"] is not None))


def decided_again(cell: World, entry: dict[str, Any]) -> list[str]:
    configuration = configuration_of(cell.runtime.config.snapshot(cell.tenant).configuration.document)
    judgements = [redecide(entry, r, configuration, cell.runtime.decider.decide) for r in entry["routes"]]
    return [j.verdict for j in judgements if j is not None]


def told(cell: World) -> list[tuple[str, str, int]]:
    """Return the threshold notices among the delivered events of the cell."""
    own = [b["data"] for _, _, b, s in cell.receiver.requests if s == 204 and b["data"]["channel"] == "waybill"]
    near = [e for e in own if e["native_kind"].startswith("threshold.")]
    return [(e["native_kind"], e["raw"]["threshold"], e["raw"]["count"]) for e in near]


def test_a_transfer_is_exempt_when_few_people_were_counted(cell: World) -> None:
    for number in range(3):
        cell.clock += timedelta(minutes=1)
        cell.post(number, chat=100 + number % 2)
        cell.settle()

    assert cell.receiver.texts() == ["m0", "m1", "m2"]
    entry = newest(cell)
    assert entry["facts"]["volumes"] == {"CN": {"subjects_ytd": 2, "sensitive_ytd": 0}}
    assert "CN.38.exempt-volume" in [r["id"] for r in entry["routes"][0]["rules"]]
    assert decided_again(cell, entry) == ["allowed"]


def test_a_transfer_is_held_when_the_next_person_ends_the_exemption(cell: World) -> None:
    there_are(cell, 99_998)
    cell.post(1, chat=1)
    cell.settle()

    cell.clock += timedelta(minutes=1)
    cell.post(2, chat=2)
    cell.settle()

    assert cell.receiver.texts() == ["m1"]
    entry = newest(cell)
    assert (entry["routes"][0]["decision"], entry["facts"]["volumes"]["CN"]["subjects_ytd"]) == ("held", 100_000)
    assert [r["id"] for r in entry["routes"][0]["rules"]] == ["CN.38"]
    assert decided_again(cell, entry) == ["held"]


def test_the_next_attempt_is_held_when_the_exemption_ended_since_the_last(cell: World) -> None:
    there_are(cell, 99_998)
    cell.receiver.answer = lambda body: (503, {})
    cell.post(1, chat=1)
    cell.settle()
    cell.receiver.answer = lambda body: (204, {})

    cell.post(2, chat=2)
    cell.run(timedelta(minutes=10))

    assert cell.receiver.texts() == []
    again = [e for e in cell.of_kind("decided") if e["cause"] == "rechecked"]
    assert [e["facts"]["volumes"]["CN"]["subjects_ytd"] for e in again] == [100_000]
    assert [decided_again(cell, e) for e in again] == [["held"]]


@deaths.in_parts
def test_the_count_is_right_when_the_process_dies_at_any_effect(part: int) -> None:
    def run(crash_at: int | None) -> int:
        with world() as cell:
            declare(cell)
            begun = len(cell.effects)
            cell.crash_at = None if crash_at is None else begun + crash_at
            for number, chat in enumerate((1, 2, 1)):
                cell.post(number, chat=chat)
                cell.settle()
            cell.run(timedelta(minutes=30))
            assert cell.runtime.volumes.get([place(cell)]) == {place(cell): {"subjects_ytd": 2, "sensitive_ytd": 0}}
            assert cell.receiver.texts() == ["m0", "m1", "m2"] or crash_at is not None
            return len(cell.effects) - begun

    for effect in deaths.at(range(1, run(None) + 1), 8, part):
        run(effect)


def test_people_cost_nothing_more_when_they_were_counted_this_year(cell: World) -> None:
    def writes(one: World) -> list[str]:
        one.post(1)
        one.settle()
        before = len(one.effects)
        one.post(2)
        one.inbox.run(route.handle)
        return sorted(e for e in one.effects[before:] if e.startswith("before"))

    with world() as uncounted:
        declare(uncounted, subject_country="DE")

        assert writes(cell) == writes(uncounted)


def test_verify_is_clean_when_decisions_turned_on_how_many_people_there_are(
    cell: World, tmp_path: Any, capsys: Any
) -> None:
    there_are(cell, 99_999)
    cell.post(1, chat=1)
    cell.run(timedelta(minutes=3))
    for _ in range(3):
        let_seal(cell)
    (tmp_path / "evidence.tar").write_bytes(tar(cell))
    capsys.readouterr()

    code = cli.main(
        ["verify", "--json", "--self-attested", "--now", times.text(cell.clock), str(tmp_path / "evidence.tar")]
    )

    report = json.loads(capsys.readouterr().out)
    assert (code, report["faults"]) == (0, [])


def test_a_threshold_is_told_once_when_it_comes_near_and_once_when_it_is_reached() -> None:
    with world() as cell:
        declare(cell, subject_country="RU")
        also = {
            "name": "own",
            "pattern": {"channel": ["waybill"]},
            "destination": cell.destination,
            "purpose": "support",
        }
        id = ids.sortable("rte", cell.clock, cell.randomness.randbytes(11))
        cell.runtime.config.insert(cell.tenant, Route.model_validate({**also, "id": id, "created_at": cell.clock}))
        _, key = cell.runtime.volumes.key(place(cell, "RU"))

        for people in (898, 998):
            row: dict[str, Any] = {**key, "subjects_ytd": people, "version": people, "open": "{}"}
            cell.runtime.volumes.table.replace(row, "attribute_not_exists(pk) OR version < :v", {":v": people})
            for chat in range(3):
                cell.clock += timedelta(minutes=1)
                cell.post(people + chat, chat=people + chat)
                cell.settle()

        assert told(cell) == [("threshold.near", "RU.1000", 900), ("threshold.reached", "RU.1000", 1000)]


def test_a_threshold_is_told_though_the_process_dies_after_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "BEGINNINGS_MAX", 99)  # the process dies often until it dies at the right effect
    with world() as cell:
        declare(cell, subject_country="RU")
        _, key = cell.runtime.volumes.key(place(cell, "RU"))
        cell.runtime.volumes.table.insert({**key, "subjects_ytd": 899, "version": 1, "open": "{}"})
        cell.post(1)
        counted = next(n for n in range(1, 99) if _dies_counted(cell, n))
        cell.clock += timedelta(minutes=10)

        cell.settle()

        assert counted
        told_to = [e for e in cell.effects if e == "inbox.sent"]
        assert len(told_to) == 3  # the person's event, and the notices that its flow stopped and of the threshold
        assert cell.runtime.volumes.get([place(cell, "RU")])[place(cell, "RU")] == {"subjects_ytd": 900}


def _dies_counted(cell: World, after: int) -> bool:
    """Crash route at an effect; say whether it had just counted."""
    cell.crash_at = len(cell.effects) + after
    cell.clock += timedelta(minutes=10)
    cell.inbox.run(route.handle)
    cell.crash_at = None
    return cell.runtime.volumes.get([place(cell, "RU")])[place(cell, "RU")] == {"subjects_ytd": 900}


def whatsapp(cell: World, number: str) -> None:
    """A person writes from a number to a source that declares only its channel."""
    source, message = ids.sortable("src", cell.clock, cell.randomness.randbytes(11)), {"from": number, "id": "wamid.1"}
    message |= {"timestamp": str(int(cell.clock.timestamp())), "type": "text", "text": {"body": "hello"}}  # type: ignore[dict-item]
    declared = Source(id=source, channel="whatsapp", name="shop", special=(), created_at=cell.clock)
    secret = {"app_secret": "app-secret", "verify_token": "typed"}
    cell.runtime.config.insert(cell.tenant, declared, [{"secret": secret, "until": None}])
    cell.runtime.config.insert_lookup(source, cell.tenant, source)
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "7"}, "messages": [message]}
    whole = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "9", "changes": [{"field": "messages", "value": value}]}],
    }
    body = json.dumps(whole).encode()
    headers = {"content-type": "application/json", "x-hub-signature-256": f"sha256={hmac_sha256('app-secret', body)}"}
    answer = receive.handle(cell.runtime, source, Inbound("POST", "https://h/", headers, {}, body, cell.clock))
    assert answer.status == 200


def test_the_number_is_nowhere_when_a_country_follows_from_it(cell: World, capsys: Any) -> None:
    whatsapp(cell, NUMBER)
    cell.settle()

    (entry,) = [e for e in cell.of_kind("decided") if e["receipt"]["channel"] == "whatsapp"]
    assert entry["facts"]["subject"] == {"country": "CN", "signal": "phone_prefix", "confidence": "inferred"}
    assert entry["routes"][0]["decision"] == "allowed"
    assert entry["facts"]["volumes"]["CN"] == {"subjects_ytd": 1, "sensitive_ytd": 0}
    assert NUMBER in str(cell.receiver.requests)
    assert NUMBER not in json.dumps(cell.entries())
    assert [
        row for table in ("data", "people", "config") for row in cell.rows(table) if NUMBER.encode() in raw(row)
    ] == []
    assert NUMBER not in "".join(capsys.readouterr())
