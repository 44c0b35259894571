"""The contract that every channel keeps, run over its fixtures.

A new channel adds a fixtures folder, a function in ``channels/signing.py``, its lines in
``channels/traits.py`` and a page in ``docs/channels``; no test is written for it here.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from chalicelib.channels import CHANNELS, KINDS
from chalicelib.channels.base import ChannelCapabilities, receive
from tests.contract.channels.cases import ALL, FIXTURES, Case, cases, differences, documents, inbound, raw_body, run
from tests.contract.channels.hostile import damaged, flipped
from tests.contract.channels.matrix import DOCS, matrix
from tests.contract.channels.signing import ANOTHER, SIGN, sign
from tests.contract.channels.traits import REQUIRED_WORDS, TRAITS

FUZZ_ROUNDS = int(os.environ.get("WAYBILL_FUZZ", "300"))


GENUINE = [case for case in ALL if case.expect["verdict"] in ("accepted", "ignored")]
SIGNED = [case for case in GENUINE if TRAITS[case.kind].signs_body and raw_body(case.fixture)]


def ids(case: Case) -> str:
    return f"{case.kind}-{case.name}"


def another(case: Case) -> Any:
    """Return a secret of the same form that is not the case's."""
    other = ANOTHER.get(case.kind) or {name: value + "x" for name, value in case.fixture["secret"].items()}
    return CHANNELS[case.kind].Secret.model_validate(other)


# --- the fixtures


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_request_becomes_what_the_fixture_expects(case: Case) -> None:
    received, events = run(case)

    assert list(differences(case, received, events)) == []


@pytest.mark.parametrize("case", [case for case in ALL if case.expect.get("events")], ids=ids)
def test_difference_is_seen_when_any_expected_value_is_another(case: Case) -> None:
    received, events = run(case)

    for index, event in enumerate(case.expect["events"]):
        for name in event:
            wrong = copy.deepcopy(dict(case.fixture))
            wrong["expect"]["events"][index][name] = "another value"
            assert f"events[{index}].{name}" in list(differences(Case(case.kind, case.name, wrong), received, events))


@pytest.mark.parametrize("kind", KINDS)
def test_fixtures_hold_every_case_a_channel_must_have(kind: str) -> None:
    traits, names = TRAITS[kind], [case.name for case in cases(kind)]

    required = ["text", "rejected-", "big-ids"] + ["ignored-"] * traits.ignores
    required += ["malformed-"] * (not traits.proof_in_body)
    required += ["stale-"] * traits.signs_time + ["batch-"] * traits.batches + ["handshake"] * bool(traits.handshake)

    assert [start for start in required if not any(name.startswith(start) for name in names)] == []
    said = unquote(next(raw_body(c.fixture).decode() for c in cases(kind) if c.name == "text"))
    assert not said.isascii() or "\\u" in said


@pytest.mark.parametrize("kind", KINDS)
def test_fixtures_cover_every_word_of_the_dispatch_tables(kind: str) -> None:
    covered = {event.get("native_kind", "") for case in cases(kind) for event in case.expect.get("events", ())}
    words = {part for native in covered for part in (native, *native.split("."))}

    assert words >= REQUIRED_WORDS[kind]


# --- the laws


@pytest.mark.parametrize("case", GENUINE, ids=ids)
def test_answer_is_the_platforms_success_when_request_is_genuine(case: Case) -> None:
    received, _ = run(case)

    traits = TRAITS[case.kind]
    assert (received.reply.status, received.reply.body) in ((200, traits.acknowledges), *traits.also)


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_dedupe_ids_differ_and_are_the_same_the_second_time(case: Case) -> None:
    first, events = run(case)
    second, again = run(case)

    names = [event["dedupe_id"] for event in events]
    assert all(names)
    assert len(set(names)) == len(names)
    assert (first, events) == (second, again)


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_refusal_repeats_nothing_of_the_request(case: Case) -> None:
    received, _ = run(case)
    if received.verdict not in ("rejected", "malformed"):
        return

    said = json.dumps(json.loads(received.reply.body), ensure_ascii=False) + received.detail
    assert received.reply.headers["Content-Type"] == "application/problem+json"
    assert len(said) < 500
    secrets = [value for value in case.fixture["secret"].values() if isinstance(value, str) and value in said]
    values = re.sub(r'"\w+":|\bname="\w+"|(?:^|&)[\w-]+=', "", raw_body(case.fixture).decode(errors="replace"))
    assert secrets == []
    assert [word for word in re.findall(r"\w{5,}", values) if word in said] == []


