"""Reports: requested over HTTP, every proof checked, written in two languages, and no name taken on trust."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import cli
from chalicelib.core.event.event import DataClass
from chalicelib.core.explain import accountability as answers
from chalicelib.core.log.entry import ACTS
from chalicelib.core.tenant.roles import DUTIES
from infra.client.report import asking, page
from tests.support.answering import HOSTILE, played, receiver, sealed
from tests.support.api_cell import Api


class Door:
    """The API of a cell over HTTP. ``spoils`` changes answers by path."""

    def __init__(self, api: Api) -> None:
        self.spoils: dict[str, Any] = {}
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key = self.headers["Authorization"].removeprefix("Bearer ")
                answer = api.call("GET", self.path, key=key)
                status, text = answer.status, answer.text
                for path, spoil in door.spoils.items():
                    if re.search(path, self.path):
                        status, text = spoil(status, text)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", text)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def whole(cell: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, dict[str, Any], Path]]:
    """The story, played once: reading it changes nothing."""
    tenant = cell.new_tenant()
    with receiver() as url:
        made = played(tenant, url, HOSTILE)
    sealed(tenant)
    key = tmp_path_factory.mktemp("report") / "key"
    key.write_text(f"{tenant.key}\n")
    door = Door(tenant)
    thread = threading.Thread(target=door.server.serve_forever, daemon=True)
    thread.start()
    yield door, made, key
    door.server.shutdown()
    door.server.server_close()
    thread.join()


@pytest.fixture
def story(whole: tuple[Door, dict[str, Any], Path]) -> tuple[Door, dict[str, Any], Path]:
    whole[0].spoils.clear()
    return whole


def report(story: tuple[Door, dict[str, Any], Path], out: Path, *arguments: str, event: int = 0) -> int:
    door, made, key = story
    asked = ("--event", made["events"][event]) if "--after" not in arguments else ()
    return cli.main(["report", "--url", door.url, "--key-file", str(key), "-o", str(out), *asked, *arguments])


EVER = ("--after", "2020-01-01T00:00:00Z", "--before", "2090-01-01T00:00:00Z")


class Seen(HTMLParser):
    """Takes a page apart: its tags, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


GOLDEN: Mapping[str, tuple[str, ...]] = {
    "en": (
        "Who answers for the data", "Nord GmbH (DE), privacy@nord.example", "Local Cell Operator (fictitious)",
        "delivered", "not delivered: given up", "refused: nothing left", "erased before it left", "content was erased",
        "held: Transfers out of the EU need a ground of chapter V (GDPR art. 44)",
        "refused: The controller must have instructed the processor (GDPR art. 28(3), 28(10); 152-FZ art. 6(3))",
        "security of the router", "DE, eu-central-1", "Messenger", "Telegram",
        "The log cannot show an entry that was never written.", "Far Inc (US)", "allowed: There must be a legal ground for the processing (GDPR art. 6(1); 152-FZ art. 6(1))",
    ),
    "ru": (
        "Кто отвечает за данные", "Nord GmbH (DE), privacy@nord.example", "Local Cell Operator (fictitious)",
        "доставлено", "не доставлено, попытки прекращены", "отказано: ничего не передано", "уничтожено до передачи",
        "приостановлено: Передача из ЕС требует основания главы V GDPR (GDPR art. 44)", "Мессенджер", "Telegram",
        "отказано: Нужно поручение оператора на обработку (GDPR art. 28(3), 28(10); 152-FZ art. 6(3))",
        "безопасность маршрутизатора",
        "Того, что не было записано в журнал, журнал показать не может.", "Far Inc (US)", "содержание уничтожено",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lang", page.LANGUAGES)
def test_a_page_tells_the_whole_story(story: tuple[Door, dict[str, Any], Path], tmp_path: Path, lang: str) -> None:
    out = tmp_path / "page.html"

    code = report(story, out, "--lang", lang, *EVER)

    text = out.read_text("utf-8")
    seen = Seen(text)
    assert code == 0
    assert [words for words in GOLDEN[lang] if words not in seen.text] == []
    assert all(event in seen.text for event in story[1]["events"])
    assert f'<html lang="{lang}">' in text


@pytest.mark.parametrize(
    ("lang", "placed"), [("en", "a legal hold was placed"), ("ru", "установлен запрет на удаление")]
)
def test_a_page_tells_legal_holds_from_held_transfers(
    story: tuple[Door, dict[str, Any], Path], tmp_path: Path, lang: str, placed: str
) -> None:
    out = tmp_path / "report.json"
    report(story, out, "--format", "json", *EVER)
    told = json.loads(out.read_text("utf-8"))
    act = next(line for one in told["data"] for line in one["lines"] if line["line"] == "act")
    assert placed not in page.write(told, lang)

    act |= {"act": "held", "object": {"kind": "hold", "id": "hld_" + "0" * 26}}

    assert placed in page.write(told, lang)


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "(lawyers read this differently, not compared with the text of the law)"),
        ("ru", "(юристы толкуют по-разному, не сверено с текстом закона)"),
    ],
)
def test_a_page_says_of_a_rule_that_it_is_in_doubt(
    story: tuple[Door, dict[str, Any], Path], tmp_path: Path, lang: str, said: str
) -> None:
    out = tmp_path / "report.json"
    report(story, out, "--format", "json", *EVER)
    told = json.loads(out.read_text("utf-8"))
    rules = [r for one in told["data"] for line in one["lines"] for r in line.get("rules", ())]
    assert rules and all(r["settled"] is True and r["confidence"] == "verified" for r in rules)
    assert said not in page.write(told, lang)

    rules[0] |= {"settled": False, "confidence": "memory"}

    assert said in page.write(told, lang)


