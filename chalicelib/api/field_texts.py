"""What each field means, for ``/openapi.json``: ``python -m chalicelib.api.field_texts`` reads it from the pages.

The tables of ``docs/api.md`` and ``docs/event.md`` are written by hand and held to the models by a test. A cell has no pages,
so that their meanings are kept beside it in ``field_texts.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from .endpoint import Endpoint
from .schemas import PREFIX, Schema, Schemas

FILE = Path(__file__).parent / "field_texts.json"

TABLES: Mapping[str, tuple[str, ...]] = {
    "Tenant fields": (
        "GET /v1/tenants",
        "GET /v1/tenants/{id}",
        "PATCH /v1/tenants/{id}",
        "GET /v1/tenant",
        "PATCH /v1/tenant",
    ),
    "Master key fields": ("POST /v1/tenants/{id}/key/rotate", "GET /v1/tenants/{id}/key"),
    "New tenant fields": ("POST /v1/tenants",),
    "Key fields": ("POST /v1/keys", "GET /v1/keys", "GET /v1/keys/{id}"),
    "Source fields": ("POST /v1/sources", "GET /v1/sources", "GET /v1/sources/{id}", "PATCH /v1/sources/{id}"),
    "Rejection fields": ("GET /v1/sources/{id}/rejections",),
    "Subscription fields": ("POST /v1/sources/{id}/subscribe",),
    "Source secret fields": ("POST /v1/sources/{id}/secret",),
    "Recipient fields": (
        "POST /v1/recipients",
        "GET /v1/recipients",
        "GET /v1/recipients/{id}",
        "PUT /v1/recipients/{id}",
    ),
    "Basis fields": ("POST /v1/bases", "GET /v1/bases", "GET /v1/bases/{id}", "POST /v1/bases/{id}/withdrawal"),
    "Consent fields": ("POST /v1/consents", "GET /v1/consents", "GET /v1/consents/{id}"),
    "Consent withdrawal fields": ("POST /v1/consents/{id}/withdrawal",),
    "Consent import fields": ("POST /v1/consents/import",),
    "Off-the-record fields": (
        "PUT /v1/conversations/{id}/off-the-record",
        "GET /v1/conversations/{id}/off-the-record",
    ),
    "Destination fields": (
        "POST /v1/destinations",
        "GET /v1/destinations",
        "GET /v1/destinations/{id}",
        "PATCH /v1/destinations/{id}",
        "POST /v1/destinations/{id}/secret/rotate",
        "POST /v1/destinations/{id}/enable",
        "POST /v1/destinations/{id}/disable",
    ),
    "Destination test fields": ("POST /v1/destinations/{id}/test",),
    "Destination health fields": ("GET /v1/destinations/{id}/health",),
    "Route fields": (
        "POST /v1/routes",
        "GET /v1/routes",
        "GET /v1/routes/{id}",
        "PUT /v1/routes/{id}",
        "PATCH /v1/routes/{id}",
    ),
    "Route preview fields": ("POST /v1/routes/preview",),
    "Threshold fields": ("GET /v1/thresholds",),
    "Switch fields": ("POST /v1/switches", "GET /v1/switches", "GET /v1/switches/{id}"),
    "Legal hold fields": (
        "POST /v1/legal-holds",
        "GET /v1/legal-holds",
        "GET /v1/legal-holds/{id}",
        "POST /v1/legal-holds/{id}/release",
    ),
    "Transfer fields": (
        "GET /v1/transfers",
        "GET /v1/transfers/{id}",
        "POST /v1/transfers/{id}/replay",
        "POST /v1/holds/{id}/decision",
    ),
    "Trace fields": ("GET /v1/trace", "GET /v1/tenants/{id}/trace"),
    "Job fields": ("GET /v1/jobs", "GET /v1/jobs/{id}"),
    "Dead letter fields": ("GET /v1/dead-letters", "GET /v1/tenants/{id}/dead-letters"),
    "Redrive fields": ("POST /v1/redrives", "GET /v1/redrives/{id}"),
    "Replay fields": ("POST /v1/destinations/{id}/replay",),
    "Hold fields": ("GET /v1/holds",),
    "Preflight fields": ("POST /v1/preflight", "GET /v1/preflight"),
    "Profile fields": ("GET /v1/profiles", "POST /v1/profiles/{name}"),
    "Entry fields": ("GET /v1/audit/entries", "GET /v1/audit/entries/{id}"),
    "Log key fields": ("GET /v1/audit/keys",),
    "Bundle request fields": ("POST /v1/audit/bundle",),
    "Accountability report fields": ("GET /v1/answer",),
}
"""The headings of the tables, and the requests whose bodies and answers each describes."""

PARTS: Mapping[str, tuple[str, str]] = {
    "Rule fields": ("GET /v1/transfers", "rules"),
    "Obligation fields": ("POST /v1/preflight", "obligations"),
    "Missing record fields": ("POST /v1/preflight", "missing"),
    "Formality fields": ("POST /v1/preflight", "formalities"),
    "Unreadable record fields": ("POST /v1/preflight", "unreadable"),
    "Profile mark fields": ("GET /v1/routes", "profile"),
    "Party fields": ("GET /v1/answer", "tenant"),
}
"""Records inside several others that have a table of their own: an answer, and its field that holds one."""


EVENT = ("Fields", "GET /v1/events")
"""The heading in ``docs/event.md``, and the request whose answer it describes."""
_ROW = re.compile(r"^\| `([^`]+)` \|.*\| (.+?) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")
_SAME = "as above"


def rows(page: str, heading: str) -> dict[str, str]:
    """Return the meaning of each field in the table under a heading."""
    section = re.split(rf"^#{{2,3}} {re.escape(heading)}\n", page, maxsplit=1, flags=re.MULTILINE)[-1]
    section = re.split(r"^#{2,3} ", section, maxsplit=1, flags=re.MULTILINE)[0]
    return {path: meaning for path, meaning in _ROW.findall(section) if meaning != _SAME}


def sentence(meaning: str) -> str:
    """Write a cell of a table as a sentence, without links."""
    text = _LINK.sub(r"\1", meaning)
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _models(schema: Schema, schemas: Schemas) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        yield name
        if "properties" not in schemas.whole(name):  # a line of an import is one of several models
            yield from _models(schemas.whole(name), schemas)
    for inner in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _models(inner, schemas)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _models(schema[word], schemas)


def _placed(schema: Schema, path: list[str], schemas: Schemas) -> Iterator[tuple[str, str]]:
    """Yield the models and the field that a path leads to."""
    name, *rest = path
    for model in _models(schema, schemas):
        inner = schemas.whole(model).get("properties", {}).get(name)
        if inner is not None and not rest:
            yield model, name
        elif inner is not None:
            yield from _placed(inner, rest, schemas)


def _starts(endpoint: Endpoint, schemas: Schemas) -> Iterator[Schema]:
    if endpoint.body is not None:
        yield schemas.of(endpoint.body, "validation")
    if endpoint.answer is not None:
        yield schemas.of(endpoint.answer, "serialization")


def texts(docs: Path) -> dict[str, dict[str, str]]:
    """Return the meaning of each field, by model and name."""
    from . import ENDPOINTS
    from .openapi import kinds_of

    named = {f"{e.method} {e.path}": e for e in ENDPOINTS}
    schemas = Schemas((kind for e in ENDPOINTS for kind in kinds_of(e)), {})
    page = (docs / "api.md").read_text("utf-8")
    found: dict[str, dict[str, str]] = {}

    def add(schema: Schema, table: Mapping[str, str]) -> None:
        for path, meaning in table.items():
            steps = [step.removesuffix("[]") for step in path.split(".") if step != "*"]
            for model, field in _placed(schema, steps, schemas):
                found.setdefault(model, {}).setdefault(field, sentence(meaning))

    heading, request = EVENT
    for start in _starts(named[request], schemas):
        add(start, rows((docs / "event.md").read_text("utf-8"), heading))
    for heading, (request, field) in PARTS.items():
        (answer,) = list(_starts(named[request], schemas))[-1:]
        (model,) = dict.fromkeys(_models(answer, schemas))
        add(schemas.whole(model)["properties"][field], rows(page, heading))
    for heading, requests in TABLES.items():
        for request in requests:
            for start in _starts(named[request], schemas):
                add(start, rows(page, heading))
    return {model: found[model] for model in sorted(found)}


def written(docs: Path) -> str:
    """Return the file that the pages make."""
    return json.dumps(texts(docs), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(Path(__file__).parents[2] / "docs"), "utf-8")
