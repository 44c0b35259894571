"""One procedure for every endpoint; handlers only parse, call a use case, and answer.

    1 who asks, 2 query, 3 body, 4 idempotency key, 5 the handler, 6 faults into problems

An ``Endpoint`` is also what ``/openapi.json`` is made from: nothing is written down twice.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from chalice import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from ..core import ids
from ..core.envelope import TenantKeys
from ..core.errors import Invalid, NotFound, OurError, PreconditionFailed, TooLarge, WaybillError
from ..core.event.event import Time
from ..core.validation import of_faults, of_validation
from ..flow.pagination import ListItem
from ..flow.request import Request
from ..flow.seal_requests import notify_sealer_or_log
from ..observe import also_about, error
from ..runtime import Runtime, runtime
from ..store.config import Holder
from ..store.records import RecordRow
from . import bodies, cursors, replies
from .auth import Needed, Operator, identify
from .problems import EndpointResponse, of_fault
from .responses import respond

LOOKED_MAX = 2000
"""What one list request may cost, in keys looked at, before it answers with what it has and a cursor."""
OPERATOR = ("operator", "operator")
WITH_BODY = ("POST", "PUT", "PATCH")
JSON_TYPES = ("application/json",)
LINES_TYPES = ("application/x-ndjson", "application/jsonl", "application/json")
"""The types that a body of JSON lines may declare; none of the names is registered."""
ANY_TYPE: tuple[str, ...] = ()
"""Chalice checks no type: the method, the path or the key decides first."""


class Schema(BaseModel):
    """A body or an answer. Built when first used: a process answers a request or two before it needs the others."""

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)


class EmptySchema(Schema):
    """No fields."""

    model_config = ConfigDict(extra="forbid")


class ListQuery(EmptySchema):
    """The parameters of every list."""

    limit: int = Field(default=50, ge=1, le=250)
    cursor: str | None = None


class TimeQuery(ListQuery):
    """The parameters of lists over time: ``after`` inclusive, ``before`` exclusive."""

    after: Time | None = None
    before: Time | None = None


@dataclass(frozen=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    operation_id: str
    scope: Needed | None
    summary: str
    run: Callable[[ApiCall], EndpointResponse]
    tag: str = ""
    description: str = ""
    body: type[BaseModel] | None = None
    merges: bool = False
    lines: bool = False
    """The body is JSON lines, each as ``body`` says; the handler gets it as it came, and reads a line at a time."""
    query: type[BaseModel] = EmptySchema
    answer: Any = None
    media: str = "application/json"
    status: int = 200
    also: tuple[int, ...] = ()
    """Other statuses of success, with the same answer."""
    raises: tuple[type[WaybillError], ...] = ()
    """The faults of the handler, beyond those that its other fields imply: see ``refusals.faults_of``."""
    etag: bool = False
    """The answer has an ``ETag``."""
    matches: bool = False
    """The handler demands the version in ``If-Match``."""
    runs_again: bool = False
    """The answer shows progress and is not stored: a repeated request runs again, with the ids of the first."""
    listed: bool = False
    key_of: Callable[[Any], str | None] | None = None
    """Makes an idempotency key of a body that is one by itself, for a request that comes without."""


@dataclass(frozen=True)
class ApiCall:
    """A request that is allowed and well-formed."""

    runtime: Runtime
    endpoint: Endpoint
    params: Mapping[str, str]
    query: Any
    asked: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    holder: Holder | Operator | None
    at: datetime
    request_id: str
    seed: bytes = field(repr=False)

    @property
    def request(self) -> Request:
        """The request as use cases see it, of a tenant's key."""
        assert isinstance(self.holder, Holder)
        holder = self.holder
        return self._request(holder.tenant, holder.keys, ("key", holder.key.id), holder.key.country)

    def for_tenant(self, row: RecordRow) -> Request:
        """Return the operator's request on a tenant."""
        return self._request(row, self.runtime.config.keys_of(row.record.id), OPERATOR, None)

    def _request(self, row: RecordRow, keys: TenantKeys, actor: tuple[str, str], country: str | None) -> Request:
        return Request(self.runtime, row.record, row.version, keys, actor, country, self.at, self.request_id, self.seed)

    def thing(self, prefix: str, name: str = "id") -> str:
        """Return an id of the path.

        Raises:
            NotFound: it has not the form of one, so there is nothing.
        """
        value = self.params[name]
        if not ids.is_id(value, prefix):
            raise NotFound("no such resource")
        return value

    @property
    def expected(self) -> int | None:
        """The version that ``If-Match`` demands.

        Raises:
            PreconditionFailed: it is none that we have ever given.
        """
        tag = self.headers.get("if-match")
        if tag is None or tag.strip() == "*":
            return None
        text = tag.strip().strip('"')
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise PreconditionFailed("If-Match holds no ETag of ours; read the resource again")
        return int(text)

    def position(self) -> str:
        """Return where a list goes on; empty at its beginning."""
        request = self.request if isinstance(self.holder, Holder) else None
        keys, owner = (request.keys.cursors, request.tenant.id) if request else (self._operator_cursors, "operator")
        return cursors.read(keys, owner, self.endpoint.path, self.asked) or ""

    @property
    def _operator_cursors(self) -> tuple[bytes, ...]:
        """The keys of the operator's cursors: the one that makes them, and that of the release before."""
        return self._operator_key("list cursors"), self._operator_key("cursors")

    def _operator_key(self, use: str) -> bytes:
        return hashlib.sha256(f"{use}\n{self.runtime.settings.operator_key_sha256}".encode()).digest()

    def listed(self, steps: Iterable[ListItem]) -> EndpointResponse:
        """Answer with a page of a list: at most ``limit`` items and bounded work, and how to go on."""
        data: list[Any] = []
        last, looked, on = "", 0, None
        for step in steps:
            if len(data) == self.query.limit:
                on = self._cursor(last)
                break
            last, looked = step.position, looked + step.cost
            if step.item is not None:
                data.append(step.item)
            if looked >= LOOKED_MAX:  # before the next step is made, which may cost as much again
                on = self._cursor(last)
                break
        return EndpointResponse(200, {"data": data, "next": on})

    def _cursor(self, position: str) -> str:
        request = self.request if isinstance(self.holder, Holder) else None
        keys, owner = (request.keys.cursors, request.tenant.id) if request else (self._operator_cursors, "operator")
        return cursors.write(keys[0], owner, self.endpoint.path, self.asked, position)


