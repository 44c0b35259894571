"""Every field that a tenant can send or read has a row in a table of its page, with its type and its default.

A table follows the heading that ``TABLES`` names. When a table is wrong, the failure shows the rows that it needs; the
meanings are written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel, RootModel, TypeAdapter
from pydantic.fields import FieldInfo

from chalicelib import api
from chalicelib.api.field_texts import FILE, PARTS, TABLES, written

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ENDPOINTS = {f"{e.method} {e.path}": e for e in api.ENDPOINTS}

ELSEWHERE = {
    "GET /v1/events": "docs/event.md, held to the event's fields by test_normalise.py",
    "GET /v1/events/{id}": "the same, and expires_at",
    "GET /pull/{token}": "the same",
    "POST /v1/decisions": "facts of any law: docs/law/README.md and docs/facts.md",
    "GET /healthz": "no tenant's record",
    "GET /openapi.json": "no tenant's record",
}


LONG = 45
"""Characters above which a list of values stands in words below its table."""

Mode = Literal["validation", "serialization"]


def models(kind: Any) -> Iterator[type[BaseModel]]:
    """Yield the models with fields in a type, without those inside them."""
    if isinstance(kind, type) and issubclass(kind, RootModel):
        yield from models(kind.model_fields["root"].annotation)
    elif isinstance(kind, type) and issubclass(kind, BaseModel) and kind.model_fields:
        yield kind
    for part in get_args(kind):
        yield from models(part)


def part_of(endpoint: str, field: str) -> type[BaseModel]:
    (answer,) = models(ENDPOINTS[endpoint].answer)
    (part,) = models(answer.model_fields[field].annotation)
    return part


def owners() -> dict[type[BaseModel], str]:
    """Return the heading under which each record stands: the first that its requests name."""
    found = {part_of(*where): heading for heading, where in PARTS.items()}
    for heading, names in TABLES.items():
        for endpoint in map(ENDPOINTS.__getitem__, names):
            for model in (*models(endpoint.body), *models(endpoint.answer)):
                found.setdefault(model, heading)
    return found


OWNERS = owners()


def bounds(schema: Mapping[str, Any], low: str, high: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is not None and most is not None:
        return f"{least} to {most:,}"
    return f"max {most:,}" if most is not None else f"min {least}" if least is not None else ""


def type_of(schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """Write a field's JSON schema as a table writes it."""
    if "$ref" in schema:
        return type_of(named[schema["$ref"].rsplit("/", 1)[-1]], named)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(type_of(s, named) for s in choices))
    if "enum" in schema:
        values = ", ".join(f"`{v}`" for v in schema["enum"])
        return f"one of {values}" if len(values) <= LONG else f"one of {len(schema['enum'])} words"
    kind = str(schema.get("type", "any JSON"))
    if kind == "array":
        size = bounds(schema, "minItems", "maxItems")
        return (
            f"list ({size}) of {type_of(schema['items'], named)}"
            if size
            else f"list of {type_of(schema['items'], named)}"
        )
    if kind in ("integer", "number"):
        return " ".join(filter(None, (kind, bounds(schema, "minimum", "maximum"))))
    if kind == "string":
        form = {"date-time": "time", "date": "date"}.get(schema.get("format", ""), "text")
        return f"{form}, max {schema['maxLength']:,}" if "maxLength" in schema else form
    return {"boolean": "true or false"}.get(kind, kind)


def long_values(schema: Any) -> set[str]:
    """Return the values of all long enumerations in a JSON schema."""
    if isinstance(schema, list):
        return set().union(*map(long_values, schema))
    if not isinstance(schema, dict):
        return set()
    values = {str(v) for v in schema.get("enum", ())}
    inner = set().union(*map(long_values, schema.values())) if schema else set()
    return inner | (values if len(", ".join(f"`{v}`" for v in schema.get("enum", ()))) > LONG else set())


def default_of(info: FieldInfo, schema: Mapping[str, Any]) -> str:
    if info.is_required():
        return "required"
    if info.default_factory in (list, dict):
        return f"`{'[]' if info.default_factory is list else '{}'}`"
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else "`{}`"


def fields(model: type[BaseModel], mode: Mode) -> dict[str, tuple[str, str]]:
    """Return the type and the default of each field by its path, the fields of a nested record after it."""
    schema = TypeAdapter(model).json_schema(mode=mode)
    named = schema.get("$defs", {})
    rows: dict[str, tuple[str, str]] = {}
    for name, info in model.model_fields.items():
        sent = info.alias or name.rstrip("_")
        inner = schema["properties"].get(sent) or schema["properties"][name]
        rows[sent] = (type_of(inner, named), default_of(info, inner))
        for part in models(info.annotation):
            if part in OWNERS or issubclass(model, part):
                continue
            keyed, listed = str(info.annotation).startswith("dict["), rows[sent][0].startswith("list")
            step = f"{sent}.*" if keyed else f"{sent}[]" if listed else sent
            rows |= {f"{step}.{path}": row for path, row in fields(part, mode).items()}
    return rows


def expected(heading: str) -> dict[str, tuple[str, str]]:
    """Return the rows of a table: each field that can be sent with its default, the others marked ``answer``."""
    if heading in PARTS:
        return {path: (kind, "answer") for path, (kind, _) in fields(part_of(*PARTS[heading]), "serialization").items()}
    endpoints = [ENDPOINTS[name] for name in TABLES[heading]]
    rows: dict[str, tuple[str, str]] = {}
    for model in dict.fromkeys(m for e in endpoints for m in models(e.body) if OWNERS[m] == heading):
        rows = fields(model, "validation") | rows
    for model in dict.fromkeys(m for e in endpoints for m in models(e.answer) if OWNERS[m] == heading):
        rows = rows | {p: (kind, "answer") for p, (kind, _) in fields(model, "serialization").items() if p not in rows}
    return rows


def section(heading: str) -> str:
    _, _, rest = PAGE.read_text("utf-8").partition(f"\n### {heading}\n")
    return re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(heading: str) -> dict[str, tuple[str, str]]:
    """Return the rows that stand under a heading of the page."""
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*?) \|$", section(heading), re.MULTILINE)
    assert [path for path, *_, meaning in rows if not meaning.strip()] == []
    return {path: (kind, default) for path, kind, default, _ in rows}


@pytest.mark.parametrize("heading", [*TABLES, *PARTS])
def test_every_field_of_a_record_has_its_row_with_type_and_default(heading: str) -> None:
    needed, written = expected(heading), table(heading)
    missing = {path: row for path, row in needed.items() if written.get(path) != row}

    assert "\n".join(f"| `{path}` | {kind} | {default} | |" for path, (kind, default) in missing.items()) == ""
    assert set(written) - set(needed) == set()


def test_every_word_of_a_long_list_of_values_stands_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    schemas = [TypeAdapter(model).json_schema() for model in OWNERS]

    assert {value for value in long_values(schemas) if f"`{value}`" not in text} == set()


def test_every_body_and_answer_has_its_table() -> None:
    described = [name for names in TABLES.values() for name in names]
    with_records = {name for name, e in ENDPOINTS.items() if [*models(e.body), *models(e.answer)]}

    assert len(described) == len(set(described))
    assert with_records - set(ELSEWHERE) == set(described)


def test_the_description_of_the_api_says_of_each_field_what_the_page_says() -> None:
    assert FILE.read_text("utf-8") == written(ROOT / "docs")