@pytest.mark.parametrize("case", SIGNED, ids=ids)
def test_request_is_rejected_when_any_byte_of_a_signed_body_changes(case: Case) -> None:
    size = len(raw_body(case.fixture))
    places = range(size) if size < 400 else sorted(random.Random(size).sample(range(size), 60))

    verdicts = {run(case, **flipped(case, at))[0].verdict for at in places}

    assert verdicts == {"rejected"}


PROVEN = [
    case
    for case in ALL
    if case.expect["verdict"] == "accepted" or (case.expect["verdict"] == "handshake" and not TRAITS[case.kind].probes)
]


@pytest.mark.parametrize("case", PROVEN, ids=ids)
def test_request_is_rejected_when_the_secret_is_another(case: Case) -> None:
    received = receive(CHANNELS[case.kind], case.request(), [another(case)])

    assert (received.verdict, received.drafts) == ("rejected", ())


@pytest.mark.parametrize("kind", KINDS)
def test_request_is_rejected_when_no_secret_is_configured(kind: str) -> None:
    case = next(case for case in cases(kind) if case.name == "text")

    received = receive(CHANNELS[kind], case.request(), [])

    assert received.verdict == "rejected"


@pytest.mark.parametrize("kind", KINDS)
def test_request_is_accepted_when_one_of_two_secrets_fits(kind: str) -> None:
    case = next(case for case in cases(kind) if case.name == "text")

    received = receive(CHANNELS[kind], case.request(), [another(case), case.secret])

    assert received.verdict == "accepted"


@pytest.mark.parametrize("kind", KINDS)
def test_secret_is_refused_when_empty(kind: str) -> None:
    given = next(iter(cases(kind))).fixture["secret"]

    for name in [name for name, value in given.items() if isinstance(value, str)]:
        with pytest.raises(ValueError, match="at least 1 character"):
            CHANNELS[kind].Secret.model_validate({**given, name: ""})


@pytest.mark.parametrize("kind", KINDS)
def test_secret_does_not_show_in_its_own_description(kind: str) -> None:
    case = next(iter(cases(kind)))

    texts = [value for value in case.fixture["secret"].values() if isinstance(value, str)]
    assert not any(value in repr(case.secret) for value in texts)


@pytest.mark.parametrize("case", [case for case in GENUINE if TRAITS[case.kind].signs_time], ids=ids)
def test_request_is_rejected_when_a_signed_time_is_days_off(case: Case) -> None:
    for days in (-2, 2):
        request = case.request()
        late = replace(request, now=request.now + timedelta(days=days))

        assert receive(CHANNELS[case.kind], late, [case.secret]).verdict == "rejected"


class Recording:
    """A channel that notes which of its functions were called."""

    def __init__(self, kind: str) -> None:
        self.calls: list[str] = []
        self._channel = CHANNELS[kind]
        capabilities = self._channel.CAPABILITIES
        functions = {name: getattr(capabilities, name) for name in ("keys_needed", "opened", "confirmation")}
        noted = {name: self.noted(name, function) for name, function in functions.items() if function is not None}
        self.CAPABILITIES = replace(capabilities, **noted)

    def noted(self, name: str, function: Any) -> Any:
        def called(*arguments: Any) -> Any:
            self.calls.append(name)
            return function(*arguments)

        return called

    def __getattr__(self, name: str) -> Any:
        return self.noted(name, getattr(self._channel, name))


@pytest.mark.parametrize("case", [case for case in ALL if case.expect["verdict"] == "rejected"], ids=ids)
def test_only_verify_is_called_when_a_request_is_not_genuine(case: Case) -> None:
    channel = Recording(case.kind)

    receive(channel, case.request(), [case.secret])

    assert channel.calls == ["verify"]


