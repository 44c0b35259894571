"""Profiles: forms that turn a few answers into several declarations. A profile saves typing, never a decision. Pure.

There is no default for a country, a contract, a ground, a grant or special categories. A profile is a TOML file of questions
and declarations. In a declaration's body ``{name}`` stands for an answer and ``@name`` for the id of an earlier declaration.
The results are ordinary records.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from ..errors import Invalid, Misconfigured
from ..event.event import DataClass
from ..log.entry import SourceId
from ..tenant.records import Country, Digest, Label, OnwardParty, Purpose, Record, TenantClass
from ..validation import of_validation

SCHEMA = "waybill.profile/1"
_NAME = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_TEXT = Annotated[str, StringConstraints(min_length=1, max_length=400)]
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_LONGER = TypeAdapter(Annotated[str, StringConstraints(min_length=1, max_length=64)])
ANSWERS: Mapping[str, TypeAdapter[Any]] = {
    "text": TypeAdapter(Label),
    "country": TypeAdapter(Country),
    "countries": TypeAdapter(Annotated[tuple[Country, ...], Field(min_length=1, max_length=50)]),
    "date": TypeAdapter(date),
    "digest": TypeAdapter(Digest),
    "url": TypeAdapter(Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\s]+$")]),
    "yes_or_no": TypeAdapter(bool),
    "classes": TypeAdapter(Annotated[tuple[DataClass, ...], Field(min_length=1)]),
    "parties": TypeAdapter(Annotated[tuple[OnwardParty, ...], Field(max_length=50)]),
    "purpose": TypeAdapter(Purpose),
    "source": TypeAdapter(SourceId),
    "choice": _LONGER,
    "tenant_class": TypeAdapter(TenantClass),
}
"""The form of an answer of each type."""


class Question(Record):
    """One question, and the article that makes us ask it. A title says in plain words what the choice at its place means."""

    name: _NAME
    asks: _TEXT
    type: Literal[
        "text", "country", "countries", "date", "digest", "url", "yes_or_no", "classes", "parties", "purpose", "source",
        "choice", "tenant_class",
    ]  # fmt: skip
    because: _TEXT
    choices: tuple[str, ...] = ()
    titles: tuple[_TEXT, ...] = ()
    titles_ru: tuple[_TEXT, ...] = ()

    @model_validator(mode="after")
    def _told(self) -> Question:
        if any(len(titles) not in (0, len(self.choices)) for titles in (self.titles, self.titles_ru)):
            raise ValueError("each choice has a title")
        return self


class Declaration(Record):
    """One call that a profile makes, and the statement that its user accepts with it."""

    name: _NAME
    call: Literal["POST /v1/bases", "POST /v1/recipients", "POST /v1/destinations", "POST /v1/routes"]
    body: dict[str, Any]
    you_declare: _TEXT
    because: _TEXT


class FormProfile(Record):
    """A named form: the source that it begins with is always the answer to the question ``source``."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    title: _TEXT
    question: tuple[Question, ...] = Field(min_length=1)
    declare: tuple[Declaration, ...] = Field(min_length=1)


@dataclass(frozen=True)
class SpelledDeclaration:
    """One declaration spelled out. In its body ``@name`` still stands for the id of another."""

    name: str
    call: str
    body: Mapping[str, Any]
    you_declare: str
    because: str

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "name": self.name,
            "call": self.call,
            "body": dict(self.body),
            "you_declare": self.you_declare,
            "because": self.because,
        }


