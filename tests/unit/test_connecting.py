"""Connecting a channel: the pages have bodies to paste, the command makes, subscribes and waits, and shows no credential."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import cli
from chalicelib import platforms
from chalicelib.api.bodies import checked
from chalicelib.api.sources import NewSource
from chalicelib.channels import CHANNELS, KINDS
from chalicelib.channels.base import UrlTokenSecret
from infra.client import connect, console_steps
from tests.fixtures.destinations.vendor import Reply, Request, Vendor, running
from tests.fixtures.platforms.base import CANARY
from tests.fixtures.platforms.every import BY_CHANNEL

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "channels" / "connecting.md"
URL = "https://hooks.example/hooks/src_00000000000000000000000001"
SOURCE = "src_00000000000000000000000001"


# Pages


def page(channel: str) -> str:
    return (ROOT / "docs" / "channels" / f"{channel}.md").read_text("utf-8")


@pytest.mark.parametrize("channel", KINDS)
def test_each_page_has_a_body_to_paste_for_a_source_of_its_channel(channel: str) -> None:
    section = re.split(r"^## Connect.*$", page(channel), maxsplit=1, flags=re.MULTILINE)[1].split("\n## ")[0]
    block = re.search(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL)

    assert block is not None
    body = checked(NewSource, block[1].encode())
    assert body.channel == channel
    token = {"url_token": "x"} if CHANNELS[channel].CAPABILITIES.url_token else {}
    CHANNELS[channel].Secret.model_validate({**body.secret, **token})
    does = "sets the webhook" if channel in platforms.KINDS else "prints the steps"
    assert f"`waybill connect {channel}`" in section and does in " ".join(section.split())


def test_the_page_names_the_credentials_of_every_platform_and_of_no_other() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (.*?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    found = {channel: set(re.findall(r"`(\w+)`", names)) for channel, names in rows}

    wanted = {}
    for kind in platforms.KINDS:
        platform = platforms.of_channel(kind)
        assert platform is not None
        wanted[kind] = set(platform.Credentials.model_fields)
    assert found == wanted


# Steps


def secret_of(channel: str) -> dict[str, str]:
    found = json.loads((ROOT / "tests/fixtures/channels" / channel / "text.json").read_text("utf-8"))["secret"]
    return {name: value for name, value in found.items() if isinstance(value, str)}


@pytest.mark.parametrize("channel", KINDS)
def test_each_channel_has_steps_with_every_value_filled_in(channel: str) -> None:
    steps = console_steps.steps(channel, URL, secret_of(channel))

    assert any(URL in step for step in steps)
    assert not re.search(r"(?<!\{)\{(?!id\}|number\}|token\}|exclusive)\w*\}", "".join(steps))


@pytest.mark.parametrize("channel", KINDS)
def test_made_values_are_valid_secrets(channel: str) -> None:
    names, _ = connect.fields_of(channel)
    made = {name: connect.MADE[channel, name]() for name in names if (channel, name) in connect.MADE}
    token = {"url_token": "x"} if issubclass(CHANNELS[channel].Secret, UrlTokenSecret) else {}

    CHANNELS[channel].Secret.model_validate({**secret_of(channel), **token, **made})
    assert {field for kind, field in connect.MADE if kind == channel} <= set(names)


def yaml_of(channel: str) -> Any:
    (step, *_) = console_steps.steps(channel, URL, secret_of(channel))
    return yaml.safe_load(step.partition("\n\n")[2])


def test_the_manifest_and_the_registration_file_are_yaml_with_the_address() -> None:
    manifest, registration = yaml_of("slack")["settings"], yaml_of("matrix")

    assert manifest["event_subscriptions"]["request_url"] == manifest["interactivity"]["request_url"] == URL
    assert "message.im" in manifest["event_subscriptions"]["bot_events"]
    assert (registration["url"], registration["hs_token"]) == (URL, secret_of("matrix")["hs_token"])
    assert registration["namespaces"]["rooms"][0]["regex"] == r"!.*:example\.org"


# The command


class CellApi(Vendor):
    """The calls of a cell's API that the command makes."""

    def __init__(self, channel: str) -> None:
        super().__init__()
        self.channel = channel
        self.counts: Iterator[dict[str, int]] = iter(())
        self.subscribed = Reply(200, {"state": "active", "checked_at": "x", "error": None, "kept": False})

    def answer(self, request: Request) -> Reply:
        if request.path.endswith("/subscribe"):
            return self.subscribed
        found = {"id": SOURCE, "url": URL, "channel": self.channel, "last_24_hours": next(self.counts, {})}
        return Reply(201 if request.method == "POST" else 200, found)


def run(cell: CellApi, folder: Path, *options: str, values: Any = None) -> int:
    (folder / "key").write_text("wb_key\n")
    given = list(options)
    if values is not None:
        (folder / "values").write_text(json.dumps(values))
        given += ["--values", str(folder / "values")]
    return cli.main(["connect", cell.channel, "--url", cell.url, "--key-file", str(folder / "key"), *given])


