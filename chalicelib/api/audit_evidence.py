"""``/v1/audit``: the checkpoints, keys and proofs of the tenant's logs, as texts that public tools read, and bundles of it all."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..core.event.event import Time
from ..core.ids import ALPHABET, LENGTH
from ..core.log.selection import Query
from ..core.tenant.dates import Instant
from ..core.tenant.records import Record
from ..flow.ask import read
from ..flow.jobs import bundle
from ..flow.sealing import proofs
from .endpoint import ApiCall, EmptySchema, ListQuery, Resource
from .jobs import ShownJob, shown
from .problems import EndpointResponse

audit_evidence = Resource("audit_evidence")

LOG = r"^[0-9]{4}$"


class LogQuery(Record):
    """Which year's log; the current one unless given."""

    log: str | None = Field(default=None, pattern=LOG)


class ConsistencyQuery(LogQuery):
    """From which published size; 1 or more."""

    old: int = Field(alias="from", ge=1, le=2**53)


class ProofQuery(Record):
    """To which published size; the newest unless given."""

    size: int | None = Field(default=None, ge=1, le=2**53)


def _id(prefix: str) -> object:
    return Field(pattern=rf"^{prefix}_[{ALPHABET}]{{{LENGTH}}}$")


class BundleRequest(EmptySchema):
    """What a bundle shall hold: all of a log, or what a query selects; fields of the query are for a selection only."""

    log: str | None = Field(default=None, pattern=LOG)
    mode: Literal["full", "selection"]
    after: Instant | None = None
    before: Instant | None = None
    subject: Annotated[str, _id("sub")] | None = None
    event: Annotated[str, _id("evt")] | None = None
    destination: Annotated[str, _id("dst")] | None = None

    @property
    def wanted(self) -> Query:
        """The query."""
        return Query(self.after, self.before, self.subject, self.event, self.destination)

    @model_validator(mode="after")
    def _fits(self) -> BundleRequest:
        if self.mode == "full" and self.wanted != Query():
            raise ValueError("after, before, subject, event and destination are for the mode selection")
        if self.after is not None and self.before is not None and self.after >= self.before:
            raise ValueError("before must be later than after")
        return self


class ShownVerifierKey(Record):
    """A log's verifier key in the form of C2SP signed notes, and from when to when it signs."""

    vkey: str
    log: str
    begins: Time = Field(alias="from")
    until: Time | None = None


def _text(body: str | bytes) -> EndpointResponse:
    text = body.decode() if isinstance(body, bytes) else body
    return EndpointResponse(200, text, {"Content-Type": proofs.NOTE_TYPE})


@audit_evidence.endpoint("GET", "/v1/audit/checkpoint", scope="audit", query=LogQuery, answer=str)
def checkpoint(call: ApiCall) -> EndpointResponse:
    """Show the newest signed checkpoint of a log, as text."""
    return _text(proofs.checkpoint(call.request, call.query.log))


@audit_evidence.endpoint("GET", "/v1/audit/keys", scope="audit", query=ListQuery, answer=ShownVerifierKey, listed=True)
def index_keys(call: ApiCall) -> EndpointResponse:
    """List the verifier keys of the tenant's logs, newest log first."""
    return call.listed(proofs.keys(call.request, call.position()))


@audit_evidence.endpoint("GET", "/v1/audit/entries/{id}/proof", scope="audit", query=ProofQuery, answer=str)
def prove(call: ApiCall) -> EndpointResponse:
    """Prove that an entry is in its log, as a tlog-proof."""
    entry = read.entry(call.request, call.thing("ent"))
    return _text(proofs.inclusion(call.request, entry, call.query.size))


@audit_evidence.endpoint("GET", "/v1/audit/consistency", scope="audit", query=ConsistencyQuery, answer=str)
def prove_growth(call: ApiCall) -> EndpointResponse:
    """Prove that the log of an earlier size is the beginning of the newest, in the form of a tlog-witness request."""
    return _text(proofs.consistency(call.request, call.query.log, call.query.old))


@audit_evidence.endpoint("POST", "/v1/audit/bundle", scope="audit", body=BundleRequest, answer=ShownJob, status=202)
def make_bundle(call: ApiCall) -> EndpointResponse:
    """Make an evidence bundle of what is sealed now; a job does it, and its ``url`` links to the tar."""
    asked: BundleRequest = call.body
    return EndpointResponse(202, shown(call, bundle.begin(call.request, asked.log, asked.mode, asked.wanted)))


RESOURCES = (audit_evidence,)