def load(text: str) -> FormProfile:
    """Read a profile.

    Raises:
        Misconfigured: the file is no profile, names an unknown answer or a later declaration, or its one route is not last.
    """
    try:
        profile = FormProfile.model_validate_json(json.dumps(tomllib.loads(text)), strict=True)
    except (tomllib.TOMLDecodeError, ValidationError, TypeError) as fault:
        raise Misconfigured(f"a profile cannot be read: {type(fault).__name__}") from None
    asked = {question.name for question in profile.question}
    declared: set[str] = set()
    for declaration in profile.declare:
        for value in _texts([declaration.body, declaration.you_declare]):
            unknown = set(_PLACEHOLDER.findall(value)) - asked
            if unknown or (value.startswith("@") and value[1:] not in declared):
                raise Misconfigured(f"profile {profile.name}: {declaration.name} names what is not there")
        declared.add(declaration.name)
    routes = [d for d in profile.declare if d.call == "POST /v1/routes"]
    if "source" not in asked or len(declared) < len(profile.declare) or routes != [profile.declare[-1]]:
        raise Misconfigured(
            f"profile {profile.name}: it asks for a source, and its one route, by which all acts, is last"
        )
    return profile


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def unanswered(profile: FormProfile, answers: Mapping[str, Any]) -> list[Question]:
    """Return the questions that have no answer, in their order."""
    return [question for question in profile.question if answers.get(question.name) is None]


def checked(profile: FormProfile, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers as JSON values in one form.

    Raises:
        Invalid: with every answer that has the wrong type for its question, or no question.
    """
    questions = {question.name: question for question in profile.question}
    faults: list[Mapping[str, Any]] = []
    faults += [_fault(name, "unknown", "no question has this name") for name in answers if name not in questions]
    read: dict[str, Any] = {}
    for name, answer in answers.items():
        question = questions.get(name)
        if question is None or answer is None:
            continue
        try:
            adapter = ANSWERS[question.type]
            value = adapter.validate_json(json.dumps(answer), strict=True)
            read[name] = adapter.dump_python(value, mode="json")
        except ValueError as error:
            faults += of_validation(error, f"body.answers.{name}").errors
            continue
        if question.choices and value not in question.choices:
            faults.append(_fault(name, "choice", f"use one of: {', '.join(question.choices)}"))
    if faults:
        raise Invalid("answers are not acceptable; errors names each", faults)
    return read


def _fault(name: str, code: str, text: str) -> dict[str, str]:
    known = re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) is not None
    return {"loc": f"body.answers.{name if known else '?'}", "code": code, "msg": text}


def spell(profile: FormProfile, answers: Mapping[str, Any]) -> list[SpelledDeclaration]:
    """Spell the declarations out. The answers MUST be ``checked``, and all there."""
    return [
        SpelledDeclaration(
            name=declaration.name,
            call=declaration.call,
            body=_filled(declaration.body, answers),
            you_declare=_PLACEHOLDER.sub(lambda found: _said(answers[found[1]]), declaration.you_declare),
            because=declaration.because,
        )
        for declaration in profile.declare
    ]


def _filled(value: Any, answers: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(item, answers) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, answers) for item in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    if whole is not None:
        return answers[whole[1]]
    return _PLACEHOLDER.sub(lambda found: _said(answers[found[1]]), value)


def _said(answer: Any) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, list):
        return ", ".join(str(item["id"] if isinstance(item, dict) else item) for item in answer) or "nobody"
    return str(answer)


def resolved(body: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """Return a body in which ids stand for the declarations that it names."""

    def of(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: of(item) for name, item in value.items()}
        if isinstance(value, list):
            return [of(item) for item in value]
        return ids[value[1:]] if isinstance(value, str) and value[:1] == "@" and value[1:] in ids else value

    return {name: of(item) for name, item in body.items()}


def digest(
    profile: FormProfile, tenant: str, spelled: Sequence[SpelledDeclaration], decision: Mapping[str, Any]
) -> str:
    """Return the digest of all that was shown: the declarations, and the decisions on them with their rules."""
    shown: dict[str, Any] = {
        "schema": SCHEMA,
        "profile": profile.name,
        "tenant": tenant,
        "would_create": [each.document() for each in spelled],
        "decision": {name: decision[name] for name in ("decision", "deciding", "missing", "rules_hash")},
    }
    return "sha256:" + hashlib.sha256(rfc8785.dumps(shown)).hexdigest()
