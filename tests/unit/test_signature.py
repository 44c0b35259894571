"""Standard Webhooks signatures."""

from __future__ import annotations

import base64

import pytest
from nacl.signing import VerifyKey

from chalicelib.core.delivery import signature
from chalicelib.core.errors import Invalid

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'


def test_signature_is_the_published_one_when_the_published_vector_is_signed() -> None:
    assert signature.sign(SECRET, ID, AT, BODY) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_header_holds_a_signature_of_each_secret_when_one_is_in_its_grace() -> None:
    older = signature.make_secret(b"\x01" * 24)

    header = signature.header([SECRET, older], ID, AT, BODY)

    assert header.split(" ") == [signature.sign(SECRET, ID, AT, BODY), signature.sign(older, ID, AT, BODY)]


def test_nothing_is_signed_when_there_is_no_secret() -> None:
    with pytest.raises(Invalid):
        signature.header([], ID, AT, BODY)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secret_round_trips_when_its_length_is_allowed(size: int) -> None:
    randomness = bytes(range(size))

    assert signature.parse_secret(signature.make_secret(randomness)) == randomness


@pytest.mark.parametrize("size", [0, 23, 65])
def test_secret_is_not_made_when_its_length_is_not_allowed(size: int) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        signature.make_secret(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSш",
        "whsec_" + "A" * 88,
    ],
)
def test_secret_is_refused_without_showing_it_when_it_is_malformed(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        signature.parse_secret(text)

    assert "MfKQ" not in str(refusal.value)
    assert refusal.value.__cause__ is None


# The asymmetric vector that a reference implementation publishes for the same message.
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="


def test_asymmetric_signature_is_the_published_one_when_the_published_vector_is_signed() -> None:
    expected = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="

    assert signature.sign(PAIR, ID, AT, BODY) == expected
    assert signature.public_key(PAIR) == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def test_another_library_verifies_when_a_made_pair_signs() -> None:
    pair = signature.make_pair(bytes(range(32)))

    signed = base64.b64decode(signature.sign(pair, ID, AT, BODY).removeprefix("v1a,"))

    public = base64.b64decode(signature.public_key(pair).removeprefix("whpk_"))
    assert VerifyKey(public).verify(f"{ID}.{AT}.".encode() + BODY, signed)


def test_header_holds_both_schemes_when_there_are_both_secrets() -> None:
    header = signature.header([SECRET, PAIR], ID, AT, BODY)

    assert [part.partition(",")[0] for part in header.split(" ")] == ["v1", "v1a"]


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_pair_is_not_made_when_the_seed_has_another_length(size: int) -> None:
    with pytest.raises(ValueError, match="32"):
        signature.make_pair(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "whsk_",
        "whsk_" + base64.b64encode(bytes(32)).decode(),
        "whsk_" + base64.b64encode(bytes(64)).decode(),
        PAIR[:-4],
        PAIR + "\n",
        "whsk_ш",
        PAIR.replace("whsk_", "whpk_"),
        "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    ],
)
def test_pair_is_refused_without_showing_it_when_it_is_malformed(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        signature.public_key(text)

    assert "6Xb" not in str(refusal.value)
