"""Write an answer as a page that is read, printed and filed: one file, no scripts, nothing fetched from elsewhere. Pure.

Everything that is not this module's own markup is escaped, and what others have named stands alone (``bdi``): a name that
turns the direction of text shows how, and turns nothing.
"""

from __future__ import annotations

import html
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from chalicelib.core import times

LANGUAGES: Final = ("en", "ru")

_STYLE: Final = """
@page { size: A4; margin: 18mm 15mm }
body { font: 10.5pt/1.45 "Liberation Sans", Arial, sans-serif; color: #111; max-width: 190mm; margin: 2em auto; padding: 0 1em }
h1 { font-size: 20pt; margin: 0 0 .3em } h2 { font-size: 14pt; margin: 1.6em 0 .5em; border-bottom: 1px solid #777 }
h3 { font-size: 11.5pt; margin: 1.4em 0 .4em } h4 { font-size: 10.5pt; margin: 1em 0 .2em }
h2, h3, h4 { break-after: avoid } .annex { break-before: page }
table { border-collapse: collapse; width: 100%; margin: .4em 0 1em } tr { break-inside: avoid } thead { display: table-header-group }
th, td { border: 1px solid #999; padding: .25em .45em; text-align: left; vertical-align: top; font-size: 9.5pt } bdi { overflow-wrap: anywhere }
th { background: #eee; font-weight: 600 } table.facts th { width: 30% }
code { font: 8.5pt "Liberation Mono", monospace; overflow-wrap: anywhere } .bad { border: 2px solid #900; padding: .6em; color: #900; font-weight: 600 }
"""


def words(lang: str) -> dict[str, Any]:
    """Return the texts of a language."""
    return tomllib.loads((files(__package__) / f"{lang}.toml").read_text("utf-8"))


def write(report: Mapping[str, Any], lang: str) -> str:
    """Return the page of a report, as ``asking.ask`` returns it."""
    return _Page(report, words(lang)).html()


def _code(text: object) -> str:
    return f"<code>{html.escape(str(text))}</code>"


def _named(text: object) -> str:
    # An unclosed isolate inside a name would swallow the end of ours: what is not seen is shown as what it is.
    seen = "".join(c if unicodedata.category(c) not in ("Cf", "Cc") else f"⟨U+{ord(c):04X}⟩" for c in str(text))
    return f"<bdi>{html.escape(seen)}</bdi>"


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(text)}</th>" for text in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>\n"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{html.escape(name)}</th><td>{value}</td></tr>\n" for name, value in rows if value)
    return f'<table class="facts"><tbody>{body}</tbody></table>\n'