def tagged(version: int, body: Any, status: int = 200) -> EndpointResponse:
    """Answer with a config resource and its ETag."""
    return EndpointResponse(status, body, {"ETag": f'"{version}"'})


def shown(record: BaseModel, **more: Any) -> dict[str, Any]:
    """Return a record as the API shows it."""
    return {**record.model_dump(mode="json", by_alias=True, exclude={"secret_sha256"}), **more}


class Resource:
    """The endpoints of one resource: a Chalice blueprint, and the table that OpenAPI is made from."""

    def __init__(self, name: str, tag: str) -> None:
        self.blueprint = Blueprint(f"chalicelib.api.{name}")
        self.name, self.tag = name, tag
        self.endpoints: list[Endpoint] = []

    def endpoint(
        self, method: str, path: str, **more: Any
    ) -> Callable[[Callable[[ApiCall], EndpointResponse]], Callable[[ApiCall], EndpointResponse]]:
        """Register a handler. ``more`` are the fields of ``Endpoint``; its texts are the handler's docstring."""

        def register(run: Callable[[ApiCall], EndpointResponse]) -> Callable[[ApiCall], EndpointResponse]:
            summary, _, description = inspect.cleandoc(run.__doc__ or "").partition("\n\n")
            found = Endpoint(method, path, summary=summary, description=description, tag=self.tag, run=run, **more)
            self.endpoints.append(found)

            def view(**params: str) -> Response:
                return respond(handle(runtime(), found, self.blueprint.current_request, params))

            types = ANY_TYPE if method not in WITH_BODY else LINES_TYPES if found.lines else JSON_TYPES
            name = f"{self.name}_{found.operation_id}"
            self.blueprint.route(path, methods=[method], name=name, content_types=[*types])(view)
            return run

        return register


def handle(runtime: Runtime, endpoint: Endpoint, request: Any, params: Mapping[str, str]) -> EndpointResponse:
    """Answer one request. Never raises."""
    answer = _answered(runtime, endpoint, request, params)
    notify_sealer_or_log(runtime)
    return answer


def _answered(runtime: Runtime, endpoint: Endpoint, request: Any, params: Mapping[str, str]) -> EndpointResponse:
    try:
        return _handle(runtime, endpoint, request, params)
    except WaybillError as fault:
        if isinstance(fault, OurError):
            error("api_failed", fault, path=endpoint.path, method=endpoint.method)
        return of_fault(fault, lambda rules: runtime.law.marked(rules))
    except Exception as fault:  # noqa: BLE001  (the edge: nothing of ours may reach the framework's own words)
        error("api_failed", fault, path=endpoint.path, method=endpoint.method)
        return of_fault(OurError())


