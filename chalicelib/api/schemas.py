"""The schemas of ``/openapi.json``, from the models that requests are checked with. Pure.

Pydantic writes each model once. What it cannot know is added here: the words of closed lists that other packages keep, one
form of a body for each channel and kind, and what a merge patch may hold.

Source: https://json-schema.org/draft/2020-12/json-schema-core (read 2026-11-30).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from .. import channels, destinations
from ..core.countries import COUNTRIES
from ..core.event.event import OPERATIONAL
from ..core.event.messengers import MESSENGERS
from ..core.ids import ALPHABET, LENGTH

Schema = dict[str, Any]
Kind = tuple[Any, JsonSchemaMode]

PREFIX = "#/components/schemas/"
TEMPLATE = PREFIX + "{model}"
FORMATS: Mapping[str, Schema] = {"country": {"$ref": PREFIX + "CountryCode"}}
"""The values behind each format that our models name."""


def _id(prefix: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}_[{ALPHABET}]{{{LENGTH}}}$"}


_CHANNEL, _KIND = {"$ref": PREFIX + "ChannelKind"}, {"$ref": PREFIX + "DestinationKind"}
FIELDS: Mapping[tuple[str, str], Schema] = {
    ("NewSource", "channel"): _CHANNEL,
    ("SourceSettings", "channel"): _CHANNEL,
    ("ShownSource", "channel"): _CHANNEL,
    ("Event", "channel"): _CHANNEL,
    ("ShownEvent", "channel"): _CHANNEL,
    ("NewDestination", "kind"): _KIND,
    ("ShownDestination", "kind"): _KIND,
    ("VerifiableDestination", "kind"): _KIND,
    ("SignedDestination", "kind"): _KIND,
    ("NewDestination", "recipient"): _id("rcp"),
    ("ConsentSettings", "recipient"): _id("rcp"),
    ("WithdrawalLine", "withdraws"): _id("cns"),
    ("RouteSettings", "destination"): _id("dst"),
}
"""Fields that models of the core keep as text. Their words and ids are checked by the packages that know them."""
WORDS: Mapping[str, Schema] = {
    "CountryCode": {"type": "string", "enum": sorted(COUNTRIES), "description": "An ISO 3166-1 alpha-2 country code."},
    "ChannelKind": {
        "type": "string",
        "enum": [*channels.KINDS, OPERATIONAL],
        "description": f"A channel. `{OPERATIONAL}` is the cell's own, of which no source can be created.",
    },
    "DestinationKind": {"type": "string", "enum": sorted(destinations.KINDS), "description": "A kind of destination."},
}
SWITCHES: Mapping[str, Schema] = {
    "channel": {"type": "string", "enum": sorted({*channels.KINDS, *MESSENGERS})},
    "country": FORMATS["country"],
    "recipient": _id("rcp"),
    "destination": _id("dst"),
}
LEGAL_HOLDS: Mapping[str, Schema] = {
    "conversation": _id("cnv"),
    "subject": _id("sub"),
    "period": {"$ref": PREFIX + "HoldPeriod"},
}
"""The values of each scope."""
_OF_NAMES = ("properties", "patternProperties", "$defs")
_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
_OF_SCHEMA = ("items", "additionalProperties", "propertyNames", "not")


@cache
def texts() -> Mapping[str, Mapping[str, str]]:
    """Return the meaning of each field, by model and name: the tables of ``docs/api.md`` (``make api-texts``)."""
    found: Mapping[str, Mapping[str, str]] = json.loads(
        resources.files(__package__).joinpath("field_texts.json").read_text("utf-8")
    )
    return found


def changed(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return a schema with ``change`` made to it and to every schema inside it."""
    found = dict(schema)
    for word in _OF_NAMES:
        if word in found:
            found[word] = {name: changed(inner, change) for name, inner in found[word].items()}
    for word in _OF_SCHEMAS:
        if word in found:
            found[word] = [changed(inner, change) for inner in found[word]]
    for word in _OF_SCHEMA:
        if isinstance(found.get(word), dict):
            found[word] = changed(found[word], change)
    return change(found)


def camel(*words: str) -> str:
    """Join names such as ``email_ses`` to one of a schema: ``EmailSes``."""
    return "".join(part[:1].upper() + part[1:] for word in words for part in word.split("_"))


def markdown(text: str) -> str:
    """Write a docstring as Markdown, without its sources."""
    kept = [part for part in text.split("\n\n") if not part.startswith("Source:")]
    return "\n\n".join(" ".join(part.split()) for part in kept).replace("``", "`")


def _as_sent(schema: Schema) -> Schema:
    """Name fields as they are sent: a model writes ``schema_`` where ``schema`` is Pydantic's own word."""
    found = {word: value for word, value in schema.items() if word != "title"}
    if "description" in found:
        found["description"] = markdown(found["description"])
    if found.get("format") in FORMATS:
        more: Schema = {word: found[word] for word in ("description", "default") if word in found}
        return {**FORMATS[str(found["format"])], **more}
    if "properties" in found:
        found["properties"] = {name.rstrip("_"): inner for name, inner in found["properties"].items()}
        found["required"] = [name.rstrip("_") for name in found.get("required", ())]
        if not found["required"]:
            del found["required"]
        if "url_token" in found["properties"]:  # the cell makes it; nobody may send it
            return _without(found, "url_token")
    found.pop("discriminator", None)
    return found


def _without(schema: Schema, name: str) -> Schema:
    left = {n: inner for n, inner in schema["properties"].items() if n != name}
    needed = [n for n in schema.get("required", ()) if n != name]
    bare = {word: value for word, value in schema.items() if word != "required"}
    return {**bare, "properties": left, **({"required": needed} if needed else {})}