@pytest.mark.parametrize(("lang", "title"), [("en", "title"), ("ru", "title_ru")])
@pytest.mark.parametrize("kind", ["held", "transfer"])
def test_a_page_shows_the_obligations_of_each_line(
    story: tuple[Door, dict[str, Any], Path], tmp_path: Path, lang: str, title: str, kind: str
) -> None:
    out = tmp_path / "report.json"
    report(story, out, "--format", "json", *EVER)
    told = json.loads(out.read_text("utf-8"))
    line = next(line for one in told["data"] for line in one["lines"] if line["line"] == kind)
    known = line["rules"][0]
    duty = {**known, "code": "file-art22-notice", "rule": "RU.22", "title": "File a <notice>", "title_ru": "Подайте"}
    line["obligations"] = []
    assert duty[title] not in Seen(page.write(told, lang)).text

    line["obligations"] = [duty]

    shown = Seen(page.write(told, lang)).text
    assert duty[title] in shown and "RU.22" in shown


def test_names_stay_text_and_nothing_is_fetched(story: tuple[Door, dict[str, Any], Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"

    report(story, out)

    text = out.read_text("utf-8")
    seen = Seen(text)
    assert HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\u2066", "⟨U+2066⟩") in seen.text
    assert not seen.tags & {"script", "img", "link", "iframe", "a", "form", "object"}
    assert seen.attributes <= {"charset", "class", "lang"}
    assert not re.search(r"@import|url\(", text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)


def test_every_proof_is_checked_and_goes_along(story: tuple[Door, dict[str, Any], Path], tmp_path: Path) -> None:
    out = tmp_path / "report.json"

    code = report(story, out, "--format", "json", *EVER)

    told = json.loads(out.read_text("utf-8"))
    named = {p["entry"] for one in told["data"] for line in one["lines"] for p in line["proofs"]}
    assert code == 0
    assert {e["entry"] for e in told["evidence"]} == named
    assert told["proved"] == {"proved": len(named), "not sealed yet": 0, "bad": 0}
    assert all(e["proof"].startswith("c2sp.org/tlog-proof@v1") for e in told["evidence"])


def test_it_is_said_when_a_proof_does_not_hold(story: tuple[Door, dict[str, Any], Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"

    def other(status: int, text: str) -> tuple[int, str]:
        return status, text.replace('"reason":"subject_request"', '"reason":"unlawful"')

    story[0].spoils[r"/v1/audit/entries/ent_\w+$"] = other
    code = report(story, out, event=1)

    assert code == 3
    assert "WARNING: 1 proofs do not hold" in out.read_text("utf-8")


def test_no_proof_holds_when_another_key_is_trusted(story: tuple[Door, dict[str, Any], Path], tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    from chalicelib.core.log import note

    named = json.loads(asking.Cell(story[0].url, story[2].read_text().strip()).get("/v1/audit/keys"))["data"][0]["vkey"]
    other = note.VerifierKey(
        note.parse_vkey(named).name, bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    ).text

    good = report(story, out, "--vkey", named)
    bad = report(story, out, "--vkey", other, "--format", "json")

    assert (good, bad) == (0, 3)
    assert json.loads(out.read_text("utf-8"))["proved"]["proved"] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--url", "http://cell.example"], "https"),
        (["--url", "https://a:b@cell.example"], "https"),
        (["--url", "http://127.0.0.1:1"], "cannot be reached"),
        (["--key-file", "/nowhere/key"], "--key-file"),
        (["--subject", "sub_" + "0" * 26], "give one of"),
        (["--vkey", "not a key"], "--vkey"),
    ],
)
def test_it_is_said_why_nothing_is_written(
    story: tuple[Door, dict[str, Any], Path], tmp_path: Path, arguments: list[str], told: str, capsys: Any
) -> None:
    code = report(story, tmp_path / "page.html", *arguments)

    assert code in (1, 2)
    assert told in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_the_key_goes_nowhere_else_when_the_cell_redirects(
    story: tuple[Door, dict[str, Any], Path], tmp_path: Path, capsys: Any
) -> None:
    story[0].spoils["/v1/answer"] = lambda status, text: (302, f"{story[0].url}/v1/audit/keys")

    code = report(story, tmp_path / "page.html")

    assert (code, "302" in capsys.readouterr().err) == (1, True)


def _keys(words: Mapping[str, Any], prefix: str = "") -> set[str]:
    return {
        key
        for name, value in words.items()
        for key in (_keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name})
    }


def test_both_languages_have_the_same_words_and_a_word_for_every_code() -> None:
    english, russian = (page.words(lang) for lang in page.LANGUAGES)

    assert _keys(english) == _keys(russian)
    assert set(english["limit"]) == set(answers.LIMITS)
    assert set(english["until"]) == set(answers.UNTIL)
    assert set(english["act"]) == set(ACTS)
    assert set(english["class"]) == {c.value for c in DataClass}
    assert set(english["duty"]) == {duty.op for duty in DUTIES}
    assert len(english["months"]) == len(russian["months"]) == 12
    places = re.compile(r"\{\w+\}")
    for table in ("question", "text", "until"):
        for name in english[table]:
            assert set(places.findall(english[table][name])) == set(places.findall(russian[table][name])), name
