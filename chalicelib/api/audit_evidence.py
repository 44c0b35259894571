"""``/v1/audit``: the checkpoints, keys and proofs of the tenant's logs, as texts that public tools read, and bundles of it all."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..core.errors import NotFound, NotSealed
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

audit_evidence = Resource("audit_evidence", "Audit log")

LOG = r"^[0-9]{4}$"


class LogQuery(Record):
    """The year of a log; the current log if it is absent."""

    log: str | None = Field(default=None, pattern=LOG)


class ConsistencyQuery(LogQuery):
    """The published size that the proof starts from, 1 or more."""

    old: int = Field(alias="from", ge=1, le=2**53)


class ProofQuery(Record):
    """The published size that the proof leads to; the newest if it is absent."""

    size: int | None = Field(default=None, ge=1, le=2**53)


def _id(prefix: str) -> object:
    return Field(pattern=rf"^{prefix}_[{ALPHABET}]{{{LENGTH}}}$")


class BundleRequest(EmptySchema):
    """The content of a bundle: a whole log, or a selection of its entries by the other fields."""

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
    """The verifier key of a log in the form of C2SP signed notes, and the period in which it signs."""

    vkey: str
    log: str
    begins: Time = Field(alias="from")
    until: Time | None = None


def _text(body: str | bytes) -> EndpointResponse:
    text = body.decode() if isinstance(body, bytes) else body
    return EndpointResponse(200, text, {"Content-Type": proofs.NOTE_TYPE})


@audit_evidence.endpoint(
    "GET",
    "/v1/audit/checkpoint",
    operation_id="get_checkpoint",
    scope="audit",
    query=LogQuery,
    answer=str,
    media="text/plain",
    raises=(NotFound,),
)
def checkpoint(call: ApiCall) -> EndpointResponse:
    """Get the newest signed checkpoint of a log.

    The answer is text in the form of C2SP tlog-checkpoint.
    """
    return _text(proofs.checkpoint(call.request, call.query.log))


@audit_evidence.endpoint(
    "GET",
    "/v1/audit/keys",
    operation_id="list_verifier_keys",
    scope="audit",
    query=ListQuery,
    answer=ShownVerifierKey,
    listed=True,
)
def index_keys(call: ApiCall) -> EndpointResponse:
    """List the verifier keys of the tenant's logs, newest log first."""
    return call.listed(proofs.keys(call.request, call.position()))


@audit_evidence.endpoint(
    "GET",
    "/v1/audit/entries/{id}/proof",
    operation_id="get_inclusion_proof",
    scope="audit",
    query=ProofQuery,
    answer=str,
    media="text/plain",
    raises=(NotSealed,),
)
def prove(call: ApiCall) -> EndpointResponse:
    """Get the proof that an entry is in its log.

    The answer is text in the form of C2SP tlog-proof.
    """
    entry = read.entry(call.request, call.thing("ent"))
    return _text(proofs.inclusion(call.request, entry, call.query.size))


@audit_evidence.endpoint(
    "GET",
    "/v1/audit/consistency",
    operation_id="get_consistency_proof",
    scope="audit",
    query=ConsistencyQuery,
    answer=str,
    media="text/plain",
    raises=(NotFound,),
)
def prove_growth(call: ApiCall) -> EndpointResponse:
    """Get the proof that the newest log continues an earlier size of it.

    The answer is text in the form of a C2SP tlog-witness request.
    """
    return _text(proofs.consistency(call.request, call.query.log, call.query.old))


@audit_evidence.endpoint(
    "POST",
    "/v1/audit/bundle",
    operation_id="create_bundle",
    scope="audit",
    body=BundleRequest,
    answer=ShownJob,
    status=202,
    raises=(NotFound, NotSealed),
)
def make_bundle(call: ApiCall) -> EndpointResponse:
    """Create an evidence bundle of the sealed entries.

    The answer is a job. Its ``url`` leads to a tar file.
    """
    asked: BundleRequest = call.body
    return EndpointResponse(202, shown(call, bundle.begin(call.request, asked.log, asked.mode, asked.wanted)))


RESOURCES = (audit_evidence,)
