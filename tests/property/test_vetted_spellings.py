"""No forbidden address passes, however it is spelt, and no text makes the judgement fail."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.destinations.address import (
    FORBIDDEN_V4,
    FORBIDDEN_V6,
    ForbiddenAddress,
    Policy,
    check_answers,
    check_url,
    is_forbidden,
)

OPEN = Policy(allow_http=True, ipv6=True)


def _within(networks: tuple[IPv4Network, ...] | tuple[IPv6Network, ...]) -> st.SearchStrategy[int]:
    return st.one_of(*(st.integers(int(n.network_address), int(n.broadcast_address)) for n in networks))


forbidden_v4 = _within(FORBIDDEN_V4).map(IPv4Address)
any_v4 = st.integers(0, 2**32 - 1).map(IPv4Address)


def _digits(text: str, wide: bool) -> str:
    return "".join(chr(ord(c) + 0xFEE0) for c in text) if wide else text


@st.composite
def spellings(draw: st.DrawFn, addresses: st.SearchStrategy[IPv4Address]) -> str:
    """An IPv4 address in one of the ways in which a browser still reads it as one."""
    octets = list(draw(addresses).packed)
    kept = draw(st.integers(1, 4))  # how many parts are written; the last one takes the rest
    parts = [*octets[: kept - 1], int.from_bytes(octets[kept - 1 :], "big")]
    written = [
        draw(st.sampled_from(["{:d}", "0{:o}", "0x{:x}", "0X{:X}", "000{:o}", "0x00{:x}"])).format(p) for p in parts
    ]
    dot = draw(st.sampled_from([".", "。", "．", "｡", "%2e", "%2E", "%E3%80%82"]))
    host = dot.join(_digits(p, draw(st.booleans())) for p in written) + draw(st.sampled_from(["", ".", "。"]))
    if draw(st.booleans()):
        host = "".join(f"%{ord(c):02x}" if c.isascii() and c not in "%.:[]" and "%" not in host else c for c in host)
    return host


@given(spellings(forbidden_v4), st.sampled_from(["https", "http", "HTTPS"]), st.sampled_from(["", ":443", ":80"]))
def test_forbidden_address_never_passes_when_spelt_in_any_way(host: str, scheme: str, port: str) -> None:
    try:
        target = check_url(f"{scheme}://{host}{port}/in", OPEN)
    except ForbiddenAddress:
        return
    raise AssertionError(f"{host!a} passed as {target!r}")


@given(spellings(any_v4))
def test_address_passes_only_in_its_plain_spelling_when_it_is_public(host: str) -> None:
    try:
        target = check_url(f"https://{host}/in", OPEN)
    except ForbiddenAddress:
        return
    assert str(target.address) == host == target.host


@given(forbidden_v4, st.sampled_from(["::ffff:{}", "64:ff9b::{}", "::{}", "2002:{h}::1", "2001:db8::{}", "fe80::{}"]))
def test_forbidden_address_never_passes_when_it_is_embedded_in_ipv6(inner: IPv4Address, form: str) -> None:
    h = f"{int(inner) >> 16:x}:{int(inner) & 0xFFFF:x}"
    address = IPv6Address(form.format(inner, h=h))

    assert is_forbidden(address)
    for spelt in (str(address), address.exploded, form.format(inner, h=h)):
        try:
            check_url(f"https://[{spelt}]/", OPEN)
        except ForbiddenAddress:
            continue
        raise AssertionError(f"{spelt} passed")


@given(_within(FORBIDDEN_V6).map(IPv6Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_ipv6_passes_only_within_global_unicast_when_it_is_judged(address: IPv6Address) -> None:
    embedded = address.ipv4_mapped or (
        IPv4Address(int(address) & 0xFFFF_FFFF) if address in IPv6Network("64:ff9b::/96") else None
    )
    unicast = int(address) >> 125 == 1 and not any(address in n for n in FORBIDDEN_V6)

    assert is_forbidden(address) == (is_forbidden(embedded) if embedded else not unicast)


@given(st.lists(any_v4, max_size=4), forbidden_v4, st.integers(0, 4))
def test_answers_are_refused_when_a_forbidden_one_is_among_them(
    public: list[IPv4Address], inner: IPv4Address, place: int
) -> None:
    answers = [str(a) for a in public]
    answers.insert(place, str(inner))

    try:
        passed = check_answers(answers, OPEN)
    except ForbiddenAddress:
        return
    raise AssertionError(f"{passed} passed")


URLISH = st.text(st.characters() | st.sampled_from("htps:/@#?[]%.0123456789abcdefxX\\。．１\u00ad\u200d"), max_size=60)


@settings(max_examples=300)
@given(URLISH, st.booleans())
def test_any_text_is_judged_without_another_error_when_it_is_given_as_a_url(text: str, whole: bool) -> None:
    try:
        target = check_url(text if whole else f"https://{text}", OPEN)
    except ForbiddenAddress:
        return
    assert target.host.isascii()
    assert target.path.startswith("/")
    assert check_url(f"{target.scheme}://{target.host_header}{target.path}", OPEN) == target
