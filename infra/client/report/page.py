"""Write an answer as a page to read, print and file: one file without scripts or remote content.

The templates ``page.html`` and ``parts.html`` make the markup and escape every text. This module finds the words. A name
that others chose stands alone (``bdi``). Characters in it that are not seen, such as those that turn the direction of
text, are shown by their code points.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from chalicelib.core import times

LANGUAGES: Final = ("en", "ru")
_TEMPLATES: Final = Environment(
    loader=PackageLoader("infra.client.report", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def words(lang: str) -> dict[str, Any]:
    """Return the texts of a language."""
    return tomllib.loads((files(__package__) / f"{lang}.toml").read_text("utf-8"))


def write(report: Mapping[str, Any], lang: str) -> str:
    """Return the page of a report, as ``asking.ask`` returns it."""
    found = words(lang)
    return _TEMPLATES.get_template("page.html").render(report=report, words=found, **_Texts(report, found).functions())


class _Texts:
    """The texts of one page. Every method returns plain text, which the templates escape."""

    def __init__(self, report: Mapping[str, Any], words: Mapping[str, Any]) -> None:
        self.report = report
        self.words = words

    def functions(self) -> dict[str, Any]:
        """Return the functions that the templates call, by name."""
        return {
            made.__name__: made
            for made in (
                self.word, self.done, self.acts, self.classes, self.at, self.listed, self.doubts, self.role, self.proved,
                self.visible, self.titled,
            )
        }  # fmt: skip

    def word(self, table: str, code: str | None) -> str:
        """Return the word for a code; a code without a word stands for itself, and None is unknown."""
        return str(self.words[table].get(code, code)) if code is not None else str(self.words["unknown"])

    def done(self, line: Mapping[str, Any]) -> str:
        """Return the words for an act; a legal hold is placed and released, as a transfer is held and released."""
        thing = line["object"]
        return self.word("legal_hold" if thing is not None and thing["kind"] == "hold" else "act", line["act"])

    def acts(self, lines: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return the words for the acts among some lines."""
        return [self.done(line) for line in lines if line["line"] == "act"]

    def classes(self, codes: Iterable[str]) -> list[str]:
        """Return the words for classes of data."""
        return [self.word("class", code) for code in codes]

    def at(self, text: str | None) -> str:
        """Write a time as readers of this language expect it."""
        if text is None:
            return str(self.words["none"])
        time = times.parse(text)
        month = self.words["months"][time.month - 1]
        return str(self.words["date"].format(day=time.day, month=month, year=time.year, time=f"{time:%H:%M:%S}"))

    def listed(self, texts: Iterable[str]) -> str:
        """Join texts with commas, or say that there are none."""
        return ", ".join(texts) or str(self.words["none"])

    def titled(self, rule: Mapping[str, Any]) -> str:
        """Name a rule in words with its article; one that the law in force has not is its article alone."""
        title = rule.get("title_ru" if self.words["lang"] == "ru" else "title")
        return f"{title} ({rule['ref']})" if title else str(rule["ref"])

    def doubts(self, rule: Mapping[str, Any]) -> str:
        """Say that lawyers read a rule differently, or that it was not compared with the law; else return no text."""
        reasons = [
            *(["unsettled"] if rule.get("settled") is False else []),
            *(["unverified"] if rule.get("confidence") in ("memory", "unsure") else []),
        ]
        return ", ".join(self.words["doubt"][reason] for reason in reasons)

    def role(self, card: Mapping[str, Any]) -> str:
        """Name the role of the router, and the article that gives it."""
        return f"{self.word('role', card['role'])} ({card['ref']})"

    def proved(self) -> str:
        """Count the proofs by state, and say which keys were trusted."""
        head, proved = self.words["head"], self.report["proved"]
        counts = self.words["text"]["proved"].format(
            proved=proved["proved"], waiting=proved["not sealed yet"], bad=proved["bad"]
        )
        return f"{counts} ({head['pinned'] if self.report['keys_pinned'] else head['attested']})"

    @staticmethod
    def visible(text: object) -> str:
        """Show each invisible character as its code point."""
        # An unclosed isolate inside a name would swallow the end of ours.
        return "".join(c if unicodedata.category(c) not in ("Cf", "Cc") else f"⟨U+{ord(c):04X}⟩" for c in str(text))