def values_of(channel: str) -> dict[str, Any]:
    stand_in = BY_CHANNEL[channel]
    made = {name for kind, name in connect.MADE if kind == channel}
    secret = {n: v for n, v in stand_in.secret.items() if n not in made and n != "url_token"}
    return {**secret, **stand_in.credentials}


@pytest.mark.parametrize("channel", sorted(platforms.KINDS))
def test_the_command_makes_and_subscribes_a_source_and_shows_no_credential(
    channel: str, tmp_path: Path, capsys: Any
) -> None:
    with running(CellApi(channel)) as cell:
        code = run(cell, tmp_path, "--country", "DE", "--special", "none", "--keep", values=values_of(channel))

    out = capsys.readouterr()
    assert code == connect.DONE, out.err
    made, subscribed = cell.requests
    assert (made.path, made.body["channel"], made.body["subject_country"]) == ("/v1/sources", channel, "DE")
    assert made.body["special"] == [] and "idempotency-key" in made.headers
    assert set(made.body["secret"]) >= {name for kind, name in connect.MADE if kind == channel}
    assert subscribed.path == f"/v1/sources/{SOURCE}/subscribe"
    assert subscribed.body["credentials"] == dict(BY_CHANNEL[channel].credentials)
    assert (subscribed.body["keep"], subscribed.body["replace"]) == (True, False)
    assert "platform active" in out.out and CANARY not in out.out + out.err


@pytest.mark.parametrize("channel", sorted(console_steps.STEPS))
def test_the_command_prints_the_steps_where_there_is_no_api(channel: str, tmp_path: Path, capsys: Any) -> None:
    with running(CellApi(channel)) as cell:
        code = run(cell, tmp_path, "--json", values={n: v for n, v in secret_of(channel).items() if n != "url_token"})

    result = json.loads(capsys.readouterr().out)
    assert code == connect.DONE
    assert (result["subscription"], len(cell.requests)) == (None, 1)
    assert any(URL in step for step in result["steps"])


@pytest.mark.parametrize("error", connect.HINTS)
def test_an_error_that_a_person_can_mend_has_its_hint(error: str, tmp_path: Path, capsys: Any) -> None:
    with running(CellApi("line")) as cell:
        cell.subscribed = Reply(200, {"state": "failing", "checked_at": "x", "error": error, "kept": False})
        assert run(cell, tmp_path, values=values_of("line")) == connect.DONE

    assert connect.HINTS[error] in capsys.readouterr().out


def test_values_come_from_standard_input(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(values_of("telegram"))))
    with running(CellApi("telegram")) as cell:
        assert run(cell, tmp_path, "--values", "-") == connect.DONE


def test_missing_values_are_asked_for_at_a_terminal_only(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return "typed"

    secret, credentials = connect.split("whatsapp", {}, ask, new=True)

    assert "app_secret" in asked and "verify_token" not in asked
    assert secret["app_secret"] == "typed" and len(secret["verify_token"]) == 40
    assert set(credentials) == set(asked) - {"app_secret"}
    with pytest.raises(connect.BadValue, match="app_secret is missing"):
        connect.split("whatsapp", {}, None, new=True)


@pytest.mark.parametrize(
    ("values", "says"),
    [([], "JSON object"), ({"colour": "s-e-c-r-e-t"}, "no value colour"), ({}, "bot_token is missing")],
)
def test_a_wrong_value_is_named_and_not_shown(values: Any, says: str, tmp_path: Path, capsys: Any) -> None:
    with running(CellApi("telegram")) as cell:
        code = run(cell, tmp_path, values=values)

    err = capsys.readouterr().err
    assert (code, cell.requests) == (connect.WRONG, [])
    assert says in err and "s-e-c-r-e-t" not in err


def test_the_source_is_named_when_the_platform_refuses(tmp_path: Path, capsys: Any) -> None:
    with running(CellApi("telegram")) as cell:
        cell.subscribed = Reply(422, {"detail": "the platform does not accept these credentials", "errors": []})
        code = run(cell, tmp_path, values=values_of("telegram"))
        again = run(cell, tmp_path, "--source", SOURCE, values=values_of("telegram"))

    err = capsys.readouterr().err
    assert (code, again) == (connect.NOT_ANSWERED, connect.NOT_ANSWERED)
    assert f"--source {SOURCE}" in err and CANARY not in err
    assert [r.method for r in cell.requests if r.path == "/v1/sources"] == ["POST"]


@pytest.mark.parametrize(("counts", "code"), [(({}, {"handshake": 1}), connect.DONE), ((), connect.NOT_YET)])
def test_the_command_waits_for_the_first_webhook(counts: tuple[dict[str, int], ...], code: int, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("wb_key\n")
    (tmp_path / "values").write_text(json.dumps(values_of("telegram")))
    clock = [0.0]
    with running(CellApi("telegram")) as cell:
        cell.counts = iter([{}, *counts])  # the first answer is that of the creation
        wanted = connect.ConnectRequest("telegram", "bot", values=str(tmp_path / "values"), wait_s=10)
        found = connect.run(
            cell.url,
            tmp_path / "key",
            wanted,
            sleep=lambda s: clock.__setitem__(0, clock[0] + s),
            now=lambda: clock[0],
        )

    assert found == code
