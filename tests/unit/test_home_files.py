"""The files of a home agree: containers, units, settings and the script that starts every part."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from chalicelib import settings
from infra.cell import serve

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "infra" / "home"
SCRIPT = (HOME / "part").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UNITS = sorted((HOME / "systemd").iterdir())
INSTALLED = "/usr/local/lib/waybill/src/infra/home/part"
COMMANDS = set(re.findall(r"^#   part (\S+)", SCRIPT, re.MULTILINE))
OWN = {"WAYBILL_HOME", "WAYBILL_PARTS", "WAYBILL_PYTHON", "WAYBILL_DOMAIN"}
"""Settings of a home that the cell does not read."""


def unit(path: Path) -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(path.read_text("utf-8"))
    return read


def words(command: object) -> list[str]:
    return command.split() if isinstance(command, str) else [str(word) for word in command]  # type: ignore[attr-defined]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def part(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    environment = {**kept, "WAYBILL_HOME": str(folder), **changes}
    return subprocess.run([HOME / "part", *arguments], env=environment, capture_output=True, text=True, check=False)


def test_every_command_of_the_script_is_one_that_it_runs() -> None:
    cases = {name for line in re.findall(r"^  ([a-z| -]+)\)", SCRIPT, re.MULTILINE) for name in line.split(" | ")}

    assert cases >= COMMANDS
    assert part(ROOT, "nonsense").returncode == 2


@pytest.mark.parametrize("name", [n for n in SERVICES if n != "network"])
def test_containers_run_commands_of_the_script(name: str) -> None:
    service = SERVICES[name]

    assert words(service["command"])[0] in COMMANDS
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    for volume in service["volumes"]:
        source, target = volume.split(":")[:2]
        assert source in COMPOSE["volumes"] or source.startswith("./")
        assert target in ("/backups", f"/var/lib/waybill/{source}")
    if "healthcheck" in service:
        assert service["healthcheck"]["test"][1:] == [INSTALLED, "health", name]


def test_containers_publish_the_proxys_ports_and_no_others() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"network": ["80:80", "443:443", "443:443/udp"]}
    assert re.findall(r"HTTPS?_PORT:-(\d+)", SCRIPT) == ["80", "443"]
    assert set(re.findall(r"0\.0\.0\.0|\[::\]", SCRIPT)) == set()


def test_only_parts_that_need_keys_can_read_them() -> None:
    assert {name for name, s in SERVICES.items() if "keys:/var/lib/waybill/keys" in s.get("volumes", ())} == {
        "prepare", "objects", "init", "serve", "backup",
    }  # fmt: skip


def test_a_stopping_cell_has_the_time_that_it_asks_for() -> None:
    limits = [
        SERVICES["serve"]["stop_grace_period"],
        unit(HOME / "systemd/waybill-serve.service")["Service"]["TimeoutStopSec"],
    ]

    assert all(seconds(limit) > serve.FINISH_S for limit in limits)


@pytest.mark.parametrize("path", [u for u in UNITS if u.suffix == ".service"], ids=lambda p: p.stem)
def test_units_run_commands_of_the_script_and_name_units_that_exist(path: Path) -> None:
    read = unit(path)
    commands = [v for k, v in read["Service"].items() if k.startswith("Exec")]
    named = {w for k in ("Requires", "Wants", "After", "PartOf") for w in read["Unit"].get(k, "").split()}

    assert commands
    for command in commands:
        program, name = command.split()[:2]
        assert program == INSTALLED
        assert name in COMMANDS
    assert {n for n in named if n.startswith("waybill")} <= {u.name for u in UNITS}
    assert read["Service"]["EnvironmentFile"] == "/etc/waybill/home.env"
    assert read["Service"]["User"] == "waybill"


def test_units_and_containers_are_the_same_parts() -> None:
    wanted = unit(HOME / "systemd" / "waybill.target")["Unit"]["Wants"].split()
    running = {name for name, service in SERVICES.items() if "healthcheck" in service}

    assert {name.removeprefix("waybill-").removesuffix(".service") for name in wanted} == running


def test_settings_of_a_home_are_settings_of_a_cell() -> None:
    known = set(re.findall(r"\b(?:WAYBILL_[A-Z0-9_]+|AWS_REGION)\b", settings.__doc__ or "")) | OWN
    example = (HOME / "home.env.example").read_text("utf-8")
    exported = set(re.findall(r"\b(?:WAYBILL_[A-Z0-9_]+|AWS_REGION)\b", SCRIPT + example))

    assert exported - known == set()
    assert {"WAYBILL_OPERATOR_NAME", "WAYBILL_OPERATOR_CONTACT"} <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))


@pytest.mark.parametrize("name", ["Caddyfile", "elasticmq.conf"])
def test_configurations_read_what_the_script_exports(name: str) -> None:
    read = set(re.findall(r"\$\{?\??([A-Z_]+)\}", (HOME / name).read_text("utf-8")))
    exported = {w for line in re.findall(r"export (.*)", SCRIPT) for w in re.findall(r"\b([A-Z_]+)\b", line)}

    assert read
    assert read - exported - {"WAYBILL_DOMAIN"} == set()


def test_the_image_has_what_it_copies_and_builds() -> None:
    image = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [w for line in re.findall(r"^COPY (?!--from)(.*) \S+$", image, re.MULTILINE) for w in line.split()]
    cases = re.findall(r"^  (\w+)\)$", (HOME / "build").read_text("utf-8"), re.MULTILINE)

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert sorted(re.findall(r"RUN \S+/build (\w+)", image)) == sorted(cases)
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert [n for n in copied if n != "." and f"!{n.split('/')[0]}" not in ignored] == []


def test_page_names_the_versions_that_are_built() -> None:
    page = (ROOT / "docs" / "home.md").read_text("utf-8")
    built = [
        *re.findall(r"^DYNOXIDE_VERSION=(.*)$", (HOME / "parts.env").read_text("utf-8"), re.MULTILINE),
        *re.findall(
            r"elasticmq-server_2.13</artifactId>\s*<version>(.*)<", (HOME / "elasticmq/pom.xml").read_text("utf-8")
        ),
        *re.findall(r"(?:versitygw|caddy/v2) v(\S+)", (HOME / "go/go.mod").read_text("utf-8")),
    ]

    assert len(built) == 4
    assert [version for version in built if f" {version}:" not in page] == []


def test_first_start_makes_keys_that_only_their_owner_reads(tmp_path: Path) -> None:
    assert part(tmp_path, "prepare").returncode == 0
    keys = {path.name: path.read_text("utf-8") for path in (tmp_path / "keys").iterdir()}
    assert part(tmp_path, "prepare").returncode == 0

    assert set(keys) == {"master.key", "seal.seed", "objects.key", "operator.key", "operator.sha256"}
    assert all(re.fullmatch("[0-9a-f]{64}", keys[n].strip()) for n in keys if n != "operator.key")
    assert {path.name: path.read_text("utf-8") for path in (tmp_path / "keys").iterdir()} == keys
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "keys").iterdir()} == {"0o600"}


@pytest.mark.parametrize("name", ["master.key", "seal.seed"])
def test_a_lost_key_is_not_replaced_when_there_is_data(tmp_path: Path, name: str) -> None:
    part(tmp_path, "prepare")
    (tmp_path / "store" / "store.db").touch()
    (tmp_path / "keys" / name).unlink()

    told = part(tmp_path, "prepare")

    assert told.returncode == 1
    assert f"{name} is missing. Put your copy of it back" in told.stderr
    assert not (tmp_path / "keys" / name).exists()


def test_operators_key_is_shown_once(tmp_path: Path) -> None:
    part(tmp_path, "prepare")

    first, second = (part(tmp_path, "operator-key") for _ in range(2))

    assert (first.stdout.startswith("wb_operator_"), first.returncode) == (True, 0)
    assert second.returncode != 0
    assert part(tmp_path, "prepare").returncode == 0
    assert not (tmp_path / "keys" / "operator.key").exists()


@pytest.mark.parametrize("name", ["WAYBILL_CELL", "WAYBILL_COUNTRY", "WAYBILL_DOMAIN"])
def test_a_part_says_which_setting_is_missing(tmp_path: Path, name: str) -> None:
    part(tmp_path, "prepare")
    given = {"WAYBILL_CELL": "home1", "WAYBILL_COUNTRY": "RU", "WAYBILL_DOMAIN": "localhost", name: ""}

    told = part(tmp_path, "serve", **given)

    assert (told.returncode, told.stderr) == (1, f"part: set {name} in home.env\n")


def test_the_parts_are_built_in_the_folder_that_the_caller_means(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(HOME / "build"), "nothing", "build/home"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2, done.stderr
    assert (tmp_path / "build" / "home" / "bin").is_dir()