def _handle(runtime: Runtime, endpoint: Endpoint, request: Any, params: Mapping[str, str]) -> EndpointResponse:
    headers = {str(n).lower(): str(v) for n, v in (request.headers or {}).items()}
    raw = bytes(request.raw_body or b"")
    holder = identify(runtime, headers.get("authorization"), endpoint.scope) if endpoint.scope else None  # 1
    also_about(**{"tenant": getattr(holder, "tenant", None), **params})
    asked, query = _query(endpoint, request.query_params)  # 2
    body = _body(endpoint, raw)  # 3
    call = ApiCall(
        runtime=runtime,
        endpoint=endpoint,
        params=params,
        query=query,
        asked=asked,
        headers=headers,
        body=body,
        holder=holder,
        at=runtime.now(),
        request_id="",
        seed=runtime.random(32),
    )
    idempotency_key = headers.get("idempotency-key") if endpoint.method == "POST" else None
    if idempotency_key is None and endpoint.key_of is not None:
        idempotency_key = endpoint.key_of(body)
    if idempotency_key is None or holder is None:
        call = replace(call, request_id=ids.sortable("req", call.at, call.seed[:11]))
        return endpoint.run(call)  # 5
    path = endpoint.path.format(**params)
    return _once(call, idempotency_key, replies.fingerprint_of(_secret(call), "POST", path, raw))  # 4


def _secret(call: ApiCall) -> bytes:
    holder = call.holder
    # The operator's fingerprints keep the key that once made cursors, too.
    return holder.keys.fingerprints if isinstance(holder, Holder) else call._operator_key("cursors")


def _once(call: ApiCall, idempotency_key: str, fingerprint: str) -> EndpointResponse:
    holder = call.holder
    if isinstance(holder, Holder):
        owner, scope = holder.tenant.record.id, holder.key.id
    else:
        owner, scope = "operator", "operator"
    key_hash = replies.hash_of(idempotency_key, scope)
    claim = replies.claim(call.runtime, owner, key_hash, fingerprint)
    # A second try makes the same ids and secrets. Only rows of the release before have no seed of their own.
    seed = claim.seed or hmac.digest(_secret(call), b"seed\0" + key_hash.encode(), "sha256")
    request_id = ids.sortable("req", claim.began_at, hashlib.sha256(b"req\0" + seed).digest()[:11])
    call = replace(call, at=claim.began_at, seed=seed, request_id=request_id)
    stored = claim.stored(_keys(call)) if claim.sealed is not None else None
    if stored is not None:
        return replace(stored, headers={**stored.headers, "Idempotent-Replayed": "true"})
    try:
        answer = call.endpoint.run(call)  # 5
        if call.endpoint.runs_again:
            claim.release()
        else:
            claim.finish(answer, _keys(call))
    except WaybillError as fault:
        if isinstance(fault, OurError):
            claim.release()
        else:
            claim.drop()
        raise
    return answer


def _keys(call: ApiCall) -> TenantKeys:
    """The keys that seal the stored answer: the tenant's, which the operator's request may only just have made."""
    if isinstance(call.holder, Holder):
        return call.holder.keys
    tenant = call.params.get("id") or new_tenant_id(call)
    return call.runtime.config.keys_of(tenant)


def new_tenant_id(call: ApiCall) -> str:
    """Name the tenant that the operator's request makes."""
    return ids.sortable("tnt", call.at, hashlib.sha256(b"tnt\0" + call.seed).digest())


def _query(endpoint: Endpoint, given: Any) -> tuple[dict[str, str], Any]:
    asked: dict[str, str] = {}
    for name in given or {}:
        values = given.getlist(name)
        if len(values) != 1:
            text = "give each query parameter once"
            raise Invalid(text, [{"loc": "query", "code": "repeated", "msg": text}])
        asked[name] = values[0]
    try:
        for value in (*asked, *asked.values()):
            value.encode()
        return asked, endpoint.query.model_validate(asked)
    except ValueError as fault:
        raise _naming_parameters(endpoint, of_validation(fault, "query")) from None


def _naming_parameters(endpoint: Endpoint, fault: Invalid) -> Invalid:
    """Say which parameters there are where one is unknown."""
    known = ", ".join(info.alias or name for name, info in endpoint.query.model_fields.items())
    text = f"no such parameter; use one of: {known}" if known else "this operation takes no parameters"
    faults = [{**one, "msg": text} if one["code"] == "extra_forbidden" else one for one in fault.errors]
    return of_faults(faults, len(faults)) if faults != fault.errors else fault


def _body(endpoint: Endpoint, raw: bytes) -> Any:
    if len(raw) > bodies.BODY_BYTES_MAX:
        raise TooLarge("the body is over 1 MiB")
    if endpoint.lines:
        return raw
    if endpoint.body is None or (endpoint.body is EmptySchema and not raw):
        return None
    document = bodies.parse(raw)
    if endpoint.merges:
        bodies.check_names(endpoint.body, document, "body")
        return document
    return bodies.checked(endpoint.body, raw)
