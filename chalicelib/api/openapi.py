"""``/openapi.json``, made from the endpoint table and the models that requests are checked with. Pure.

Source: https://spec.openapis.org/oas/v3.1.0 (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from .endpoint import LINES_TYPES, EmptySchema, Endpoint

VERSION = "1"
TEMPLATE = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")

Schema = dict[str, Any]

PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"loc": {"type": "string"}, "code": {"type": "string"}, "msg": {"type": "string"}},
            },
        },
        "rules": {"type": "array", "items": {"type": "object"}},
        "missing": {"type": "array", "items": {"type": "string"}},
    },
}


def _partial(schema: Schema) -> Schema:
    """Loosen a model's schema to what a merge patch may hold: no field is needed, null clears one."""
    loose = {k: v for k, v in schema.items() if k != "required"}
    loose["properties"] = {name: {"anyOf": [s, {"type": "null"}]} for name, s in schema.get("properties", {}).items()}
    return loose


class _Schemas:
    """Schemas of models, each named once."""

    def __init__(self) -> None:
        self.named: dict[str, Schema] = {"Problem": PROBLEM}

    def of(self, kind: Any, mode: JsonSchemaMode) -> Schema:
        schema = TypeAdapter(kind).json_schema(ref_template=TEMPLATE, mode=mode)
        for name, inner in schema.pop("$defs", {}).items():
            self.named.setdefault(name, _as_sent(inner))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            name, schema = kind.__name__, _as_sent(schema)
            if self.named.setdefault(name, schema) != schema:
                name += "Shown"
                self.named.setdefault(name, schema)
            return {"$ref": TEMPLATE.format(model=name)}
        return schema


def _as_sent(schema: Schema) -> Schema:
    """Name fields as they are sent: a model writes ``schema_`` where ``schema`` is Pydantic's own word."""
    if "properties" not in schema:
        return schema
    fields = {name.rstrip("_"): inner for name, inner in schema["properties"].items()}
    needed = [name.rstrip("_") for name in schema.get("required", ())]
    return {**schema, "properties": fields, **({"required": needed} if needed else {})}


def _parameters(endpoint: Endpoint, schemas: _Schemas) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(endpoint.path)
    ]
    query = TypeAdapter(endpoint.query).json_schema(ref_template=TEMPLATE)
    for name, inner in query.pop("$defs", {}).items():
        schemas.named.setdefault(name, inner)
    needed = query.get("required", ())
    for name, schema in query.get("properties", {}).items():
        found.append({"name": name, "in": "query", "required": name in needed, "schema": schema})
    if endpoint.method == "POST" and endpoint.scope is not None:
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}})
    if endpoint.method in ("PUT", "PATCH", "DELETE"):
        found.append({"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}})
    return found


def _operation(endpoint: Endpoint, schemas: _Schemas) -> Schema:
    answer: Schema = {"description": endpoint.summary}
    if endpoint.answer is str:
        answer["content"] = {"text/plain": {"schema": {"type": "string"}}}
    elif endpoint.answer is not None:
        schema = schemas.of(endpoint.answer, "serialization")
        if endpoint.listed:
            schema = {
                "type": "object",
                "required": ["data", "next"],
                "properties": {
                    "data": {"type": "array", "items": schema},
                    "next": {"type": ["string", "null"]},
                },
            }
        answer["content"] = {"application/json": {"schema": schema}}
    problem = {"schema": {"$ref": TEMPLATE.format(model="Problem")}}
    operation: Schema = {
        "operationId": f"{endpoint.method.lower()}{endpoint.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint, schemas),
        "responses": {
            str(endpoint.status): answer,
            "default": {"description": "A problem", "content": {"application/problem+json": problem}},
        },
    }
    if endpoint.scope is not None:
        operation["security"] = [{"key": []}]
        operation["x-scope"] = endpoint.scope
    if endpoint.body is not None and endpoint.body is not EmptySchema:
        schema = schemas.of(endpoint.body, "validation")
        if endpoint.merges:
            schema = _partial(schemas.named[schema["$ref"].rsplit("/", 1)[-1]])
        content: Schema = {"application/json": {"schema": schema}}
        if endpoint.lines:
            content = {LINES_TYPES[0]: {"schema": {"type": "string", "description": "JSON lines"}, "x-line": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def document(endpoints: Iterable[Endpoint]) -> Schema:
    """Make the OpenAPI document of these endpoints."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Schema]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    components: Mapping[str, Any] = {
        "schemas": schemas.named,
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key: wb_…"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Waybill", "version": VERSION, "description": "A router for messenger webhooks."},
        "paths": paths,
        "components": components,
    }
