"""``/openapi.json``, made from the endpoint table and the models that requests are checked with. Pure.

Source: https://spec.openapis.org/oas/v3.1.0 (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from ..core.errors import phrase
from .cursors import LENGTH_MAX
from .endpoint import LINES_TYPES, EmptySchema, Endpoint
from .examples import EXAMPLES
from .refusals import responses_of
from .schemas import PREFIX, Kind, Schema, Schemas, markdown, texts

VERSION = "1"
_PARAMETER = re.compile(r"\{(\w+)\}")

TAGS: Mapping[str, str] = {
    "Tenants": "The customer organisations of a cell. Only the operator creates and closes them.",
    "Own tenant": "The tenant of the API key.",
    "API keys": "The tenant's API keys and their scopes.",
    "Sources": "Accounts on channels, and the secrets that verify their webhooks.",
    "Destinations": "Configured places that events go to.",
    "Recipients": "The legal persons behind destinations.",
    "Bases": "Evidence for the legal grounds of transfers.",
    "Consents": "The consents of single people and their withdrawals.",
    "Routes": "Rules that send matching events to a destination for a purpose.",
    "Profiles": "Forms that make several declarations at once.",
    "Preflight": "Everything that a planned or declared flow lacks.",
    "Decisions": "Explanations of what the law says about facts or an event.",
    "Events": "The events that sources have received.",
    "Conversations": "Conversations that are off the record.",
    "Transfers": "The records of events on their way to destinations.",
    "Traces": "The whole way of one event, with times.",
    "Holds": "Transfers that wait for something the law asks for.",
    "Replays": "New transfers that repeat ended ones.",
    "Dead letters": "Messages that failed too often, and their redrives.",
    "Switches": "The tenant's own stops, which count before the law.",
    "Thresholds": "Numbers of people at which a law asks for more.",
    "Legal holds": "Orders that content is neither erased nor expired.",
    "Audit log": "Entries of the audit log, their proofs, and evidence bundles.",
    "Accountability": "Reports on who held and received data.",
    "Jobs": "Work that takes longer than one request.",
    "Pull links": "Links by which a recipient fetches one event.",
    "This API": "Health and description of the API.",
}
"""The groups of operations, in the order of the page."""

_TEXT: Schema = {"type": "string"}
PROBLEM: Schema = {
    "type": "object",
    "description": "A refusal, as RFC 9457 writes it.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {**_TEXT, "description": "The page that explains the code."},
        "title": {**_TEXT, "description": "The name of the HTTP status."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {**_TEXT, "description": "The reason and the remedy, in words."},
        "code": {**_TEXT, "description": "The reason, from a closed list."},
        "errors": {
            "type": "array",
            "description": "The values that are not acceptable.",
            "items": {
                "type": "object",
                "required": ["loc", "code", "msg"],
                "properties": {
                    "loc": {**_TEXT, "description": "The place of the value in the request."},
                    "code": {**_TEXT, "description": "The kind of fault."},
                    "msg": {**_TEXT, "description": "The fault in words."},
                },
            },
        },
        "rules": {
            "type": "array",
            "description": "The rules by which the law refuses.",
            "items": {"type": "object"},
        },
        "missing": {"type": "array", "description": "Facts and records that are missing.", "items": _TEXT},
        "until": {**_TEXT, "format": "date-time", "description": "When the refusal ends by itself, if it is known."},
    },
}
HEADERS: Mapping[str, Schema] = {
    "ETag": {"description": "The version of the resource, for `If-Match`.", "schema": _TEXT},
    "Retry-After": {
        "description": "After how many seconds to try again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "The scheme of the credentials.", "schema": _TEXT},
    "Idempotent-Replayed": {
        "description": "`true`: this is the stored answer to an earlier request with this `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
PARAMETERS: Mapping[str, Schema] = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes a repeated request answer as the first one did, for 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]{1,255}$"},
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of the version that the request changes. If it has changed since, the answer is 412.",
        "schema": {"type": "string", "minLength": 1, "pattern": r'^(\*|"[0-9]{1,9}")$'},
    },
}
CURSOR: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": LENGTH_MAX,
    "pattern": "^[A-Za-z0-9_-]+$",
    "description": "`next` of the page before.",
}
QUERIES: Mapping[str, str] = {
    "limit": "The most items of a page.",
    "after": "From this time on, inclusive.",
    "before": "Before this time, exclusive.",
    "conversation": "Only this conversation: `cnv_…`.",
    "destination": "Only this destination: `dst_…`.",
    "event": "Only this event: `evt_…`.",
    "from": "The published size of the log that the proof starts from.",
    "ground": "The ground of the erasure.",
    "kind": "Only this kind.",
    "log": "The year of the log. The current log if it is absent.",
    "message": "The platform's id of the event, with `source`.",
    "outcome": "Only transfers with this outcome.",
    "route": "Only this route: `rte_…`.",
    "size": "The published size of the log that the proof leads to. The newest if it is absent.",
    "source": "Only this source: `src_…`.",
    "subject": "Only this person: `sub_…`.",
    "transfer": "One of its transfers: `trf_…`.",
}
"""What each query parameter means."""
_IDS = {
    "tenants": "tnt", "keys": "key", "sources": "src", "destinations": "dst", "recipients": "rcp", "bases": "bas",
    "routes": "rte", "consents": "cns", "conversations": "cnv", "switches": "swi", "legal-holds": "hld", "holds": "hld",
    "events": "evt", "transfers": "trf", "entries": "ent", "jobs": "job", "redrives": "job",
}  # fmt: skip
"""The prefix of the ids behind a step of a path."""


STEPS = {
    "name": "The name of the profile.",
    "token": "The token of the link.",
    "log": "The year of the log.",
    "level": "The level of the tile, from 0 to 63, or `entries`.",
    "first": "The first step of the tile's index, such as `x001`, or `234` if it is the only one.",
    **dict.fromkeys(
        ("second", "third", "fourth", "fifth"),
        "A step of the tile's index, such as `234`, or the width of a partial tile.",
    ),
}
"""The meanings of the other steps of a path."""


def _path_parameter(path: str, name: str) -> Schema:
    step = path.partition(f"/{{{name}}}")[0].rsplit("/", 1)[-1]
    schema: Schema = {"type": "string"}
    text = STEPS.get(name, "")
    if step in _IDS and name == "id":
        text, schema["examples"] = f"An id: `{_IDS[step]}_…`.", [f"{_IDS[step]}_06h2pv1xsjrh80kt9t2mh4nbv5"]
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _query(endpoint: Endpoint, schemas: Schemas) -> Iterable[Schema]:
    whole = schemas.named[schemas.of(endpoint.query, "validation")["$ref"].removeprefix(PREFIX)]
    needed = whole.get("required", ())
    for name, schema in whole.get("properties", {}).items():
        # Null is a value of the model, and no query can hold it.
        choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
        if name == "cursor":
            schema = CURSOR
        elif len(choices) == 1:
            schema = choices[0]
        text = QUERIES.get(name) or schema["description"]
        kept = {word: value for word, value in schema.items() if word != "description"}
        yield {"name": name, "in": "query", "required": name in needed, "description": text, "schema": kept}


def _parameters(endpoint: Endpoint, schemas: Schemas) -> list[Schema]:
    found = [_path_parameter(endpoint.path, name) for name in _PARAMETER.findall(endpoint.path)]
    found += _query(endpoint, schemas)
    if endpoint.method == "POST" and endpoint.scope is not None:
        found.append({"$ref": "#/components/parameters/Idempotency-Key"})
    if endpoint.matches:
        found.append({"$ref": "#/components/parameters/If-Match"})
    return found


def _answer(endpoint: Endpoint, schemas: Schemas) -> Schema:
    answer: Schema = {"description": phrase(endpoint.status)}
    headers = ["ETag"] if endpoint.etag else []
    headers += ["Idempotent-Replayed"] if endpoint.method == "POST" and endpoint.scope is not None else []
    if headers:
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    if endpoint.answer is str:
        answer["content"] = {endpoint.media: {"schema": {"type": "string"}}}
    elif endpoint.answer is bytes:
        answer["content"] = {endpoint.media: {"schema": {"type": "string", "format": "binary"}}}
    elif endpoint.answer is not None:
        schema = schemas.of(endpoint.answer, "serialization")
        if endpoint.listed:
            schema = {
                "type": "object",
                "required": ["data", "next"],
                "properties": {
                    "data": {"type": "array", "items": schema},
                    "next": {
                        "type": ["string", "null"],
                        "description": "The cursor of the next page; null on the last.",
                    },
                },
            }
        answer["content"] = {endpoint.media: {"schema": schema}}
    return answer


def _body(endpoint: Endpoint, body: type[BaseModel], schemas: Schemas) -> Schema:
    schema = schemas.patch_of(body) if endpoint.merges else schemas.of(body, "validation")
    content: Schema = {"schema": schema}
    if endpoint.operation_id in EXAMPLES:
        content["examples"] = {name: {"value": value} for name, value in EXAMPLES[endpoint.operation_id].items()}
    if endpoint.lines:
        return {"required": False, "content": {LINES_TYPES[0]: {"schema": _LINES, "x-line": schema}}}
    return {"required": True, "content": {"application/json": content}}


_LINES: Schema = {"type": "string", "description": "JSON objects, one a line, each as `x-line` describes it."}


def _operation(endpoint: Endpoint, schemas: Schemas) -> Schema:
    answer = _answer(endpoint, schemas)
    operation: Schema = {
        "operationId": endpoint.operation_id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary.replace("``", ""),
        "parameters": _parameters(endpoint, schemas),
        "responses": {
            **{str(status): answer for status in (endpoint.status, *endpoint.also)},
            **responses_of(endpoint),
        },
    }
    if endpoint.description:
        operation["description"] = markdown(endpoint.description)
    if endpoint.scope is not None:
        operation["security"] = [{"key": []}]
        operation["x-scope"] = endpoint.scope
    if endpoint.body is not None and endpoint.body is not EmptySchema:
        operation["requestBody"] = _body(endpoint, endpoint.body, schemas)
    return operation


def kinds_of(endpoint: Endpoint) -> Iterable[Kind]:
    """Yield the types that an endpoint takes and answers."""
    yield endpoint.query, "validation"
    if endpoint.body is not None:
        yield endpoint.body, "validation"
    if endpoint.answer is not None:
        yield endpoint.answer, "serialization"


def document(endpoints: Iterable[Endpoint]) -> Schema:
    """Make the OpenAPI document of these endpoints."""
    endpoints = list(endpoints)
    schemas = Schemas((kind for endpoint in endpoints for kind in kinds_of(endpoint)), texts())
    paths: dict[str, dict[str, Schema]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    components: Schema = {
        "schemas": {"Problem": PROBLEM, **schemas.named},
        "headers": HEADERS,
        "parameters": PARAMETERS,
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key: wb_…"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Waybill", "version": VERSION, "description": "A router for messenger webhooks."},
        "servers": [{"url": "/", "description": "This cell."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": _used(components, paths),
    }


def _used(components: Schema, paths: Any) -> Schema:
    """Leave out the schemas that no operation leads to, such as those of queries."""
    found: set[str] = set()
    todo: list[Any] = [paths]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            ref = value.get("$ref")
            if isinstance(ref, str) and ref.startswith(PREFIX) and ref not in found:
                found.add(ref)
                todo.append(components["schemas"][ref.removeprefix(PREFIX)])
            todo += value.values()
    kept = {name: schema for name, schema in components["schemas"].items() if PREFIX + name in found}
    return {**components, "schemas": kept}