def _named(name: str) -> str:
    """Name a schema: Pydantic adds the module where two models share a name."""
    *modules, own = name.split("__")
    return camel(modules[-1], own) if modules else own.replace("-Input", "").replace("-Output", "Shown")


class Schemas:
    """The schemas of models, each named once."""

    def __init__(self, kinds: Iterable[Kind], texts: Mapping[str, Mapping[str, str]]) -> None:
        every = dict.fromkeys([*kinds, *((model, "validation") for model in _parts())])
        found, defined = TypeAdapter.json_schemas(
            [(kind, mode, TypeAdapter(kind)) for kind, mode in every], ref_template=TEMPLATE
        )
        names = {PREFIX + name: PREFIX + _named(name) for name in defined["$defs"]}
        assert len(set(names.values())) == len(names), "two schemas have one name"

        def renamed(schema: Schema) -> Schema:
            return {**schema, "$ref": names[schema["$ref"]]} if "$ref" in schema else schema

        def sent(schema: Schema) -> Schema:
            return _as_sent(changed(changed(schema, renamed), _as_sent))

        self._of: dict[Any, Schema] = {key: sent(schema) for key, schema in found.items()}
        self.named: dict[str, Schema] = dict(WORDS)
        self.named |= {_named(name): sent(inner) for name, inner in defined["$defs"].items()}
        self._whole: dict[str, Schema] = {}
        for (name, field), schema in FIELDS.items():
            place = self.named[name]["properties"]
            place[field] = {**schema, **{w: place[field][w] for w in ("default",) if w in place[field]}}
        for name, meanings in texts.items():
            self._described(name, meanings)
        self._of_each_kind("NewSource", "channel", "secret", "Source", self._secrets())
        self._of_each_kind("NewDestination", "kind", "config", "Destination", self._configs())
        self._of_each_kind("SwitchSettings", "scope", "value", "Switch", SWITCHES)
        self._of_each_kind("LegalHoldSettings", "scope", "value", "LegalHold", LEGAL_HOLDS)
        secrets = {json.dumps(s): s for s in self._secrets().values()}
        self.named["SourceSecret"]["properties"]["secret"] = {"anyOf": list(secrets.values())}

    def of(self, kind: Any, mode: JsonSchemaMode) -> Schema:
        """Return the schema of a type."""
        return self._of[kind, mode]

    def whole(self, name: str) -> Schema:
        """Return a named schema; of a body that differs by channel or kind, the part that all forms share."""
        return self._whole.get(name) or self.named[name]

    def patch_of(self, model: type[BaseModel]) -> Schema:
        """Return the schema of a merge patch: no field is required, and null stands where a field may be absent.

        Source: https://www.rfc-editor.org/rfc/rfc7396 section 2 (read 2026-11-22).
        """
        return self._patch(self.of(model, "validation"))

    def _patch(self, schema: Schema) -> Schema:
        name = schema.get("$ref", "").removeprefix(PREFIX)
        whole = self.whole(name) if name else {}
        if "properties" not in whole:
            return schema
        patched = name.removeprefix("New").removesuffix("Settings") + "Patch"
        if patched not in self.named:
            needed = whole.get("required", ())
            fields = {n: self._patched(s, n not in needed) for n, s in whole["properties"].items()}
            rest = {word: value for word, value in whole.items() if word != "required"}
            self.named[patched] = {**rest, "properties": fields}
        more = {word: schema[word] for word in ("description",) if word in schema}
        return {"$ref": PREFIX + patched, **more}

    def _patched(self, schema: Schema, clearable: bool) -> Schema:
        inner = {word: value for word, value in schema.items() if word != "default"}
        if "anyOf" in inner:
            inner["anyOf"] = [self._patch(one) for one in inner["anyOf"]]
        inner = self._patch(inner)
        if not clearable or {"type": "null"} in inner.get("anyOf", ()):
            return inner
        text = {"description": inner.pop("description")} if "description" in inner else {}
        return {"anyOf": [inner, {"type": "null"}], **text}

    def _described(self, name: str, meanings: Mapping[str, str]) -> None:
        for field, text in meanings.items():
            schema = self.named.get(name, {}).get("properties", {}).get(field)
            if schema is not None:
                schema.setdefault("description", text)

    def _of_each_kind(self, name: str, word: str, place: str, end: str, kinds: Mapping[str, Schema]) -> None:
        """Write a body once for each kind, with the part that only this kind has."""
        whole = self.named[name]
        self._whole[name] = whole
        refs = {kind: PREFIX + camel("new", kind, end) for kind in kinds}
        for kind, part in kinds.items():
            own = {word: {"const": kind, "type": "string"}, place: part}
            described = {
                n: {**s, "description": whole["properties"][n]["description"]}
                for n, s in own.items()
                if "description" in whole["properties"][n] and "description" not in s
            }
            fields = {**whole["properties"], **own, **described}
            self.named[refs[kind].removeprefix(PREFIX)] = {**whole, "properties": fields}
        self.named[name] = {
            "description": whole.get("description", ""),
            "oneOf": [{"$ref": ref} for ref in refs.values()],
            "discriminator": {"propertyName": word, "mapping": refs},
        }

    def _secrets(self) -> Mapping[str, Schema]:
        return {kind: self.of(channels.CHANNELS[kind].Secret, "validation") for kind in channels.KINDS}

    def _configs(self) -> Mapping[str, Schema]:
        return {kind: self.of(destinations.of_kind(kind).Config, "validation") for kind in destinations.KINDS}


def _parts() -> Iterator[Any]:
    """Yield the models of the parts that differ by channel and kind."""
    yield from (channels.CHANNELS[kind].Secret for kind in channels.KINDS)
    yield from (destinations.of_kind(kind).Config for kind in destinations.KINDS)