@pytest.mark.parametrize("case", [case for case in ALL if case.expect["verdict"] == "accepted"], ids=ids)
def test_channel_is_asked_in_order_when_a_request_is_genuine(case: Case) -> None:
    channel = Recording(case.kind)

    receive(channel, case.request(), [case.secret])

    opened = ["opened"] * (CHANNELS[case.kind].CAPABILITIES.opened is not None)
    assert channel.calls == ["verify", "challenge", *opened, "normalise", "acknowledge"]


class Untouchable:
    """A body whose every use fails."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError("the body was looked at")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if TRAITS[kind].proof == "secret header"])
def test_verify_leaves_the_body_alone_when_the_proof_is_a_header(kind: str) -> None:
    case = next(case for case in cases(kind) if case.name.startswith("rejected-"))
    request = replace(case.request(), body=Untouchable())  # type: ignore[arg-type]

    assert receive(CHANNELS[kind], request, [case.secret]).verdict == "rejected"


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_values_never_raise_and_always_have_a_verdict(kind: str) -> None:
    chance = random.Random(f"{kind} {FUZZ_ROUNDS}")
    genuine = [case for case in cases(kind) if case.expect["verdict"] in ("accepted", "handshake", "ignored")]
    verdicts: dict[str, int] = {}
    refusals: set[str] = set()

    for _ in range(FUZZ_ROUNDS):
        case = chance.choice(genuine)
        fixture = damaged(case, chance)
        received = receive(CHANNELS[kind], inbound(fixture), [case.secret])
        events = documents(kind, received, fixture["now"])
        received.reply.body.encode()
        assert bool(events) == (received.verdict == "accepted")
        verdicts[received.verdict] = verdicts.get(received.verdict, 0) + 1
        refusals.add(received.detail)

    # A fuzz whose requests are all refused at the door finds nothing.
    assert verdicts["accepted"] > FUZZ_ROUNDS / 20
    # A refusal that repeated a value would be another one each time.
    assert len(refusals) < 25


@pytest.mark.parametrize("case", GENUINE, ids=ids)
def test_signing_anew_keeps_the_verdict(case: Case) -> None:
    fixture = copy.deepcopy(dict(case.fixture))
    sign(case.kind, fixture)

    assert receive(CHANNELS[case.kind], inbound(fixture), [case.secret]).verdict == case.expect["verdict"]


# --- what belongs to a channel


def test_every_channel_has_traits_fixtures_signing_and_a_page() -> None:
    assert sorted(TRAITS) == sorted(SIGN) == sorted(KINDS) == sorted(CHANNELS)
    assert sorted(path.name for path in FIXTURES.iterdir()) == sorted(KINDS)
    assert sorted(
        path.stem for path in DOCS.glob("*.md") if path.stem not in ("README", "adding", "connecting")
    ) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_channel_has_what_a_channel_has(kind: str) -> None:
    channel = CHANNELS[kind]

    assert kind == channel.KIND
    assert channel.__doc__ is not None
    assert "Source: https://" in channel.__doc__
    assert isinstance(channel.CAPABILITIES, ChannelCapabilities)
    assert channel.CAPABILITIES.url_token == (TRAITS[channel.KIND].proof == "token in the address")
    assert all(callable(getattr(channel, name)) for name in ("verify", "challenge", "normalise", "acknowledge"))


def test_unknown_kind_is_no_channel() -> None:
    assert "fields" not in CHANNELS
    with pytest.raises(KeyError):
        CHANNELS["meta"]


def test_readme_says_what_the_fixtures_show() -> None:
    readme = (DOCS / "README.md").read_text(encoding="utf-8")

    between = readme.split("<!-- matrix -->\n")[1].split("\n<!-- /matrix -->")[0]

    assert between == matrix()


@pytest.mark.parametrize("kind", KINDS)
def test_page_names_every_secret_field(kind: str) -> None:
    page = (DOCS / f"{kind}.md").read_text(encoding="utf-8")

    assert [name for name in CHANNELS[kind].Secret.model_fields if f"`{name}`" not in page] == []