class _Page:
    """One page. Methods return markup; whatever they are given is text."""

    def __init__(self, report: Mapping[str, Any], words: Mapping[str, Any]) -> None:
        self.report = report
        self.words = words
        self.column: Mapping[str, str] = words["column"]

    def html(self) -> str:
        """Return the whole page."""
        title, section, text = html.escape(self.words["title"]), self.words["section"], self.words["text"]
        events = self.report["data"]
        bad = self.report["proved"]["bad"]
        parts = [
            f"<h1>{title}</h1>\n<p>{self.question()}</p>\n",
            f'<p class="bad">{html.escape(text["bad"].format(count=bad))}</p>\n' if bad else "",
            self.head(),
            self.h2(section["covers"]),
            f"<p>{html.escape(text['covers'])}</p>\n",
            self.h2(section["summary"]),
            self.summary() if events else f"<p>{html.escape(text['nothing'])}</p>\n",
            self.h2(section["events"]) if events else "",
            *(self.event(one) for one in events),
            self.h2(section["parties"]) if self.report["responsibility"] else "",
            *(self.matrix(name, rows) for name, rows in self.report["responsibility"].items()),
            self.h2(section["limits"]),
            "<ul>"
            + "".join(f"<li>{html.escape(self.word('limit', c))}</li>" for c in self.report["limits"])
            + "</ul>\n",
            f'<div class="annex">{self.h2(section["proofs"])}<p>{html.escape(text["verify"])}</p>\n',
            "".join(f"<p>{_code(key)}</p>\n" for key in self.report["keys"]),
            self.annex(),
            "</div>",
        ]
        head = f'<meta charset="utf-8"><title>{title}</title>\n<style>{_STYLE}</style>'
        return f'<!DOCTYPE html>\n<html lang="{self.words["lang"]}"><head>{head}</head>\n<body>\n{"".join(parts)}</body></html>\n'

    # Words

    def word(self, table: str, code: str | None) -> str:
        """Return the word for a code; a code that has none stands for itself, and none is unknown."""
        return str(self.words[table].get(code, code)) if code is not None else str(self.words["unknown"])

    def done(self, line: Mapping[str, Any]) -> str:
        """Return the words for an act; a legal hold is placed and released, as a transfer is held and released."""
        thing = line["object"]
        return self.word("legal_hold" if thing is not None and thing["kind"] == "hold" else "act", line["act"])

    def at(self, text: str | None) -> str:
        """Write a time as people of this language read it."""
        if text is None:
            return html.escape(self.words["none"])
        time = times.parse(text)
        month = self.words["months"][time.month - 1]
        return html.escape(
            self.words["date"].format(day=time.day, month=month, year=time.year, time=f"{time:%H:%M:%S}")
        )

    def listed(self, texts: Iterable[str]) -> str:
        """Return some texts behind each other, or that there are none."""
        return ", ".join(texts) or html.escape(self.words["none"])

    def party(self, party: Mapping[str, Any] | None) -> str:
        """Name a party with its contact and country."""
        if party is None:
            return html.escape(self.words["unknown"])
        if party["legal_name"] is None:
            return f"{_code(party['id'])} ({html.escape(self.words['gone'])})"
        country = f" ({html.escape(party['country'])})" if party["country"] else ""
        return f"{_named(party['legal_name'])}{country}, {_named(party['contact'])}"

    def h2(self, text: str) -> str:
        """Return a heading."""
        return f"<h2>{html.escape(text)}</h2>\n"

    def rules(self, rules: Iterable[Mapping[str, Any]]) -> str:
        """Name rules by what they say here, their article and their id."""
        return "<br>".join(
            f"{html.escape(self.word('decision', r['verdict']))}: {html.escape(r['ref'])} {_code(r['id'])}{self.doubt(r)}"
            for r in rules
        )

    def doubt(self, rule: Mapping[str, Any]) -> str:
        """Say that lawyers read a rule differently, or that nobody has compared it with the text."""
        reasons = [
            *(["unsettled"] if rule.get("settled") is False else []),
            *(["unverified"] if rule.get("confidence") in ("memory", "unsure") else []),
        ]
        return f" ({html.escape(', '.join(self.words['doubt'][r] for r in reasons))})" if reasons else ""

    def bases(self, bases: Iterable[Mapping[str, Any]]) -> str:
        """Name basis records with the time for which they stand."""
        return "<br>".join(
            f"{html.escape(b['kind'] or self.words['unknown'])} {_code(b['id'])} {html.escape(str(b['valid_from'] or '?'))} – "
            f"{html.escape(str(b['valid_until'] or '…'))}"
            for b in bases
        )

    # Parts

    def question(self) -> str:
        """Say what was asked."""
        asked, texts = self.report["question"], self.words["question"]
        if "subject" in asked:
            return html.escape(texts["subject"]).format(subject=_code(asked["subject"]))
        if "event" in asked:
            return html.escape(texts["event"]).format(event=_code(asked["event"]))
        return html.escape(texts["period"]).format(after=self.at(asked["after"]), before=self.at(asked["before"]))

    def head(self) -> str:
        """Say who asks, when, and for whose data."""
        head, proved, cell = self.words["head"], self.report["proved"], self.report["cell"]
        counts = self.words["text"]["proved"].format(
            proved=proved["proved"], waiting=proved["not sealed yet"], bad=proved["bad"]
        )
        trust = head["pinned"] if self.report["keys_pinned"] else head["attested"]
        return _facts([
            (head["made"], self.at(self.report["made_at"])),
            (head["asked"], f"{self.party(self.report['tenant'])} {_code(self.report['asked_by']['id'])}"),
            (head["tenant"], self.party(self.report["tenant"])),
            (head["operator"], self.party(self.report["operator"])),
            (head["place"], html.escape(f"{cell['country']}, {cell['region']}")),
            (head["laws"], html.escape(self.listed(self.report["laws"]))),
            (head["proved"], html.escape(f"{counts} ({trust})")),
        ])  # fmt: skip

    def summary(self) -> str:
        """Return one row for each transfer, and one for each event without any."""
        rows = []
        for one in self.report["data"]:
            moved = [line for line in one["lines"] if line["line"] == "transfer"]
            start = [_code(one["event"] or one["lines"][0]["proofs"][0]["entry"]), self.at(one["at"])]
            rows += [[*start, *self._moved(line)] for line in moved]
            if not moved:
                acts = [self.done(line) for line in one["lines"] if line["line"] == "act"]
                rows.append(
                    [*start, "", "", html.escape(self.listed(acts)), self.party(one["lines"][0]["accountable"])]
                )
        return _table(
            [self.column[c] for c in ("event", "received", "recipient", "decision", "outcome", "accountable")], rows
        )

    def _moved(self, line: Mapping[str, Any]) -> list[str]:
        words = (self.word("decision", line["decision"]), self.word("outcome", line["outcome"]))
        return [self.party(line["recipient"]), *map(html.escape, words), self.party(line["accountable"])]

    def event(self, one: Mapping[str, Any]) -> str:
        """Return the section of an event, or of an act about none."""
        name = _code(one["event"]) if one["event"] else self.at(one["at"])
        writers = {"held": self.held, "transfer": self.transfer, "act": self.act}
        return f"<section><h3>{name}</h3>\n{''.join(writers[line['line']](line) for line in one['lines'])}</section>\n"

    def line(self, title: str, line: Mapping[str, Any], rows: Iterable[tuple[str, str]]) -> str:
        """Return one line as a table of what it says, who is accountable, and what proves it."""
        proofs = " ".join(_code(p["entry"]) for p in line["proofs"])
        matrix = f" [{html.escape(line['responsibility'])}]" if line.get("responsibility") else ""
        ends = [
            (self.column["accountable"], self.party(line["accountable"]) + matrix),
            (self.column["proof"], proofs),
        ]
        return f"<h4>{html.escape(title)}</h4>\n{_facts([*rows, *ends])}"

    def held(self, line: Mapping[str, Any]) -> str:
        """Tell what was held, where and how long."""
        span = html.escape(self.words["until"][line["until_because"]])
        store = f"{line['store']['country']}, {line['store']['region']}"
        return self.line(self.words["line"]["held"], line, [
            (self.column["classes"], html.escape(self.listed(self.word("class", c) for c in line["classes"]))),
            (self.column["store"], f"{html.escape(store)}: {self.party(line['holder'])}"),
            (self.column["held"], span.format(**{"from": self.at(line["from"]), "until": self.at(line["until"])})),
            (self.column["rules"], self.rules(line["rules"])),
            (self.column["basis"], self.bases(line["bases"])),
            (self.column["role"], self.role(line["role"])),
        ])  # fmt: skip

    def role(self, card: Mapping[str, Any]) -> str:
        """Say what the router is, and by which article."""
        return html.escape(f"{self.word('role', card['role'])} ({card['ref']})")

    def transfer(self, line: Mapping[str, Any]) -> str:
        """Tell what was to go to whom, on what ground, and what came of it."""
        recipient = line["recipient"] or {}
        contract, answers = recipient.get("contract"), recipient.get("answers")
        attempts = "<br>".join(
            f"{a['attempt']}. {self.at(a['at'])}: {html.escape(self.word('outcome', a['outcome']))} {_code(a['code'])}"
            for a in line["attempts"]
        )
        left = html.escape(self.listed(self.word("class", c) for c in line["classes_left"]))
        return self.line(f"{self.words['line']['transfer']} {line['transfer']}", line, [
            (self.column["recipient"], self.party(line["recipient"])),
            (self.column["processing"], html.escape(", ".join(recipient.get("processing", ())))),
            (self.column["part"], html.escape(self.word("role", recipient["role"])) if recipient else ""),
            (self.column["contract"], f"{_named(contract['id'])} {_code(contract['sha256'])}" if contract else ""),
            (self.column["answers"], html.escape(f"{self.word('answers', answers['to'])} ({answers['ref']})") if answers else ""),
            (self.column["purpose"], html.escape(line["purpose"] or "")),
            (self.column["decision"], html.escape(self.word("decision", line["decision"]))),
            (self.column["rules"], self.rules(line["rules"])),
            (self.column["basis"], self.bases(line["bases"])),
            (self.column["missing"], " ".join(_code(m) for m in line["missing"])),
            (self.column["allowed"], html.escape(self.listed(self.word("class", c) for c in line["classes_allowed"]))),
            (self.column["left"], f"{left} – {self.at(line['from'])}" if line["from"] else left),
            (self.column["outcome"], html.escape(self.word("outcome", line["outcome"]))),
            (self.column["attempts"], attempts),
            (self.column["role"], self.role(line["role"])),
        ])  # fmt: skip

    def act(self, line: Mapping[str, Any]) -> str:
        """Tell who did what."""
        thing = line["object"]
        title = f"{self.words['line']['act']}: {self.done(line)}"
        return self.line(title, line, [
            (self.column["at"], self.at(line["at"])),
            (self.column["actor"], f"{html.escape(line['actor']['kind'])} {_code(line['actor']['id'])}"),
            (self.column["event"], f"{html.escape(thing['kind'])} {_code(thing['id'])}" if thing else ""),
            (self.column["reason"], html.escape(line["reason"] or "")),
        ])  # fmt: skip

    def matrix(self, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
        """Return a responsibility matrix under the name that lines call it by."""
        head = [self.column[c] for c in ("duty", "law", "accountable", "jointly", "article")]
        cells = [
            [
                html.escape(self.word("duty", r["op"])),
                html.escape(r["law"]),
                self.party(r["accountable"]),
                "<br>".join(self.party(p) for p in r["jointly"]),
                html.escape(r["ref"]),
            ]
            for r in rows
        ]
        return f"<h3>[{html.escape(name)}]</h3>\n{_table(head, cells)}"

    def annex(self) -> str:
        """Return every entry that a line names, with its place in the log and the state of its proof."""
        head = [self.column[c] for c in ("entry", "log", "leaf", "state")]
        rows = [
            [
                _code(e["entry"]),
                html.escape(f"{e['log']}, {e['index']}" if e["index"] is not None else e["log"]),
                _code(e["leaf_hash"]),
                html.escape(self.word("state", e["state"])),
            ]
            for e in self.report["evidence"]
        ]
        return _table(head, rows)
