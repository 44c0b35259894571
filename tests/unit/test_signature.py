"""Standard Webhooks signatures."""

from __future__ import annotations

import pytest

from chalicelib.core import signature
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
