"""Sessions of tenants' roles: assumed once, renewed, bounded, proved."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from chalicelib.core.errors import DeliveryError
from chalicelib.destinations import aws_client, of_kind
from chalicelib.destinations.aws_client import Access, RoleClients
from chalicelib.destinations.base import SendingClients
from chalicelib.destinations.proof import Proof
from tests.support import tenant_aws
from tests.support.aws_sending import ROLE, Clock, aws_kinds, failed, sent
from tests.support.destination_kinds import NOW, delivery
from tests.support.tenant_aws import EXTERNAL_ID, TAKEN, faked, refusal

# Sessions of roles


def test_role_is_assumed_once_when_many_are_sent_within_its_hour() -> None:
    clock = Clock()
    clients, maker = faked(clock, ROLE)

    for _ in range(3):
        sent("sqs", clients)
    clock.at += timedelta(minutes=54)
    sent("sqs", clients)
    before = len(maker.sts.asked)
    clock.at += timedelta(minutes=2)
    sent("sqs", clients)

    assert (before, len(maker.sts.asked)) == (1, 2)
    assert [made for made in maker.made if made[0] == "sqs"] == [
        ("sqs", "eu-central-1", "key-1"),
        ("sqs", "eu-central-1", "key-2"),
    ]
    assert maker.sts.asked[0] == {
        "RoleArn": ROLE,
        "RoleSessionName": "dst_00000000000000000000000001",
        "ExternalId": EXTERNAL_ID,
        "DurationSeconds": 3600,
    }


def test_role_is_never_anothers_when_its_external_id_is_another() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    sent("sqs", clients)

    with pytest.raises(DeliveryError) as error:
        sent("sqs", clients, external_id="wbx_another")

    assert error.value.attempt_code == "denied"
    assert len(maker.service.calls) == 1


def test_credentials_are_renewed_once_when_a_service_calls_them_expired() -> None:
    clients, maker = faked(lambda: NOW, ROLE, refusal("ExpiredTokenException"), TAKEN)

    receipt = sent("sqs", clients)

    assert (receipt.code, receipt.status) == ("accepted", 200)
    assert len(maker.sts.asked) == 2
    assert failed("sqs", refusal("ExpiredToken")).attempt_code == "credentials"


def test_sts_is_asked_at_home_with_our_own_credentials_when_a_queue_is_elsewhere() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    config = of_kind("sqs").Config(role_arn=ROLE, arn="arn:aws:sqs:us-east-1:999988887777:events")

    sent("sqs", clients, config=config)

    assert maker.made == [("sts", "eu-central-1", None), ("sqs", "us-east-1", "key-1")]


def test_clients_and_sessions_are_bounded_when_roles_are_many() -> None:
    sts = tenant_aws.Sts(lambda: NOW, {f"role-{n}": None for n in range(1100)})
    maker = tenant_aws.Maker(sts, tenant_aws.Service([TAKEN]))
    aws = RoleClients("eu-central-1", tenant_aws.CELL_ACCOUNT, lambda: NOW, maker)

    for number in range(1100):
        aws.call(Access(f"role-{number}", EXTERNAL_ID, "dst"), "sqs", "eu-central-1", "send_message", lambda _: {})

    assert len(aws._sessions) == aws_client.SESSIONS_MAX
    assert len(aws._clients) == aws_client.CLIENTS_MAX


def test_role_is_assumed_for_all_when_threads_race_for_it() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    threads = [threading.Thread(target=sent, args=("sqs", clients)) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(maker.service.calls) == 8
    assert 1 <= len(maker.sts.asked) <= 8


# Proofs


def proof_of(kind: str, clients: SendingClients) -> Proof:
    prove = of_kind(kind).CAPABILITIES.prove
    assert prove is not None
    return prove(delivery(kind).config, EXTERNAL_ID, "dst_1", clients)


@pytest.mark.parametrize(
    ("demands", "proof"), [(EXTERNAL_ID, Proof.PROVEN), (None, Proof.OPEN), ("wbx_another", Proof.REFUSED)]
)
@aws_kinds
def test_proof_tells_open_roles_from_closed_ones(kind: str, demands: str | None, proof: Proof) -> None:
    clients, _ = faked(lambda: NOW, ROLE, demands=demands)

    assert proof_of(kind, clients) is proof


@pytest.mark.parametrize("word", ["ExpiredToken", "Throttling", "RegionDisabledException", "InternalFailure"])
def test_proof_is_unknown_when_sts_does_not_say(word: str) -> None:
    clients, _ = faked(lambda: NOW, ROLE, fault=refusal(word, 403))

    assert proof_of("sqs", clients) is Proof.UNKNOWN


def test_proof_is_not_answered_from_what_was_kept() -> None:
    clients, maker = faked(lambda: NOW, ROLE)
    sent("sqs", clients)

    maker.sts.trusts = {}

    assert proof_of("sqs", clients) is Proof.REFUSED


@pytest.mark.parametrize(
    ("demands", "fault", "code"),
    [
        (EXTERNAL_ID, None, "accepted"),
        (None, None, "denied"),
        ("wbx_another", None, "denied"),
        (EXTERNAL_ID, refusal("InternalFailure", 500), "unavailable"),
    ],
    ids=["ours", "anybody's", "another's", "no answer"],
)
@aws_kinds
def test_example_is_sent_only_when_the_role_is_proved(
    kind: str, demands: str | None, fault: Exception | None, code: str
) -> None:
    clients, maker = faked(lambda: NOW, ROLE, demands=demands, fault=fault)

    try:
        found = sent(kind, clients, test=True).code
    except DeliveryError as refused:
        found = refused.attempt_code

    assert found == code
    assert len(maker.service.calls) == (1 if code == "accepted" else 0)
