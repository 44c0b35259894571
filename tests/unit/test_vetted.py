"""Which URLs and addresses anything is sent to: a table of URLs, each with the one reason it is refused for."""

from __future__ import annotations

import json
import pathlib

import pytest

from chalicelib.destinations.address import REFUSALS, ForbiddenAddress, Policy, check_answers, check_url

URLS = [
    json.loads(line)
    for line in (pathlib.Path(__file__).parents[1] / "fixtures/destinations/urls.jsonl").read_text().splitlines()
]
PLAIN = Policy(own_domains=frozenset({"cell.example"}))
LOOPBACK = Policy(allow_cidrs=("127.0.0.0/8", "::1/128"))


def verdict(url: str, policy: Policy) -> str:
    try:
        check_url(url, policy)
    except ForbiddenAddress as refusal:
        return refusal.reason
    return "ok"


@pytest.mark.parametrize(("expected", "url"), URLS, ids=[ascii(u) for _, u in URLS])
def test_verdict_is_the_tables_when_a_url_is_judged(expected: str, url: str) -> None:
    assert verdict(url, PLAIN) == expected


def test_table_has_a_url_for_every_reason_when_counted() -> None:
    assert {reason for reason, _ in URLS} == {"ok", *REFUSALS} - {"ipv6"}  # which only a name's addresses can give
    assert len(URLS) > 150


def test_url_is_refused_when_it_is_too_long() -> None:
    assert verdict("https://crm.example.com/" + "a" * 2024, PLAIN) == "ok"
    assert verdict("https://crm.example.com/" + "a" * 2025, PLAIN) == "form"


def test_target_is_what_a_browser_would_ask_for_when_the_host_is_written_otherwise() -> None:
    target = check_url("HTTPS://B%C3%BCcher.Example.:8443?a=b", PLAIN)

    assert (target.scheme, target.host, target.port, target.path) == ("https", "xn--bcher-kva.example", 8443, "/?a=b")
    assert target.host_header == "xn--bcher-kva.example:8443"
    assert check_url("https://crm.example.com:443/in", PLAIN).host_header == "crm.example.com"


def test_path_is_not_shown_when_a_target_is_printed() -> None:
    assert "geheim" not in repr(check_url("https://crm.example.com/geheim?token=geheim", PLAIN))


@pytest.mark.parametrize(
    ("policy", "url", "expected"),
    [
        (Policy(allow_http=True), "http://crm.example.com/", "ok"),
        (Policy(allow_http=True), "http://10.0.0.1/", "address"),
        (Policy(extra_ports=frozenset({9443})), "https://crm.example.com:9443/", "ok"),
        (Policy(extra_ports=frozenset({9443})), "https://10.0.0.1:9443/", "address"),
        (Policy(), "https://[2606:4700::1111]/", "address"),
        (Policy(ipv6=True), "https://[2606:4700::1111]/", "ok"),
        (Policy(ipv6=True), "https://[64:ff9b::808:808]/", "ok"),
        (Policy(ipv6=True), "https://[64:ff9b::7f00:1]/", "address"),
        (Policy(ipv6=True), "https://[::ffff:8.8.8.8]/", "ok"),
        (Policy(ipv6=True), "https://[::ffff:10.0.0.1]/", "address"),
        (LOOPBACK, "http://127.0.0.1:9000/in", "ok"),
        (LOOPBACK, "https://127.0.0.1:1/in", "ok"),
        (LOOPBACK, "http://[::1]:9000/in", "ok"),
        (LOOPBACK, "http://localhost:9000/in", "scheme"),
        (LOOPBACK, "https://localhost/in", "name"),
        (LOOPBACK, "http://127.1:9000/in", "spelling"),
        (LOOPBACK, "http://127.0.0.1.:9000/in", "spelling"),
        (LOOPBACK, "https://[::ffff:127.0.0.1]/in", "address"),
        (LOOPBACK, "https://10.0.0.1/in", "address"),
        (LOOPBACK, "http://8.8.8.8/in", "scheme"),
        (LOOPBACK, "https://8.8.8.8:9000/in", "port"),
        (LOOPBACK, "http://user@127.0.0.1:9000/in", "userinfo"),
    ],
)
def test_policy_opens_exactly_what_it_names_when_a_url_is_judged(policy: Policy, url: str, expected: str) -> None:
    assert verdict(url, policy) == expected


def test_policy_is_refused_when_a_range_is_not_a_network() -> None:
    with pytest.raises(ValueError, match="host bits"):
        Policy(allow_cidrs=("127.0.0.1/8",))


def test_every_answer_counts_when_one_of_them_is_forbidden() -> None:
    for answers in (["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"], ["8.8.8.8", "fe80::1%eth0"]):
        with pytest.raises(ForbiddenAddress) as refusal:
            check_answers(answers, PLAIN)
        assert refusal.value.detail == REFUSALS["address"]


def test_names_stay_closed_when_ranges_are_open_for_literals() -> None:
    with pytest.raises(ForbiddenAddress):
        check_answers(["127.0.0.1"], LOOPBACK)


def test_all_usable_answers_are_tried_when_all_are_public() -> None:
    answers = ["2606:4700::1111", "1.1.1.1", "8.8.8.8"]

    assert check_answers(answers, Policy()) == ("1.1.1.1", "8.8.8.8")
    assert check_answers(answers, Policy(ipv6=True)) == tuple(answers)
    assert check_answers(["2606:4700::1111"], Policy()) == ()
    assert check_answers([], Policy()) == ()


def test_refusal_tells_no_address_or_port_when_a_name_points_inside() -> None:
    with pytest.raises(ForbiddenAddress) as refusal:
        check_answers(["10.11.12.13"], PLAIN)

    assert refusal.value.status == 422
    assert refusal.value.errors == [{"loc": "body.config.url", "code": "forbidden_address", "msg": REFUSALS["address"]}]
    assert "10.11" not in str(refusal.value)
