"""``/healthz``, ``/openapi.json`` and ``/docs``: what the API says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from html import escape
from typing import Any

from ..core.errors import OurError, RefusedByLaw, RequestError, WaybillError
from .endpoint import ApiCall, Endpoint, Resource
from .openapi import document
from .problems import EndpointResponse

meta = Resource("meta")
_TABLE: list[Endpoint] = []


def describe(endpoints: Iterable[Endpoint]) -> None:
    """Say which endpoints ``/openapi.json`` tells of."""
    _TABLE[:] = endpoints
    _document.cache_clear()


@cache
def _document() -> dict[str, Any]:
    return document(_TABLE)


@meta.endpoint("GET", "/healthz", scope=None, answer=dict[str, str])
def health(call: ApiCall) -> EndpointResponse:
    """Say that the cell answers, and where it is."""
    settings = call.runtime.settings
    return EndpointResponse(
        200, {"status": "ok", "cell": settings.cell, "region": settings.region, "country": settings.country}
    )


@meta.endpoint("GET", "/openapi.json", scope=None, answer=dict[str, Any])
def openapi(call: ApiCall) -> EndpointResponse:
    """Describe the API as OpenAPI 3.1."""
    return EndpointResponse(200, _document())


@meta.endpoint("GET", "/docs", scope=None)
def docs(call: ApiCall) -> EndpointResponse:
    """Show the API's description to a person."""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'",
    }
    return EndpointResponse(200, PAGE, headers)


@meta.endpoint("GET", "/docs/errors", scope=None)
def errors(call: ApiCall) -> EndpointResponse:
    """List the error codes with their meaning."""
    rows = "".join(
        f'<dt id="{code}"><code>{code}</code> ({status})</dt><dd>{escape(text)}</dd>'
        for code, (status, text) in sorted(codes().items())
    )
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Errors</title><h1>Errors</h1><dl>{rows}</dl></html>'
    return EndpointResponse(
        200, page, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'"}
    )


def codes() -> dict[str, tuple[int, str]]:
    """Return every error code with its status and meaning, from the error tree itself."""
    # Classes outside ``core.errors`` are part of the tree only once their modules are loaded.
    from ..core.law import loader  # noqa: F401
    from ..core.tenant import legal_holds  # noqa: F401
    from ..destinations import address  # noqa: F401
    from ..flow.jobs import replay  # noqa: F401
    from . import bodies  # noqa: F401

    found: dict[str, tuple[int, str]] = {}
    waiting: list[type[WaybillError]] = [RequestError, RefusedByLaw, OurError]
    while waiting:
        kind = waiting.pop()
        meaning = (kind.__doc__ or "").strip().splitlines()[0].replace("``", "")
        found.setdefault(kind.code, (kind.status, meaning))
        waiting += kind.__subclasses__()
    return found


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Waybill API</title>
<meta name="viewport" content="width=device-width">
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:14px ui-monospace,monospace}
pre{background:#f5f5f5;padding:.8rem;overflow:auto}b{display:inline-block;width:5rem}i{color:#666}
</style></head><body><h1>Waybill API</h1><p id="state">Loading…</p><main></main>
<script>
const text=(tag,words,into)=>{const e=document.createElement(tag);e.textContent=words;into.append(e);return e};
fetch(location.href.replace(/docs\\/?$/,"openapi.json")).then(r=>r.json()).then(api=>{
  document.getElementById("state").textContent=api.info.description;
  const main=document.querySelector("main"),named=api.components.schemas;
  const flat=(s,depth)=>{
    if(s&&s.$ref&&depth>0)return flat(named[s.$ref.split("/").pop()],depth-1);
    if(Array.isArray(s))return s.map(x=>flat(x,depth));
    if(s&&typeof s==="object")return Object.fromEntries(Object.entries(s).map(([k,v])=>[k,flat(v,depth)]));
    return s};
  for(const [path,methods] of Object.entries(api.paths))for(const [method,op] of Object.entries(methods)){
    const box=document.createElement("details");main.append(box);
    const head=document.createElement("summary");box.append(head);
    text("b",method.toUpperCase(),head);text("code",path,head);text("span"," "+op.summary+" ",head);
    if(op["x-scope"])text("i","scope "+op["x-scope"],head);
    const shape=op.requestBody&&op.requestBody.content["application/json"].schema;
    if(op.parameters.length){text("h4","Parameters",box);
      text("pre",op.parameters.map(p=>p.in+" "+p.name+(p.required?" (needed)":"")).join("\\n"),box)}
    if(shape){text("h4","Body",box);text("pre",JSON.stringify(flat(shape,3),null,2),box)}
    for(const [status,answer] of Object.entries(op.responses)){
      text("h4",status+" "+answer.description,box);
      const body=answer.content&&answer.content["application/json"];
      if(body)text("pre",JSON.stringify(flat(body.schema,3),null,2),box)}
  }
}).catch(()=>{document.getElementById("state").textContent="openapi.json could not be read."});
</script></body></html>
"""

RESOURCES = (meta,)
